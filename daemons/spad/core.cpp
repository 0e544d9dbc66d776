#include "spad/core.hpp"

#include <grpcpp/server_builder.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <thread>

#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/files.hpp"
#include "dmsc/runtime/grpc_tls.hpp"
#include "dmsc/runtime/log.hpp"
#include "spad/authentication_service.hpp"
#include "spad/bootstrap.hpp"
#include "spad/enrolment_service.hpp"
#include "spad/journal_follower.hpp"
#include "spad/journal_service.hpp"

namespace dmsc::spad {

using runtime::log::Fields;
namespace log = runtime::log;

namespace {
constexpr int kMaxRequestBytes = 64 << 10;  // also bounds what a stranger can make us hold
}

Core::Core(boost::asio::io_context& io, Config config,
           std::function<void(std::string_view)> changed)
    : io_(io), config_(std::move(config)), changed_(std::move(changed)), minute_(io) {}

Core::~Core() = default;

std::uint64_t Core::now() const {
  return std::max(runtime::wall_seconds(), store_ ? store_->last_time() : 0);
}

std::string Core::writer_address() const {
  return config_.writer ? runtime::to_string(*config_.writer) : runtime::to_string(config_.advertise);
}

Status Core::refused_here() const {
  if (writer()) return Ok{};
  return make_error(Errc::unavailable, config_.node.name, " is a read replica: ask the writer at ",
                    writer_address());
}

Status Core::start() {
  Result<runtime::StateDir> dir = runtime::StateDir::open(config_.node.state_dir);
  if (!dir) return dir.error();
  Result<Store> store = Store::open(dir->file("registry.db"));
  if (!store) return store.error();
  store_.emplace(std::move(*store));
  every_minute();
  if (writer()) return start_writer();
  start_replica();
  return Ok{};
}

Status Core::start_writer() {
  Result<Root> root = open_root(config_, *store_, now());
  if (!root) return root.error();
  Status founded = found_domain(config_, *store_, *root, now());
  if (!founded) return founded;
  // The audit log is signed with the issuer's key, which own_identity() makes: certificates issued
  // to oneself are not in it, the domain's journal has them.
  Audit none(*store_, root->key);
  Registrar first(*store_, none, root->key, root->certificate, config_.identities);
  Result<runtime::Identity> identity = own_identity(config_, *store_, first, *root, now());
  if (!identity) return identity.error();
  identity_ = std::move(*identity);
  audit_ = std::make_unique<Audit>(*store_, identity_->key);
  registrar_ = std::make_unique<Registrar>(*store_, *audit_, root->key, root->certificate,
                                           config_.identities);
  Status tokens = write_token_files(config_, *store_, *registrar_, now());
  if (!tokens) log::warning("token-files-not-written", {{"reason", tokens.error()}});
  Result<bool> authority = registrar_->refresh_authority(now());
  if (!authority) return authority.error();
  Result<bool> limits = sign_limits(config_.limits);
  if (!limits) return limits.error();
  try_open();
  return open() ? Status(Ok{}) : make_error(Errc::unavailable, waiting_);
}

Result<bool> Core::sign_limits(const wire::DomainParameters& limits) {
  Result<bool> fresh = registrar_->refresh_parameters(limits, now());
  if (fresh && *fresh) log::info("limits-signed", {{"domain", view().domain}});
  return fresh;
}

void Core::start_replica() {
  waiting_ = "enrolment";
  identity_agent_ = std::make_unique<runtime::IdentityAgent>(
      io_, config_.node.state_dir, config_.enrol, config_.node.name, "spa",
      [this](const Error& error) {
        waiting_ = "enrolment: " + error.message;
        changed_("status");
      },
      [this](Result<runtime::Identity> identity) {
        if (identity) return have_identity(std::move(*identity));
        waiting_ = "enrolment failed: " + identity.error().message;
        log::error("enrolment-failed", {{"reason", identity.error()}});
        changed_("status");
      });
}

void Core::have_identity(runtime::Identity identity) {
  identity_ = std::move(identity);
  audit_ = std::make_unique<Audit>(*store_, identity_->key);
  waiting_ = "the registry of the writer at " + writer_address();
  renewer_ = std::make_unique<runtime::CertificateRenewer>(
      io_, config_.node.state_dir, *identity_,
      [this] { return std::vector<runtime::Endpoint>{*config_.writer}; },
      [this](const runtime::Identity& renewed) {
        identity_ = renewed;
        if (follower_) follower_->set_identity(renewed);
      });
  follow_writer();
  try_open();
}

void Core::follow_writer() {
  JournalFollower::Callbacks calls;
  calls.position = [this] { return store_->position(); };
  calls.apply = [this](const JournalRow& row) {
    Status done = store_->replay(row);
    if (done) registry_changed();
    if (!done) log::error("journal-refused", {{"reason", done.error()}});
    return done;
  };
  calls.state = [this](bool connected, const std::string& why) {
    if (connected == writer_connected_) return;
    writer_connected_ = connected;
    log::info(connected ? "writer-connected" : "writer-lost",
              {{"writer", writer_address()}, {"reason", why}});
    changed_("journal");
  };
  follower_ = std::make_unique<JournalFollower>(io_, *identity_, *config_.writer, std::move(calls));
}

void Core::try_open() {
  if (server_ || !identity_ || !store_->initialised()) return;
  std::uint32_t issuer = 0;
  for (const auto& [id, record] : view().issuers) {
    if (record.name == config_.node.name && record.key == identity_->key.public_key()) issuer = id;
  }
  if (issuer == 0) {
    waiting_ = "its place on the authority";
    return;
  }
  office_ = std::make_unique<Office>(*store_, *audit_, issuer, config_.node.name, identity_->key,
                                     config_.grants, writer());
  Result<bool> lists = office_->refresh_revocations(now());
  Status opened = lists ? open_server() : Status(lists.error());
  waiting_ = opened ? "" : opened.error().message;
  if (!opened) log::error("listen-failed", {{"reason", opened.error()}});
  if (opened) log::info("spa-open", {{"issuer", issuer}, {"port", port_}});
  changed_("status");
}

Status Core::open_server() {
  enrolment_ = std::make_unique<EnrolmentService>(*this);
  authentication_ = std::make_unique<AuthenticationService>(*this);
  journal_ = std::make_unique<JournalService>(*this);
  grpc::ServerBuilder builder;
  runtime::configure_server(builder);
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  std::string address = runtime::to_string(config_.listen);
  if (config_.listen.port == 0) address = config_.listen.host + ":0";
  builder.AddListeningPort(address, runtime::tls_server_credentials(config_.node.state_dir),
                           &port_);
  builder.RegisterService(enrolment_.get());
  builder.RegisterService(authentication_.get());
  builder.RegisterService(journal_.get());
  server_ = builder.BuildAndStart();
  if (server_ && port_ != 0) return Ok{};
  server_.reset();
  return make_error(Errc::unavailable, "cannot listen on ", address);
}

Status Core::check_member(const trust::Certificate& caller) const {
  const NodeRecord* node = view().node(caller.name);
  bool member = node != nullptr && node->role == caller.role && node->key == caller.key &&
                node->node_id == caller.node.value;
  if (member) return Ok{};
  return make_error(Errc::denied, caller.name, " is not a member of ", view().domain,
                    " under this key");
}

std::vector<Bytes> Core::revocations() const {
  std::vector<Bytes> lists;
  for (const auto& [key, object] : view().objects) {
    if (key.rfind("revocation/", 0) == 0) lists.push_back(object);
  }
  if (office_ && !writer()) {
    for (const auto& [key, object] : office_->own_lists()) lists.push_back(object);
  }
  return lists;
}

Result<std::uint64_t> Core::edit(
    const std::string& actor, const std::string& action, const std::string& object,
    const std::function<Result<Changes>(const View&, Moment)>& make) {
  if (!writer()) {
    return make_error(Errc::conflict, config_.node.name,
                      " is a read replica: edit the registry at the writer, ", writer_address());
  }
  std::uint64_t time = now();
  Result<Changes> changes = make(view(), {time, store_->position() + 1});
  if (!changes) {
    (void)audit_->append({0, time, actor, action, object, to_string(changes.error().code),
                          changes.error().message});
    return changes.error();
  }
  Status done = store_->commit(*changes, time, [&] {
    Status step = audit_->append({0, time, actor, action, object, "done", ""});
    for (const Change& c : *changes) {
      if (step && c.kind == "node" && !c.value) step = registrar_->void_tokens(c.key);
    }
    return step;
  });
  if (!done) return done.error();
  log::info("registry-edited", {{"action", action}, {"object", object}});
  std::uint64_t position = store_->position();
  registry_changed();
  return position;
}

void Core::registry_changed() {
  std::uint64_t time = now();
  Result<bool> signed_new = registrar_ ? registrar_->refresh_authority(time) : Result<bool>(false);
  if (signed_new && office_) signed_new = office_->refresh_revocations(time);
  if (!signed_new) log::error("signing-failed", {{"reason", signed_new.error()}});
  try_open();
  if (authentication_) authentication_->push();
  if (journal_ && writer()) journal_->push();
  for (const char* topic : {"nodes", "prefixes", "issuers", "journal", "tokens", "grants",
                            "parameters"}) {
    changed_(topic);
  }
}

void Core::renew_self() {
  if (runtime::until_renewal(identity_->certificate, now()) > Duration{}) return;
  Result<Root> root = open_root(config_, *store_, now());
  Result<runtime::Identity> identity =
      root ? own_identity(config_, *store_, *registrar_, *root, now())
           : Result<runtime::Identity>(root.error());
  if (!identity) {
    return log::warning("certificate-renewal-failed", {{"reason", identity.error()}});
  }
  identity_ = std::move(*identity);
  log::info("certificate-renewed", {{"serial", identity_->certificate.serial}});
}

void Core::every_minute() {
  minute_.expires_after(std::chrono::minutes(1));
  minute_.async_wait([this](boost::system::error_code error) {
    if (error) return;
    if (registrar_) renew_self();
    if (office_) {
      Status done = office_->expire(now());
      if (!done) log::error("registry-failed", {{"reason", done.error()}});
      registry_changed();  // lists shrink as what they name expires
    }
    every_minute();
  });
}

Result<std::string> Core::reload(const Config& config) {
  auto fixed = [](const Config& c) {
    return std::make_tuple(c.node, c.domain, c.listen, c.advertise, c.writer, c.enrol);
  };
  if (fixed(config) != fixed(config_)) {
    return make_error(Errc::unsupported,
                      "node, domain, listen, advertise, writer and enrol change only by a restart");
  }
  // First what can fail. A replica has no registrar, and no limits of its own.
  Result<bool> limits = registrar_ ? sign_limits(config.limits) : Result<bool>(false);
  if (!limits) return with_context("limits", limits.error());
  std::string changes;
  auto changed = [&changes](bool yes, const char* what) {
    if (yes) changes += std::string(changes.empty() ? "" : ", ") + what;
  };
  changed(config.grants != config_.grants, "grants");
  changed(config.identities != config_.identities, "identities");
  changed(*limits, "limits");
  config_ = config;
  if (office_) office_->set_policy(config.grants);
  if (registrar_) registrar_->set_policy(config.identities);
  if (*limits) registry_changed();
  return changes;
}

void Core::stop(std::function<void()> done) {
  minute_.cancel();
  identity_agent_.reset();
  renewer_.reset();
  follower_.reset();
  if (!server_) return done();
  authentication_->close();
  journal_->close();
  // Shutdown waits for calls that this thread must still answer.
  auto work = boost::asio::make_work_guard(io_);
  std::thread([this, work, done = std::move(done)] {
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(2));
    boost::asio::post(io_, [this, done] {
      server_.reset();
      done();
    });
  }).detach();
}

}  // namespace dmsc::spad
