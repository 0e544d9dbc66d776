#include "dmsc/dataplane/dtls_certificates.hpp"

#include <openssl/err.h>

namespace dmsc::dataplane {
namespace {

std::string library_error() {
  const char* data = nullptr;
  int flags = 0;
  unsigned long code = ERR_get_error_all(nullptr, nullptr, nullptr, &data, &flags);
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "unknown error";
}

Result<trust::Certificate> decode(const X509* certificate) {
  unsigned char* der = nullptr;
  const int size = certificate != nullptr ? i2d_X509(certificate, &der) : -1;
  if (size < 0) return make_error(Errc::unauthenticated, "no certificate");
  Bytes bytes(der, der + size);
  OPENSSL_free(der);
  return trust::parse_certificate(bytes);
}

// OpenSSL's DTLS 1.2 does not sign with Ed25519 keys. So a P-256 key of this process alone signs
// the handshake, under a certificate that the node's key signs.
X509Ptr session_certificate(const X509* node, EVP_PKEY* node_key, EVP_PKEY* session_key) {
  X509Ptr out(X509_new());
  if (out == nullptr) return nullptr;
  X509_NAME* subject = X509_get_subject_name(out.get());
  const auto* name = reinterpret_cast<const unsigned char*>("dmsc seal");
  bool ok = X509_set_version(out.get(), X509_VERSION_3) == 1 &&
            ASN1_INTEGER_set(X509_get_serialNumber(out.get()), 1) == 1 &&
            X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, name, -1, -1, 0) == 1 &&
            X509_set_issuer_name(out.get(), X509_get_subject_name(node)) == 1 &&
            X509_set1_notBefore(out.get(), X509_get0_notBefore(node)) == 1 &&
            X509_set1_notAfter(out.get(), X509_get0_notAfter(node)) == 1 &&
            X509_set_pubkey(out.get(), session_key) == 1 &&
            X509_sign(out.get(), node_key, nullptr) > 0;
  return ok ? std::move(out) : nullptr;
}

}  // namespace

Error dtls_error(std::string_view what) {
  return make_error(Errc::internal, "DTLS: ", what, ": ", library_error());
}

Status check_peer(const ExpectedPeer& expected, const STACK_OF(X509) * chain) {
  if (chain == nullptr || sk_X509_num(chain) != 2) {
    return make_error(Errc::unauthenticated, "not a session certificate and a node certificate");
  }
  auto certificate = decode(sk_X509_value(chain, 1));
  if (!certificate) return certificate.error();
  if (!trust::issued_by(*certificate, *expected.root)) {
    return make_error(Errc::unauthenticated, "certificate of ", certificate->name,
                      " is not signed by the domain's root");
  }
  PkeyPtr key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, certificate->key.data(),
                                          certificate->key.size()));
  if (key == nullptr || X509_verify(sk_X509_value(chain, 0), key.get()) != 1) {
    return make_error(Errc::unauthenticated, "session certificate is not signed by ",
                      certificate->name);
  }
  if (certificate->role != "sg" || certificate->domain != expected.root->domain ||
      certificate->node != expected.peer) {
    return make_error(Errc::denied, "certificate is of ", trust::spiffe_uri(*certificate),
                      ", expected is gateway ", std::to_string(expected.peer.value));
  }
  return (*expected.check)(expected.peer, *certificate);
}

Status use_identity(SSL_CTX* context, const DtlsIdentity& identity) {
  const unsigned char* der = identity.certificate.data();
  X509Ptr node(d2i_X509(nullptr, &der, static_cast<long>(identity.certificate.size())));
  const auto& seed = identity.key.seed();
  PkeyPtr node_key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
  PkeyPtr session_key(EVP_EC_gen("P-256"));
  if (node == nullptr || node_key == nullptr || session_key == nullptr ||
      X509_check_private_key(node.get(), node_key.get()) != 1) {
    return dtls_error("own certificate and key");
  }
  X509Ptr session = session_certificate(node.get(), node_key.get(), session_key.get());
  if (session == nullptr || SSL_CTX_use_certificate(context, session.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, session_key.get()) != 1 ||
      SSL_CTX_add1_chain_cert(context, node.get()) != 1) {
    return dtls_error("session certificate");
  }
  return Ok{};
}

}  // namespace dmsc::dataplane
