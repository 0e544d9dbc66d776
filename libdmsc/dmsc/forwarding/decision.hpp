// The per-packet decision (DESIGN section 6): bytes in, verdict out. No I/O, no allocation.
//
// Order: egress is this node -> deliver; label usable here -> its next hop; egress set -> direct
// index; egress 0 -> longest match on the name, then the strictly nearest egress (lowest id on a
// tie), so that name-forwarded packets cannot loop.
#pragma once
#include "dmsc/forwarding/fib.hpp"
#include "dmsc/wire/service_header.hpp"

namespace dmsc::forwarding {

enum class Action : std::uint8_t { forward, deliver, drop };

// Every drop has exactly one reason and one counter.
enum class DropReason : std::uint8_t {
  none, malformed, no_route, no_instance, hop_limit, egress_unreachable, link_down, unknown_tlv,
  not_neighbour, bad_tag, replay, bad_key, too_big, congestion, deadline, not_allowed, draining,
  count_,
};
const char* to_string(DropReason reason);
// The error code that goes back to the source; nullopt = silent (unauthenticated, or itself an error).
std::optional<wire::ErrorCode> error_for(DropReason reason);

struct Verdict {
  Action action = Action::drop;
  DropReason reason = DropReason::none;
  NextHop next_hop;              // forward
  bool by_name = false;          // egress was 0 and the name decided here
  bool by_label = false;
  bool repaired = false;         // the alternate was taken: kFlagRepaired was set
};

// Decides and rewrites what a hop rewrites: hop limit, label-void and repaired flags, the record slot
// for kFlagTrace. The caller computes the hop block afterwards. `self` originates as well: pass
// `originating` for a packet from its own pods (hop limit is not decremented).
Verdict decide(const Fib& fib, NodeId self, wire::ServicePacket& packet, bool originating = false);

// Equal-cost choice among alive next hops by flow id; nullptr if none is alive.
const NextHop* choose_next_hop(const Fib& fib, const NodeRoute& route, std::uint64_t flow);

// Weighted choice by flow id among a group's instances whose egress is reachable.
const InstanceEntry* choose_instance(const Fib& fib, const InstanceGroup& group,
                                     std::uint64_t flow);

}  // namespace dmsc::forwarding
