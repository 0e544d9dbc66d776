// SPA-origin LSAs: how a signed object of the SPA (authority, revocation, domain parameters) rides in
// an LSA that any gateway may inject (docs/protocol.md, "SPA-origin LSAs").
#pragma once
#include "dmsc/wire/lsa.hpp"

namespace dmsc::wire {

// Their lifetime: they are not refreshed and live until a newer one replaces them.
inline constexpr std::uint32_t kSpaLsaLifetime = 315360000;  // ten years, seconds
inline constexpr std::uint64_t kSpaLsaEpoch = 1;

// The one LSA that carries `signed_object`, the same byte for byte whoever makes it: origin
// issuer_origin(issuer), type by the object's kind, fragment its part (revocations, else 0), version
// {kSpaLsaEpoch, serial}, lifetime kSpaLsaLifetime, no flags, the object in TLV 1, an all-zero
// signature: the object carries its issuer's. Errors: truncated, a kind that rides in no SPA LSA
// (grants belong to gateways), too long. The object's signature is not checked.
Result<LsaPtr> make_spa_lsa(ByteView signed_object);

// The object in `lsa` if `lsa` is exactly what make_spa_lsa() makes of it; the error says what
// differs. Judging the LSA is then judging the object.
Result<Bytes> spa_lsa_object(const Lsa& lsa);

}  // namespace dmsc::wire
