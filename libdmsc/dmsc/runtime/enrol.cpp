#include "dmsc/runtime/enrol.hpp"

#include <dmsc/v1/enrolment.grpc.pb.h>

#include <unistd.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <thread>

#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/files.hpp"
#include "dmsc/runtime/grpc_status.hpp"
#include "dmsc/runtime/grpc_tls.hpp"
#include "dmsc/runtime/log.hpp"

namespace dmsc::runtime {

namespace {

constexpr Duration kAttempt = seconds(5);
constexpr Duration kLookAgain = std::chrono::hours(1);
constexpr Duration kPauseFirst = milliseconds(200), kPauseMost = seconds(2);

std::string raw(ByteView b) { return std::string(as_text(b)); }
Bytes raw(const std::string& s) { return to_bytes(as_bytes(s)); }

Result<std::vector<Endpoint>> endpoints(const google::protobuf::RepeatedPtrField<std::string>& in) {
  std::vector<Endpoint> out;
  for (const std::string& text : in) {
    Result<Endpoint> e = parse_endpoint(text, kSpaPort);
    if (!e) return e.error();
    out.push_back(*e);
  }
  return out;
}

Status fill_link_keys(const v1::EnrolReply& reply, Identity& id) {
  for (const v1::LinkKey& item : reply.link_keys()) {
    crypto::Key32 key;
    if (item.secret().size() != key.size() || item.id() > 0xffff) {
      return make_error(Errc::invalid, "enrolment reply: link key ", std::to_string(item.id()));
    }
    std::copy(item.secret().begin(), item.secret().end(), key.begin());
    id.link_keys.add(static_cast<std::uint16_t>(item.id()), key);
  }
  id.link_keys.set_active(static_cast<std::uint16_t>(reply.active_link_key()));
  return Ok{};
}

// The reply as an identity; `root` is the one we trust, not what the reply says.
Result<Identity> to_identity(const v1::EnrolReply& reply, const crypto::SigningKey& key,
                             const trust::Certificate& root) {
  Result<trust::Certificate> cert = trust::parse_certificate(as_bytes(reply.certificate()));
  if (!cert) return with_context("enrolment reply", cert.error());
  if (!trust::issued_by(*cert, root) || cert->key != key.public_key()) {
    return make_error(Errc::invalid, "enrolment reply: certificate of another key or root");
  }
  Identity id{key, *cert, root, DomainId{reply.domain_id()}, {}, {}, {}, {}, {}, {}, {}};
  Status keys = fill_link_keys(reply, id);
  if (!keys) return keys.error();
  Result<std::vector<Endpoint>> spas = endpoints(reply.spas()), scscs = endpoints(reply.scscs());
  if (!spas) return spas.error();
  if (!scscs) return scscs.error();
  id.spas = *spas;
  id.scscs = *scscs;
  id.authority = raw(reply.authority());
  id.parameters = raw(reply.parameters());
  for (const std::string& r : reply.revocations()) id.revocations.push_back(raw(r));
  id.domain_time.seconds = reply.domain_time();
  return id;
}

void set_deadline(grpc::ClientContext& context, Duration timeout) {
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::duration_cast<std::chrono::microseconds>(timeout));
}

}  // namespace

Result<Identity> enrol(const Endpoint& spa, const JoinToken& token, const crypto::SigningKey& key,
                       Duration timeout) {
  Result<Bytes> der = fetch_root(spa, token.root_fingerprint, timeout);
  if (!der) return der.error();
  Result<trust::Certificate> root = trust::parse_certificate(*der);
  if (!root) return root.error();
  v1::EnrolRequest request;
  request.set_token_secret(token.secret);
  request.set_public_key(raw(ByteView(key.public_key())));
  request.set_proof(raw(ByteView(key.sign(enrol_proof_text(token.secret)))));
  auto stub = v1::Enrolment::NewStub(
      tls_channel(to_string(spa), "spa", root->domain, tls_anonymous_credentials(*der)));
  grpc::ClientContext context;
  set_deadline(context, timeout);
  v1::EnrolReply reply;
  grpc::Status status = stub->Enrol(&context, request, &reply);
  if (!status.ok()) return with_context(to_string(spa), from_grpc(status));
  return to_identity(reply, key, *root);
}

Result<Identity> renew(const Endpoint& spa, const Identity& current, Duration timeout) {
  v1::RenewRequest request;
  request.set_public_key(raw(ByteView(current.key.public_key())));
  request.set_proof(raw(ByteView(current.key.sign(renew_proof_text(current.certificate.name)))));
  auto stub = v1::Enrolment::NewStub(tls_channel(
      to_string(spa), "spa", current.certificate.domain, tls_client_credentials(current)));
  grpc::ClientContext context;
  set_deadline(context, timeout);
  v1::EnrolReply reply;
  grpc::Status status = stub->Renew(&context, request, &reply);
  if (!status.ok()) return with_context(to_string(spa), from_grpc(status));
  Result<Identity> id = to_identity(reply, current.key, current.root);
  if (id && trust::spiffe_uri(id->certificate) != trust::spiffe_uri(current.certificate)) {
    return make_error(Errc::invalid, "renewal gave the identity of somebody else");
  }
  return id;
}

namespace {

Status check_expected(const Identity& id, std::string_view name, std::string_view role) {
  if (id.certificate.name == name && id.certificate.role == role) return Ok{};
  return make_error(Errc::conflict, "the identity is ", trust::spiffe_uri(id.certificate),
                    ", the configuration says role ", role, ", name ", name);
}

Result<JoinToken> read_token(const EnrolSection& section) {
  if (section.token_file.empty() || section.spa.empty()) {
    return make_error(Errc::invalid, "no identity yet, and enrol: names no spa or no token_file");
  }
  Result<std::string> text = read_file(section.token_file, 4096);
  if (!text) return text.error();
  return parse_join_token(*text);
}

// Waiting helps when nobody answered, not when somebody said no.
bool worth_waiting(Errc code) {
  return code == Errc::unavailable || code == Errc::deadline || code == Errc::not_found;
}

// The key this node will enrol, kept from attempt to attempt until the identity is complete.
Result<crypto::SigningKey> joining_key(const std::string& file) {
  Result<std::string> pem = read_file(file);
  if (pem) return trust::parse_private_key_pem(*pem);
  crypto::SigningKey key(random_array<32>());
  Status kept = write_file_atomically(file, trust::private_key_pem(key), 0600);
  if (!kept) return kept.error();
  return key;
}

// One round over the SPAs. Of several errors one that waiting can change is returned.
Result<Identity> enrol_anywhere(const EnrolSection& section, const crypto::SigningKey& key) {
  Result<JoinToken> token = read_token(section);  // read anew: the file may come later than we
  if (!token) return token.error();
  Error last;
  for (const Endpoint& spa : section.spa) {
    Result<Identity> id = enrol(spa, *token, key, kAttempt);
    if (id) return id;
    if (last.message.empty() || !worth_waiting(last.code)) last = id.error();
  }
  return last;
}

}  // namespace

Result<Identity> obtain_identity(const std::string& state_dir, const EnrolSection& section,
                                 std::string_view name, std::string_view role,
                                 const std::function<bool(const Error&)>& waiting) {
  Result<Identity> held = load_identity(state_dir);
  if (held || held.error().code != Errc::not_found) {
    Status fits = held ? check_expected(*held, name, role) : Status(held.error());
    return fits ? held : Result<Identity>(fits.error());
  }
  Duration pause = kPauseFirst;
  Status made = make_directory(identity_directory(state_dir), 0700);
  if (!made) return made.error();
  std::string key_file = identity_directory(state_dir) + "/joining-key.pem";
  Result<crypto::SigningKey> key = joining_key(key_file);
  if (!key) return key.error();
  while (true) {
    Result<Identity> id = enrol_anywhere(section, *key);
    if (id) {
      Status fits = check_expected(*id, name, role);
      if (fits) fits = save_identity(state_dir, *id);
      if (fits) ::unlink(key_file.c_str());
      return fits ? id : Result<Identity>(fits.error());
    }
    if (!worth_waiting(id.error().code)) return id;
    if (!waiting(id.error())) {
      return make_error(Errc::unavailable, "enrolment given up: ", id.error().message);
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, kPauseMost);
  }
}

Duration until_renewal(const trust::Certificate& c, std::uint64_t wall_seconds) {
  std::uint64_t life = c.not_after.seconds - c.not_before.seconds;
  std::uint64_t due = c.not_before.seconds + life / 3 * 2;
  return due <= wall_seconds ? Duration{} : Duration(seconds(due - wall_seconds));
}

IdentityAgent::IdentityAgent(boost::asio::io_context& io, std::string state_dir,
                             EnrolSection section, std::string name, std::string role,
                             std::function<void(const Error&)> waiting,
                             std::function<void(Result<Identity>)> done) {
  auto work = boost::asio::make_work_guard(io);
  thread_ = std::thread([&io, alive = alive_, work, state_dir = std::move(state_dir),
                         section = std::move(section), name = std::move(name),
                         role = std::move(role), waiting = std::move(waiting),
                         done = std::move(done)] {
    auto wait = [&](const Error& error) {
      boost::asio::post(io, [alive, waiting, error] {
        if (*alive) waiting(error);
      });
      return alive->load();
    };
    Result<Identity> id = obtain_identity(state_dir, section, name, role, wait);
    boost::asio::post(io, [alive, done, id] {
      if (*alive) done(id);
    });
  });
}

IdentityAgent::~IdentityAgent() {
  *alive_ = false;
  if (thread_.joinable()) thread_.join();
}

CertificateRenewer::CertificateRenewer(boost::asio::io_context& io, std::string state_dir,
                                       Identity identity,
                                       std::function<std::vector<Endpoint>()> spas,
                                       std::function<void(const Identity&)> renewed)
    : io_(io),
      state_dir_(std::move(state_dir)),
      identity_(std::move(identity)),
      spas_(std::move(spas)),
      renewed_(std::move(renewed)),
      timer_(io) {
  schedule(until_renewal(identity_.certificate, wall_seconds()));
}

CertificateRenewer::~CertificateRenewer() {
  *alive_ = false;
  if (attempt_.joinable()) attempt_.join();
}

void CertificateRenewer::schedule(Duration in) {
  // The wall clock may be set in between: look again at least every hour.
  timer_.expires_after(std::min<Duration>(in, kLookAgain));
  timer_.async_wait([this, alive = alive_](boost::system::error_code error) {
    if (error || !*alive) return;
    Duration left = until_renewal(identity_.certificate, wall_seconds());
    left > Duration{} ? schedule(left) : attempt();
  });
}

// The blocking calls run on a thread of their own; only their result touches this object.
void CertificateRenewer::attempt() {
  if (attempt_.joinable()) attempt_.join();  // it has posted its result long ago
  attempt_ = std::thread([this, alive = alive_, current = identity_, spas = spas_()] {
    Result<Identity> result = make_error(Errc::unavailable, "no SPA is known");
    for (const Endpoint& spa : spas) {
      if (!*alive) return;
      result = renew(spa, current, kAttempt);
      if (result) break;
    }
    boost::asio::post(io_, [this, alive, result = std::move(result)] {
      if (*alive) finish(result);
    });
  });
}

void CertificateRenewer::finish(const Result<Identity>& result) {
  Status stored = result ? save_identity(state_dir_, *result) : Status(result.error());
  if (!stored) {
    log::warning("certificate-renewal-failed", {{"reason", stored.error()}});
    std::uint64_t life =
        identity_.certificate.not_after.seconds - identity_.certificate.not_before.seconds;
    return schedule(std::clamp<Duration>(seconds(life / 50), seconds(1), kLookAgain));
  }
  identity_ = *result;
  log::info("certificate-renewed", {{"serial", identity_.certificate.serial}});
  renewed_(identity_);
  schedule(until_renewal(identity_.certificate, wall_seconds()));
}

}  // namespace dmsc::runtime
