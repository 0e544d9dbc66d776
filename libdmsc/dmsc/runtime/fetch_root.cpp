// The first contact with a domain: which root does this server present? Plain OpenSSL over a socket,
// because gRPC will not talk to a server it cannot verify.
#include <netdb.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <memory>

#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/enrol.hpp"

namespace dmsc::runtime {

namespace {

struct Socket {
  int fd = -1;
  explicit Socket(int f) : fd(f) {}
  Socket(Socket&& other) noexcept : fd(std::exchange(other.fd, -1)) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (fd >= 0) ::close(fd);
  }
};

Error unreachable(const Endpoint& server, std::string_view why) {
  return make_error(Errc::unavailable, to_string(server), ": ", why);
}

bool connect_within(int fd, const addrinfo& address, Duration timeout) {
  timeval limit{};
  limit.tv_sec = std::chrono::duration_cast<seconds>(timeout).count();
  limit.tv_usec = std::chrono::duration_cast<microseconds>(timeout % seconds(1)).count();
  // On Linux the send timeout also bounds connect().
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return ::connect(fd, address.ai_addr, address.ai_addrlen) == 0;
}

Result<Socket> open_connection(const Endpoint& server, Duration timeout) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int code = getaddrinfo(server.host.c_str(), std::to_string(server.port).c_str(), &hints, &found);
  if (code != 0) return unreachable(server, gai_strerror(code));
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, freeaddrinfo);
  std::string why = "no address";
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    Socket s(::socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol));
    if (s.fd >= 0 && connect_within(s.fd, *a, timeout)) return s;
    why = std::generic_category().message(errno);
  }
  return unreachable(server, why);
}

using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
using Session = std::unique_ptr<SSL, decltype(&SSL_free)>;

Result<Session> handshake(const Endpoint& server, int fd, SSL_CTX* context) {
  Session session(SSL_new(context), SSL_free);
  static constexpr unsigned char kHttp2[] = {2, 'h', '2'};
  SSL_set_alpn_protos(session.get(), kHttp2, sizeof kHttp2);
  SSL_set_fd(session.get(), fd);
  if (SSL_connect(session.get()) != 1) return unreachable(server, "TLS handshake failed");
  return session;
}

Bytes der_of(X509* cert) {
  unsigned char* der = nullptr;
  int size = i2d_X509(cert, &der);
  Bytes out(der, der + std::max(size, 0));
  OPENSSL_free(der);
  return out;
}

}  // namespace

Result<Bytes> fetch_root(const Endpoint& server, const crypto::Hash32& fingerprint,
                         Duration timeout) {
  Result<Socket> socket = open_connection(server, timeout);
  if (!socket) return socket.error();
  Context context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);  // the fingerprint is the check
  Result<Session> session = handshake(server, socket->fd, context.get());
  if (!session) return session.error();
  STACK_OF(X509)* chain = SSL_get_peer_cert_chain(session->get());
  for (int i = 0; chain != nullptr && i < sk_X509_num(chain); ++i) {
    Bytes der = der_of(sk_X509_value(chain, i));
    if (crypto::equal(crypto::sha256(der), fingerprint)) return der;
  }
  return make_error(Errc::denied, to_string(server), ": does not present the root with fingerprint ",
                    to_hex(fingerprint), " that the join token names");
}

}  // namespace dmsc::runtime
