// From verified Prefix LSAs and grants to the RIB: every entry is asked for its grant before the
// RIB sees it (DESIGN section 8), the domain's limits are kept, and a new version of a fragment
// costs what it changes. Of what the LSAs say it keeps one hash an entry: the rest is read from the
// LSDB when it is asked for. One thread; knows no clock.
#pragma once
#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "dmsc/routing/by_node.hpp"
#include "dmsc/routing/rib.hpp"
#include "dmsc/trust/trust_store.hpp"
#include "dmsc/wire/lsa.hpp"

namespace dmsc::routing {

class PrefixKeeper {
 public:
  // The LSDB's copy of an LSA, null if it has none.
  using Reader = std::function<wire::LsaPtr(const wire::LsaKey&)>;
  // `key`: secret, random per process; a hash decides whether an entry is the one known.
  PrefixKeeper(const trust::TrustStore& trust, Rib& rib, Reader read, const NameKey& key)
      : trust_(trust), rib_(rib), read_(std::move(read)), hasher_(key) {}

  // Told when an LSA or a reconsidered grant leaves an origin with more usable prefixes than the
  // domain allows. Must not call back.
  using OverLimit = std::function<void(NodeId origin, std::size_t usable)>;
  void when_over_limit(OverLimit told) { over_limit_ = std::move(told); }
  // A verified Prefix LSA came or got a new version. A body that does not decode counts as empty.
  // Of a node that can have none (its id is out of range) nothing is taken.
  void installed(DomainTime now, const wire::Lsa& lsa);
  // A hint: these come next, in that order, each by a call of installed(). Has no other effect than
  // that many LSAs cost less: what they change is looked up for all of them at a time, so that the
  // waits for memory overlap. Those that are no Prefix LSAs are passed over.
  void foresee(std::span<const wire::LsaPtr> lsas);
  void removed(DomainTime now, const wire::LsaKey& key);
  // What the store says of this origin changed / of any origin (issuers, revocations, parameters).
  void reconsider(DomainTime now, NodeId origin);
  void reconsider(DomainTime now);
  // Decides again about the origins that a grant in use of which has ended.
  void end_grants(DomainTime now);
  // When the first grant in use ends: end_grants() after it. Nothing in use ends: the zero time.
  DomainTime next_expiry() const;

  // One entry of the LSDB with a given name.
  struct Announcement {
    NodeId origin;
    wire::LsaPtr lsa;  // that says so
    wire::PrefixEntry entry;
    std::string refusal;  // empty: it is used
  };
  // Every one of exactly that name, used or not. Fast for what is used.
  std::vector<Announcement> announcements(const Name& name, DomainTime now) const;

  struct Counts {
    std::size_t lsas = 0, entries = 0, used = 0;
  };
  const Counts& counts() const { return counts_; }
  // What was done so far. `decided`: entries for which a grant was looked up; `checks`: grants
  // looked at in full.
  struct Work {
    std::uint64_t decided = 0, checks = 0, differences = 0, whole = 0;
  };
  const Work& work() const { return work_; }
  std::size_t bytes() const;

 private:
  struct Fragment {
    std::uint16_t number = 0;
    std::uint16_t entries = 0, usable = 0, admitted = 0;
    // If every entry is in the RIB and no name twice: a hash of each, in their order. Else empty.
    std::vector<std::uint64_t> hashes;
  };
  struct Origin {
    std::vector<Fragment> fragments;      // by number
    std::size_t usable = 0, refused = 0;  // entries; refused: not in the RIB
    DomainTime until;  // the earliest end of a grant in use, or before it; zero: none
  };
  using Entries = std::vector<wire::PrefixEntry>;
  // What a new version changes in a fragment as it is held.
  struct Difference {
    std::vector<std::uint64_t> hashes;  // of the new version
    std::vector<std::uint16_t> layout;  // as Rib::update_fragment() takes it
    std::vector<std::uint16_t> gone;    // places in the old version
    Entries fresh;
  };
  // One that was looked up ahead. Without an LSA: not any more.
  struct Prospect {
    wire::LsaPtr lsa;
    const Fragment* fragment = nullptr;
    Difference difference;
  };

  static std::vector<Fragment>::iterator find(Origin& origin, std::uint16_t number);
  const Fragment* find(NodeId id, std::uint16_t number) const;
  bool compare(const Fragment& fragment, ByteView body, Difference& out);
  void match_entries(const Fragment& fragment, Difference& out);
  void look_ahead(std::span<const wire::LsaPtr> lsas) const;
  Prospect* prospect(const wire::Lsa& lsa);
  void forget_prospects();
  wire::LsaPtr read(NodeId id, const Fragment& fragment) const;
  Entries usable_entries(NodeId id, Origin& origin, Fragment& fragment, ByteView body,
                         DomainTime now);
  void apply(NodeId id, Origin& origin, Fragment& fragment, ByteView body, DomainTime now);
  bool apply_difference(NodeId id, Origin& origin, Fragment& fragment, Difference& difference,
                        DomainTime now);
  void put(NodeId id, Fragment& fragment, ByteView body, Entries entries, std::size_t admitted);
  bool hash_entries(ByteView body, std::vector<std::uint64_t>& hashes,
                    std::vector<ByteView>& entries) const;
  std::size_t limit() const;
  void tell_if_over(NodeId id, const Origin& origin) const;
  void share_out(NodeId id, Origin& origin, DomainTime now);
  void reconsider(NodeId id, Origin& origin, DomainTime now);
  void ends(NodeId id, Origin& origin, DomainTime until);
  void forget_end(NodeId id, Origin& origin);
  void count(Origin& origin, const Fragment& fragment, bool add);
  void add_refused(NodeId id, const Fragment& fragment, const Name& name, DomainTime now,
                   std::vector<Announcement>& out) const;

  const trust::TrustStore& trust_;
  Rib& rib_;
  Reader read_;
  NameHasher<> hasher_;
  OverLimit over_limit_;
  ByNode<Origin> origins_;
  std::set<std::pair<DomainTime, NodeId>> expiry_;
  Counts counts_;
  Work work_;
  std::vector<Prospect> prospects_;  // the first `foreseen_` of them mean something
  std::size_t foreseen_ = 0, next_prospect_ = 0;
  Difference difference_;  // of what was not foreseen
  // Room used again.
  std::vector<ByteView> raw_entries_;
  std::vector<std::pair<std::uint64_t, std::uint16_t>> unmatched_;
  std::vector<Rib::Foreseen> hints_;
};

}  // namespace dmsc::routing
