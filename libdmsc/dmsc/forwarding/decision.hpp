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
  none,
  malformed,
  no_route,
  no_instance,
  hop_limit,
  egress_unreachable,
  link_down,
  unknown_tlv,
  not_neighbour,
  bad_tag,
  replay,
  bad_key,
  too_big,
  congestion,
  deadline,
  not_allowed,
  draining,
  // At a gateway, of sealed payload (docs/protocol.md, "Sealing"):
  unsealed,        // a payload in clear, which this egress does not take
  unknown_seal,    // sealed under an association that is not here
  bad_seal,        // not what its ingress sealed
  seal_replay,     // seen before, or too old to tell
  no_association,  // ours, dropped: no keys shared with its egress
  count_,
};
const char* to_string(DropReason reason);
// The error code that goes back to the source; nullopt = silent (not parsed or not authenticated).
std::optional<wire::ErrorCode> error_for(DropReason reason);
// The same for one packet: errors are never answered, nor packets without an ingress.
std::optional<wire::ErrorCode> error_for(DropReason reason, const wire::ServicePacket& packet);

struct Verdict {
  Action action = Action::drop;
  DropReason reason = DropReason::none;
  NextHop next_hop;      // forward
  bool by_name = false;  // egress was 0 and the name decided here
  bool by_label = false;
  bool repaired = false;  // the alternate was taken: kFlagRepaired was set
};

// Puts the label of an explicit path in use on a packet of this node's own that has none. Probes and
// traces follow SPF: what they measure is the path that traffic would have without the policy.
void take_path(const Fib& fib, wire::ServicePacket& packet);

// Decides and rewrites what a hop rewrites: hop limit, label-void and repaired flags, the record
// slot for kFlagTrace. The caller computes the hop block afterwards. `self` originates as well:
// pass `originating` for a packet from its own pods (hop limit is not decremented). A packet
// delivered by name keeps egress 0: the gateway that hands it to a pod may set it. The rules are
// numbered F1-F12 in docs/protocol.md.
Verdict decide(const Fib& fib, NodeId self, wire::ServicePacket& packet, bool originating = false);

// Equal-cost choice among alive next hops by flow id; nullptr if none is alive. `salt` (a node's
// own id) keeps successive nodes from all splitting the same flows off the same way.
const NextHop* choose_next_hop(const Fib& fib, const NodeRoute& route, std::uint64_t flow,
                               std::uint32_t salt = 0);

// True if packets can leave for `node` now: a route with a next hop or alternate on an alive link,
// or `node` is this node itself (distance 0).
bool can_reach(const Fib& fib, NodeId node);

// What the balancer knows about an instance's load, in any unit that is the same for all.
class InstanceLoad {
 public:
  virtual ~InstanceLoad() = default;
  virtual std::uint64_t load(const InstanceEntry& instance) const = 0;
};

// Which instances may serve: those a name below the prefix may use are only the covering ones.
enum class Below : bool { no, yes };
inline Below is_below(const Match& match, std::string_view name) {
  return name.size() > match.prefix.size() ? Below::yes : Below::no;
}

using Instances = std::span<const InstanceEntry>;

// True if the instance is among these and its egress is a destination of the FIB.
bool serves(const Fib& fib, Instances instances, NodeId egress, InstanceId id);

// Weighted choice by flow id among a group's instances whose egress can be reached. With `load`,
// two candidates are drawn by weight and the one with less load per unit of weight wins (the first
// on a tie). If no reachable instance has weight: the nearest that is not draining, else the
// nearest. nullptr if none can be reached. No allocation.
const InstanceEntry* choose_instance(const Fib& fib, Instances instances, std::uint64_t flow,
                                     Below below = Below::no, const InstanceLoad* load = nullptr);

// The strictly nearest reachable egress of a group, the lowest id on a tie; one that only drains is
// taken if no other is left. This is what a packet with egress 0 follows; weights play no part,
// so every node on its way agrees and it cannot loop. nullptr if none can be reached.
const InstanceEntry* nearest_instance(const Fib& fib, NodeId self, Instances instances,
                                      Below below = Below::no);

}  // namespace dmsc::forwarding
