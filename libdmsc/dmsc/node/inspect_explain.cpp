// explain NAME: what happens to a packet for a name, step by step, and why.
#include "dmsc/forwarding/decision.hpp"
#include "dmsc/node/inspect.hpp"

namespace dmsc::node::inspect {
namespace {

class Explanation {
 public:
  Explanation(const NodeImpl& node, const forwarding::Fib& fib, Name name)
      : node_(node), fib_(fib), name_(std::move(name)) {}

  Json run() {
    announced();
    const forwarding::InstanceGroup* group = matched();
    if (group != nullptr) chosen(*group);
    if (verdict_.empty()) verdict_ = "reachable";
    return Json{{"name", name_.text()}, {"verdict", verdict_}, {"steps", steps_}};
  }

 private:
  void step(const char* what, bool ok, std::string detail) {
    steps_.push_back(Json{{"step", what}, {"ok", ok}, {"detail", std::move(detail)}});
    if (!ok && verdict_.empty()) verdict_ = steps_.back()["detail"];
  }
  void note(const char* what, bool ok, std::string detail) {
    steps_.push_back(Json{{"step", what}, {"ok", ok}, {"detail", std::move(detail)}});
  }

  // Who says it has the name or one above it, and is it believed?
  void announced() {
    bool any = false;
    for (Name name = name_; !name.empty(); name = name.parent()) {
      for (const auto& [origin, entry] : node_.routes().announced(name)) {
        if (name != name_ && !entry.covering) continue;
        any = true;
        std::string who = node_.name_of(origin) + " announces " + name.text() + " (" +
                          std::to_string(entry.instances.size()) + " instances" +
                          (entry.covering ? ", covering)" : ")");
        note("lsdb", true, who);
        auto refused = node_.routes().refused().find({origin, name});
        bool good = refused == node_.routes().refused().end();
        note("grant", good, node_.name_of(origin) + ": " + (good ? granted(origin, name, entry.covering)
                                                               : refused->second));
      }
    }
    if (!any) note("lsdb", false, "no node announces " + name_.text() + " or a covering name above it");
  }

  std::string granted(NodeId origin, const Name& name, bool covering) const {
    auto answer = node_.trust().may_announce(origin, name, covering, node_.domain_time());
    if (!answer.allowed) answer = node_.trust().may_join_pool(origin, name, node_.domain_time());
    return answer.reason.empty() ? "granted until " + std::to_string(answer.until.seconds)
                                 : answer.reason;
  }

  const forwarding::InstanceGroup* matched() {
    const routing::RibRoute* route = node_.rib().match(name_);
    if (route == nullptr) {
      step("rib", false, "no route: nothing usable matches " + name_.text());
      return nullptr;
    }
    step("rib", !route->choices.empty(),
         route->prefix.text() + (route->choices.empty()
                                     ? ": no instance can be reached"
                                     : ": " + std::to_string(route->choices.size()) +
                                           " reachable instances") +
             (route->from_policy ? ", weights by policy" : ""));
    const forwarding::InstanceGroup* group = fib_.match(name_.text());
    step("fib", group != nullptr,
         group != nullptr ? group->prefix.text() + " with " +
                                std::to_string(group->instances.size()) + " instances"
                          : "not in the FIB");
    return group;
  }

  void chosen(const forwarding::InstanceGroup& group) {
    for (const forwarding::InstanceEntry& i : group.instances) {
      bool reach = i.egress == node_.identity().id || forwarding::can_reach(fib_, i.egress);
      std::string text = "instance " + std::to_string(i.id.value) + " at " + node_.name_of(i.egress) +
                         ", weight " + std::to_string(i.weight) + ", distance " +
                         std::to_string(i.distance);
      note("instance", reach, text + (i.draining ? ", draining" : "") + (reach ? "" : ", unreachable"));
      if (reach) next_hops(i.egress);
    }
    auto below = forwarding::is_below(group, name_.text());
    const auto* nearest = forwarding::nearest_instance(fib_, node_.identity().id, group, below);
    step("nearest", nearest != nullptr,
         nearest != nullptr ? "by name alone a packet goes to " + node_.name_of(nearest->egress)
                            : "no instance serves this name now");
  }

  void next_hops(NodeId egress) {
    if (egress == node_.identity().id) return note("next hop", true, "local");
    const forwarding::NodeRoute* route = fib_.node(egress);
    if (route == nullptr) return;
    for (const forwarding::NextHop& hop : route->next_hops) {
      bool alive = fib_.link_alive(hop.link);
      note("next hop", alive, via(node_, hop.link, hop.neighbour) + (alive ? "" : ": link is down"));
    }
    if (route->alternate) {
      note("alternate", fib_.link_alive(route->alternate->link),
           via(node_, route->alternate->link, route->alternate->neighbour));
    }
  }

  const NodeImpl& node_;
  const forwarding::Fib& fib_;
  Name name_;
  Json steps_ = Json::array();
  std::string verdict_;
};

}  // namespace

Result<Json> explain(const NodeImpl& node, dataplane::DataPlane& plane,
                     const Arguments& arguments) {
  if (arguments.size() != 1) return make_error(Errc::invalid, "usage: explain NAME");
  auto name = Name::parse(arguments[0]);
  if (!name) return name.error();
  return Explanation(node, plane.fib(), *name).run();
}

}  // namespace dmsc::node::inspect
