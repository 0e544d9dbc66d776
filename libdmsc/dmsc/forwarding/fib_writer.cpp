#include "dmsc/forwarding/fib_writer.hpp"

namespace dmsc::forwarding {

FibWriter::FibWriter(Fib& fib, Hooks hooks) : fib_(fib), hooks_(std::move(hooks)) {}

FibWriter::~FibWriter() {
  for (InstanceGroup* group : groups_) fib_.drop_group(group);
}

void FibWriter::group_added(routing::InstanceGroupId group, bool covering,
                            std::span<const routing::GroupMember> members) {
  scratch_.clear();
  for (const routing::GroupMember& m : members) {
    scratch_.push_back({m.egress, m.id, m.draining, m.covering, m.weight});
  }
  if (group >= groups_.size()) groups_.resize(group + 1);
  groups_[group] = fib_.add_group(covering, scratch_);
}

void FibWriter::group_weights(routing::InstanceGroupId group,
                              std::span<const std::uint32_t> weights) {
  fib_.set_weights(*groups_[group], weights);
}

void FibWriter::group_removed(routing::InstanceGroupId group) {
  fib_.drop_group(std::exchange(groups_[group], nullptr));
}

void FibWriter::route_changed(std::string_view prefix, routing::InstanceGroupId group) {
  fib_.set_prefix(prefix, *groups_[group]);
  if (hooks_.prefix) hooks_.prefix(prefix);
}

void FibWriter::route_removed(std::string_view prefix) {
  fib_.remove_prefix(prefix);
  if (hooks_.prefix) hooks_.prefix(prefix);
}

void FibWriter::destination_changed(NodeId node, const routing::Destination& destination) {
  NodeRoute route;
  route.distance = destination.distance;
  route.next_hops.reserve(destination.next_hops.size());
  for (const routing::FirstHop& hop : destination.next_hops) {
    route.next_hops.push_back({hop.link, hop.neighbour});
  }
  if (destination.alternate) {
    route.alternate = NextHop{destination.alternate->link, destination.alternate->neighbour};
  }
  bool fresh = fib_.node(node) == nullptr;
  fib_.set_node(node, std::move(route));
  if (hooks_.node) hooks_.node(node, fresh);
}

void FibWriter::destination_removed(NodeId node) {
  fib_.remove_node(node);
  if (hooks_.node) hooks_.node(node, false);
}

}  // namespace dmsc::forwarding
