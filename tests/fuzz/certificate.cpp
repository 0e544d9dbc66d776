// X.509 certificates, PEM and private keys.
#include "dmsc/trust/certificate.hpp"

#include "dmsc/trust/trust_store.hpp"
#include "harness.hpp"

using namespace dmsc;

namespace {

const crypto::SigningKey& root_key() {
  static const crypto::SigningKey key(crypto::Key32{8});
  return key;
}
const trust::Certificate& root() {
  static const trust::Certificate certificate =
      trust::parse_certificate(
          trust::issue_root("fig2.dmsc", root_key(), {1000}, {9000000}).value())
          .value();
  return certificate;
}

}  // namespace

void fuzz::one_input(ByteView data) {
  Result<trust::Certificate> certificate = trust::parse_certificate(data);
  if (certificate.ok()) {
    require(certificate->der.size() == data.size(), "one certificate is exactly its data");
    (void)trust::issued_by(*certificate, root());
    require(trust::from_pem(trust::to_pem(data)).value() == to_bytes(data), "PEM leads back");
  } else {
    require(!certificate.error().message.empty(), "an error says what is wrong");
  }
  (void)trust::from_pem(as_text(data));
  (void)trust::parse_private_key_pem(as_text(data));
}

void fuzz::seeds(SeedWriter& out) {
  out(root().der);
  trust::CertificateRequest request;
  request.domain = "fig2.dmsc";
  request.role = "sg";
  request.name = "sg-1";
  request.node = NodeId{4};
  request.key = root_key().public_key();
  request.serial = 5;
  request.not_before = {1000};
  request.not_after = {2000};
  Bytes der = trust::issue_certificate(request, root_key(), root()).value();
  out(der);
  out(as_bytes(trust::to_pem(der)));
  out(as_bytes(trust::private_key_pem(root_key())));
}
