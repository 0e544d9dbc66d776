#include "dmsc/forwarding/decision_batch.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace dmsc::forwarding {
namespace {

constexpr std::uint8_t kNoName = 0xff;
static_assert(kDecideAtOnce < kNoName);

// The matches of the names that decide, each run of one name looked up once.
class Names {
 public:
  Names(const Fib& fib, std::span<wire::ServicePacket* const> packets) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < packets.size(); ++i) {
      at_[i] = kNoName;
      if (packets[i]->egress()) continue;
      std::string_view name = packets[i]->destination();
      if (count == 0 || name != names_[count - 1]) names_[count++] = name;
      at_[i] = static_cast<std::uint8_t>(count - 1);
    }
    fib.match_batch(std::span(names_).first(count), std::span(matches_).first(count));
  }
  std::uint8_t number(std::size_t packet) const { return at_[packet]; }
  const Match* match(std::size_t packet) const {
    return at_[packet] == kNoName ? nullptr : &matches_[at_[packet]];
  }

 private:
  std::array<std::uint8_t, kDecideAtOnce> at_;
  std::array<std::string_view, kDecideAtOnce> names_;
  std::array<Match, kDecideAtOnce> matches_;
};

// All that a decision depends on, but for the FIB, as it lies in the header.
struct Key {
  std::uint32_t start = 0;  // flags and hop limit, and what does not matter: kind, class
  std::uint32_t label = 0, egress = 0;
  std::uint32_t name = 0;  // its number
  std::uint64_t flow = 0;
  bool agrees(const Key& o, bool by_flow) const {
    return start == o.start && label == o.label && egress == o.egress && name == o.name &&
           (!by_flow || flow == o.flow);
  }
};

Key key_of(const wire::ServicePacket& packet, std::uint8_t name) {
  const std::uint8_t* header = packet.datagram().data();
  Key key;
  std::memcpy(&key.start, header, sizeof key.start);
  std::memcpy(&key.label, header + 8, sizeof key.label);
  std::memcpy(&key.flow, header + 16, sizeof key.flow);
  std::memcpy(&key.egress, header + 24, sizeof key.egress);
  key.name = name;
  return key;
}

}  // namespace

void decide_batch(const Fib& fib, NodeId self, std::span<wire::ServicePacket* const> packets,
                  std::span<Verdict> out) {
  packets = packets.first(std::min(packets.size(), kDecideAtOnce));
  const Names names(fib, packets);
  Key last{};
  bool any = false, by_flow = false;
  for (std::size_t i = 0; i < packets.size(); ++i) {
    wire::ServicePacket& packet = *packets[i];
    Key key = key_of(packet, names.number(i));
    if (any && key.agrees(last, by_flow)) {  // what the packet before had written into it, this one gets too
      out[i] = out[i - 1];
      packet.set_flags(packets[i - 1]->flags());
      packet.set_hop_limit(packets[i - 1]->hop_limit());
      continue;
    }
    out[i] = decide_with(fib, self, packet, false, names.match(i), by_flow);
    last = key;
    any = (packet.flags() & wire::kFlagTrace) == 0;  // a traced packet's record is its own
  }
}

}  // namespace dmsc::forwarding
