// Stable assignment of items to the fragments of one LSA type: an item keeps its fragment as long as
// it fits there, so a change of one item re-floods one fragment.
//
// Until settle() nothing moves into a fragment that something has left. So the fragments can be told in
// an order in which no item that moves is missing meanwhile: those that lost nothing, then those that
// lost something, the last one first.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>

#include "dmsc/wire/lsa.hpp"

namespace dmsc::linkstate {

class FragmentMap {
 public:
  // `capacity`: sum of item sizes a fragment may hold.
  explicit FragmentMap(std::size_t capacity) : capacity_(capacity) {}
  // Finds a fragment for a new item or one whose size changed; the fullest that has room is taken.
  // nullopt if all kMaxLsaFragments are full or the item is larger than a fragment.
  std::optional<std::uint16_t> place(const std::string& id, std::size_t size);
  // The fragment the item was in, if any.
  std::optional<std::uint16_t> remove(const std::string& id);
  std::optional<std::uint16_t> find(const std::string& id) const;
  // How many fragments had lost an item to another before this one did, since settle(); nullopt if it
  // has not.
  std::optional<std::size_t> left(std::uint16_t fragment) const;
  void settle();
  // The highest fragment in use; 0 if none is.
  std::uint16_t highest() const { return fragments_.empty() ? 0 : fragments_.rbegin()->first; }
  // Ids in a fragment, sorted; empty set if none.
  const std::set<std::string>& contents(std::uint16_t fragment) const;

 private:
  struct Fragment {
    std::size_t free = 0;
    std::set<std::string> ids;
  };
  std::optional<std::uint16_t> fragment_for(std::size_t size);
  void set_free(std::uint16_t number, Fragment& fragment, std::size_t free);
  std::size_t capacity_;
  std::map<std::string, std::pair<std::uint16_t, std::size_t>> items_;
  std::map<std::uint16_t, Fragment> fragments_;         // those in use
  std::set<std::pair<std::size_t, std::uint16_t>> room_;  // (free bytes, fragment); not of left_
  std::map<std::uint16_t, std::size_t> left_;
};

}  // namespace dmsc::linkstate
