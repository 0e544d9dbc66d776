// docs/protocol.md, "Certificates".
#include "dmsc/trust/certificate.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;
using namespace dmsc::trust;

namespace {

crypto::SigningKey key_of(std::uint8_t fill) {
  crypto::Key32 seed;
  seed.fill(fill);
  return crypto::SigningKey(seed);
}

Certificate root_of(const char* domain, std::uint8_t fill) {
  return *parse_certificate(
      *issue_root(domain, key_of(fill), DomainTime{1000}, DomainTime{2000000000}));
}

CertificateRequest gateway() {
  CertificateRequest r;
  r.domain = "fig2.dmsc";
  r.role = "sg";
  r.name = "sg-1";
  r.node = NodeId{4};
  r.key = key_of(7).public_key();
  r.serial = 12;
  r.not_before = DomainTime{1700000000};
  r.not_after = DomainTime{1800000000};
  return r;
}

}  // namespace

TEST_CASE("certificates: what is issued is parsed back") {
  Certificate root = root_of("fig2.dmsc", 1);
  CHECK(root.role == "root");
  CHECK(root.domain == "fig2.dmsc");
  CHECK(issued_by(root, root));
  Certificate cert = *parse_certificate(*issue_certificate(gateway(), key_of(1), root));
  CHECK(spiffe_uri(cert) == "spiffe://fig2.dmsc/sg/sg-1/4");
  CHECK(cert.key == key_of(7).public_key());
  CHECK(cert.serial == 12);
  CHECK(cert.not_before == DomainTime{1700000000});
  CHECK(cert.not_after == DomainTime{1800000000});
  CHECK(issued_by(cert, root));
}

TEST_CASE("certificates: only the root's own signature counts") {
  Certificate root = root_of("fig2.dmsc", 1), other = root_of("fig2.dmsc", 2);
  Certificate cert = *parse_certificate(*issue_certificate(gateway(), key_of(2), root));
  CHECK_FALSE(issued_by(cert, root));
  CHECK(issued_by(cert, other));
}

TEST_CASE("certificates: any changed byte of the signed part breaks them") {
  Certificate root = root_of("fig2.dmsc", 1);
  Bytes der = *issue_certificate(gateway(), key_of(1), root);
  for (std::size_t i = 0; i < der.size(); ++i) {
    Bytes bad = der;
    bad[i] ^= 0x20;
    Result<Certificate> parsed = parse_certificate(bad);
    if (parsed) CHECK_FALSE(issued_by(*parsed, root));
  }
  for (std::size_t n = 0; n < der.size(); ++n) {
    CHECK_FALSE(parse_certificate(ByteView(der).first(n)).ok());
  }
  der.push_back(0);
  CHECK_FALSE(parse_certificate(der).ok());
}

TEST_CASE("certificates: roles with and without a node id") {
  Certificate root = root_of("fig2.dmsc", 1);
  CertificateRequest r = gateway();
  r.node = NodeId{};
  CHECK_FALSE(issue_certificate(r, key_of(1), root).ok());
  r.role = "spa";
  r.name = "spa-1";
  Certificate spa = *parse_certificate(*issue_certificate(r, key_of(1), root));
  CHECK(spiffe_uri(spa) == "spiffe://fig2.dmsc/spa/spa-1");
  r.node = NodeId{9};
  CHECK_FALSE(issue_certificate(r, key_of(1), root).ok());
  r.role = "king";
  CHECK(issue_certificate(r, key_of(1), root).error().message == "role 'king' is not known");
}

TEST_CASE("certificates: names that would change the URI or the DNS names are refused") {
  Certificate root = root_of("fig2.dmsc", 1);
  for (const char* bad : {"", "a/b", "a,DNS:spa.fig2.dmsc", "a b", ".a", "a..b", "\xc3\xa9"}) {
    CertificateRequest r = gateway();
    r.name = bad;
    CHECK_FALSE(issue_certificate(r, key_of(1), root).ok());
  }
  CHECK_FALSE(issue_root("a/b", key_of(1), DomainTime{1}, DomainTime{2}).ok());
}

TEST_CASE("certificates: PEM both ways, certificate and key") {
  Bytes der = *issue_root("fig2.dmsc", key_of(1), DomainTime{1000}, DomainTime{2000});
  CHECK(*from_pem(to_pem(der)) == der);
  CHECK_FALSE(from_pem("-----BEGIN CERTIFICATE-----\nxx").ok());
  std::string pem = private_key_pem(key_of(3));
  CHECK(parse_private_key_pem(pem)->public_key() == key_of(3).public_key());
  CHECK_FALSE(parse_private_key_pem(to_pem(der)).ok());
}
