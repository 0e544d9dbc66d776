#include "dmsc/trust/certificate.hpp"

#include <openssl/pem.h>

#include <algorithm>
#include <charconv>

#include "dmsc/trust/x509.hpp"

namespace dmsc::trust {

namespace {

constexpr std::string_view kScheme = "spiffe://";
constexpr std::string_view kRoles[] = {"sg", "sr", "spa", "scsc", "pod", "operator"};

Error bad(std::string_view what) { return make_error(Errc::invalid, "certificate: ", what); }

Result<DomainTime> seconds_of(const ASN1_TIME* time) {
  std::tm tm{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &tm) != 1) return bad("unreadable validity");
  std::time_t t = timegm(&tm);
  if (t < 0) return bad("validity before 1970");
  return DomainTime{static_cast<std::uint64_t>(t)};
}

// The one URI of the subject alternative names; empty if there is none.
Result<std::string> uri_of(const X509* cert) {
  x509::NamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(cert, NID_subject_alt_name, nullptr, nullptr)));
  std::string uri;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    if (!uri.empty()) return bad("more than one URI");
    const ASN1_STRING* s = name->d.uniformResourceIdentifier;
    uri.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(s)),
               static_cast<std::size_t>(ASN1_STRING_length(s)));
  }
  return uri;
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  while (true) {
    std::size_t slash = text.find('/');
    parts.push_back(text.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    text.remove_prefix(slash + 1);
  }
}

Status parse_uri(const std::string& uri, Certificate& out) {
  Error wrong = bad("URI '" + uri + "' is not spiffe://DOMAIN/ROLE/NAME[/NODE]");
  if (uri.rfind(kScheme, 0) != 0) return wrong;
  std::vector<std::string_view> parts = split(std::string_view(uri).substr(kScheme.size()));
  if (parts.size() < 3 || !is_role(parts[1])) return wrong;
  bool node = is_node_role(parts[1]);
  if (parts.size() != (node ? 4U : 3U)) return wrong;
  if (!check_host_name("", parts[0]) || !check_host_name("", parts[2])) return wrong;
  out.domain = parts[0];
  out.role = parts[1];
  out.name = parts[2];
  if (!node) return Ok{};
  std::string_view id = parts[3];
  auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), out.node.value);
  bool all = error == std::errc() && end == id.data() + id.size();
  if (!all || out.node.value == 0 || out.node.value > kMaxNodeId) return wrong;
  return Ok{};
}

Result<crypto::PublicKey> key_of(const X509* cert) {
  const EVP_PKEY* key = X509_get0_pubkey(cert);
  crypto::PublicKey out{};
  std::size_t size = out.size();
  if (key == nullptr || EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_public_key(key, out.data(), &size) != 1 || size != out.size()) {
    return bad("key is not Ed25519");
  }
  return out;
}

std::string organisation(const X509* cert) {
  char text[128];
  int n = X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_organizationName, text,
                                    sizeof text);
  return n > 0 ? std::string(text, static_cast<std::size_t>(n)) : std::string();
}

Status read_names(X509* cert, Certificate& out) {
  Result<std::string> uri = uri_of(cert);
  if (!uri) return uri.error();
  bool ca = (X509_get_extension_flags(cert) & EXFLAG_CA) != 0;
  if (!uri->empty()) {
    if (ca) return bad("a node certificate must not be a CA");
    return parse_uri(*uri, out);
  }
  if (!ca) return bad("neither a SPIFFE URI nor a CA");
  out.role = "root";
  out.domain = organisation(cert);
  return check_host_name("certificate: root: domain", out.domain);
}

}  // namespace

x509::X509Ptr x509::decode(ByteView der) {
  const unsigned char* p = der.data();
  X509Ptr cert(d2i_X509(nullptr, &p, static_cast<long>(der.size())));
  if (cert && p != der.data() + der.size()) cert.reset();
  return cert;
}

bool is_role(std::string_view role) {
  return std::find(std::begin(kRoles), std::end(kRoles), role) != std::end(kRoles);
}

bool is_node_role(std::string_view role) { return role == "sg" || role == "sr"; }

Status check_host_name(std::string_view what, std::string_view name) {
  auto inner = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.';
  };
  bool good = !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), inner) &&
              name.front() != '.' && name.back() != '.' && name.find("..") == name.npos;
  if (good) return Ok{};
  return make_error(Errc::invalid, what, " '", name,
                    "' is not 1-63 letters, digits, '-' and '.' between them");
}

std::string spiffe_uri(const Certificate& c) {
  std::string uri = std::string(kScheme) + c.domain + "/" + c.role + "/" + c.name;
  return is_node_role(c.role) ? uri + "/" + std::to_string(c.node.value) : uri;
}

Result<Certificate> parse_certificate(ByteView der) {
  x509::X509Ptr cert = x509::decode(der);
  if (!cert) return bad("not one DER certificate");
  Certificate out;
  Result<crypto::PublicKey> key = key_of(cert.get());
  if (!key) return key.error();
  out.key = *key;
  std::uint64_t serial = 0;
  if (ASN1_INTEGER_get_uint64(&serial, X509_get0_serialNumber(cert.get())) != 1) {
    return bad("serial number over 64 bits");
  }
  out.serial = serial;
  Result<DomainTime> from = seconds_of(X509_get0_notBefore(cert.get()));
  if (!from) return from.error();
  Result<DomainTime> until = seconds_of(X509_get0_notAfter(cert.get()));
  if (!until) return until.error();
  out.not_before = *from;
  out.not_after = *until;
  Status names = read_names(cert.get(), out);
  if (!names) return names.error();
  out.der = to_bytes(der);
  return out;
}

Result<std::shared_ptr<const Certificate>> CertificateCache::parse(ByteView der) {
  auto [it, fresh] = known_.try_emplace(crypto::sha256(der));
  if (!fresh) return it->second;
  Result<Certificate> parsed = parse_certificate(der);
  if (!parsed) {
    known_.erase(it);
    return parsed.error();
  }
  it->second = std::make_shared<const Certificate>(std::move(*parsed));
  return it->second;
}

namespace {

// Of DER: the elements one after another.
class Elements {
 public:
  explicit Elements(ByteView der) : left_(der) {}
  // The next element, header included, if it has that tag; else nothing, and nothing follows.
  ByteView take(int tag) {
    const unsigned char* at = left_.data();
    long size = 0;
    int found = 0, kind = 0;
    bool bad = left_.empty() || (ASN1_get_object(&at, &size, &found, &kind, static_cast<long>(left_.size())) & 0x80);
    if (bad || found != tag) return left_ = {};
    auto header = static_cast<std::size_t>(at - left_.data());
    ByteView whole = left_.first(header + static_cast<std::size_t>(size));
    body_ = whole.subspan(header);
    left_ = left_.subspan(whole.size());
    return whole;
  }
  ByteView body() const { return body_; }  // of the element last taken
  bool done() const { return left_.empty(); }

 private:
  ByteView left_, body_;
};

constexpr std::uint8_t kEd25519[] = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};  // the AlgorithmIdentifier
constexpr int kVersionTag = 0;

}  // namespace

// By hand: X509_verify() decodes the certificate and the key anew and fetches each algorithm, which costs
// several times the signature, and a node checks one for every other node when it starts.
bool issued_by(const Certificate& certificate, const Certificate& issuer) {
  Elements outer(certificate.der);
  outer.take(V_ASN1_SEQUENCE);
  if (!outer.done()) return false;
  Elements parts(outer.body());
  ByteView to_be_signed = parts.take(V_ASN1_SEQUENCE);
  Elements inner(parts.body());
  ByteView algorithm = parts.take(V_ASN1_SEQUENCE);
  parts.take(V_ASN1_BIT_STRING);
  ByteView bits = parts.body();
  inner.take(kVersionTag);
  inner.take(V_ASN1_INTEGER);
  ByteView named = inner.take(V_ASN1_SEQUENCE);  // the same algorithm, under the signature
  crypto::Signature signature;
  if (!parts.done() || bits.size() != signature.size() + 1 || bits[0] != 0) return false;
  auto is_ed25519 = [](ByteView a) {
    return std::equal(a.begin(), a.end(), std::begin(kEd25519), std::end(kEd25519));
  };
  if (!is_ed25519(algorithm) || !is_ed25519(named)) return false;
  std::copy(bits.begin() + 1, bits.end(), signature.begin());
  return crypto::verify(issuer.key, to_be_signed, signature);
}

std::string to_pem(ByteView der) {
  x509::BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio(bio.get(), PEM_STRING_X509, "", der.data(), static_cast<long>(der.size()));
  char* text = nullptr;
  long size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

Result<Bytes> from_pem(std::string_view pem) {
  x509::BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  x509::X509Ptr cert(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!cert) return bad("no PEM certificate found");
  unsigned char* der = nullptr;
  int size = i2d_X509(cert.get(), &der);
  if (size < 0) return bad("cannot be encoded");
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

std::string private_key_pem(const crypto::SigningKey& key) {
  x509::PkeyPtr pkey(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, key.seed().data(),
                                                  key.seed().size()));
  x509::BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(bio.get(), pkey.get(), nullptr, nullptr, 0, nullptr, nullptr);
  char* text = nullptr;
  long size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

Result<crypto::SigningKey> parse_private_key_pem(std::string_view pem) {
  x509::BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  x509::PkeyPtr pkey(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  crypto::Key32 seed{};
  std::size_t size = seed.size();
  if (!pkey || EVP_PKEY_get_base_id(pkey.get()) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_private_key(pkey.get(), seed.data(), &size) != 1) {
    return make_error(Errc::invalid, "private key: not an Ed25519 key in PEM");
  }
  return crypto::SigningKey(seed);
}

}  // namespace dmsc::trust
