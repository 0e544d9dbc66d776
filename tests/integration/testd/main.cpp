// A daemon with nothing in it but the skeleton of runtime/daemon.hpp. Its configuration has one key
// of its own, `answer`; its topics show every shape a reply can have.
#include <boost/asio/steady_timer.hpp>
#include <nlohmann/json.hpp>

#include "dmsc/runtime/daemon.hpp"

namespace {

using namespace dmsc;
using namespace dmsc::runtime;

struct Config {
  std::uint64_t answer = 0;
};

class Testd final : public Service<Config> {
 public:
  Testd(Daemon& daemon, Config config) : daemon_(daemon), config_(config), timer_(daemon.io()) {
    daemon.inspect().topic("answers", [this](const Arguments&) -> Result<Json> {
      return Json::array({{{"name", "b"}, {"answer", config_.answer}},
                          {{"name", "a"}, {"answer", config_.answer + 1}}});
    });
    daemon.inspect().topic("explain", [](const Arguments& arguments) -> Result<Json> {
      if (arguments.at(0) == "A/1") return Json{{"name", "A/1"}, {"covering", false}};
      return make_error(Errc::not_found, "no route to '", arguments.at(0), "'");
    });
    daemon.inspect().async_topic(
        "ping", seconds(5), [this](const Arguments& arguments, InspectServer::Done done) {
          timer_.expires_after(milliseconds(5));
          timer_.async_wait([name = arguments.at(0), done](const boost::system::error_code& error) {
            if (error) return;
            bool known = name == "A/1";
            done(Json{{"name", name},
                      {"outcome", known ? "answered" : "timeout"},
                      {"rtt_ms", known ? Json(1.25) : Json()}});
          });
        });
    daemon.status_details([this] {
      return Json{{"answer", config_.answer}, {"drained", drained_}};
    });
    daemon.status("answering");
    daemon.ready();
  }
  Result<std::string> reload(Config config) override {
    if (config.answer == config_.answer) return std::string();
    config_ = config;
    daemon_.inspect().notify_changed("answers");
    return "answer " + std::to_string(config.answer);
  }
  void stop(StopReason, std::function<void()> done) override { done(); }
  void drain(const DrainOrder& order, AdminHandlers::Done done) override {
    if (order.reason == "never") return done(make_error(Errc::denied, "it must not be drained"));
    drained_ = true;
    done(std::string(order.hard ? "drained" : "softly drained") +
         (order.link.empty() ? "" : " link " + order.link) + ": " + order.reason);
  }
  void undrain(const std::string& link, AdminHandlers::Done done) override {
    drained_ = false;
    done(std::string(link.empty() ? "" : "link " + link + " ") + "serving again");
  }

 private:
  Daemon& daemon_;
  Config config_;
  boost::asio::steady_timer timer_;
  bool drained_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  DaemonSpec<Config> spec;
  spec.name = "testd";
  spec.summary = "A daemon for tests";
  spec.read = [](const ConfigNode& root) { return Config{root.integer("answer", {1, 42, 99})}; };
  spec.start = [](Daemon& daemon, Config config) -> Result<std::unique_ptr<Service<Config>>> {
    return std::unique_ptr<Service<Config>>(std::make_unique<Testd>(daemon, config));
  };
  return run_daemon<Config>(argc, argv, std::move(spec));
}
