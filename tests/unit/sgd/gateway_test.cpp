// The gateway as the daemon skeleton sees it: a real node without neighbours, real sockets, no
// pods' TUN.
#include "sgd/gateway.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/files.hpp"
#include "dmsc/runtime/identity.hpp"
#include "tests/unit/runtime/temporary.hpp"
#include "tests/unit/trust/domain.hpp"

using namespace dmsc;
using namespace dmsc::sgd;

namespace {

struct FakeDaemon : runtime::Daemon {
  explicit FakeDaemon(runtime::NodeSection section)
      : section_(std::move(section)), inspect_(io_, "sgd", section_.name) {}
  boost::asio::io_context& io() override { return io_; }
  runtime::InspectServer& inspect() override { return inspect_; }
  runtime::Metrics& metrics() override { return metrics_; }
  const runtime::NodeSection& node() const override { return section_; }
  void status(const std::string& text) override { status_text = text; }
  void ready() override { is_ready = true; }
  void watch(std::string name, std::function<bool()> alive) override { probes[name] = alive; }
  void status_details(std::function<runtime::Json()> f) override { details = std::move(f); }
  void request_stop(int) override {}

  bool run_until(const std::function<bool()>& condition) {
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition() && std::chrono::steady_clock::now() < end) {
      io_.run_one_for(std::chrono::milliseconds(20));
      io_.restart();
    }
    return condition();
  }

  std::string status_text;
  bool is_ready = false;
  std::map<std::string, std::function<bool()>> probes;
  std::function<runtime::Json()> details;

 private:
  boost::asio::io_context io_;
  runtime::NodeSection section_;
  runtime::InspectServer inspect_;
  runtime::Metrics metrics_;
};

// The identity of sg-4 on disk, valid now.
runtime::Identity identity() {
  const DomainTime now{runtime::wall_seconds()};
  crypto::SigningKey root_key = test::key_of(200);
  auto root = *trust::parse_certificate(
      *trust::issue_root("fig2.dmsc", root_key, {now.seconds - 86400}, now + 86400));
  trust::CertificateRequest r;
  r.domain = "fig2.dmsc";
  r.role = "sg";
  r.name = "sg-4";
  r.node = NodeId{4};
  r.key = test::key_of(4).public_key();
  r.serial = 2;
  r.not_before = root.not_before;
  r.not_after = root.not_after;
  runtime::Identity id{test::key_of(4), {}, root, DomainId{42}, {}, {}, {}, {}, {}, {}, now};
  id.certificate = *trust::parse_certificate(*trust::issue_certificate(r, root_key, root));
  id.link_keys.add(1, crypto::Key32{7});
  id.link_keys.set_active(1);
  return id;
}

struct Fixture {
  TemporaryDirectory dir;
  Config config = make_config();
  FakeDaemon daemon{config.router.node};
  std::unique_ptr<runtime::Service<Config>> gateway;

  static inline std::string more;  // of the configuration
  Config make_config() const {
    auto document = runtime::ConfigDocument::parse(
        more + "node: {name: sg-4, state_dir: " + dir.path() + "/state, run_dir: " + dir.path() +
            "/run}\nservices_dir: " + dir.path() + "/services.d\n",
        "sgd.yaml");
    Config read = read_config(document->root());
    REQUIRE(document->ok());
    return read;
  }
  Fixture() {
    REQUIRE(runtime::save_identity(config.router.node.state_dir, identity()));
    auto started = Gateway::start(daemon, config);
    INFO((started ? "" : started.error().message));
    REQUIRE(started);
    gateway = std::move(*started);
  }
  ~Fixture() { gateway.reset(); }
  runtime::Json status() { return daemon.details(); }
};

bool is_socket(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 && S_ISSOCK(st.st_mode);
}

}  // namespace

TEST_CASE("gateway: start opens both of the pods' sockets, watches its workers and becomes ready") {
  Fixture f;
  CHECK(is_socket(f.dir.path() + "/run/pod.sock"));
  CHECK(is_socket(f.dir.path() + "/run/message.sock"));
  CHECK(f.daemon.probes.count("worker-0") == 1);
  // Alone it has nothing to wait for: the 10 s after which it is ready in any case are for who has
  // links.
  const Time begun = runtime::now();
  REQUIRE(f.daemon.run_until([&] { return f.daemon.is_ready; }));
  CHECK(runtime::now() - begun < seconds(8));
  CHECK(f.daemon.probes.at("worker-0")());
  CHECK(f.daemon.status_text.find("0 of 0 neighbours up") != std::string::npos);
}

TEST_CASE("gateway: payload is sealed unless told otherwise, and status says which") {
  {
    Fixture f;
    CHECK(f.config.router.dataplane.security == runtime::PayloadSecurity::sealed);
    CHECK(f.config.router.dataplane.unsealed == runtime::UnsealedPolicy::refuse);
    CHECK(f.status().value("payload_security", "") == "payload sealed");
    CHECK(f.daemon.status_text.find("payload sealed") != std::string::npos);
    Config other = f.config;
    other.router.dataplane.security = runtime::PayloadSecurity::none;
    auto reloaded = f.gateway->reload(other);
    REQUIRE_FALSE(reloaded);
    CHECK(reloaded.error().message.find("dataplane.security") != std::string::npos);
  }
  Fixture::more = "dataplane: {security: none}\n";
  {
    Fixture f;
    CHECK(f.status().value("payload_security", "") == "PAYLOAD IN CLEAR: dataplane.security is none");
    CHECK(f.daemon.status_text.find("PAYLOAD IN CLEAR") != std::string::npos);
  }
  Fixture::more.clear();
}

TEST_CASE("gateway: drain is told in status and ends with undrain") {
  Fixture f;
  std::optional<Result<std::string>> drained, undrained;
  f.gateway->drain({.hard = true, .link = "", .reason = "maintenance"},
                   [&](Result<std::string> answer) { drained = std::move(answer); });
  REQUIRE(f.daemon.run_until([&] { return drained.has_value(); }));
  INFO((*drained ? drained->value() : drained->error().message));
  REQUIRE(*drained);
  CHECK(drained->value().find("undrain") != std::string::npos);
  REQUIRE(f.daemon.run_until([&] { return f.daemon.status_text.find("drained") == 0; }));
  f.gateway->undrain("", [&](Result<std::string> answer) { undrained = std::move(answer); });
  REQUIRE(f.daemon.run_until([&] { return undrained.has_value(); }));
  REQUIRE(*undrained);
  REQUIRE(f.daemon.run_until([&] { return f.daemon.status_text.find("drained") != 0; }));
}

TEST_CASE("gateway: reload takes what can change and refuses what cannot, changing nothing") {
  Fixture f;
  Config zone = f.config;
  zone.edge.zone = "other.zone";
  auto refused = f.gateway->reload(zone);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("names.zone change only by a restart") != std::string::npos);
  Config name = f.config;
  name.router.node.name = "sg-9";
  refused = f.gateway->reload(name);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("cannot change without a restart") != std::string::npos);
  Config grace = f.config;
  grace.grace = seconds(7);
  auto taken = f.gateway->reload(grace);
  REQUIRE(taken);
  CHECK(taken->find("taken over") == 0);
}

TEST_CASE("gateway: stop ends within the drain's second and lets go of the sockets") {
  Fixture f;
  bool done = false;
  f.gateway->stop(runtime::StopReason::drain, [&] { done = true; });
  REQUIRE(f.daemon.run_until([&] { return done; }));
  f.gateway.reset();
  // The same directories serve the next start at once.
  auto again = Gateway::start(f.daemon, f.config);
  INFO((again ? "" : again.error().message));
  REQUIRE(again);
  f.gateway = std::move(*again);
}

TEST_CASE("gateway: an identity that does not fit together ends the start with its file's name") {
  Fixture f;
  f.gateway.reset();
  const std::string file =
      runtime::identity_directory(f.config.router.node.state_dir) + "/cert.pem";
  REQUIRE(runtime::write_file_atomically(file, "no certificate"));
  auto started = Gateway::start(f.daemon, f.config);
  REQUIRE_FALSE(started);
  CHECK(started.error().message.find("cert.pem") != std::string::npos);
}
