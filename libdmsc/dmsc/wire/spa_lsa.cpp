#include "dmsc/wire/spa_lsa.hpp"

#include "dmsc/wire/signed_objects.hpp"

namespace dmsc::wire {
namespace {

Result<LsaType> lsa_type(std::uint8_t kind) {
  switch (static_cast<ObjectKind>(kind)) {
    case ObjectKind::authority: return LsaType::authority;
    case ObjectKind::revocation: return LsaType::revocation;
    case ObjectKind::domain_parameters: return LsaType::domain_parameters;
    default:
      return make_error(Errc::unsupported, "object of kind ", std::to_string(kind),
                        " rides in no SPA-origin LSA");
  }
}

}  // namespace

Result<LsaPtr> make_spa_lsa(ByteView signed_object) {
  ByteReader in(signed_object);
  std::uint8_t kind = in.u8();
  in.u8();   // version: what the fields mean, not how the object travels
  in.u64();  // domain
  std::uint32_t issuer = in.u32();
  std::uint64_t serial = in.u64();
  in.u64();  // issued at
  if (!in.ok()) return make_error(Errc::truncated, "signed object: shorter than its header");
  auto type = lsa_type(kind);
  if (!type) return type.error();
  std::uint16_t fragment = 0;
  if (*type == LsaType::revocation) {
    fragment = in.u16();
    if (!in.ok()) return make_error(Errc::truncated, "revocation: ends before its part number");
  }
  if (issuer >= kIssuerOriginBit) {
    return make_error(Errc::invalid, "signed object: issuer ", std::to_string(issuer),
                      " is out of range");
  }
  Bytes body = encode_object_body(signed_object);
  if (body.size() > kMaxLsaBodyBytes) {
    return make_error(Errc::limit, "signed object of ", std::to_string(signed_object.size()),
                      " bytes does not fit an LSA");
  }
  ByteWriter w;
  w.u8(0).u8(static_cast<std::uint8_t>(*type)).u16(fragment).u32(issuer_origin(issuer).value);
  w.u64(kSpaLsaEpoch).u64(serial).u32(kSpaLsaLifetime).u16(0).bytes16(body);
  w.bytes(Bytes(kLsaSignatureBytes));
  return decode_lsa(w.view());
}

Result<Bytes> spa_lsa_object(const Lsa& lsa) {
  auto object = decode_object_body(lsa.body());
  if (!object) return with_context("SPA-origin LSA", object.error());
  auto expected = make_spa_lsa(*object);
  if (!expected) return with_context("SPA-origin LSA", expected.error());
  if ((*expected)->raw != lsa.raw) {
    return make_error(Errc::invalid, "SPA-origin LSA: its envelope is not the object's");
  }
  return object;
}

}  // namespace dmsc::wire
