#include "dmsc/forwarding/decision.hpp"

#include <iterator>

#include "dmsc/forwarding/decision_batch.hpp"
#include "dmsc/forwarding/name_hash.hpp"

namespace dmsc::forwarding {
namespace {

void add_flag(wire::ServicePacket& packet, std::uint8_t flag) {
  packet.set_flags(static_cast<std::uint8_t>(packet.flags() | flag));
}
bool has_flag(const wire::ServicePacket& packet, std::uint8_t flag) {
  return (packet.flags() & flag) != 0;
}

Verdict drop(DropReason reason) {
  Verdict verdict;
  verdict.reason = reason;
  return verdict;
}

Verdict forward(wire::ServicePacket& packet, const NextHop& next_hop, bool originating) {
  if (!originating) {
    if (packet.hop_limit() <= 1) return drop(DropReason::hop_limit);
    packet.set_hop_limit(static_cast<std::uint8_t>(packet.hop_limit() - 1));
  }
  Verdict verdict;
  verdict.action = Action::forward;
  verdict.next_hop = next_hop;
  return verdict;
}

// By the direct index, with the alternate if every next hop is lost.
Verdict towards(const Fib& fib, NodeId self, NodeId egress, wire::ServicePacket& packet,
                bool originating, bool& by_flow) {
  const NodeRoute route = fib.node(egress);
  if (!route) return drop(DropReason::egress_unreachable);
  by_flow = route.next_hops().size() > 1;
  if (const NextHop* hop = choose_next_hop(fib, route, packet.flow(), self.value)) {
    return forward(packet, *hop, originating);
  }
  const std::optional<NextHop>& alternate = route.alternate();
  if (has_flag(packet, wire::kFlagRepaired) || !alternate || !fib.link_alive(alternate->link)) {
    return drop(DropReason::link_down);
  }
  Verdict verdict = forward(packet, *alternate, originating);
  if (verdict.action == Action::forward) {
    add_flag(packet, wire::kFlagRepaired);
    verdict.repaired = true;
  }
  return verdict;
}

// The label's entry if this packet may use it here.
const LabelEntry* usable_label(const Fib& fib, const wire::ServicePacket& packet) {
  const LabelEntry* entry = fib.label(packet.label());
  if (entry == nullptr || entry->egress != packet.egress()) return nullptr;
  return fib.link_alive(entry->next_hop.link) ? entry : nullptr;
}

// `found`: what the FIB has for the name, if that was looked up already.
Verdict by_name(const Fib& fib, NodeId self, wire::ServicePacket& packet, bool originating,
                const Match* found, bool& by_flow) {
  std::string_view name = packet.destination();
  const Match match = found != nullptr ? *found : fib.match(name);
  if (!match) return drop(fib.withdrawn(name) ? DropReason::no_instance : DropReason::no_route);
  const InstanceEntry* nearest =
      nearest_instance(fib, self, match->instances(), is_below(match, name));
  if (nearest == nullptr) return drop(DropReason::no_instance);
  Verdict verdict;
  if (nearest->egress == self) {
    verdict.action = Action::deliver;
  } else {
    verdict = towards(fib, self, nearest->egress, packet, originating, by_flow);
  }
  verdict.by_name = true;
  return verdict;
}

}  // namespace

const char* to_string(DropReason reason) {
  static constexpr const char* kWords[] = {
      "none",           "malformed",   "no-route",
      "no-instance",    "hop-limit",   "egress-unreachable",
      "link-down",      "unknown-tlv", "not-neighbour",
      "bad-tag",        "replay",      "bad-key",
      "too-big",        "congestion",  "deadline",
      "not-allowed",    "draining",    "unsealed",
      "unknown-seal",   "bad-seal",    "seal-replay",
      "no-association",
  };
  static_assert(std::size(kWords) == static_cast<std::size_t>(DropReason::count_));
  auto number = static_cast<std::size_t>(reason);
  return number < std::size(kWords) ? kWords[number] : "unknown";
}

std::optional<wire::ErrorCode> error_for(DropReason reason) {
  switch (reason) {
    case DropReason::no_route:
      return wire::ErrorCode::no_route;
    case DropReason::no_instance:
      return wire::ErrorCode::no_instance;
    case DropReason::hop_limit:
      return wire::ErrorCode::hop_limit;
    case DropReason::egress_unreachable:
    case DropReason::link_down:
    case DropReason::no_association:
      return wire::ErrorCode::egress_unreachable;
    case DropReason::unknown_tlv:
      return wire::ErrorCode::unknown_tlv;
    case DropReason::too_big:
      return wire::ErrorCode::too_big;
    case DropReason::congestion:
      return wire::ErrorCode::congestion;
    case DropReason::deadline:
      return wire::ErrorCode::deadline;
    case DropReason::not_allowed:
    case DropReason::unsealed:
      return wire::ErrorCode::not_allowed;
    case DropReason::unknown_seal:
      return wire::ErrorCode::unknown_key;
    case DropReason::draining:
      return wire::ErrorCode::draining;
    case DropReason::none:
    case DropReason::malformed:
    case DropReason::not_neighbour:
    case DropReason::bad_tag:
    case DropReason::replay:
    case DropReason::bad_key:
    case DropReason::bad_seal:
    case DropReason::seal_replay:
    case DropReason::count_:
      break;
  }
  return std::nullopt;
}

std::optional<wire::ErrorCode> error_for(DropReason reason, const wire::ServicePacket& packet) {
  if (packet.kind() == wire::PacketKind::error || !packet.ingress()) return std::nullopt;
  return error_for(reason);
}

const NextHop* choose_next_hop(const Fib& fib, const NodeRoute& route, std::uint64_t flow,
                               std::uint32_t salt) {
  const std::span<const NextHop> hops = route.next_hops();
  std::size_t n = hops.size();
  if (n == 0) return nullptr;
  std::uint64_t hash = n == 1 ? 0 : mix(flow ^ std::uint64_t{salt} << 32);
  const NextHop& first = hops[n == 1 ? 0 : hash % n];
  if (fib.link_alive(first.link)) return &first;
  std::size_t alive = 0;
  for (const NextHop& hop : hops) alive += fib.link_alive(hop.link) ? 1 : 0;
  if (alive == 0) return nullptr;
  // Another hash for the flows that lost their way, so that they spread over all the rest. A link
  // may die between the two passes: the first alive one then serves.
  std::size_t pick = mix(hash) % alive;
  const NextHop* last = nullptr;
  for (const NextHop& hop : hops) {
    if (!fib.link_alive(hop.link)) continue;
    last = &hop;
    if (pick-- == 0) break;
  }
  return last;
}

void take_path(const Fib& fib, wire::ServicePacket& packet) {
  if (packet.label() || !packet.egress() || has_flag(packet, wire::kFlagLabelVoid)) return;
  if (packet.kind() == wire::PacketKind::probe || packet.kind() == wire::PacketKind::trace) return;
  PathLabel label = fib.path_label(packet.egress(), packet.destination());
  if (label) packet.set_label(label);
}

Verdict decide(const Fib& fib, NodeId self, wire::ServicePacket& packet, bool originating) {
  bool by_flow = false;
  return decide_with(fib, self, packet, originating, nullptr, by_flow);
}

Verdict decide_with(const Fib& fib, NodeId self, wire::ServicePacket& packet, bool originating,
                    const Match* found, bool& by_flow) {
  by_flow = false;
  if (has_flag(packet, wire::kFlagTrace)) packet.record_hop(self);
  if (packet.egress() == self) {
    Verdict verdict;
    verdict.action = Action::deliver;
    return verdict;
  }
  if (originating) take_path(fib, packet);
  if (packet.label() && !has_flag(packet, wire::kFlagLabelVoid)) {
    if (const LabelEntry* entry = usable_label(fib, packet)) {
      Verdict verdict = forward(packet, entry->next_hop, originating);
      verdict.by_label = true;
      return verdict;
    }
    add_flag(packet, wire::kFlagLabelVoid);
  }
  if (packet.egress()) return towards(fib, self, packet.egress(), packet, originating, by_flow);
  return by_name(fib, self, packet, originating, found, by_flow);
}

}  // namespace dmsc::forwarding
