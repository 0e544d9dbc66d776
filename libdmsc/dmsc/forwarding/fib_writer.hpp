// What the RIB publishes, as the FIB takes it.
#pragma once
#include <functional>
#include <vector>

#include "dmsc/forwarding/fib.hpp"
#include "dmsc/routing/rib.hpp"

namespace dmsc::forwarding {

// The Fib must outlive it, and keeps what it wrote.
class FibWriter final : public routing::RibSink {
 public:
  // Called, if given, when the FIB has it.
  struct Hooks {
    std::function<void(std::string_view)> prefix;  // came, changed its instances or went
    std::function<void(NodeId, bool fresh)> node;  // came (fresh), changed its way or went
  };
  explicit FibWriter(Fib& fib, Hooks hooks = {});
  ~FibWriter() override;
  FibWriter(const FibWriter&) = delete;
  FibWriter& operator=(const FibWriter&) = delete;

  void group_added(routing::InstanceGroupId group, bool covering,
                   std::span<const routing::GroupMember> members) override;
  void group_weights(routing::InstanceGroupId group,
                     std::span<const std::uint32_t> weights) override;
  void group_removed(routing::InstanceGroupId group) override;
  void route_changed(std::string_view prefix, routing::InstanceGroupId group) override;
  void route_removed(std::string_view prefix) override;
  void next_hops_added(routing::GroupId group, const routing::NextHopGroup& ways) override;
  void next_hops_removed(routing::GroupId group) override;
  void destination_changed(NodeId node, std::uint32_t distance,
                           routing::GroupId next_hops) override;
  void destination_removed(NodeId node) override;
  void foresee(std::span<const std::string_view> prefixes) override { fib_.foresee(prefixes); }

 private:
  Fib& fib_;
  Hooks hooks_;
  std::vector<InstanceGroup*> groups_;  // by the RIB's id
  std::vector<NextHopGroup*> ways_;     // likewise
  NextHopGroup* local_;                 // of this node itself
  std::vector<InstanceEntry> scratch_;
  std::vector<NextHop> hops_;
};

}  // namespace dmsc::forwarding
