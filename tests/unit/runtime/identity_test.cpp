// Identity on disk, join tokens, and gRPC over mutual TLS with Ed25519 certificates.
#include "dmsc/runtime/identity.hpp"

#include <dmsc/v1/authentication.grpc.pb.h>
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/enrol.hpp"
#include "dmsc/runtime/files.hpp"
#include "dmsc/runtime/grpc_status.hpp"
#include "dmsc/runtime/grpc_tls.hpp"

using namespace dmsc;
using namespace dmsc::runtime;

namespace {

struct Folder {
  std::string path;
  Folder() {
    char name[] = "/tmp/dmsc-identity-XXXXXX";
    path = mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path); }
};

crypto::SigningKey key_of(std::uint8_t fill) {
  crypto::Key32 seed;
  seed.fill(fill);
  return crypto::SigningKey(seed);
}

struct Authority {
  crypto::SigningKey key;
  trust::Certificate root;

  explicit Authority(std::uint8_t fill) : key(key_of(fill)) {
    DomainTime now{wall_seconds()};
    root = *trust::parse_certificate(
        *trust::issue_root("fig2.dmsc", key, {now.seconds - 86400}, now + 86400));
  }

  Identity identity(const char* role, const char* name, std::uint32_t node, std::uint8_t fill,
                    std::uint64_t serial = 2) const {
    trust::CertificateRequest r;
    r.domain = "fig2.dmsc";
    r.role = role;
    r.name = name;
    r.node = NodeId{node};
    r.key = key_of(fill).public_key();
    r.serial = serial;
    r.not_before = root.not_before;
    r.not_after = root.not_after;
    Identity id{key_of(fill), {}, root, DomainId{42}, {}, {}, {}, {}, {}, {}, {}};
    id.certificate = *trust::parse_certificate(*trust::issue_certificate(r, key, root));
    return id;
  }
};

// Answers with who the caller is, or refuses it.
struct WhoAmI final : v1::Authentication::Service {
  grpc::Status Authenticate(grpc::ServerContext* context, const v1::AuthenticateRequest*,
                            v1::AuthenticateReply* reply) override {
    Result<trust::Certificate> who = require_role(*context, "fig2.dmsc", {"sg"});
    if (!who) return to_grpc(who.error());
    reply->set_refusal(trust::spiffe_uri(*who));
    return grpc::Status::OK;
  }
};

struct Server {
  WhoAmI service;
  int port = 0;
  std::unique_ptr<grpc::Server> server;

  explicit Server(const std::string& state_dir) {
    grpc::ServerBuilder builder;
    configure_server(builder);
    builder.AddListeningPort("127.0.0.1:0", tls_server_credentials(state_dir), &port);
    builder.RegisterService(&service);
    server = builder.BuildAndStart();
  }
  ~Server() { server->Shutdown(std::chrono::system_clock::now()); }
  Endpoint endpoint() const { return {"127.0.0.1", static_cast<std::uint16_t>(port)}; }

  Result<std::string> call(const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                           const char* role = "spa") const {
    auto stub = v1::Authentication::NewStub(
        tls_channel(to_string(endpoint()), role, "fig2.dmsc", credentials));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    v1::AuthenticateReply reply;
    grpc::Status status = stub->Authenticate(&context, {}, &reply);
    if (!status.ok()) return from_grpc(status);
    return reply.refusal();
  }
};

unsigned mode_of(const std::string& path) {
  struct stat s {};
  return stat(path.c_str(), &s) == 0 ? s.st_mode & 0777 : 0;
}

}  // namespace

TEST_CASE("identity: what is saved is loaded, secrets are the owner's alone") {
  Folder dir;
  Authority ca(1);
  Identity id = ca.identity("sg", "sg-1", 4, 7);
  id.link_keys.add(1, crypto::Key32{1, 2, 3});
  id.link_keys.set_active(1);
  id.spas = {{"192.0.2.1", 7410}, {"spa.example", 7411}};
  id.authority = {1, 2};
  id.revocations = {{3}, {4, 5}};
  id.domain_time = {77};
  CHECK(load_identity(dir.path).error().code == Errc::not_found);
  REQUIRE(save_identity(dir.path, id));
  Result<Identity> back = load_identity(dir.path);
  REQUIRE(back);
  CHECK(back->key.seed() == id.key.seed());
  CHECK(back->certificate.der == id.certificate.der);
  CHECK(back->root.der == id.root.der);
  CHECK(back->domain_id == id.domain_id);
  CHECK(back->link_keys.keys() == id.link_keys.keys());
  CHECK(back->link_keys.active() == 1);
  CHECK(back->spas == id.spas);
  CHECK(back->authority == id.authority);
  CHECK(back->revocations == id.revocations);
  CHECK(back->domain_time == id.domain_time);
  CHECK(mode_of(dir.path + "/identity/key.pem") == 0600);
  CHECK(mode_of(dir.path + "/identity/enrolment.json") == 0600);
}

TEST_CASE("identity: files that do not fit together are refused by name") {
  Folder dir;
  Authority ca(1), other(2);
  REQUIRE(save_identity(dir.path, ca.identity("sg", "sg-1", 4, 7)));
  std::string folder = identity_directory(dir.path) + "/";
  auto message = [&] { return load_identity(dir.path).error().message; };
  REQUIRE(write_file_atomically(folder + "root.pem", trust::to_pem(other.root.der)));
  CHECK(message().find("not signed by root.pem") != std::string::npos);
  REQUIRE(write_file_atomically(folder + "root.pem", trust::to_pem(ca.root.der)));
  REQUIRE(write_file_atomically(folder + "key.pem", trust::private_key_pem(key_of(9))));
  CHECK(message().find("not for the key") != std::string::npos);
  REQUIRE(save_identity(dir.path, ca.identity("sg", "sg-1", 4, 7)));
  REQUIRE(write_file_atomically(folder + "enrolment.json", "{\"domain_id\": \"x\"}"));
  CHECK(message().find("enrolment.json") != std::string::npos);
}

TEST_CASE("identity: join tokens are read and written") {
  JoinToken token;
  token.root_fingerprint.fill(0xab);
  token.secret = std::string(32, 'c');
  JoinToken back = *parse_join_token(to_string(token) + "\n");
  CHECK(back.root_fingerprint == token.root_fingerprint);
  CHECK(back.secret == token.secret);
  for (const char* bad : {"", "dmsc1", "dmsc1..", "dmsc1.ab.cd", "dmsc2.ab.cd"}) {
    CHECK_FALSE(parse_join_token(bad).ok());
  }
}

TEST_CASE("tls: a server knows its caller by the certificate, and refuses other roles") {
  Folder dir;
  Authority ca(1);
  REQUIRE(save_identity(dir.path, ca.identity("spa", "spa-1", 0, 7)));
  Server server(dir.path);
  CHECK(server.call(tls_client_credentials(ca.identity("sg", "sg-1", 4, 8))).value() ==
        "spiffe://fig2.dmsc/sg/sg-1/4");
  CHECK(server.call(tls_client_credentials(ca.identity("sr", "sr-1", 5, 8))).error().code ==
        Errc::denied);
  CHECK(server.call(tls_anonymous_credentials(ca.root.der)).error().code == Errc::unauthenticated);
}

TEST_CASE("tls: strangers are refused on both sides") {
  Folder dir;
  Authority ca(1), other(2);
  REQUIRE(save_identity(dir.path, ca.identity("spa", "spa-1", 0, 7)));
  Server server(dir.path);
  Identity stranger = other.identity("sg", "sg-1", 4, 8);
  CHECK(server.call(tls_client_credentials(stranger)).error().code == Errc::unavailable);
  stranger.root = ca.root;  // trusts the server, is not trusted by it
  CHECK_FALSE(server.call(tls_client_credentials(stranger)).ok());
  // A server of the domain, but of another role than the client wants.
  CHECK(server.call(tls_client_credentials(ca.identity("sg", "sg-1", 4, 8)), "scsc").error().code ==
        Errc::unavailable);
}

TEST_CASE("tls: the root is fetched only if its fingerprint is the token's") {
  Folder dir;
  Authority ca(1), other(2);
  REQUIRE(save_identity(dir.path, ca.identity("spa", "spa-1", 0, 7)));
  Server server(dir.path);
  CHECK(fetch_root(server.endpoint(), crypto::sha256(ca.root.der), seconds(5)).value() ==
        ca.root.der);
  CHECK(fetch_root(server.endpoint(), crypto::sha256(other.root.der), seconds(5)).error().code ==
        Errc::denied);
  CHECK(fetch_root({"127.0.0.1", 1}, crypto::sha256(ca.root.der), seconds(5)).error().code ==
        Errc::unavailable);
}

TEST_CASE("tls: a renewed certificate is served without a restart") {
  Folder dir;
  Authority ca(1);
  REQUIRE(save_identity(dir.path, ca.identity("scsc", "scsc-1", 0, 7)));
  Server server(dir.path);
  auto client = tls_client_credentials(ca.identity("sg", "sg-1", 4, 8));
  CHECK_FALSE(server.call(client).ok());
  REQUIRE(save_identity(dir.path, ca.identity("spa", "spa-1", 0, 9, 3)));
  bool served = false;
  for (int i = 0; i < 100 && !served; ++i) {
    served = server.call(client).ok();
    if (!served) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  CHECK(served);
}

TEST_CASE("identity: renewal is due after two thirds of the certificate's life") {
  trust::Certificate c;
  c.not_before = {1000};
  c.not_after = {4000};
  CHECK(until_renewal(c, 1000) == seconds(2000));
  CHECK(until_renewal(c, 2999) == seconds(1));
  CHECK(until_renewal(c, 3000) == Duration{});
  CHECK(until_renewal(c, 9999) == Duration{});
}
