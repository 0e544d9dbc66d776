#include "dmsc/node/settings.hpp"

#include <tuple>

namespace dmsc::node {

bool operator==(const LinkSettings& a, const LinkSettings& b) {
  auto fields = [](const LinkSettings& l) {
    return std::tie(l.name, l.peer, l.interface, l.local, l.local_port, l.remote, l.remote_port,
                    l.metric, l.capacity_bps, l.liveness.interval, l.liveness.multiplier, l.mtu);
  };
  return fields(a) == fields(b);
}

bool operator==(const FinderSettings& a, const FinderSettings& b) {
  auto fields = [](const FinderSettings& f) {
    return std::tie(f.name, f.interface, f.local, f.local_port, f.ipv6, f.max_neighbours, f.link);
  };
  return fields(a) == fields(b);
}

}  // namespace dmsc::node
