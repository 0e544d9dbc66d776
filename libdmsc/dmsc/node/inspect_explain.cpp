// explain NAME: what happens to a packet for a name, step by step, and why: which LSA says so, which grant
// allows it, which policy weighs it, which path it takes and what broke the ties. Looks up what concerns the
// name and nothing else, so it answers in milliseconds at a million prefixes.
#include "dmsc/forwarding/decision.hpp"
#include "dmsc/node/inspect.hpp"
#include "dmsc/node/inspect_explain.hpp"

namespace dmsc::node::inspect {
namespace {

constexpr std::uint32_t kTierPercent = 25;  // Rib's

class Explanation {
 public:
  Explanation(NodeImpl& node, const forwarding::Fib& fib, Name name)
      : node_(node), fib_(fib), name_(std::move(name)) {}

  Json run() {
    announced();
    if (const forwarding::Match match = matched()) chosen(match);
    if (verdict_.empty()) verdict_ = "reachable";
    return Json{{"name", name_.text()}, {"verdict", verdict_}, {"steps", steps_}};
  }

 private:
  void note(const char* what, bool ok, std::string detail, Json more = Json::object()) {
    Json row{{"step", what}, {"ok", ok}, {"detail", std::move(detail)}};
    row.update(more);
    steps_.push_back(std::move(row));
  }
  // A step without which nothing is reached.
  void step(const char* what, bool ok, const std::string& detail, Json more = Json::object()) {
    note(what, ok, detail, std::move(more));
    if (!ok && verdict_.empty()) verdict_ = detail;
  }

  // Who says it has the name or one above it, in which LSA, and is it believed?
  void announced() {
    bool any = false;
    for (Name name = name_; !name.empty(); name = name.parent()) {
      for (const auto& a : node_.routes().prefixes().announcements(name, node_.domain_time())) {
        if (name != name_ && !a.entry.covering) continue;
        any = true;
        const LsaReference lsa = reference(node_, a.lsa->key);
        note("lsdb", true,
             node_.name_of(a.origin) + " announces " + name.text() + " (" +
                 std::to_string(a.entry.instances.size()) + " instances" +
                 (a.entry.covering ? ", covering" : "") +
                 (a.entry.ports.empty() ? "" : ", ports " + wire::to_text(a.entry.ports)) +
                 "): " + lsa.text,
             Json{{"lsa", lsa.json}});
        const GrantReference grant = grant_of(node_, a.origin, name, a.entry.covering);
        bool good = a.refusal.empty();
        note("grant", good, node_.name_of(a.origin) + ": " + (good ? grant.text : a.refusal),
             good ? Json{{"grant", grant.json}} : Json::object());
      }
    }
    if (!any) note("lsdb", false, "no node announces " + name_.text() + " or a covering name above it");
  }

  forwarding::Match matched() {
    const auto route = node_.rib().match(name_);
    if (!route) {
      const char* lately = fib_.withdrawn(name_.text()) ? "; something did a few minutes ago" : "";
      step("rib", false, "no route: nothing usable matches " + name_.text() + lately);
      return {};
    }
    std::string text = route->prefix.text();
    if (route->choices.empty()) {
      text += ": no instance can be reached";
    } else {
      nearest_ = route->choices.front().distance;
      text += ": " + std::to_string(route->choices.size()) + " reachable instances, the nearest at " +
              std::to_string(nearest_);
    }
    step("rib", !route->choices.empty(), text);
    policies(*route);
    const forwarding::Match match = fib_.match(name_.text());
    step("fib", static_cast<bool>(match),
         match ? std::string(match.prefix) + " with " + std::to_string(match->instances().size()) +
                     " instances"
               : "not in the FIB");
    return match;
  }

  // What the scheduling center has to say about this prefix.
  void policies(const routing::RibRoute& route) {
    from_policy_ = route.from_policy;
    if (from_policy_) note("policy", true, "weights by policy" + policy_of(route.prefix));
    for (const auto& [key, path] : node_.routes().paths()) {
      if (!key.first.covers(name_)) continue;
      std::string what = path.obstacle ? std::string(" would carry path label ") : " carry path label ";
      std::string why;
      if (path.obstacle) {
        why = ", void at " + node_.name_of(path.obstacle->node) + ": " + to_string(path.obstacle->kind);
      }
      note("policy", !path.obstacle, "packets from here to " + node_.name_of(key.second) + " for " +
                                         key.first.text() + what + std::to_string(path.label.value) +
                                         policy_of(key.first) + why);
    }
    if (!from_policy_) {
      note("policy", true, "none weighs it: instances up to distance " + std::to_string(tier_end()) + " (" +
                               std::to_string(kTierPercent) + " % beyond the nearest) share by capacity");
    }
  }

  // The rows of the scheduling agent that name the prefix: " ID version V".
  std::string policy_of(const Name& prefix) {
    std::string out;
    const TopicHandler* topic = node_.topic("policies");
    if (topic == nullptr) return out;
    (*topic)({}, [&](Result<Json> rows) {
      if (!rows) return;
      for (const Json& row : *rows) {
        if (row.value("content", "").find(prefix.text()) == std::string::npos) continue;
        out += " " + row.value("policy", "") + " version " + std::to_string(row.value("version", 0ULL)) +
               (row.value("reason", "").empty() ? "" : " (" + row.value("reason", "") + ")");
      }
    });
    return out;
  }

  std::uint64_t tier_end() const { return std::uint64_t{nearest_} * (100 + kTierPercent) / 100; }

  void chosen(const forwarding::Match& match) {
    std::set<NodeId> shown;
    for (const forwarding::InstanceEntry& i : match->instances()) {
      instance(i);
      bool first = shown.insert(i.egress).second;
      if (first && reached(i.egress)) next_hops(i.egress);
    }
    auto below = forwarding::is_below(match, name_.text());
    const auto* nearest =
        forwarding::nearest_instance(fib_, node_.identity().id, match->instances(), below);
    if (nearest == nullptr) return step("nearest", false, "no instance serves this name now");
    step("nearest", true, "by name alone a packet goes to " + node_.name_of(nearest->egress) +
                              tie(match, *nearest));
    path(nearest->egress);
  }

  bool reached(NodeId egress) const {
    return egress == node_.identity().id || forwarding::can_reach(fib_, egress);
  }

  std::uint64_t distance(NodeId egress) const {
    if (egress == node_.identity().id) return 0;
    const forwarding::NodeRoute route = fib_.node(egress);
    return route ? route.distance : routing::kUnreachable;
  }

  void instance(const forwarding::InstanceEntry& i) {
    bool reach = reached(i.egress);
    std::string text = "instance " + std::to_string(i.id.value) + " at " + node_.name_of(i.egress) +
                       ", weight " + std::to_string(i.weight);
    if (!reach) return note("instance", false, text + ", unreachable");
    text += ", distance " + std::to_string(distance(i.egress));
    if (i.draining) text += ", draining";
    if (i.weight == 0 && !i.draining) {
      text += from_policy_ ? ": the policy gives it no share" : ": beyond the nearest tier";
    }
    note("instance", true, std::move(text));
  }

  // Why this one and not another as near.
  std::string tie(const forwarding::Match& match, const forwarding::InstanceEntry& best) const {
    std::size_t equal = 0;
    for (const forwarding::InstanceEntry& i : match->instances()) {
      bool other = i.egress != best.egress && reached(i.egress) && i.draining == best.draining;
      equal += other && distance(i.egress) == distance(best.egress) ? 1 : 0;
    }
    if (equal == 0) return ", the nearest; flows are shared by weight";
    return ", of " + std::to_string(equal + 1) +
           " equally near the lowest node id; flows are shared by weight";
  }

  void next_hops(NodeId egress) {
    if (egress == node_.identity().id) return note("next hop", true, "local");
    const forwarding::NodeRoute route = fib_.node(egress);
    if (!route) return;
    for (const forwarding::NextHop& hop : route.next_hops()) {
      bool alive = fib_.link_alive(hop.link);
      note("next hop", alive, via(node_, hop.link, hop.neighbour) + (alive ? "" : ": link is down"));
    }
    if (route.next_hops().size() > 1) {
      note("tie-break", true, std::to_string(route.next_hops().size()) +
                                  " first hops of equal cost: the flow id picks one");
    }
    if (const auto& alternate = route.alternate()) {
      note("alternate", fib_.link_alive(alternate->link),
           via(node_, alternate->link, alternate->neighbour) + ", if every next hop is lost");
    }
  }

  // One shortest path, with the metric of each link and the Node LSA that states it.
  void path(NodeId egress) {
    if (egress == node_.identity().id) return;
    const auto nodes = routing::shortest_path(node_.topology(), node_.identity().id, egress);
    std::string text = nodes.empty() ? "none" : node_.name_of(nodes.front());
    Json hops = Json::array();
    for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
      const PathHop hop = path_hop(node_, nodes[i], nodes[i + 1]);
      text += " -" + std::to_string(hop.metric) + "- " + node_.name_of(nodes[i + 1]) + hop.drained;
      hops.push_back(hop.json);
    }
    note("path", !nodes.empty(), text, Json{{"path", hops}});
  }

  NodeImpl& node_;
  const forwarding::Fib& fib_;
  Name name_;
  Json steps_ = Json::array();
  std::string verdict_;
  std::uint32_t nearest_ = 0;
  bool from_policy_ = false;
};

}  // namespace

Result<Json> explain(NodeImpl& node, dataplane::DataPlane& plane, const Arguments& arguments) {
  if (arguments.size() != 1) return make_error(Errc::invalid, "usage: explain NAME");
  auto name = Name::parse(arguments[0]);
  if (!name) return name.error();
  return Explanation(node, plane.fib(), *name).run();
}

}  // namespace dmsc::node::inspect
