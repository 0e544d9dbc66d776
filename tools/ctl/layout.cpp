#include "layout.hpp"

#include <cctype>
#include <map>

namespace dmsc::ctl {
namespace {

const std::map<std::string, Layout>& layouts() {
  static const std::map<std::string, Layout> all{
      {"neighbors",
       {{"link", "neighbour", "name", "id", "state", "up_ms", "rtt_ms", "jitter_ms", "loss_percent",
         "metric", "synchronised", "unacknowledged", "queued", "flaps"},
        {"session", "worker_ports", "data_ports", "mtu"},
        {"link"}}},
      {"lsdb",
       {{"origin", "type", "fragment", "epoch", "sequence", "remaining_s", "size_bytes",
         "verified"},
        {},
        {"origin", "type", "fragment"}}},
      {"routes",
       {{"prefix", "covering", "egress", "instance", "distance", "weight"}, {}, {"prefix"}}},
      {"fib", {{"prefix", "covering", "egress", "instance", "weight", "via"}, {}, {"prefix"}}},
      {"paths", {{"egress", "node", "id", "distance", "via", "alternate"}, {}, {"egress", "node"}}},
      {"pods",
       {{"identity", "prefix", "pool", "state", "health", "endpoint", "instance", "capacity"},
        {"lease"},
        {"identity", "prefix"}}},
      {"policies", {{"policy", "id", "kind", "state", "version"}, {"epoch"}, {}}},
      {"links", {{"link", "name", "neighbour", "state"}, {}, {"link", "name"}}},
      {"nodes", {{"node", "name", "id", "role"}, {}, {"node", "name"}}},
      {"hops", {{"hop", "node", "rtt_ms"}, {}, {}}},
      {"quality",
       {{"ingress", "prefix", "egress", "instance"}, {}, {"ingress", "prefix", "egress"}}},
      {"services", {{"prefix", "instances"}, {}, {"prefix"}}},
      {"grants",
       {{"subtree", "prefix", "identity", "gateway", "issuer", "serial"}, {}, {"subtree"}}},
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
