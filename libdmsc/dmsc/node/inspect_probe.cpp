// ping and trace: through the data plane, by a worker; the answer comes back to the control thread.
#include <boost/asio/post.hpp>

#include "dmsc/node/inspect.hpp"

namespace dmsc::node::inspect {
namespace {

using dataplane::ProbeResult;
using dataplane::ProbeSpec;

constexpr Duration kProbeTimeout = seconds(1);
constexpr std::uint8_t kRecordSlots = 63;

const char* to_string(ProbeResult::Outcome outcome) {
  switch (outcome) {
    case ProbeResult::Outcome::answered: return "answered";
    case ProbeResult::Outcome::error: return "error";
    case ProbeResult::Outcome::timeout: return "timeout";
    case ProbeResult::Outcome::refused: return "refused";
  }
  return "unknown";
}

const char* to_string(dataplane::Health health) {
  switch (health) {
    case dataplane::Health::unknown: return "unknown";
    case dataplane::Health::healthy: return "healthy";
    case dataplane::Health::failing: return "failing";
  }
  return "unknown";
}

// Runs one probe on the first worker; `then` comes on the control thread.
void run_probe(NodeImpl& node, const ProbeSpec& spec,
               std::function<void(const ProbeResult&)> then) {
  dataplane::Worker* worker = node.workers().front();
  auto& io = node.io();
  worker->post([worker, spec, &io, then = std::move(then)] {
    worker->probe(spec, kProbeTimeout, [&io, then](const ProbeResult& result) {
      boost::asio::post(io, [then, result] { then(result); });
    });
  });
}

}  // namespace

Result<ProbeSpec> probe_target(const Node& node, const Arguments& arguments) {
  if (arguments.empty()) return make_error(Errc::invalid, "which name? (a service, or node:NAME)");
  ProbeSpec spec;
  std::string text = arguments[0];
  bool node_only = text.rfind("node:", 0) == 0;
  if (node_only) text.erase(0, 5);
  if (!node_only) {
    auto name = Name::parse(text);
    if (!name) return name.error();
    if (node.rib().match(*name) || !node.find_node(text)) {
      spec.destination = text;
      return spec;
    }
  }
  spec.egress = node_argument(node, text);
  if (!spec.egress) return make_error(Errc::not_found, "no node is called '", text, "'");
  return spec;
}

namespace {

Json describe(const Node& node, const std::string& name, const ProbeResult& result) {
  Json out{{"name", name}, {"outcome", to_string(result.outcome)}};
  out["egress"] = node.name_of(result.responder);
  if (result.outcome == ProbeResult::Outcome::answered) {
    out["rtt_ms"] = ms(result.round_trip);
    out["health"] = to_string(result.health.health);
  } else {
    out["detail"] = result.outcome == ProbeResult::Outcome::timeout
                        ? "no answer within " + std::to_string(kProbeTimeout / milliseconds(1)) + " ms"
                        : result.detail;
  }
  if (result.outcome == ProbeResult::Outcome::error) out["error"] = wire::to_string(result.error);
  out["path"] = names_of(node, result.path);
  return out;
}

// What the LSDB says the way should be, and whether the recorded one is as short.
void compare(const Node& node, const ProbeResult& result, Json& out) {
  auto expected = routing::shortest_path(node.topology(), node.identity().id, result.responder);
  out["lsdb_path"] = names_of(node, expected);
  out["return_path"] = names_of(node, result.return_path);
  const auto d = node.rib().destination(result.responder);
  bool equal_cost = d && d->next_hops.size() > 1;
  out["as_lsdb"] = result.path == expected || (equal_cost && result.path.size() == expected.size());
}

// Hop by hop, as traceroute does: hop limits 1, 2, ... until somebody answers.
class Tracer : public std::enable_shared_from_this<Tracer> {
 public:
  Tracer(NodeImpl& node, std::string name, ProbeSpec spec, TopicReply reply)
      : node_(node), name_(std::move(name)), spec_(std::move(spec)), reply_(std::move(reply)) {
    spec_.trace = true;
    spec_.record_slots = kRecordSlots;
  }

  void start() {
    run_probe(node_, spec_, [self = shared_from_this()](const ProbeResult& whole) {
      self->out_ = describe(self->node_, self->name_, whole);
      if (whole.outcome == ProbeResult::Outcome::answered) compare(self->node_, whole, self->out_);
      self->hop(1);
    });
  }

 private:
  void hop(std::uint8_t limit) {
    spec_.hop_limit = limit;
    run_probe(node_, spec_, [self = shared_from_this(), limit](const ProbeResult& result) {
      bool failed = result.outcome == ProbeResult::Outcome::error;
      bool on_the_way = failed && result.error == wire::ErrorCode::hop_limit;
      self->hops_.push_back(Json{
          {"hop", limit},
          {"node", result.responder ? self->node_.name_of(result.responder) : "*"},
          {"outcome", on_the_way ? "passed on" : failed ? wire::to_string(result.error) : to_string(result.outcome)},
          {"rtt_ms", ms(result.round_trip)}});
      self->silent_ = result.outcome == ProbeResult::Outcome::timeout ? self->silent_ + 1 : 0;
      bool go_on = on_the_way || (self->silent_ > 0 && self->silent_ < 3);
      if (go_on && limit < wire::kDefaultHopLimit) return self->hop(static_cast<std::uint8_t>(limit + 1));
      self->out_["hops"] = self->hops_;
      self->reply_(self->out_);
    });
  }

  NodeImpl& node_;
  std::string name_;
  ProbeSpec spec_;
  TopicReply reply_;
  Json out_, hops_ = Json::array();
  int silent_ = 0;
};

}  // namespace

void ping(NodeImpl& node, const Arguments& arguments, TopicReply reply) {
  auto spec = probe_target(node, arguments);
  if (!spec) return reply(spec.error());
  spec->record_slots = kRecordSlots;
  run_probe(node, *spec, [&node, name = arguments[0], reply](const ProbeResult& result) {
    reply(describe(node, name, result));
  });
}

void trace(NodeImpl& node, const Arguments& arguments, TopicReply reply) {
  auto spec = probe_target(node, arguments);
  if (!spec) return reply(spec.error());
  std::make_shared<Tracer>(node, arguments[0], *spec, std::move(reply))->start();
}

}  // namespace dmsc::node::inspect
