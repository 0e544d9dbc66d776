#include "dmsc/runtime/daemon.hpp"

#include <grpcpp/create_channel.h>
#include <signal.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "dmsc/runtime/files.hpp"
#include "dmsc/v1/inspect.grpc.pb.h"
#include "tests/unit/runtime/notify_socket.hpp"

using namespace dmsc;
using namespace dmsc::runtime;

namespace {

struct Config {
  std::uint64_t answer = 0;
};

struct Log {
  std::vector<std::string> lines;
};

class TestService : public Service<Config> {
 public:
  TestService(Daemon& daemon, Config config, Log& log) : log_(log) {
    log_.lines.push_back("start " + std::to_string(config.answer));
    daemon.status("answering");
    daemon.ready();
  }
  Result<std::string> reload(Config config) override {
    log_.lines.push_back("reload " + std::to_string(config.answer));
    return "answer " + std::to_string(config.answer);
  }
  void stop(StopReason reason, std::function<void()> done) override {
    log_.lines.push_back(reason == StopReason::drain ? "drain" : "restart");
    done();
  }

 private:
  Log& log_;
};

struct Fixture {
  TemporaryDirectory dir;
  std::string file = dir.path() + "/testd.yaml";
  Log log;

  void write(const std::string& answer, const std::string& name = "n-1") {
    REQUIRE(write_file_atomically(file, "node: {name: " + name + ", run_dir: " + dir.path() +
                                            "/run}\nanswer: " + answer + "\n"));
  }
  int run(std::vector<std::string> more) {
    std::vector<std::string> words{"testd", "--config", file};
    words.insert(words.end(), more.begin(), more.end());
    std::vector<char*> argv;
    for (auto& w : words) argv.push_back(w.data());
    DaemonSpec<Config> spec;
    spec.name = "testd";
    spec.summary = "a daemon for tests";
    spec.read = [](const ConfigNode& root) { return Config{root.integer("answer", {1, 2, 99})}; };
    spec.start = [this](Daemon& daemon, Config config) -> Result<std::unique_ptr<Service<Config>>> {
      return std::unique_ptr<Service<Config>>(std::make_unique<TestService>(daemon, config, log));
    };
    return run_daemon<Config>(static_cast<int>(argv.size()), argv.data(), spec);
  }
};

}  // namespace

TEST_CASE("daemon: --check tells good from bad by exit code and starts nothing") {
  Fixture f;
  f.write("42");
  CHECK(f.run({"--check"}) == 0);
  f.write("100");
  CHECK(f.run({"--check"}) == 2);
  CHECK(f.run({"--nonsense"}) == 2);
  CHECK(f.log.lines.empty());
}

TEST_CASE("daemon: READY after start; SIGHUP reloads, a bad file changes nothing; SIGTERM drains") {
  Fixture f;
  NotifySocket manager;
  f.write("42");
  std::thread operator_thread([&] {
    CHECK(manager.wait_for("READY=1") == "READY=1");
    f.write("43");
    ::kill(::getpid(), SIGHUP);
    CHECK(manager.wait_for("RELOADING=1") != "");
    CHECK(manager.wait_for("READY=1") == "READY=1");
    f.write("1000");
    ::kill(::getpid(), SIGHUP);
    CHECK(manager.wait_for("RELOADING=1") != "");
    CHECK(manager.wait_for("READY=1") == "READY=1");
    f.write("44", "renamed");  // needs a restart
    ::kill(::getpid(), SIGHUP);
    CHECK(manager.wait_for("RELOADING=1") != "");
    CHECK(manager.wait_for("READY=1") == "READY=1");
    ::kill(::getpid(), SIGTERM);
    CHECK(manager.wait_for("STOPPING=1") == "STOPPING=1");
  });
  int exit_code = f.run({});
  operator_thread.join();
  CHECK(exit_code == 0);
  CHECK(f.log.lines == std::vector<std::string>{"start 42", "reload 43", "drain"});
}

TEST_CASE("daemon: the watchdog is fed from the loop, and status is a topic") {
  Fixture f;
  NotifySocket manager;
  ::setenv("WATCHDOG_USEC", "200000", 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  f.write("42");
  nlohmann::ordered_json status;
  std::thread operator_thread([&] {
    CHECK(manager.wait_for("READY=1") == "READY=1");
    CHECK(manager.wait_for("WATCHDOG=1") == "WATCHDOG=1");
    CHECK(manager.wait_for("WATCHDOG=1") == "WATCHDOG=1");
    auto stub = v1::Inspect::NewStub(grpc::CreateChannel(
        "unix:" + f.dir.path() + "/run/inspect.sock", grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    v1::ShowRequest request;
    request.set_topic("status");
    v1::ShowReply reply;
    CHECK(stub->Show(&context, request, &reply).ok());
    status = nlohmann::ordered_json::parse(reply.json())["value"];
    ::kill(::getpid(), SIGUSR2);
  });
  int exit_code = f.run({});
  operator_thread.join();
  CHECK(exit_code == 0);
  ::unsetenv("WATCHDOG_USEC");
  ::unsetenv("WATCHDOG_PID");
  CHECK(status["state"] == "ready");
  CHECK(status["status"] == "answering");
  CHECK(status["pid"] == ::getpid());
  CHECK(f.log.lines.back() == "restart");
}

TEST_CASE("daemon: two on one run_dir are refused") {
  Fixture first, second;
  NotifySocket manager;
  first.write("42");
  second.file = first.file;
  int second_exit = -1;
  std::thread operator_thread([&] {
    manager.wait_for("READY=1");
    second_exit = second.run({});
    ::kill(::getpid(), SIGTERM);
  });
  CHECK(first.run({}) == 0);
  operator_thread.join();
  CHECK(second_exit == 1);
  CHECK(second.log.lines.empty());
}
