// What the control thread keeps of a link. Only data_plane.cpp includes this.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "dmsc/dataplane/data_plane.hpp"
#include "dmsc/dataplane/link_table.hpp"

namespace dmsc::dataplane {

struct LinkRecord {
  LinkSockets sockets;
  unsigned group = 0;
  std::optional<Neighbour> neighbour;
  std::vector<SocketAddress> peers;  // the neighbour's workers, kept over a flap
  std::shared_ptr<LinkState> state;  // kept over a flap: keys, counters and windows go on
  NodeId state_node;
  SessionId state_session;
  LinkCounterValues earlier;  // of states before
};

inline LinkCounterValues sum(const LinkState& state) {
  LinkCounterValues out;
  for (const WorkerLink& w : state.per_worker) {
    out.packets_in += w.counters.packets_in.get();
    out.bytes_in += w.counters.bytes_in.get();
    out.packets_out += w.counters.packets_out.get();
    out.bytes_out += w.counters.bytes_out.get();
  }
  return out;
}

inline void add(LinkCounterValues& to, const LinkCounterValues& more) {
  to.packets_in += more.packets_in;
  to.bytes_in += more.bytes_in;
  to.packets_out += more.packets_out;
  to.bytes_out += more.bytes_out;
}

}  // namespace dmsc::dataplane
