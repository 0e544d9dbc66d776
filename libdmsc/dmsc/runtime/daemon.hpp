// The skeleton of every daemon's main: command line, configuration, signals, service manager, admin
// sockets. A daemon supplies a Config, a function that reads it, and a Service:
//
//   int main(int argc, char** argv) {
//     return dmsc::runtime::run_daemon<srd::Config>(argc, argv, {
//         .name = "srd", .summary = "DMSC service router",
//         .read = srd::read_config,
//         .start = [](Daemon& daemon, srd::Config config) { return srd::Router::start(daemon,
//         std::move(config)); }});
//   }
//
// Exit codes: 0 stopped as asked (--check: no error), 1 failed, 2 wrong command line or config.
//
//   SIGHUP            reads the file again, Service::reload; a bad file changes nothing
//   SIGTERM, SIGINT   Service::stop(drain), at most 10 s; a second one ends at once
//   SIGUSR2           Service::stop(restart): like it, without draining
#pragma once
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "dmsc/core/result.hpp"
#include "dmsc/runtime/config.hpp"
#include "dmsc/runtime/inspect_server.hpp"
#include "dmsc/runtime/metrics.hpp"
#include "dmsc/runtime/node_config.hpp"

namespace dmsc::runtime {

enum class StopReason { drain, restart };

// The running daemon as its Service sees it. Main thread only, except where told.
class Daemon {
 public:
  virtual ~Daemon() = default;
  virtual boost::asio::io_context& io() = 0;
  virtual InspectServer& inspect() = 0;
  virtual Metrics& metrics() = 0;
  virtual const NodeSection& node() const = 0;
  // One line for `systemctl status` and the topic "status": what still is missing, or what it does.
  virtual void status(const std::string& text) = 0;
  // Tells the service manager that others may rely on this daemon. Told by itself 10 s after the
  // start, with the last status. Calls after the first do nothing.
  virtual void ready() = 0;
  // The watchdog is fed only while every probe returns true (a worker that no longer turns is as
  // dead as the main loop).
  virtual void watch(std::string name, std::function<bool()> alive) = 0;
  // More for the topic "status": keys of the returned object are merged into it.
  virtual void status_details(std::function<Json()> details) = 0;
  // Stops the daemon; `exit_code` 1 after an error that is already logged. Any thread.
  virtual void request_stop(int exit_code) = 0;
};

template <class Config>
class Service {
 public:
  virtual ~Service() = default;
  // Takes over a new, error-free configuration, or changes nothing and says why. The text tells
  // what changed.
  virtual Result<std::string> reload(Config config) = 0;
  // Ends; calls `done` when nothing is left to send. The process exits after `done` or 10 s.
  virtual void stop(StopReason reason, std::function<void()> done) = 0;
  // Persistent until undrained (DESIGN section 5, "Drain"). The text tells what was done; `done` is called
  // once, when a restart would know of it.
  virtual void drain(const DrainOrder& order, AdminHandlers::Done done) {
    (void)order;
    done(make_error(Errc::unsupported, "this daemon cannot be drained"));
  }
  virtual void undrain(const std::string& link, AdminHandlers::Done done) {
    (void)link;
    done(make_error(Errc::unsupported, "this daemon cannot be drained"));
  }
};

// --- the same without the type of the configuration, for daemon.cpp
// -------------------------------

namespace detail {
struct AnyService {
  std::shared_ptr<void> keep;
  std::function<Result<std::string>(std::shared_ptr<void>)> reload;
  std::function<void(StopReason, std::function<void()>)> stop;
  std::function<void(const DrainOrder&, AdminHandlers::Done)> drain;
  std::function<void(const std::string&, AdminHandlers::Done)> undrain;
};
struct AnyDaemonSpec {
  std::string name, summary;
  std::function<std::shared_ptr<void>(const ConfigNode& root)> read;
  std::function<Result<AnyService>(Daemon&, std::shared_ptr<void> config)> start;
};
int run_any_daemon(int argc, char** argv, const AnyDaemonSpec& spec);
}  // namespace detail

template <class Config>
struct DaemonSpec {
  std::string name;     // "srd": also the default file /etc/dmsc/NAME.yaml
  std::string summary;  // one line for --help
  // Reads the whole document, errors into it. The skeleton calls finish() and reads node: and log:.
  std::function<Config(const ConfigNode& root)> read;
  // Opens sockets, registers topics; runs before the loop. An error ends the program.
  std::function<Result<std::unique_ptr<Service<Config>>>(Daemon&, Config)> start;
};

template <class Config>
int run_daemon(int argc, char** argv, DaemonSpec<Config> spec) {
  detail::AnyDaemonSpec any;
  any.name = spec.name;
  any.summary = spec.summary;
  any.read = [&spec](const ConfigNode& root) -> std::shared_ptr<void> {
    return std::make_shared<Config>(spec.read(root));
  };
  any.start = [&spec](Daemon& daemon, std::shared_ptr<void> config) -> Result<detail::AnyService> {
    auto started = spec.start(daemon, std::move(*std::static_pointer_cast<Config>(config)));
    if (!started) return started.error();
    std::shared_ptr<Service<Config>> service = std::move(*started);
    detail::AnyService out;
    Service<Config>* raw = service.get();
    out.reload = [raw](std::shared_ptr<void> next) {
      return raw->reload(std::move(*std::static_pointer_cast<Config>(next)));
    };
    out.stop = [raw](StopReason reason, std::function<void()> done) {
      raw->stop(reason, std::move(done));
    };
    out.drain = [raw](const DrainOrder& order, AdminHandlers::Done done) {
      raw->drain(order, std::move(done));
    };
    out.undrain = [raw](const std::string& link, AdminHandlers::Done done) {
      raw->undrain(link, std::move(done));
    };
    out.keep = std::move(service);
    return out;
  };
  return detail::run_any_daemon(argc, argv, any);
}

}  // namespace dmsc::runtime
