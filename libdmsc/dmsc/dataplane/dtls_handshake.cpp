#include "dmsc/dataplane/dtls_handshake.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <deque>

#include "dmsc/dataplane/dtls_certificates.hpp"

namespace dmsc::dataplane {
namespace {

constexpr const char* kAesFirst = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305";
constexpr const char* kChachaFirst = "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256";
constexpr std::string_view kExporterLabel = "EXPORTER-dmsc-seal";
constexpr long kMtu = wire::kHandshakeDatagramMax;

// ---- datagrams in memory ------------------------------------------------------------------------

struct Datagrams {
  std::deque<Bytes> in;
  std::vector<Bytes> out;
};

Datagrams& datagrams_of(BIO* bio) { return *static_cast<Datagrams*>(BIO_get_data(bio)); }

int bio_write(BIO* bio, const char* data, int size) {
  datagrams_of(bio).out.push_back(to_bytes(as_bytes({data, static_cast<std::size_t>(size)})));
  return size;
}

int bio_read(BIO* bio, char* to, int size) {
  auto& in = datagrams_of(bio).in;
  BIO_clear_retry_flags(bio);
  if (in.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  Bytes datagram = std::move(in.front());
  in.pop_front();
  std::size_t n = std::min(datagram.size(), static_cast<std::size_t>(size));
  std::copy_n(datagram.begin(), n, to);
  return static_cast<int>(n);
}

long bio_ctrl(BIO*, int command, long, void*) {
  switch (command) {
    case BIO_CTRL_FLUSH:
    case BIO_CTRL_DUP:
      return 1;
    case BIO_CTRL_DGRAM_QUERY_MTU:
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
      return kMtu;
    default:
      return 0;
  }
}

const BIO_METHOD* datagram_method() {
  static const MethodPtr method = [] {
    MethodPtr m(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "datagrams"));
    BIO_meth_set_write(m.get(), bio_write);
    BIO_meth_set_read(m.get(), bio_read);
    BIO_meth_set_ctrl(m.get(), bio_ctrl);
    return m;
  }();
  return method.get();
}

// The machine sends flights again by its own clock; the library's, a wall clock, must never fire.
unsigned never(SSL*, unsigned) { return 1'000'000'000; }

// ---- who the peer is ----------------------------------------------------------------------------

int expected_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

// In place of the library's own check, which goes by the wall clock.
int verify(X509_STORE_CTX* store, void*) {
  const int at = SSL_get_ex_data_X509_STORE_CTX_idx();
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, at));
  auto* expected = static_cast<ExpectedPeer*>(SSL_get_ex_data(ssl, expected_index()));
  Status good = check_peer(*expected, X509_STORE_CTX_get0_untrusted(store));
  if (good) return 1;
  expected->problem = good.error().message;
  X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

// ---- one handshake ------------------------------------------------------------------------------

struct Shared {
  ContextPtr context;
  trust::Certificate root;
  PeerCheck check;
  NodeId self;
  DomainId domain;
};

class DtlsHandshake final : public Handshake {
 public:
  DtlsHandshake(std::shared_ptr<const Shared> shared, SealRole role, NodeId peer,
                std::uint32_t association)
      : shared_(std::move(shared)), role_(role), association_(association) {
    expected_ = {peer, &shared_->root, &shared_->check, {}};
    ssl_.reset(SSL_new(shared_->context.get()));
    BIO* bio = BIO_new(datagram_method());
    if (ssl_ == nullptr || bio == nullptr) {
      ssl_.reset();
      BIO_free(bio);
      return;
    }
    BIO_set_data(bio, &datagrams_);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_ex_data(ssl_.get(), expected_index(), &expected_);
    SSL_set_mtu(ssl_.get(), kMtu);
    DTLS_set_timer_cb(ssl_.get(), never);
    role == SealRole::initiator ? SSL_set_connect_state(ssl_.get())
                                : SSL_set_accept_state(ssl_.get());
  }

  bool usable() const { return ssl_ != nullptr; }

  Status advance(ByteView datagram, std::vector<Bytes>& out) override {
    if (!datagram.empty()) datagrams_.in.push_back(to_bytes(datagram));
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    const int error = SSL_get_error(ssl_.get(), result);
    datagrams_.in.clear();
    for (Bytes& bytes : datagrams_.out) out.push_back(std::move(bytes));
    datagrams_.out.clear();
    if (result == 1) return finish();
    if (error == SSL_ERROR_WANT_READ) return Ok{};
    if (!expected_.problem.empty()) return make_error(Errc::denied, expected_.problem);
    return dtls_error("handshake");
  }

  bool done() const override { return done_; }
  SealSecrets secrets() const override { return secrets_; }
  ~DtlsHandshake() override {
    crypto::wipe(secrets_.send);
    crypto::wipe(secrets_.receive);
  }

 private:
  Status finish() {
    if (SSL_get_extms_support(ssl_.get()) != 1) {
      return make_error(Errc::denied, "DTLS: the peer has no extended master secret");
    }
    const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl_.get());
    secrets_.algorithm = SSL_CIPHER_get_cipher_nid(cipher) == NID_chacha20_poly1305
                             ? crypto::AeadAlgorithm::chacha20_poly1305
                             : crypto::AeadAlgorithm::aes_128_gcm;
    const bool first = role_ == SealRole::initiator;
    const NodeId initiator = first ? shared_->self : expected_.peer;
    const NodeId responder = first ? expected_.peer : shared_->self;
    ByteWriter about;
    about.u64(shared_->domain.value).u32(initiator.value).u32(responder.value).u32(association_);
    std::array<std::uint8_t, 64> secret{};
    if (SSL_export_keying_material(ssl_.get(), secret.data(), secret.size(), kExporterLabel.data(),
                                   kExporterLabel.size(), about.view().data(), about.size(),
                                   1) != 1) {
      return dtls_error("exporter");
    }
    auto half = [&](bool to_responder) {
      crypto::Key32 key{};
      std::copy_n(secret.begin() + (to_responder ? 0 : 32), 32, key.begin());
      return key;
    };
    secrets_.send = half(first);
    secrets_.receive = half(!first);
    crypto::wipe(secret);
    done_ = true;
    return Ok{};
  }

  std::shared_ptr<const Shared> shared_;
  SealRole role_;
  std::uint32_t association_;
  Datagrams datagrams_;
  ExpectedPeer expected_;
  SslPtr ssl_;
  SealSecrets secrets_;
  bool done_ = false;
};

// ---- what all of them share
// -----------------------------------------------------------------------

class DtlsContextImpl final : public DtlsContext {
 public:
  explicit DtlsContextImpl(std::shared_ptr<const Shared> shared) : shared_(std::move(shared)) {}
  std::unique_ptr<Handshake> shake(SealRole role, NodeId peer, std::uint32_t association) override {
    auto handshake = std::make_unique<DtlsHandshake>(shared_, role, peer, association);
    if (!handshake->usable()) return nullptr;
    return handshake;
  }

 private:
  std::shared_ptr<const Shared> shared_;
};

Status set_parameters(SSL_CTX* context, bool prefer_chacha) {
  SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(context, DTLS1_2_VERSION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
  auto options = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_QUERY_MTU |
                 SSL_OP_CIPHER_SERVER_PREFERENCE;
  if (!prefer_chacha) options |= SSL_OP_PRIORITIZE_CHACHA;
  SSL_CTX_set_options(context, options);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(context, verify, nullptr);
  bool ok = SSL_CTX_set_cipher_list(context, prefer_chacha ? kChachaFirst : kAesFirst) == 1 &&
            SSL_CTX_set1_groups_list(context, "X25519:P-256") == 1 &&
            SSL_CTX_set1_sigalgs_list(context, "ECDSA+SHA256") == 1 &&
            SSL_CTX_set1_client_sigalgs_list(context, "ECDSA+SHA256") == 1;
  if (!ok) return dtls_error("parameters");
  return Ok{};
}

}  // namespace

Result<std::shared_ptr<DtlsContext>> DtlsContext::create(DtlsIdentity identity, PeerCheck check) {
  auto shared = std::make_shared<Shared>();
  shared->context.reset(SSL_CTX_new(DTLS_method()));
  if (shared->context == nullptr) return dtls_error("context");
  SSL_CTX* context = shared->context.get();
  if (auto set = set_parameters(context, identity.prefer_chacha); !set) return set.error();
  auto root = trust::parse_certificate(identity.root);
  if (!root) return with_context("root", root.error());
  if (auto used = use_identity(context, identity); !used) return used.error();
  shared->root = std::move(*root);
  shared->check = std::move(check);
  shared->self = identity.self;
  shared->domain = identity.domain;
  return std::shared_ptr<DtlsContext>(std::make_shared<DtlsContextImpl>(std::move(shared)));
}

}  // namespace dmsc::dataplane
