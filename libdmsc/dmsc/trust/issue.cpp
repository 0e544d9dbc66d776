// Issuing certificates: what spad does with the root key (docs/protocol.md, "Certificates").
#include <openssl/x509.h>

#include "dmsc/trust/certificate.hpp"
#include "dmsc/trust/x509.hpp"

namespace dmsc::trust {

namespace {

Error failed(std::string_view what) {
  return make_error(Errc::internal, "issuing a certificate: ", what);
}

bool set_time(ASN1_TIME* field, DomainTime time) {
  return ASN1_TIME_set(field, static_cast<std::time_t>(time.seconds)) != nullptr;
}

bool add_extension(X509* cert, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, cert, cert, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) return false;
  bool added = X509_add_ext(cert, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

bool add_entry(X509_NAME* name, const char* field, const std::string& value) {
  return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(value.data()),
                                    static_cast<int>(value.size()), -1, 0) == 1;
}

// A certificate with everything but extensions and signature.
x509::X509Ptr start(const CertificateRequest& r) {
  x509::X509Ptr cert(X509_new());
  x509::PkeyPtr key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, r.key.data(), r.key.size()));
  if (!cert || !key) return nullptr;
  X509_NAME* subject = X509_get_subject_name(cert.get());
  bool good = X509_set_version(cert.get(), 2) == 1 &&
              ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert.get()), r.serial) == 1 &&
              set_time(X509_getm_notBefore(cert.get()), r.not_before) &&
              set_time(X509_getm_notAfter(cert.get()), r.not_after) &&
              X509_set_pubkey(cert.get(), key.get()) == 1 &&
              add_entry(subject, "O", r.domain) && add_entry(subject, "CN", r.name);
  return good ? std::move(cert) : nullptr;
}

// Signs and encodes.
Result<Bytes> finish(X509* cert, const crypto::SigningKey& signer) {
  x509::PkeyPtr key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, signer.seed().data(),
                                                 signer.seed().size()));
  if (!key || X509_sign(cert, key.get(), nullptr) == 0) return failed("signing");
  unsigned char* der = nullptr;
  int size = i2d_X509(cert, &der);
  if (size < 0) return failed("encoding");
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

Status check_request(const CertificateRequest& r) {
  if (!is_role(r.role)) return make_error(Errc::invalid, "role '", r.role, "' is not known");
  if (is_node_role(r.role) != static_cast<bool>(r.node) || r.node.value > kMaxNodeId) {
    return make_error(Errc::invalid, "node id ", std::to_string(r.node.value), " for role ", r.role);
  }
  if (r.not_after <= r.not_before) return make_error(Errc::invalid, "validity ends before it starts");
  Status domain = check_host_name("domain", r.domain);
  return domain ? check_host_name("name", r.name) : domain;
}

}  // namespace

Result<Bytes> issue_certificate(const CertificateRequest& request, const crypto::SigningKey& root,
                                const Certificate& root_certificate) {
  Status fits = check_request(request);
  if (!fits) return fits.error();
  x509::X509Ptr cert = start(request);
  x509::X509Ptr issuer = x509::decode(root_certificate.der);
  if (!cert || !issuer) return failed("fields");
  Certificate named;
  named.domain = request.domain;
  named.role = request.role;
  named.name = request.name;
  named.node = request.node;
  std::string names = "URI:" + spiffe_uri(named) + ",DNS:" + request.name + "." + request.domain +
                      ",DNS:" + request.role + "." + request.domain;
  bool good = X509_set_issuer_name(cert.get(), X509_get_subject_name(issuer.get())) == 1 &&
              add_extension(cert.get(), NID_basic_constraints, "critical,CA:FALSE") &&
              add_extension(cert.get(), NID_key_usage, "critical,digitalSignature") &&
              add_extension(cert.get(), NID_ext_key_usage, "serverAuth,clientAuth") &&
              add_extension(cert.get(), NID_subject_alt_name, names);
  if (!good) return failed("extensions");
  return finish(cert.get(), root);
}

Result<Bytes> issue_root(std::string_view domain, const crypto::SigningKey& key,
                         DomainTime not_before, DomainTime not_after) {
  Status fits = check_host_name("domain", domain);
  if (!fits) return fits.error();
  CertificateRequest request;
  request.domain = domain;
  request.name = "DMSC root";
  request.key = key.public_key();
  request.serial = 1;
  request.not_before = not_before;
  request.not_after = not_after;
  x509::X509Ptr cert = start(request);
  bool good = cert &&
              X509_set_issuer_name(cert.get(), X509_get_subject_name(cert.get())) == 1 &&
              add_extension(cert.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
              add_extension(cert.get(), NID_key_usage, "critical,keyCertSign,cRLSign") &&
              add_extension(cert.get(), NID_subject_key_identifier, "hash");
  if (!good) return failed("fields of the root");
  return finish(cert.get(), key);
}

}  // namespace dmsc::trust
