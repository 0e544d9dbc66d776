// watch lsdb|routes|paths|neighbors: the rows there are, then every change of them, numbered without a gap.
#include <algorithm>
#include <chrono>
#include <ctime>
#include <iostream>
#include <map>

#include "commands.hpp"
#include "layout.hpp"
#include "row_text.hpp"

namespace dmsc::ctl {
namespace {

std::string time_of_day() {
  auto now = std::chrono::system_clock::now();
  std::time_t at = std::chrono::system_clock::to_time_t(now);
  std::tm local{};
  localtime_r(&at, &local);
  char text[32], millis[8];
  std::strftime(text, sizeof text, "%H:%M:%S", &local);
  auto part = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::snprintf(millis, sizeof millis, ".%03d", static_cast<int>(part));
  return std::string(text) + millis;
}

// For programs: every message as it comes, one JSON document a line.
class JsonFollower {
 public:
  JsonFollower(const Context& context, std::string topic) : context_(context), topic_(std::move(topic)) {}
  void row(const char* kind, const FollowedRow& r) const {
    print({{"message", kind}, {"stream", r.stream}, {"sequence", r.sequence}, {"key", r.key},
           {"row", r.json.empty() ? Json() : Json::parse(r.json, nullptr, false)}});
  }
  void snapshot_end(std::uint64_t stream, std::uint64_t sequence, std::uint64_t exact) const {
    print({{"message", "snapshot-end"}, {"stream", stream}, {"sequence", sequence}, {"exact_from", exact}});
  }
  void resync(const std::string& reason, std::uint64_t missed) const {
    print({{"message", "resync"}, {"reason", reason}, {"missed", missed}});
  }

 private:
  void print(const Json& document) const {
    Json out{{"schema", 1}, {"daemon", context_.persona.daemon}, {"topic", topic_}};
    out.update(document);
    std::cout << out.dump(-1, ' ', false, nlohmann::detail::error_handler_t::replace) << "\n";
  }
  const Context& context_;
  const std::string topic_;
};

// For people: it knows the rows, so that a change is told by what has changed, and a new snapshot after a
// resync by what differs from the old.
class TextFollower {
 public:
  TextFollower(Context& context, std::string topic) : context_(context), topic_(std::move(topic)) {}

  void snapshot_row(const FollowedRow& r) { fresh_[r.key] = parse(r.json); }
  void snapshot_end(std::uint64_t sequence) {
    bool first = !complete_;
    for (const auto& [label, key] : by_label()) {
      const Json& row = fresh_.at(key);
      if (first) line(" ", Tone::plain, sequence, label, fields(row));
      else tell(key, row, sequence);
    }
    for (auto it = rows_.begin(); it != rows_.end();) {
      if (fresh_.count(it->first) != 0) {
        ++it;
      } else {
        line("-", Tone::bad, sequence, row_label(topic_, it->first, it->second), "");
        it = rows_.erase(it);
      }
    }
    rows_ = std::exchange(fresh_, {});
    std::string rows = std::to_string(rows_.size()) + (rows_.size() == 1 ? " row" : " rows");
    if (first) note("--- " + rows + "; changes from here on");
    complete_ = true;
  }
  void delta(const FollowedRow& r) {
    if (r.json.empty()) {
      auto old = rows_.find(r.key);
      line("-", Tone::bad, r.sequence, row_label(topic_, r.key, old == rows_.end() ? Json() : old->second), "");
      if (old != rows_.end()) rows_.erase(old);
      return;
    }
    Json row = parse(r.json);
    tell(r.key, row, r.sequence);
    rows_[r.key] = std::move(row);
  }
  void resync(const std::string& reason, std::uint64_t missed) {
    note("--- " + printable(reason) + ": " + std::to_string(missed) +
         " changes were not told one by one; what they came to:");
  }

 private:
  // B/4 before B/12.
  std::vector<std::pair<std::string, std::string>> by_label() const {
    std::vector<std::pair<std::string, std::string>> out;
    for (const auto& [key, row] : fresh_) out.emplace_back(row_label(topic_, key, row), key);
    std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return natural_less(a.first, b.first); });
    return out;
  }
  static Json parse(const std::string& text) { return Json::parse(text, nullptr, false); }
  std::string fields(const Json& row) const { return row_fields(topic_, row, context_.view.wide); }

  void tell(const std::string& key, const Json& row, std::uint64_t sequence) {
    std::string label = row_label(topic_, key, row);
    auto old = rows_.find(key);
    if (old == rows_.end()) return line("+", Tone::good, sequence, label, fields(row));
    std::string what = row_changes(old->second, row);
    // A delta may repeat what the snapshot said: nothing to tell then.
    if (!what.empty()) line("~", Tone::warn, sequence, label, what);
  }

  void line(const char* sign, Tone tone, std::uint64_t sequence, const std::string& label,
            const std::string& text) {
    std::string head = time_of_day() + (context_.view.wide ? " " + std::to_string(sequence) : "");
    std::string rest = label + (text.empty() ? "" : "  " + text);
    std::size_t width = context_.width(), taken = display_width(head) + 3;
    if (width > taken) rest = shorten(rest, width - taken);
    std::size_t split = std::min(rest.size(), label.size());
    std::cout << paint(head, Tone::dim, context_.view.style) << " " << paint(sign, tone, context_.view.style) << " "
              << paint(rest.substr(0, split), tone, context_.view.style) << rest.substr(split) << "\n";
  }
  void note(const std::string& text) const {
    std::cout << paint(text, Tone::dim, context_.view.style) << "\n";
  }

  Context& context_;
  const std::string topic_;
  std::map<std::string, Json> rows_, fresh_;
  bool complete_ = false;
};

}  // namespace

bool is_followed(const Persona& persona, const std::string& topic) {
  bool node = persona.daemon == "srd" || persona.daemon == "sgd";
  return node && (topic == "lsdb" || topic == "routes" || topic == "paths" || topic == "neighbors");
}

Status follow(Context& context, InspectClient& client, const std::string& topic, unsigned count) {
  JsonFollower json(context, topic);
  TextFollower text(context, topic);
  bool for_programs = context.json;
  unsigned left = count;
  auto more = [&left, endless = count == 0] {
    std::cout.flush();
    return endless || --left > 0;
  };
  FollowHandlers handlers;
  handlers.snapshot_row = [&](const FollowedRow& row) {
    for_programs ? json.row("snapshot", row) : text.snapshot_row(row);
  };
  handlers.snapshot_end = [&](std::uint64_t stream, std::uint64_t sequence, std::uint64_t exact) {
    for_programs ? json.snapshot_end(stream, sequence, exact) : text.snapshot_end(sequence);
    return more();
  };
  handlers.delta = [&](const FollowedRow& row) {
    for_programs ? json.row("delta", row) : text.delta(row);
    return more();
  };
  handlers.resync = [&](const std::string& reason, std::uint64_t missed) {
    for_programs ? json.resync(reason, missed) : text.resync(reason, missed);
  };
  return client.follow(topic, handlers);
}

}  // namespace dmsc::ctl
