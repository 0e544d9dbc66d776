// Sets of a root's first hops, each held once under a small number. Merging two equal-cost ways is
// one look-up (most often of a pair merged just before), however many paths or first hops there
// are; so a shortest-path run keeps 4 bytes per node for them, and nodes with the same ways have
// equal numbers.
//
// Members are slots: a first hop keeps its slot, and a set its number, while anything refers to
// them.
#pragma once
#include <array>
#include <compare>
#include <cstdint>
#include <vector>

#include "dmsc/core/ids.hpp"

namespace dmsc::routing {

// One way out of the root: an own link and the neighbour at its far end.
struct FirstHop {
  std::uint32_t link = 0;
  NodeId neighbour;
  friend auto operator<=>(const FirstHop&, const FirstHop&) = default;
};

class HopSets {
 public:
  static constexpr std::uint32_t kEmpty = 0;  // the number of the empty set

  HopSets();
  // The first hops there are now; may be given in any order, and twice.
  void set_hops(std::vector<FirstHop> hops);
  // The set of that one first hop; kEmpty if it is none of set_hops().
  std::uint32_t single(const FirstHop& hop) const;
  std::uint32_t unite(std::uint32_t a, std::uint32_t b);
  // The members by link, then neighbour; the first `limit` of them.
  std::vector<FirstHop> members(std::uint32_t set, std::size_t limit) const;

  // Numbers are below this; sets in use are at most as many.
  std::uint32_t limit() const { return static_cast<std::uint32_t>(used_.size()); }
  // True when so many were made since the last sweep() that it pays.
  bool wants_sweep() const { return made_ > 64 + 2 * kept_; }
  // Forgets every set s < limit() with in_use[s] == 0, and first hops that are in none. Those of
  // set_hops() stay.
  void sweep(std::vector<std::uint8_t> in_use);

  std::size_t bytes() const;

 private:
  struct Merged {
    std::uint32_t a = 0, b = 0, set = 0;
  };
  std::uint32_t intern(const std::uint64_t* words);
  std::uint32_t take_number();
  void index(std::uint32_t set);
  void rebuild_index();
  std::size_t hash(const std::uint64_t* words) const;
  const std::uint64_t* words(std::uint32_t set) const { return bits_.data() + set * stride_; }
  bool has(std::uint32_t set, std::size_t slot) const {
    return (words(set)[slot / 64] >> (slot % 64) & 1) != 0;
  }
  std::size_t slot_of(const FirstHop& hop);
  void widen(std::size_t slots);
  struct Single {
    FirstHop hop;
    std::uint32_t set = 0;
  };

  std::size_t stride_ = 1;            // words per set
  std::vector<std::uint64_t> bits_;   // by set
  std::vector<std::uint8_t> used_;    // by set: 0 = the number is free
  std::vector<std::uint32_t> free_;   // set numbers
  std::vector<std::uint32_t> table_;  // open addressing, kEmpty = nothing there
  std::size_t held_ = 0, made_ = 0, kept_ = 0;
  std::vector<FirstHop> slots_;     // neighbour 0: free
  std::vector<Single> singles_;     // of set_hops(), sorted
  std::vector<std::uint64_t> sum_;  // scratch
  std::array<Merged, 256> recent_{};
};

}  // namespace dmsc::routing
