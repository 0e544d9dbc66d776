// From verified Prefix LSAs and grants to the RIB: every entry is asked for its grant before the
// RIB sees it (DESIGN section 8), the domain's limits are kept, and a new version of a fragment
// costs what it changes. Of what the LSAs say it keeps one hash an entry: the rest is read from the
// LSDB when it is asked for. One thread; knows no clock.
#pragma once
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

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

  // A verified Prefix LSA came or got a new version. A body that does not decode counts as empty.
  void installed(DomainTime now, const wire::Lsa& lsa);
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

  static std::vector<Fragment>::iterator find(Origin& origin, std::uint16_t number);
  wire::LsaPtr read(NodeId id, const Fragment& fragment) const;
  Entries usable_entries(NodeId id, Origin& origin, Fragment& fragment, ByteView body,
                         DomainTime now);
  void apply(NodeId id, Origin& origin, Fragment& fragment, ByteView body, DomainTime now);
  bool apply_difference(NodeId id, Origin& origin, Fragment& fragment, ByteView body,
                        DomainTime now);
  void put(NodeId id, Fragment& fragment, ByteView body, Entries entries, std::size_t admitted);
  bool hash_entries(ByteView body, std::vector<std::uint64_t>& hashes,
                    std::vector<ByteView>& entries) const;
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
  std::map<NodeId, Origin> origins_;
  std::set<std::pair<DomainTime, NodeId>> expiry_;
  Counts counts_;
  Work work_;
};

}  // namespace dmsc::routing
