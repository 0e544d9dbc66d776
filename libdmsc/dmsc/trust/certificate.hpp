// X.509 certificates of the domain (Ed25519, RFC 8410) with a SPIFFE URI:
//   spiffe://DOMAIN/sg/NAME/ID   spiffe://DOMAIN/sr/NAME/ID   spiffe://DOMAIN/spa/NAME
//   spiffe://DOMAIN/scsc/NAME    spiffe://DOMAIN/pod/NAME     spiffe://DOMAIN/operator/NAME
// A DNS name ROLE.DOMAIN (for example spa.fig2.dmsc) lets gRPC check the peer's role.
#pragma once
#include <map>
#include <memory>

#include "dmsc/core/time.hpp"
#include "dmsc/crypto/keys.hpp"
#include "dmsc/core/result.hpp"

namespace dmsc::trust {

struct Certificate {
  std::string domain, role, name;
  NodeId node;                 // sg and sr only
  crypto::PublicKey key{};
  std::uint64_t serial = 0;    // unique per root; a later certificate of a node has a higher one
  DomainTime not_before, not_after;
  Bytes der;
};

// Roles a certificate may name, the root apart.
bool is_role(std::string_view role);
// sg and sr carry a node id, the others must not.
bool is_node_role(std::string_view role);
// A domain or node name: 1-63 bytes of letters, digits, '-' and, within, '.'; it becomes part of the
// URI and of DNS names.
Status check_host_name(std::string_view what, std::string_view name);

// "spiffe://DOMAIN/ROLE/NAME[/NODEID]" of a certificate.
std::string spiffe_uri(const Certificate& certificate);

// Parses one DER certificate and its SPIFFE URI. The root has no URI but is a CA: role "root". The
// signature is not checked (issued_by).
Result<Certificate> parse_certificate(ByteView der);
// Remembers parsed certificates by their bytes; for one thread. Those that cannot be parsed are not kept.
class CertificateCache {
 public:
  Result<std::shared_ptr<const Certificate>> parse(ByteView der);
  std::size_t size() const { return known_.size(); }

 private:
  std::map<crypto::Hash32, std::shared_ptr<const Certificate>> known_;  // by SHA-256
};

// True if `certificate` is signed by `issuer`'s key.
bool issued_by(const Certificate& certificate, const Certificate& issuer);
std::string to_pem(ByteView der);
Result<Bytes> from_pem(std::string_view pem);

// What spad puts into a certificate it issues. `serial` is unique per root.
struct CertificateRequest {
  std::string domain, role, name;
  NodeId node;
  crypto::PublicKey key{};
  std::uint64_t serial = 0;
  DomainTime not_before, not_after;
};
Result<Bytes> issue_certificate(const CertificateRequest& request, const crypto::SigningKey& root,
                                const Certificate& root_certificate);
// A new self-signed root.
Result<Bytes> issue_root(std::string_view domain, const crypto::SigningKey& key,
                         DomainTime not_before, DomainTime not_after);
// PKCS#8 PEM of an Ed25519 private key, for TLS libraries, and back.
std::string private_key_pem(const crypto::SigningKey& key);
Result<crypto::SigningKey> parse_private_key_pem(std::string_view pem);

}  // namespace dmsc::trust
