// One SPA without its process: registry, issuer, the gRPC services on the network, and on a replica
// the journal it follows. spa.cpp gives it a daemon's clothes; tests run several in one process.
//
//   gRPC threads ──post──► io_context thread: Store, Office, Registrar ──► replies, feeds
//
// Everything is called on the io_context's thread.
#pragma once
#include <grpcpp/server.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>

#include "dmsc/runtime/enrol.hpp"
#include "spad/config.hpp"
#include "spad/office.hpp"
#include "spad/registrar.hpp"

namespace dmsc::spad {

class EnrolmentService;
class AuthenticationService;
class JournalService;
class JournalFollower;

class Core {
 public:
  // `changed` is told the topic ("prefixes", "grants", ...) that has new content.
  Core(boost::asio::io_context& io, Config config, std::function<void(std::string_view)> changed);
  ~Core();

  // The writer opens for business at once; a replica first finds its identity and the registry, and
  // is open as soon as it has both, the writer alive or not.
  Status start();
  // Ends all calls, then runs `done` on the io_context's thread.
  void stop(std::function<void()> done);
  // The text tells what changed; empty if nothing did.
  Result<std::string> reload(const Config& config);

  bool writer() const { return !config_.writer; }
  bool open() const { return server_ != nullptr; }
  int port() const { return port_; }  // bound; for tests that listen on port 0
  std::string waiting_for() const { return waiting_; }
  std::string writer_address() const;
  bool writer_connected() const { return writer() || writer_connected_; }
  const Config& config() const { return config_; }
  boost::asio::io_context& io() { return io_; }

  // Domain time as this SPA says it: its wall clock, never before anything signed or replayed.
  std::uint64_t now() const;
  Store& store() { return *store_; }
  const View& view() const { return store_->view(); }
  Audit* audit() { return audit_.get(); }
  Office* office() { return office_.get(); }          // null until open()
  Registrar* registrar() { return registrar_.get(); } // null on a replica
  const runtime::Identity& identity() const { return *identity_; }
  JournalFollower* follower() { return follower_.get(); }
  AuthenticationService* authentication() { return authentication_.get(); }
  JournalService* journal() { return journal_.get(); }

  // An edit of the registry by `actor`: refused on a replica, with the writer's address. `make` sees
  // the view; its changes are committed and audited together.
  // A node the changes remove loses its join tokens in the same transaction.
  Result<std::uint64_t> edit(const std::string& actor, const std::string& action,
                             const std::string& object,
                             const std::function<Result<Changes>(const View&, Moment)>& make);
  // After any commit or replay: signs what must be signed anew and tells everybody who follows.
  void registry_changed();
  // Errors of a caller that is no member (any more) under the key of its certificate.
  Status check_member(const trust::Certificate& caller) const;
  // Every issuer's lists this SPA knows.
  std::vector<Bytes> revocations() const;
  Status refused_here() const;

 private:
  Status start_writer();
  // True if the root had to sign them anew.
  Result<bool> sign_limits(const wire::DomainParameters& limits);
  void start_replica();
  void have_identity(runtime::Identity identity);
  // Opens the server once identity, registry and issuer number are there.
  void try_open();
  Status open_server();
  void follow_writer();
  void every_minute();
  void renew_self();

  boost::asio::io_context& io_;
  Config config_;
  std::function<void(std::string_view)> changed_;
  std::string waiting_ = "starting";
  std::optional<Store> store_;
  std::optional<runtime::Identity> identity_;
  std::unique_ptr<Audit> audit_;
  std::unique_ptr<Office> office_;
  std::unique_ptr<Registrar> registrar_;
  std::unique_ptr<runtime::IdentityAgent> identity_agent_;
  std::unique_ptr<runtime::CertificateRenewer> renewer_;
  std::unique_ptr<JournalFollower> follower_;
  std::unique_ptr<EnrolmentService> enrolment_;
  std::unique_ptr<AuthenticationService> authentication_;
  std::unique_ptr<JournalService> journal_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  bool writer_connected_ = false;
  boost::asio::steady_timer minute_;
};

}  // namespace dmsc::spad
