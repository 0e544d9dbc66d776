// Objects signed by the SPA: authority, grant, revocation, domain parameters.
#include "dmsc/wire/signed_objects.hpp"

#include "dmsc/wire/spa_lsa.hpp"
#include "harness.hpp"

using namespace dmsc;

namespace {

const crypto::SigningKey& signer() {
  static const crypto::SigningKey key(crypto::Key32{8});
  return key;
}

// Signing what was decoded gives the same bytes but for the signature: there is one encoding.
template <class T>
void again(const Result<T>& decoded, ByteView data) {
  if (!decoded.ok()) {
    fuzz::require(!decoded.error().message.empty(), "an error says what is wrong");
    return;
  }
  Bytes encoded = sign(*decoded, signer());
  fuzz::require(encoded.size() == data.size() &&
                    std::equal(encoded.begin(), encoded.end() - 64, data.begin()),
                "an object has one encoding");
}

wire::ObjectHeader header(std::uint32_t issuer) { return {DomainId{42}, issuer, 7, {1000}}; }

}  // namespace

void fuzz::one_input(ByteView data) {
  (void)wire::object_kind(data);
  (void)wire::decode_object_header(data);
  (void)wire::decode_object(data);
  (void)wire::make_spa_lsa(data);
  again(wire::decode_authority(data), data);
  again(wire::decode_grant(data), data);
  again(wire::decode_revocation(data), data);
  again(wire::decode_domain_parameters(data), data);
  if (data.size() < 200) (void)wire::verify_object(data, signer().public_key());
}

void fuzz::seeds(SeedWriter& out) {
  wire::Authority authority;
  authority.header = header(0);
  authority.issuers = {{1, "spa-1", signer().public_key(), {2000}}};
  out(sign(authority, signer()));
  wire::Grant grant;
  grant.header = header(1);
  grant.node = NodeId{4};
  grant.identity = "pod:pod-4";
  grant.subtree = Name::parse("B/4").value();
  grant.depth = 2;
  grant.pools = {Name::parse("B").value()};
  grant.valid_until = {5000};
  grant.grace = 60;
  out(sign(grant, signer()));
  wire::Revocation revocation;
  revocation.header = header(1);
  revocation.grants = {{1, 5}};
  revocation.nodes = {{NodeId{9}, signer().public_key()}};
  out(sign(revocation, signer()));
  wire::DomainParameters parameters;
  parameters.header = header(0);
  out(sign(parameters, signer()));
}
