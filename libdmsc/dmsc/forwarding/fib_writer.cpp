#include "dmsc/forwarding/fib_writer.hpp"

namespace dmsc::forwarding {

FibWriter::FibWriter(Fib& fib, Hooks hooks)
    : fib_(fib), hooks_(std::move(hooks)), local_(fib.add_next_hops({}, std::nullopt)) {}

FibWriter::~FibWriter() {
  for (InstanceGroup* group : groups_) fib_.drop_group(group);
  for (NextHopGroup* group : ways_) fib_.drop_next_hops(group);
  fib_.drop_next_hops(local_);
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

// Nodes that still point at the group an id meant before keep it alive.
void FibWriter::next_hops_added(routing::GroupId group, const routing::NextHopGroup& ways) {
  hops_.clear();
  for (const routing::FirstHop& hop : ways.next_hops) hops_.push_back({hop.link, hop.neighbour});
  std::optional<NextHop> alternate;
  if (ways.alternate) alternate = NextHop{ways.alternate->link, ways.alternate->neighbour};
  if (group >= ways_.size()) ways_.resize(group + 1);
  fib_.drop_next_hops(std::exchange(ways_[group], fib_.add_next_hops(hops_, alternate)));
}

void FibWriter::next_hops_removed(routing::GroupId group) {
  fib_.drop_next_hops(std::exchange(ways_[group], nullptr));
}

void FibWriter::destination_changed(NodeId node, std::uint32_t distance,
                                    routing::GroupId next_hops) {
  bool fresh = !fib_.node(node);
  fib_.set_node(node, distance, next_hops == routing::kNoGroup ? *local_ : *ways_[next_hops]);
  if (hooks_.node) hooks_.node(node, fresh);
}

void FibWriter::destination_removed(NodeId node) {
  fib_.remove_node(node);
  if (hooks_.node) hooks_.node(node, false);
}

}  // namespace dmsc::forwarding
