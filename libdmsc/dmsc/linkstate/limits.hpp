// Limits on what one origin may say (docs/protocol.md, "Limits"). Whether an LSA is within them depends
// on the LSA and on the signed DomainParameters alone, so that all nodes decide alike.
#pragma once
#include <optional>
#include <string>

#include "dmsc/wire/lsa.hpp"
#include "dmsc/wire/signed_objects.hpp"

namespace dmsc::linkstate {

// Adjacencies in a fragment of a Node LSA as nodes fill them.
inline constexpr std::uint32_t kAdjacenciesPerFragment = 17;

// Fragments 0 .. n-1 an origin may use of this type.
std::uint32_t fragments_allowed(wire::LsaType type, const wire::DomainParameters& limits);

struct Excess {
  wire::Limit limit = wire::Limit::lsa;
  std::string detail;  // for the log
};
// Which limit `lsa` exceeds. LSAs of an issuer exceed none: the root and its issuers set the limits.
std::optional<Excess> excess_of(const wire::Lsa& lsa, const wire::DomainParameters& limits);

}  // namespace dmsc::linkstate
