// LSAs whose signature has not been judged: one slot per (neighbour, key), a bounded number per
// neighbour. They displace nothing, count in no digest and are not flooded. Equal copies from several
// neighbours share one ticket, so each LSA is judged once.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "dmsc/core/time.hpp"
#include "dmsc/linkstate/lsdb.hpp"

namespace dmsc::linkstate {

class WaitingTable {
 public:
  static constexpr std::size_t kMaxPerNeighbour = 8192;
  // Identities and what issuers sign find room when others fill the table: they end their waiting.
  static constexpr std::size_t kReserved = 4096;
  static constexpr std::size_t kMaxPerOrigin = 4352;  // of one neighbour: all prefixes, and some more
  struct Item {
    wire::LsaPtr lsa;
    std::uint32_t remaining = 0;   // largest heard, seconds at `received`
    Time received;
    std::vector<LinkId> from;      // LinkId{0} = injected here
    bool recheck = false;          // an installed LSA to be judged anew
  };
  enum class Added { created, joined, full };
  // `ticket` is set for created and joined. A copy no newer than the slot's is ignored (joined).
  Added add(Time now, LinkId from, const wire::LsaPtr& lsa, std::uint32_t remaining,
            std::uint64_t& ticket);
  std::uint64_t add_recheck(Time now, const wire::LsaPtr& lsa);
  // Removes and returns a judged item; nullopt if the ticket is void.
  std::optional<Item> take(std::uint64_t ticket);
  // The ticket of what that neighbour's slot holds; nullopt if it is empty.
  std::optional<std::uint64_t> ticket_of(LinkId from, std::uint64_t key) const;
  // True if that neighbour's slot holds just this copy.
  bool holds(LinkId from, const wire::LsaRef& ref) const;
  // Frees every slot of a neighbour that is gone.
  void forget(LinkId from);
  // Frees slots of this key that are not newer than `installed`.
  void settle(const wire::Lsa& installed);
  const std::map<std::uint64_t, Item>& items() const { return items_; }
  // Tickets of what waits for this origin, found without a look at the others.
  std::vector<std::uint64_t> tickets_of(NodeId origin) const;

 private:
  using SlotKey = std::pair<std::uint64_t, LinkId>;  // key number, neighbour
  void release(const SlotKey& slot);
  std::map<std::uint64_t, Item> items_;              // by ticket
  std::map<crypto::Hash32, std::uint64_t> by_hash_;  // not rechecks
  std::map<SlotKey, std::uint64_t> slots_;           // to ticket
  std::map<LinkId, std::size_t> count_;
  std::set<std::uint64_t> rechecks_;                 // tickets
  std::map<std::pair<LinkId, NodeId>, std::size_t> count_of_origin_;
  std::uint64_t next_ticket_ = 1;
};

}  // namespace dmsc::linkstate
