#include "layout.hpp"

#include <cctype>
#include <map>

#include "format.hpp"

namespace dmsc::ctl {
namespace {

const std::map<std::string, Layout>& layouts() {
  static const std::map<std::string, Layout> all{
      {"neighbors",
       {{"link", "neighbour", "id", "state", "data_path", "up_ms", "rtt_ms", "jitter_ms",
         "loss_percent", "metric", "drain", "synchronised", "unacknowledged", "queued", "flaps",
         "held_ms", "last_down"},
        {"session", "worker_ports", "mtu", "address"},
        {"link"},
        ""}},
      {"links",
       {{"link", "neighbour", "state", "delay_ms", "jitter_ms", "loss_percent", "capacity_bps",
         "used_bps", "available_bps", "in_bytes", "out_bytes"},
        {"id", "data_rtt_ms", "probes_sent", "probes_answered", "packets_in", "packets_out"},
        {"link"},
        ""}},
      {"lsdb",
       {{"origin", "type", "fragment", "epoch", "sequence", "remaining_s", "size_bytes"},
        {"origin_id", "held_bytes"},
        {"origin", "type", "fragment"},
        "origin"}},
      {"steps", {{"step", "ok", "detail"}, {"lsa", "grant", "path"}, {}, ""}},
      {"routes",
       {{"prefix", "egress", "instance", "distance", "weight", "state"},
        {"egress_id"},
        {"prefix", "distance", "egress", "instance"},
        "prefix"}},
      {"fib",
       {{"prefix", "egress", "instance", "weight", "via"},
        {},
        {"prefix", "egress", "instance"},
        "prefix"}},
      {"paths",
       {{"egress", "node", "id", "distance", "path", "via", "alternate"},
        {},
        {"egress", "node"},
        ""}},
      {"labels", {{"label", "egress", "next", "link", "state"}, {}, {"label"}, ""}},
      {"pods",
       {{"identity", "prefix", "pool", "state", "health", "endpoint", "ports", "instance", "capacity"},
        {"lease"},
        {"identity", "prefix"},
        "identity"}},
      {"grants",
       {{"subtree", "gateway", "identity", "remaining_s", "issuer", "serial", "depth", "covering",
         "pools", "revoked"},
        {"valid_until"},
        {"subtree", "gateway"},
        ""}},
      {"identities", {{"node", "id", "role"}, {}, {"node"}, ""}},
      {"nodes", {{"node", "name", "id", "role"}, {}, {"node", "name"}, ""}},
      {"policies", {{"policy", "node", "kind", "state", "version"}, {"epoch"}, {}, ""}},
      {"prefixes",
       {{"subtree", "owner", "depth", "covering", "pool"}, {}, {"subtree", "owner"}, ""}},
      {"events", {{"time", "level", "line"}, {"seq", "event"}, {}, ""}},
      {"audit", {{"seq", "time", "actor", "action", "object", "decision", "detail"}, {}, {}, ""}},
      {"quality",
       {{"ingress", "prefix", "egress", "instance"},
        {},
        {"ingress", "prefix", "egress"},
        "ingress"}},
      {"seals",
       {{"peer", "state", "algorithm", "age_ms", "sealed", "opened", "refused", "problem"},
        {"association", "role", "associations"},
        {"peer"},
        ""}},
      {"services", {{"prefix", "instances"}, {}, {"prefix"}, ""}},
  };
  return all;
}

bool digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

std::string_view digits_at(std::string_view text, std::size_t at) {
  std::size_t end = at;
  while (end < text.size() && digit(text[end])) ++end;
  while (at + 1 < end && text[at] == '0') ++at;  // leading zeros
  return text.substr(at, end - at);
}

}  // namespace

const Layout& layout_of(const std::string& topic) {
  static const Layout none;
  auto found = layouts().find(topic);
  return found == layouts().end() ? none : found->second;
}

std::string column_header(const std::string& key) {
  static const std::map<std::string, std::string> short_words{
      {"synchronised", "sync"},  {"unacknowledged", "unack"}, {"data_path", "data"},
      {"neighbour", "neighbor"}, {"in_bytes", "in"},          {"out_bytes", "out"},
      {"instance", "inst"},      {"sequence", "seq"},         {"fragment", "frag"},
  };
  auto found = short_words.find(key);
  return found == short_words.end() ? header_of(key) : found->second;
}

bool natural_less(const std::string& a, const std::string& b) {
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (digit(a[i]) && digit(b[j])) {
      std::string_view x = digits_at(a, i), y = digits_at(b, j);
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
      while (i < a.size() && digit(a[i])) ++i;
      while (j < b.size() && digit(b[j])) ++j;
      continue;
    }
    if (a[i] != b[j]) return a[i] < b[j];
    ++i;
    ++j;
  }
  return a.size() - i < b.size() - j;
}

}  // namespace dmsc::ctl
