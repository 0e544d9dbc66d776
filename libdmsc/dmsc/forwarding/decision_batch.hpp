// decide() for the packets of one receive call: the same verdicts, for less.
#pragma once
#include <span>

#include "dmsc/forwarding/decision.hpp"

namespace dmsc::forwarding {

inline constexpr std::size_t kDecideAtOnce = 64;

// For each packet what decide(fib, self, packet) does and returns (rules F4-F12, F18). At most
// kDecideAtOnce packets; `out` is as long. The names of packets with egress 0 are looked up
// together, so that their reads of memory overlap; and packets in a row that agree in all that a
// decision depends on, as those of a train do, share one. A FIB that changes meanwhile may serve
// some packets with the old and some with the new.
void decide_batch(const Fib& fib, NodeId self, std::span<wire::ServicePacket* const> packets,
                  std::span<Verdict> out);

// decide() where the FIB's match for the destination is known; nullptr if it is not. `by_flow` becomes true if
// another flow could have got another verdict.
Verdict decide_with(const Fib& fib, NodeId self, wire::ServicePacket& packet, bool originating,
                    const Match* found, bool& by_flow);

}  // namespace dmsc::forwarding
