#include "dmsc/routing/spf_result.hpp"

namespace dmsc::routing {

SpfResult expand(const Topology& topology, const Spf& spf) {
  SpfResult result;
  result.root = spf.root();
  result.nodes_settled = spf.last_work();
  result.destinations.resize(topology.node_count());
  for (std::uint32_t i = 0; i < result.destinations.size(); ++i) {
    const NextHopGroup& group = spf.groups()[spf.group(i)];
    result.destinations[i] = {spf.distance(i), group.next_hops, group.alternate, group.protection};
  }
  return result;
}

SpfResult run_spf(const Topology& topology, NodeId root) {
  Spf spf(root);
  spf.update(topology);
  return expand(topology, spf);
}

void add_alternates(const Topology& topology, SpfResult& result) {
  Spf spf(result.root);
  spf.update(topology);
  spf.update_alternates(topology);
  std::uint64_t settled = result.nodes_settled;
  result = expand(topology, spf);
  result.nodes_settled = settled;
}

}  // namespace dmsc::routing
