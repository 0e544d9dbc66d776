// What links carry, as a Node LSA tells it: TLV 3 of the body, for the links of that fragment.
//
//   TLV 3:  n x { link 32 | MTU 16 }
//
// MTU: bytes of the largest datagram (UDP payload, service header included). A link that is not
// named carries kUntoldLinkMtu: so the links of most domains take no room. Nodes that do not know
// the TLV flood it as it came.
#pragma once
#include <vector>

#include "dmsc/wire/lsa.hpp"

namespace dmsc::wire {

inline constexpr std::uint16_t kLinkMtuTlv = 3;
inline constexpr std::uint16_t kUntoldLinkMtu = 1400;
// Every link carries that much: a control datagram with one LSA needs it.
inline constexpr std::uint16_t kLeastLinkMtu = 1280;

struct LinkMtu {
  std::uint32_t link = 0;  // the origin's own id
  std::uint16_t mtu = kUntoldLinkMtu;
  friend bool operator==(const LinkMtu&, const LinkMtu&) = default;
};

// Adds the TLV for those that differ from kUntoldLinkMtu; no TLV if none does.
void add_link_mtus(NodeBody& body, const std::vector<LinkMtu>& links);
// What `body` tells of its links. Less than kLeastLinkMtu counts as kLeastLinkMtu. The error names a
// TLV that is cut short or there twice.
Result<std::vector<LinkMtu>> link_mtus_of(const NodeBody& body);

}  // namespace dmsc::wire
