#include "dmsc/wire/link_mtu.hpp"

#include <algorithm>

namespace dmsc::wire {
namespace {

constexpr std::size_t kEntryBytes = 6;

}  // namespace

void add_link_mtus(NodeBody& body, const std::vector<LinkMtu>& links) {
  ByteWriter w;
  for (const LinkMtu& l : links) {
    if (l.mtu != kUntoldLinkMtu) w.u32(l.link).u16(l.mtu);
  }
  if (w.view().empty()) return;
  body.unknown.push_back({kLinkMtuTlv, w.take()});
}

Result<std::vector<LinkMtu>> link_mtus_of(const NodeBody& body) {
  std::vector<LinkMtu> out;
  bool seen = false;
  for (const UnknownTlv& tlv : body.unknown) {
    if (tlv.type != kLinkMtuTlv) continue;
    if (std::exchange(seen, true)) return make_error(Errc::invalid, "node: link MTUs twice");
    if (tlv.value.size() % kEntryBytes != 0) {
      return make_error(Errc::truncated, "node: link MTUs: ", std::to_string(tlv.value.size()),
                        " bytes are no whole entries");
    }
    ByteReader r(tlv.value);
    while (r.left() != 0) {
      LinkMtu l;
      l.link = r.u32();
      l.mtu = std::max(r.u16(), kLeastLinkMtu);
      out.push_back(l);
    }
  }
  return out;
}

}  // namespace dmsc::wire
