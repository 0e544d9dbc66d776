// gRPC over mutual TLS with the domain's certificates (docs/protocol.md, "Certificates"), and over
// the daemons' Unix sockets. A server asks for a client certificate but also accepts a caller without
// one, because a node that enrols has none yet: every service checks its caller with require_role().
#pragma once
#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_context.h>

#include <initializer_list>
#include <memory>
#include <string>

#include "dmsc/runtime/identity.hpp"
#include "dmsc/trust/certificate.hpp"

namespace dmsc::runtime {

// Presents the node's certificate and the root; callers with a certificate must be under the root.
// Reads key and certificates from the identity folder and follows its changes, so that a renewed
// certificate is served within seconds and without a restart.
std::shared_ptr<grpc::ServerCredentials> tls_server_credentials(const std::string& state_dir);
// Trusts the domain's root alone and presents the node's certificate. Make new channels after a
// renewal: a connection keeps the certificate it began with.
std::shared_ptr<grpc::ChannelCredentials> tls_client_credentials(const Identity& identity);
// The same without a certificate of one's own: for enrolment.
std::shared_ptr<grpc::ChannelCredentials> tls_anonymous_credentials(ByteView root_der);

// A channel to `address` ("host:port") that accepts only a peer certified as ROLE of DOMAIN. A dead
// peer is noticed within 3 s, a returned one tried at least every second. Connects when first used.
std::shared_ptr<grpc::Channel> tls_channel(
    const std::string& address, std::string_view role, std::string_view domain,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials);

// Sets what a server needs for the clients above: keepalive both ways, message size.
void configure_server(grpc::ServerBuilder& builder);

// Who called, from the verified certificate. Errors: unauthenticated (no certificate).
Result<trust::Certificate> peer_certificate(const grpc::ServerContextBase& context);
// The same if its role is one of `roles` and its domain is `domain`; else denied.
Result<trust::Certificate> require_role(const grpc::ServerContextBase& context,
                                        std::string_view domain,
                                        std::initializer_list<std::string_view> roles);

}  // namespace dmsc::runtime
