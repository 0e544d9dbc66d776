// The flow table on its way from one process of a gateway to the next (docs/protocol.md, U19): written
// at the end of a process, read once at the next start.
//
//   "DMFL" | version 8 | boot id text8 | CLOCK_BOOTTIME ms 64 | ports 8 x name text8 | flows 32 x flow |
//   SHA-256 of all before
#pragma once
#include <string>
#include <vector>

#include "dmsc/core/bytes.hpp"
#include "dmsc/core/result.hpp"
#include "sgd/edge_flow.hpp"

namespace dmsc::sgd {

struct HandedFlow {
  bool inbound = false;             // a server of ours is called
  FlowKey key;
  std::uint64_t id = 0;
  NodeId peer;                      // egress; ingress of an inbound one
  InstanceId instance;
  std::uint16_t service_port = 0;   // inbound
  std::uint32_t next_sequence = 0, acknowledged = 0;
  std::uint16_t window = 0;
  bool established = false, fin_out = false, fin_in = false, reset = false;
  Duration idle{};
  std::string destination;          // not of an inbound one
  Bytes header;
  friend bool operator==(const HandedFlow&, const HandedFlow&) = default;
};

struct Handover {
  std::string boot;                 // which start of the machine
  Duration written{};               // CLOCK_BOOTTIME
  std::vector<std::string> ports;   // names by port number: 0 the host, 1 the outside, then pods
  std::vector<HandedFlow> flows;
};

inline constexpr std::size_t kMostHandedFlows = 2 * 262144;

Bytes encode_handover(const Handover& handover);
// Bounded by the input's size and kMostHandedFlows. The error names the place.
Result<Handover> decode_handover(ByteView data);

// Ports of `handover` as they are numbered among `ports` now, IPv6 twins behind them; flows of a port
// that is gone are left out.
std::vector<HandedFlow> renumbered(Handover handover, const std::vector<std::string>& ports);

}  // namespace dmsc::sgd
