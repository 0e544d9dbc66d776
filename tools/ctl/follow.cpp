// watch lsdb|routes|paths|neighbors: the rows there are, then every change of them, numbered without a gap.
#include <iostream>

#include "commands.hpp"

namespace dmsc::ctl {
namespace {

struct Follower {
  Context& context;
  std::string topic;
  unsigned left;  // messages to print; 0 = no end
  bool endless;

  void line(const char* sign, Tone tone, std::uint64_t sequence, const std::string& key,
            const std::string& text) const {
    std::cout << paint(std::to_string(sequence), Tone::dim, context.view.style) << " "
              << paint(std::string(sign) + " " + printable(key), tone, context.view.style);
    if (!text.empty()) std::cout << "  " << printable(text);
    std::cout << "\n";
  }

  void json(Json document) const {
    Json out{{"schema", 1}, {"daemon", context.persona.daemon}, {"topic", topic}};
    out.update(document);
    std::cout << out.dump(-1, ' ', false, nlohmann::detail::error_handler_t::replace) << "\n";
  }

  void row(const char* kind, const char* sign, Tone tone, const FollowedRow& r) const {
    if (context.json) {
      json({{"message", kind}, {"stream", r.stream}, {"sequence", r.sequence}, {"key", r.key},
            {"row", r.json.empty() ? Json() : Json::parse(r.json, nullptr, false)}});
    } else {
      line(sign, tone, r.sequence, r.key, r.json);
    }
  }
};

}  // namespace

bool is_followed(const Persona& persona, const std::string& topic) {
  bool node = persona.daemon == "srd" || persona.daemon == "sgd";
  return node && (topic == "lsdb" || topic == "routes" || topic == "paths" || topic == "neighbors");
}

Status follow(Context& context, InspectClient& client, const std::string& topic, unsigned count) {
  Follower f{context, topic, count, count == 0};
  FollowHandlers handlers;
  handlers.snapshot_row = [&f](const FollowedRow& row) { f.row("snapshot", " ", Tone::plain, row); };
  handlers.snapshot_end = [&f](std::uint64_t stream, std::uint64_t sequence, std::uint64_t exact) {
    if (f.context.json) {
      f.json({{"message", "snapshot-end"}, {"stream", stream}, {"sequence", sequence},
              {"exact_from", exact}});
    } else {
      f.line("---", Tone::dim, sequence, "changes from here on", "");
    }
    std::cout.flush();
    return f.endless || --f.left > 0;
  };
  handlers.delta = [&f](const FollowedRow& row) {
    bool gone = row.json.empty();
    f.row("delta", gone ? "-" : "+", gone ? Tone::bad : Tone::good, row);
    std::cout.flush();
    return f.endless || --f.left > 0;
  };
  handlers.resync = [&f](const std::string& reason, std::uint64_t missed) {
    if (f.context.json) {
      f.json({{"message", "resync"}, {"reason", reason}, {"missed", missed}});
    } else {
      f.line("resync", Tone::warn, 0, reason, std::to_string(missed) + " changes missed; a new snapshot:");
    }
  };
  return client.follow(topic, handlers);
}

}  // namespace dmsc::ctl
