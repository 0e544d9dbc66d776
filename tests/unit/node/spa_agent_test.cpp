// The agent to the SPAs against fake ones on loopback TCP.
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "dmsc/node/spa_agent.hpp"
#include "dmsc/v1/authentication.grpc.pb.h"

using namespace dmsc;
using namespace dmsc::node;

namespace {

class FakeSpa final : public v1::Authentication::Service {
 public:
  explicit FakeSpa(std::string name) : name_(std::move(name)) { start(0); }
  ~FakeSpa() override { stop(); }
  void start(int port) {
    stopping = false;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    REQUIRE(server_ != nullptr);
  }
  void stop() {
    stopping = true;
    if (server_) server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
    server_.reset();
  }
  void restart() { start(port_); }
  ServiceTarget target() const { return {"127.0.0.1", static_cast<std::uint16_t>(port_)}; }

  grpc::Status Follow(grpc::ServerContext* context, const v1::FollowRequest*,
                      grpc::ServerWriter<v1::TrustUpdate>* writer) override {
    v1::TrustUpdate update;
    update.set_spa(name_);
    update.set_domain_time(1000);
    update.set_authority("authority");
    auto* key = update.add_link_keys();
    key->set_id(3);
    key->set_secret(std::string(32, 'k'));
    auto* bad = update.add_link_keys();
    bad->set_id(4);
    bad->set_secret("short");
    update.set_active_link_key(3);
    if (!mute) writer->Write(update);
    while (!stopping && !context->IsCancelled()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return {grpc::StatusCode::UNAVAILABLE, "going"};
  }
  grpc::Status Authenticate(grpc::ServerContext*, const v1::AuthenticateRequest* request,
                            v1::AuthenticateReply* reply) override {
    ++asked;
    if (refuse_calls) return {grpc::StatusCode::UNAVAILABLE, "database closed"};
    if (request->prefix() == "B/4") reply->set_grant("grant for " + request->pod_identity());
    else {
      reply->set_refusal_code("not_owner");
      reply->set_refusal("B belongs to others");
    }
    return grpc::Status::OK;
  }

  std::atomic<bool> stopping{false}, mute{false}, refuse_calls{false};
  std::atomic<int> asked{0};

 private:
  std::string name_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

struct Harness {
  boost::asio::io_context io;
  std::vector<TrustNews> news;
  std::vector<std::string> events;
  SpaAgent agent;
  Harness()
      : agent(io,
              [](const ServiceTarget& t) {
                grpc::ChannelArguments arguments;
                arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
                arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
                arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
                return grpc::CreateCustomChannel(t.host + ":" + std::to_string(t.port),
                                                 grpc::InsecureChannelCredentials(), arguments);
              },
              {[this](const TrustNews& n) { news.push_back(n); },
               [this](const std::string& spa, bool up, const std::string&) {
                 events.push_back((up ? "+" : "-") + spa);
               }}) {}
  bool run_until(const std::function<bool()>& condition) {
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition() && std::chrono::steady_clock::now() < end) {
      io.run_one_for(std::chrono::milliseconds(20));
      io.restart();
    }
    return condition();
  }
  Result<AuthenticationAnswer> ask(const std::string& prefix) {
    std::optional<Result<AuthenticationAnswer>> answer;
    agent.authenticate({"pod:pod-4", *Name::parse(prefix), false, false}, seconds(5),
                       [&](Result<AuthenticationAnswer> a) { answer.emplace(std::move(a)); });
    REQUIRE(run_until([&] { return answer.has_value(); }));
    return *answer;
  }
};

std::string text(const FakeSpa& spa) {
  return "127.0.0.1:" + std::to_string(spa.target().port);
}

}  // namespace

TEST_CASE("SPA agent: the stream's first message is news; keys of a wrong size are left out") {
  FakeSpa one("spa-1");
  Harness h;
  h.agent.set_targets({one.target()});
  REQUIRE(h.run_until([&] { return !h.news.empty(); }));
  CHECK(h.agent.connected() == text(one));
  CHECK(h.news[0].spa == "spa-1");
  CHECK(h.news[0].domain_time == DomainTime{1000});
  REQUIRE(h.news[0].signed_objects.size() == 1);
  REQUIRE(h.news[0].link_keys.size() == 1);
  CHECK(h.news[0].link_keys[0].first == 3);
  CHECK(h.news[0].active_link_key == 3);
}

TEST_CASE("SPA agent: a dead SPA's stream moves to the next one and comes back") {
  FakeSpa one("spa-1"), two("spa-2");
  Harness h;
  h.agent.set_targets({one.target(), two.target()});
  REQUIRE(h.run_until([&] { return h.agent.connected() == text(one); }));
  one.stop();
  REQUIRE(h.run_until([&] { return h.agent.connected() == text(two); }));
  two.stop();
  REQUIRE(h.run_until([&] { return h.agent.connected().empty(); }));
  one.restart();
  CHECK(h.run_until([&] { return h.agent.connected() == text(one); }));
}

TEST_CASE("SPA agent: an SPA that accepts but never speaks is passed over") {
  FakeSpa one("spa-1"), two("spa-2");
  one.mute = true;
  Harness h;
  h.agent.set_targets({one.target(), two.target()});
  CHECK(h.run_until([&] { return h.agent.connected() == text(two); }));
}

TEST_CASE("R12 R14 SPA agent: yes is a grant, no is a reasoned refusal") {
  FakeSpa one("spa-1");
  Harness h;
  h.agent.set_targets({one.target()});
  auto yes = h.ask("B/4");
  REQUIRE(yes.ok());
  CHECK(as_text(yes->grant) == "grant for pod:pod-4");
  CHECK(yes->spa == text(one));
  auto no = h.ask("C/1");
  REQUIRE(no.ok());
  CHECK(no->grant.empty());
  CHECK(no->refusal_code == "not_owner");
  CHECK(no->refusal == "B belongs to others");
}

TEST_CASE("SPA agent: authentication asks the next SPA when one cannot answer") {
  FakeSpa one("spa-1"), two("spa-2");
  one.refuse_calls = true;
  Harness h;
  h.agent.set_targets({one.target(), two.target()});
  auto answer = h.ask("B/4");
  REQUIRE(answer.ok());
  CHECK(answer->spa == text(two));
  CHECK(one.asked == 1);
}

TEST_CASE("SPA agent: with every SPA down the answer says what each one said") {
  FakeSpa one("spa-1"), two("spa-2");
  Harness h;
  h.agent.set_targets({one.target(), two.target()});
  one.stop();
  two.refuse_calls = true;
  auto answer = h.ask("B/4");
  REQUIRE_FALSE(answer.ok());
  CHECK(answer.error().code == Errc::unavailable);
  CHECK(answer.error().message.find(text(one)) != std::string::npos);
  CHECK(answer.error().message.find("database closed") != std::string::npos);
}

TEST_CASE("SPA agent: without SPAs the answer is immediate") {
  Harness h;
  auto answer = h.ask("B/4");
  REQUIRE_FALSE(answer.ok());
  CHECK(answer.error().message == "no SPA is configured");
}

TEST_CASE("SPA agent: a list without the SPA now followed ends its stream") {
  FakeSpa one("spa-1"), two("spa-2");
  Harness h;
  h.agent.set_targets({one.target()});
  REQUIRE(h.run_until([&] { return h.agent.connected() == text(one); }));
  h.agent.set_targets({one.target(), two.target()});
  CHECK(h.agent.connected() == text(one));  // kept
  h.agent.set_targets({two.target()});
  CHECK(h.run_until([&] { return h.agent.connected() == text(two); }));
}
