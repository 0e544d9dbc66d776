#include "dmsc/runtime/grpc_tls.hpp"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <algorithm>

namespace dmsc::runtime {

namespace {

// A connection without a sign of life for kKeepalive is asked, and given up kKeepaliveTimeout later.
constexpr int kKeepaliveMs = 1000;
constexpr int kKeepaliveTimeoutMs = 1500;
// A server hears from its clients before it has to ask: half as many pings.
constexpr int kServerKeepaliveMs = 1500;
constexpr int kReconnectFirstMs = 100;
constexpr int kReconnectMostMs = 1000;
constexpr int kConnectTimeoutMs = 2000;
constexpr unsigned kCertificateRefreshSeconds = 2;
constexpr int kMaxMessageBytes = 16 << 20;

}  // namespace

std::shared_ptr<grpc::ServerCredentials> tls_server_credentials(const std::string& state_dir) {
  namespace tls = grpc::experimental;
  std::string folder = identity_directory(state_dir) + "/";
  auto provider = std::make_shared<tls::FileWatcherCertificateProvider>(
      folder + "key.pem", folder + "cert.pem", folder + "root.pem", kCertificateRefreshSeconds);
  tls::TlsServerCredentialsOptions options(provider);
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  return tls::TlsServerCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> tls_client_credentials(const Identity& identity) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = trust::to_pem(identity.root.der);
  options.pem_private_key = trust::private_key_pem(identity.key);
  options.pem_cert_chain = trust::to_pem(identity.certificate.der);
  return grpc::SslCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> tls_anonymous_credentials(ByteView root_der) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = trust::to_pem(root_der);
  return grpc::SslCredentials(options);
}

std::shared_ptr<grpc::Channel> tls_channel(
    const std::string& address, std::string_view role, std::string_view domain,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments args;
  args.SetSslTargetNameOverride(std::string(role) + "." + std::string(domain));
  args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  args.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectFirstMs);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMostMs);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  args.SetMaxReceiveMessageSize(kMaxMessageBytes);
  return grpc::CreateCustomChannel(address, credentials, args);
}

void configure_server(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kServerKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kKeepaliveMs / 2);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
}

Result<trust::Certificate> peer_certificate(const grpc::ServerContextBase& context) {
  auto auth = context.auth_context();
  if (!auth || !auth->IsPeerAuthenticated()) {
    return make_error(Errc::unauthenticated, "the caller has no certificate");
  }
  std::vector<grpc::string_ref> pems = auth->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  if (pems.size() != 1) return make_error(Errc::unauthenticated, "the caller has no certificate");
  Result<Bytes> der = trust::from_pem(std::string_view(pems[0].data(), pems[0].size()));
  if (!der) return make_error(Errc::unauthenticated, der.error().message);
  Result<trust::Certificate> cert = trust::parse_certificate(*der);
  if (!cert) return make_error(Errc::unauthenticated, cert.error().message);
  return cert;
}

Result<trust::Certificate> require_role(const grpc::ServerContextBase& context,
                                        std::string_view domain,
                                        std::initializer_list<std::string_view> roles) {
  Result<trust::Certificate> cert = peer_certificate(context);
  if (!cert) return cert;
  bool listed = std::find(roles.begin(), roles.end(), cert->role) != roles.end();
  if (listed && cert->domain == domain) return cert;
  return make_error(Errc::denied, trust::spiffe_uri(*cert), " may not make this call");
}

}  // namespace dmsc::runtime
