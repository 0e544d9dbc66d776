// The grants one gateway holds, as one node knows them, found by subtree or by pool without a scan.
// A grant stays while anything holds it: a fragment of the gateway's grant LSAs, or this node
// itself, which got it from the SPA.
#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "dmsc/wire/signed_objects.hpp"

namespace dmsc::trust {

class GrantBook {
 public:
  using Ref = wire::Revocation::GrantRef;
  static constexpr std::uint32_t kOwn = 0xffffffffU;  // holder: this node itself, no LSA

  // Holder `holder` (a fragment, or kOwn) now carries `grant`, and, unless kOwn, nothing else.
  // True if the set of grants changed.
  bool hold(std::uint32_t holder, const wire::Grant& grant);
  // The fragment carries nothing any more. True if the set of grants changed.
  bool release(std::uint32_t holder);
  // Drops what is past valid_until + grace. True if anything went.
  bool expire(DomainTime now);

  const std::vector<wire::Grant>& grants() const { return grants_; }
  bool empty() const { return grants_.empty(); }
  // Positions in grants() of those whose subtree is `name` or above it.
  std::vector<std::size_t> covering(const Name& name) const;
  // Positions in grants() of those that name `pool`.
  std::vector<std::size_t> with_pool(const Name& pool) const;

 private:
  using Index = std::unordered_multimap<std::string, std::size_t>;
  bool unhold(std::uint32_t holder, const Ref& ref);
  void index(std::size_t at);
  void unindex(std::size_t at);
  void erase(std::size_t at);

  std::vector<wire::Grant> grants_;
  std::map<Ref, std::size_t> position_;
  std::map<Ref, std::set<std::uint32_t>> holders_;
  std::map<std::uint32_t, Ref> carried_;  // fragment -> what it carries
  Index by_subtree_, by_pool_;
};

// The instant from which a grant is accepted no more.
inline DomainTime accepted_until(const wire::Grant& grant) { return grant.valid_until + grant.grace; }

}  // namespace dmsc::trust
