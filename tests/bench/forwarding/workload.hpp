// The network that the forwarding benchmark plays, known to both its programs: node 2 sends to node
// 1, which forwards to its neighbours 11, 12, ...; behind neighbour 11 + i lies egress 1001 + i.
// All on loopback.
//
//   source, node 2            worker, node 1              sink: every neighbour
//   127.0.0.2:7700  ────────►  127.0.0.1:7402+w  ───────►  127.0.1.(1 + i):7800
#pragma once
#include <cstdint>
#include <string>

#include "dmsc/crypto/key_chain.hpp"
#include "dmsc/crypto/keys.hpp"
#include "dmsc/forwarding/hop_auth.hpp"

namespace dmsc::bench {

inline constexpr DomainId kDomain{77};
inline constexpr NodeId kForwarder{1}, kSender{2};
inline constexpr std::uint16_t kSourcePort = 7700, kWorkerPort = 7402, kSinkPort = 7800;
inline constexpr std::uint8_t kKeyId = 1;
inline constexpr std::uint32_t kMaxHops = 64;

inline crypto::Key32 link_key() { return {9, 9, 9}; }
inline SessionId session_of(NodeId node) { return SessionId{1000 + node.value}; }
inline NodeId neighbour(std::uint32_t hop) { return NodeId{11 + hop}; }
inline NodeId egress(std::uint32_t hop) { return NodeId{1001 + hop}; }
inline PathLabel label(std::uint32_t hop) { return PathLabel{(7U << 20) + 1 + hop}; }

// The key of what node 2 sends to node 1.
inline crypto::Key16 hop_key() {
  return forwarding::derive_hop_key(link_key(), kDomain, kSender, kForwarder, session_of(kSender),
                                    session_of(kForwarder));
}

// splitmix64: the same numbers in both programs.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t operator()() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  double unit() { return static_cast<double>((*this)() >> 11) * 0x1.0p-53; }

 private:
  std::uint64_t state_;
};

// Prefix number `i` of `prefixes`, served by egress(i % hops). Few prefixes have short names, so
// that they fit small packets; many have 2-5 components, few heads and many tails, at most 60
// bytes.
inline std::string name_of(std::uint32_t i, std::uint32_t prefixes) {
  if (prefixes <= kMaxHops) return "B/" + std::to_string(i);
  static constexpr char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
  Random random(i);
  std::string out = "org-" + std::to_string(random() % 1000);
  for (std::size_t n = random() % 4; n-- > 0;) {
    out += '/';
    for (std::size_t k = 3 + random() % 8; k-- > 0;) out += letters[random() % 37];
  }
  return out + "/s" + std::to_string(i);
}

}  // namespace dmsc::bench
