// The certificates of a sealing handshake, as OpenSSL wants them: ours into a context, the peer's
// out of a chain. For dtls_handshake.cpp alone.
#pragma once
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "dmsc/dataplane/dtls_handshake.hpp"

namespace dmsc::dataplane {

template <auto Free>
struct OpenSslDeleter {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};
using ContextPtr = std::unique_ptr<SSL_CTX, OpenSslDeleter<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, OpenSslDeleter<SSL_free>>;
using X509Ptr = std::unique_ptr<X509, OpenSslDeleter<X509_free>>;
using PkeyPtr = std::unique_ptr<EVP_PKEY, OpenSslDeleter<EVP_PKEY_free>>;
using MethodPtr = std::unique_ptr<BIO_METHOD, OpenSslDeleter<BIO_meth_free>>;

// "DTLS: WHAT: " and what the library says of its last failure.
Error dtls_error(std::string_view what);

struct ExpectedPeer {
  NodeId peer;
  const trust::Certificate* root = nullptr;
  const PeerCheck* check = nullptr;
  std::string problem;  // why the last check failed
};
// `chain`: the session certificate, then the node's, which signs it.
Status check_peer(const ExpectedPeer& expected, const STACK_OF(X509) * chain);

// Makes a session key and its certificate and puts them, and the node's certificate, into
// `context`.
Status use_identity(SSL_CTX* context, const DtlsIdentity& identity);

}  // namespace dmsc::dataplane
