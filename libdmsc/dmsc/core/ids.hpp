// Strong identifiers. Each is a plain integer that cannot be mixed up with another kind.
#pragma once
#include <array>
#include <compare>
#include <cstdint>
#include <functional>

namespace dmsc {

template <class Tag, class Int>
struct StrongId {
  using Value = Int;
  Int value = 0;
  constexpr StrongId() = default;
  constexpr explicit StrongId(Int v) : value(v) {}
  friend constexpr auto operator<=>(StrongId, StrongId) = default;
  constexpr explicit operator bool() const { return value != 0; }
};

using NodeId = StrongId<struct NodeTag, std::uint32_t>;          // 1 .. 2^20, 0 = none
using InstanceId = StrongId<struct InstanceTag, std::uint16_t>;  // per gateway, 0 = none
using LinkId = StrongId<struct LinkTag, std::uint32_t>;          // local to one node, 0 = none
using SessionId = StrongId<struct SessionTag, std::uint64_t>;    // 64 random bits per start
using DomainId = StrongId<struct DomainTag, std::uint64_t>;      // random, set by the root
using PathLabel = StrongId<struct LabelTag, std::uint32_t>;      // 0 = follow SPF

inline constexpr std::uint32_t kMaxNodeId = 1U << 20;
// Origins of LSAs that are SPA issuers, not nodes, have this bit: issuer 0 is the root.
inline constexpr std::uint32_t kIssuerOriginBit = 0x80000000U;
constexpr bool is_issuer_origin(NodeId id) { return (id.value & kIssuerOriginBit) != 0; }
constexpr NodeId issuer_origin(std::uint32_t issuer) { return NodeId{issuer | kIssuerOriginBit}; }

// 128-bit number with wrap-around addition: the LSDB digest.
struct U128 {
  std::uint64_t hi = 0, lo = 0;
  constexpr U128& operator+=(U128 o) {
    lo += o.lo;
    hi += o.hi + (lo < o.lo ? 1 : 0);
    return *this;
  }
  constexpr U128& operator-=(U128 o) {
    hi -= o.hi + (lo < o.lo ? 1 : 0);
    lo -= o.lo;
    return *this;
  }
  friend constexpr auto operator<=>(U128, U128) = default;
};

}  // namespace dmsc

template <class Tag, class Int>
struct std::hash<dmsc::StrongId<Tag, Int>> {
  std::size_t operator()(dmsc::StrongId<Tag, Int> id) const noexcept {
    return std::hash<Int>{}(id.value);
  }
};
