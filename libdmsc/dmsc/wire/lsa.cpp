// The LSA envelope: header, TLV chain, signature. Bodies are in lsa_body.cpp.
#include "dmsc/wire/lsa.hpp"

#include "dmsc/wire/tlv.hpp"

namespace dmsc::wire {

const char* to_string(LsaType type) {
  switch (type) {
    case LsaType::node: return "node";
    case LsaType::prefix: return "prefix";
    case LsaType::identity: return "identity";
    case LsaType::grant: return "grant";
    case LsaType::authority: return "authority";
    case LsaType::revocation: return "revocation";
    case LsaType::domain_parameters: return "domain-parameters";
  }
  return "unknown";
}

ByteView Lsa::body() const {
  return ByteView(raw).subspan(kLsaHeaderBytes, raw.size() - kLsaHeaderBytes - kLsaSignatureBytes);
}

ByteView Lsa::signed_bytes() const {
  return ByteView(raw).first(raw.size() - kLsaSignatureBytes);
}

crypto::Signature Lsa::signature() const {
  ByteReader r(ByteView(raw).last(kLsaSignatureBytes));
  return r.array<kLsaSignatureBytes>();
}

namespace {

constexpr std::size_t kBodyLengthAt = 30;

Status check_header(const Lsa& lsa) {
  NodeId origin = lsa.key.origin;
  if (!origin || (!is_issuer_origin(origin) && origin.value > kMaxNodeId)) {
    return make_error(Errc::invalid, "LSA header: origin ", std::to_string(origin.value),
                      " is no node id");
  }
  if (lsa.key.fragment >= kMaxLsaFragments) {
    return make_error(Errc::limit, "LSA header: fragment ", std::to_string(lsa.key.fragment),
                      " is over the limit of ", std::to_string(kMaxLsaFragments));
  }
  if (lsa.lifetime == 0) return make_error(Errc::invalid, "LSA header: lifetime is zero");
  return Ok{};
}

}  // namespace

Result<std::size_t> lsa_length(ByteView data) {
  if (data.size() < kLsaHeaderBytes) {
    return make_error(Errc::truncated, "LSA: ", std::to_string(data.size()),
                      " bytes left, a header needs ", std::to_string(kLsaHeaderBytes));
  }
  if (data[0] != 0) {
    return make_error(Errc::unsupported, "LSA header: version ", std::to_string(data[0]));
  }
  std::size_t body = static_cast<std::size_t>(data[kBodyLengthAt]) << 8 | data[kBodyLengthAt + 1];
  if (body > kMaxLsaBodyBytes) {
    return make_error(Errc::limit, "LSA header: body of ", std::to_string(body),
                      " bytes, at most ", std::to_string(kMaxLsaBodyBytes));
  }
  std::size_t total = kLsaHeaderBytes + body + kLsaSignatureBytes;
  if (total > data.size()) {
    return make_error(Errc::truncated, "LSA: ", std::to_string(total), " bytes announced, ",
                      std::to_string(data.size()), " left");
  }
  return total;
}

Result<LsaPtr> decode_lsa(ByteView raw) {
  auto length = lsa_length(raw);
  if (!length) return length.error();
  if (*length != raw.size()) {
    return make_error(Errc::invalid, "LSA: ", std::to_string(raw.size() - *length),
                      " bytes after its signature");
  }
  auto lsa = std::make_shared<Lsa>();
  ByteReader r(raw);
  r.u8();  // version, checked by lsa_length
  lsa->key.type = static_cast<LsaType>(r.u8());
  lsa->key.fragment = r.u16();
  lsa->key.origin = NodeId{r.u32()};
  lsa->version.epoch = r.u64();
  lsa->version.sequence = r.u64();
  lsa->lifetime = r.u32();
  lsa->purge = (r.u16() & kLsaFlagPurge) != 0;
  if (Status ok = check_header(*lsa); !ok) return ok.error();
  TlvReader tlvs(raw.subspan(kLsaHeaderBytes, *length - kLsaHeaderBytes - kLsaSignatureBytes));
  while (tlvs.next()) {
  }
  if (!tlvs.ok()) return with_context("LSA body", tlvs.error());
  lsa->raw = to_bytes(raw);
  lsa->hash = crypto::sha256(raw);
  return LsaPtr(std::move(lsa));
}

Result<LsaPtr> make_lsa(const LsaKey& key, LsaVersion version, std::uint32_t lifetime, bool purge,
                        ByteView body, const Signer& signer) {
  if (body.size() > kMaxLsaBodyBytes) {
    return make_error(Errc::limit, "LSA body of ", std::to_string(body.size()), " bytes, at most ",
                      std::to_string(kMaxLsaBodyBytes));
  }
  ByteWriter w;
  w.u8(0).u8(static_cast<std::uint8_t>(key.type)).u16(key.fragment).u32(key.origin.value);
  w.u64(version.epoch).u64(version.sequence).u32(lifetime);
  w.u16(purge ? kLsaFlagPurge : 0).bytes16(body);
  w.bytes(signer(w.view()));
  return decode_lsa(w.view());
}

Result<LsaPtr> make_lsa(const LsaKey& key, LsaVersion version, std::uint32_t lifetime, bool purge,
                        ByteView body, const crypto::SigningKey& signer) {
  return make_lsa(key, version, lifetime, purge, body,
                  [&signer](ByteView message) { return signer.sign(message); });
}

}  // namespace dmsc::wire
