// The registrar between pods (drop-ins, pod.sock), the SPA (played by the test) and the node.
#include "sgd/registrar.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <mutex>

#include "dmsc/client/gateway.hpp"
#include "dmsc/runtime/files.hpp"
#include "tests/unit/runtime/temporary.hpp"
#include "tests/unit/sgd/fake_node.hpp"

using namespace dmsc;
using namespace dmsc::sgd;
using dmsc::test::Domain;
using dmsc::test::FakeNode;

namespace {

struct Fixture {
  TemporaryDirectory dir;
  Domain domain;
  FakeNode node{domain};
  IdentityResolver identities{std::vector<NamespacePath>{}};
  Config config;
  std::vector<GatewayViewPtr> views;
  std::unique_ptr<Registrar> registrar;
  std::uint64_t serial = 1;

  Fixture() {
    config.grace = milliseconds(300);
    config.services_dir = dir.path() + "/services.d";
    REQUIRE(runtime::make_directory(config.services_dir, 0755));
    auto ids = InstanceIds::open("", 100);
    REQUIRE(ids);
    registrar = std::make_unique<Registrar>(
        node, config, identities, std::move(*ids), [this](GatewayViewPtr v) {
          node.told.push_back("view " + std::to_string(v->instances.size()));
          views.push_back(std::move(v));
        });
  }
  ~Fixture() { registrar->stop(); }

  void drop_in(const std::string& file, const std::string& text) {
    REQUIRE(runtime::write_file_atomically(config.services_dir + "/" + file, text));
  }
  void start() { REQUIRE(registrar->start(dir.path() + "/pod.sock")); }
  bool asked(std::size_t count) {
    return node.run_until([&] { return node.questions.size() >= count; });
  }
  void yes(std::size_t question) {
    auto& q = node.questions.at(question);
    wire::Grant grant = domain.grant(4, q.request.prefix.text().c_str());
    grant.header.serial = ++serial;
    grant.identity = q.request.pod_identity;
    q.done(node::AuthenticationAnswer{wire::sign(grant, domain.issuer_key), "", "", "spa-1"});
  }
  node::Json row(const std::string& prefix) const {
    for (const node::Json& row : registrar->pods({})) {
      if (row["prefix"] == prefix) return row;
    }
    return {};
  }
};

const char* kWeb =
    "services:\n  - {identity: 'unit:web', prefix: B/4, endpoint: '127.0.0.1:8080'}\n";

// A program on pod.sock and what it was told.
struct Pod {
  std::mutex mutex;
  std::map<std::string, std::string> states;
  std::unique_ptr<client::Gateway> gateway;
  explicit Pod(const std::string& dir) {
    client::Options options;
    options.socket_dir = dir;
    gateway = std::make_unique<client::Gateway>(options);
    gateway->on_status([this](const client::AnnouncementStatus& status) {
      std::lock_guard lock(mutex);
      states[status.prefix] = std::string(client::to_string(status.state)) + " " + status.reason;
    });
  }
  std::string state(const std::string& prefix) {
    std::lock_guard lock(mutex);
    return states[prefix];
  }
};

}  // namespace

TEST_CASE(
    "R15 registrar: a drop-in is asked for in its own name, and nothing is told before the grant") {
  Fixture f;
  f.drop_in("web.yaml", kWeb);
  f.start();
  REQUIRE(f.asked(1));
  CHECK(f.node.questions[0].request.pod_identity == "unit:web");
  CHECK(f.node.questions[0].request.prefix.text() == "B/4");
  CHECK(f.node.prefixes.empty());
  CHECK(f.row("B/4")["state"] == "pending");
  f.node.told.clear();
  f.yes(0);
  // The data paths first, then the grant, then the prefix that needs it.
  CHECK(f.node.told == std::vector<std::string>{"view 1", "grants 1", "prefixes 1"});
  CHECK(f.node.prefixes[0].name.text() == "B/4");
  CHECK(f.row("B/4")["state"] == "granted");
  CHECK(f.row("B/4")["lease"] == "drop-in");
  REQUIRE(f.views.back()->instances.size() == 1);
  CHECK(f.views.back()->callers.at("unit:web").size() == 1);
  CHECK(f.registrar->counters()["announcements_granted"] == 1);
}

TEST_CASE("R14 registrar: a refusal is shown with its reason and originates nothing") {
  Fixture f;
  f.drop_in("web.yaml", kWeb);
  f.start();
  REQUIRE(f.asked(1));
  f.node.questions[0].done(
      node::AuthenticationAnswer{{}, "not_owner", "B/4 is owned by pod-4", "spa-1"});
  CHECK(f.node.prefixes.empty());
  CHECK(f.row("B/4")["state"] == "refused");
  CHECK(std::string(f.row("B/4")["reason"]).find("B/4 is owned by pod-4") != std::string::npos);
  CHECK(f.registrar->counters()["announcements_refused"] == 1);
}

TEST_CASE("registrar: without an SPA an announcement waits with the reason and asks again") {
  Fixture f;
  f.drop_in("web.yaml", kWeb);
  f.start();
  REQUIRE(f.asked(1));
  f.node.questions[0].done(make_error(Errc::unavailable, "no SPA answers: spa-1: refused"));
  CHECK(f.row("B/4")["state"] == "pending");
  CHECK(std::string(f.row("B/4")["reason"]).find("no SPA answers") != std::string::npos);
  CHECK(f.registrar->counters()["spa_unanswered"] == 1);
  REQUIRE(f.asked(2));
  f.yes(1);
  CHECK(f.row("B/4")["state"] == "granted");
}

TEST_CASE("registrar: reload withdraws what left services_dir; a wrong file changes nothing") {
  Fixture f;
  f.drop_in("web.yaml", kWeb);
  f.start();
  REQUIRE(f.asked(1));
  f.yes(0);
  f.drop_in("wrong.yaml",
            "services:\n  - {identity: nobody, prefix: B/5, endpoint: '127.0.0.1:1'}\n");
  auto refused = f.registrar->reload(f.config);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("wrong.yaml:2:") != std::string::npos);
  CHECK(f.node.prefixes.size() == 1);
  CHECK(::unlink((f.config.services_dir + "/wrong.yaml").c_str()) == 0);
  CHECK(::unlink((f.config.services_dir + "/web.yaml").c_str()) == 0);
  REQUIRE(f.registrar->reload(f.config));
  CHECK(f.node.prefixes.empty());
  CHECK(f.views.back()->instances.empty());
}

TEST_CASE("R15 registrar: a revoked grant withdraws its prefix at once and asks again") {
  Fixture f;
  f.drop_in("web.yaml", kWeb);
  f.start();
  REQUIRE(f.asked(1));
  f.yes(0);
  REQUIRE(f.node.prefixes.size() == 1);
  wire::Revocation list;
  list.header = f.domain.header(2, 90);
  list.grants = {{2, f.serial}};
  REQUIRE(f.node.store.learn_object(wire::sign(list, f.domain.issuer_key)));
  auto listeners = f.node.trust_listeners;
  for (auto& [id, listener] : listeners) listener();
  CHECK(f.node.prefixes.empty());
  REQUIRE(f.asked(2));
  CHECK(f.row("B/4")["state"] == "pending");
}

TEST_CASE("R36 registrar: draining keeps the instances and takes their capacity") {
  Fixture f;
  f.drop_in("web.yaml", kWeb);
  f.start();
  REQUIRE(f.asked(1));
  f.yes(0);
  CHECK(f.node.prefixes[0].instances[0].capacity == 100);
  f.registrar->set_draining(true, "maintenance");
  REQUIRE(f.node.prefixes.size() == 1);
  CHECK(f.node.prefixes[0].instances[0].capacity == 0);
  f.registrar->set_draining(false, "");
  CHECK(f.node.prefixes[0].instances[0].capacity == 100);
}

TEST_CASE("R10 registrar: what a pod withdraws or leaves behind is originated no more") {
  Fixture f;
  f.start();
  {
    Pod pod(f.dir.path());
    pod.gateway->announce({.prefix = "A/1"});
    pod.gateway->announce({.prefix = "A/2"});
    REQUIRE(f.asked(2));
    CHECK(f.node.questions[0].request.pod_identity == "uid:" + std::to_string(::getuid()));
    f.yes(0);
    f.yes(1);
    REQUIRE(f.node.run_until(
        [&] { return pod.state("A/1") == "granted " && pod.state("A/2") == "granted "; }));
    CHECK(f.row("A/1")["lease"] == "held");
    pod.gateway->withdraw("A/2");
    REQUIRE(f.node.run_until([&] { return f.node.prefixes.size() == 1; }));
    CHECK(f.node.prefixes[0].name.text() == "A/1");
    // The destructor withdraws the rest; the gateway hears it afterwards.
  }
  REQUIRE(f.node.run_until(
      [&] { return f.node.prefixes.empty() && f.registrar->counters()["streams_open"] == 0; }));
}

TEST_CASE("registrar: stopped, it forgets its listeners and late answers do nothing") {
  Fixture f;
  f.drop_in("web.yaml", kWeb);
  f.start();
  REQUIRE(f.asked(1));
  f.registrar->stop();
  CHECK(f.node.trust_listeners.empty());
  CHECK(f.node.lsdb_listeners.empty());
  f.yes(0);
  CHECK(f.node.prefixes.empty());
}
