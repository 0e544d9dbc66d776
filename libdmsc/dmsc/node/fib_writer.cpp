// What the RIB publishes, as the FIB takes it.
#include "dmsc/node/route_keeper.hpp"

namespace dmsc::node {

void RouteKeeper::stamp(std::uint64_t& writes, Time& last) {
  ++writes;
  if (clock_) last = clock_();
}

void RouteKeeper::route_changed(const routing::RibRoute& route) {
  forwarding::InstanceGroup group;
  group.prefix = route.prefix;
  group.covering = route.covering;
  for (const routing::InstanceChoice& choice : route.choices) {
    forwarding::InstanceEntry entry;
    entry.egress = choice.instance.egress;
    entry.id = choice.instance.id;
    entry.weight = choice.weight;
    entry.distance = choice.distance;
    entry.draining = choice.draining;
    entry.covering = choice.covering;
    group.instances.push_back(entry);
  }
  fib_.set_prefix(std::move(group));
  stamp(fib_writes_.prefixes, fib_writes_.last_prefix);
  if (hooks_.route) hooks_.route(route.prefix);
}

void RouteKeeper::route_removed(const Name& prefix) {
  fib_.remove_prefix(prefix);
  stamp(fib_writes_.prefixes, fib_writes_.last_prefix);
  if (hooks_.route) hooks_.route(prefix);
}

void RouteKeeper::destination_changed(NodeId node, const routing::Destination& destination) {
  forwarding::NodeRoute route;
  route.distance = destination.distance;
  for (const routing::FirstHop& hop : destination.next_hops) {
    route.next_hops.push_back({hop.link, hop.neighbour});
  }
  if (destination.alternate) {
    route.alternate = forwarding::NextHop{destination.alternate->link,
                                          destination.alternate->neighbour};
  }
  bool known = fib_.node(node) != nullptr;
  fib_.set_node(node, std::move(route));
  stamp(fib_writes_.nodes, fib_writes_.last_node);
  if (!known) fib_writes_.last_new_node = fib_writes_.last_node;
}

void RouteKeeper::destination_removed(NodeId node) {
  fib_.remove_node(node);
  stamp(fib_writes_.nodes, fib_writes_.last_node);
}

}  // namespace dmsc::node
