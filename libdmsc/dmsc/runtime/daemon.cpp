#include "dmsc/runtime/daemon.hpp"

#include <fcntl.h>
#include <grpc/support/log.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstring>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

#include "dmsc/crypto/keys.hpp"
#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/files.hpp"
#include "dmsc/runtime/log.hpp"
#include "dmsc/runtime/notify.hpp"
#include "dmsc/runtime/priority.hpp"
#include "dmsc/runtime/startup_memory.hpp"

namespace dmsc::runtime {
namespace {

using detail::AnyDaemonSpec;
using detail::AnyService;

constexpr auto kReadyLimit = seconds(10);
constexpr auto kStopLimit = seconds(10);
// After READY: when the work of joining is over too, here and at neighbours that start at the same time.
constexpr auto kStartupOver = seconds(10);

// gRPC's own messages join ours; a peer that keeps failing must not fill the journal.
void log_grpc(gpr_log_func_args* message) {
  static std::mutex lock;
  static log::RateLimiter limiter(seconds(10), 5);
  if (message->severity < GPR_LOG_SEVERITY_ERROR && !log::enabled(log::Level::debug)) return;
  std::lock_guard hold(lock);
  if (!limiter.allow(now())) return;
  log::Field text("message", message->message);
  log::Field skipped("skipped", limiter.take_suppressed());
  message->severity == GPR_LOG_SEVERITY_ERROR ? log::warning("grpc", {text, skipped})
                                              : log::debug("grpc", {text, skipped});
}

// A file read and found free of errors.
struct LoadedConfig {
  NodeSection node;
  LogSection log;
  std::shared_ptr<void> own;
};

Result<LoadedConfig> load_config(const AnyDaemonSpec& spec, const std::string& file) {
  auto document = ConfigDocument::load(file);
  if (!document) return document.error();
  LoadedConfig out;
  out.node = read_node_section((*document)->root(), spec.name);
  out.log = read_log_section((*document)->root());
  out.own = spec.read((*document)->root());
  (*document)->finish();
  if (!(*document)->ok()) {
    std::string report = (*document)->report();
    report.pop_back();  // the last line break
    return make_error(Errc::invalid, std::move(report));
  }
  return out;
}

// Each adjacency, worker and RPC costs descriptors; the soft limit of 1024 is for select(2).
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    log::warning("descriptor-limit", {{"error", std::strerror(errno)}});
  }
}

class Runtime final : public Daemon {
 public:
  Runtime(const AnyDaemonSpec& spec, std::string file, const LoadedConfig& config)
      : spec_(spec),
        file_(std::move(file)),
        node_(config.node),
        configured_level_(config.log.level),
        signals_(io_, SIGHUP, SIGTERM, SIGINT),
        watchdog_timer_(io_),
        ready_timer_(io_),
        startup_timer_(io_),
        stop_timer_(io_),
        inspect_(io_, spec.name, config.node.name) {
    signals_.add(SIGUSR2);
  }
  ~Runtime() override {
    log::observe(nullptr);
    if (lock_ >= 0) ::close(lock_);
  }

  boost::asio::io_context& io() override { return io_; }
  InspectServer& inspect() override { return inspect_; }
  Metrics& metrics() override { return metrics_; }
  const NodeSection& node() const override { return node_; }

  void status(const std::string& text) override {
    if (text == status_) return;
    status_ = text;
    notify::status(text);
    inspect_.notify_changed("status");
  }

  void ready() override {
    // A service may be ready before its admin sockets are open; others may rely on those too.
    ready_wanted_ = true;
    if (ready_ || !started_up_) return;
    ready_ = true;
    ready_timer_.cancel();
    startup_timer_.expires_after(kStartupOver);
    startup_timer_.async_wait([](const boost::system::error_code& error) {
      if (error) return;
      std::size_t released = release_startup_memory();
      log::debug("startup-memory", {{"released_bytes", released}});
    });
    notify::ready();
    log::info("ready", {{"after", std::chrono::duration_cast<milliseconds>(now() - started_)},
                        {"status", status_}});
  }

  void watch(std::string name, std::function<bool()> alive) override {
    probes_.push_back({std::move(name), std::move(alive)});
  }

  void status_details(std::function<Json()> details) override {
    details_.push_back(std::move(details));
  }

  void request_stop(int exit_code) override {
    boost::asio::post(io_, [this, exit_code] { begin_stop(StopReason::drain, exit_code); });
  }

  int run(std::shared_ptr<void> config);

 private:
  struct Probe {
    std::string name;
    std::function<bool()> alive;
    bool was_alive = true;
  };

  Status take_run_dir();
  Status start(std::shared_ptr<void> config);
  void register_own_topics();
  void wait_for_signal();
  void on_signal(int signal);
  void feed_watchdog();
  Result<std::string> reload();
  Result<std::string> try_reload();
  void begin_stop(StopReason reason, int exit_code);
  void finish();
  Json show_status();

  const AnyDaemonSpec& spec_;
  const std::string file_;
  const NodeSection node_;
  log::Level configured_level_;
  boost::asio::io_context io_{1};
  boost::asio::signal_set signals_;
  boost::asio::steady_timer watchdog_timer_, ready_timer_, startup_timer_, stop_timer_;
  InspectServer inspect_;
  Metrics metrics_;
  AnyService service_;
  std::vector<Probe> probes_;
  std::vector<std::function<Json()>> details_;
  std::string status_;
  const Time started_ = now();
  const std::optional<Duration> watchdog_limit_ = notify::watchdog_limit();
  int lock_ = -1;
  bool started_up_ = false;    // everything is open
  bool ready_wanted_ = false;  // by the service
  bool ready_ = false;         // told
  bool stopping_ = false;
  int exit_code_ = 0;
};

// Two daemons on one run_dir would steal each other's sockets without a word.
Status Runtime::take_run_dir() {
  if (auto made = make_directory(node_.run_dir, 0755); !made) return made;
  std::string path = node_.run_dir + "/lock";
  lock_ = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (lock_ < 0) return make_error(Errc::denied, path, ": ", std::strerror(errno));
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    return make_error(Errc::exists, node_.run_dir, ": another ", spec_.name, " is running there");
  }
  return Ok{};
}

Status Runtime::start(std::shared_ptr<void> config) {
  if (auto taken = take_run_dir(); !taken) return taken;
  register_own_topics();
  auto service = spec_.start(*this, std::move(config));
  if (!service) return service.error();
  service_ = std::move(*service);
  inspect_.set_admin({.drain = service_.drain, .undrain = service_.undrain, .reload = [this] {
                        return reload();
                      }});
  return inspect_.start(node_.run_dir);
}

void Runtime::register_own_topics() {
  inspect_.topic("status", [this](const Arguments&) -> Result<Json> { return show_status(); });
  inspect_.topic("metrics", [this](const Arguments&) -> Result<Json> {
    return Json{{"text", metrics_.text()}};
  });
  log::observe([this](log::Level level, std::string_view event, const std::string& line) {
    if (level >= log::Level::info)
      inspect_.publish_event(to_string(level), std::string(event), line);
  });
}

Json Runtime::show_status() {
  auto ms = (now() - started_) / milliseconds(1);
  Json out{{"version", DMSC_VERSION},
           {"pid", ::getpid()},
           {"uptime_ms", ms},
           {"state", stopping_ ? "stopping"
                     : ready_  ? "ready"
                               : "starting"},
           {"status", status_},
           {"config", file_},
           {"log_level", to_string(log::level())}};
  for (const auto& details : details_) out.update(details());
  return out;
}

int Runtime::run(std::shared_ptr<void> config) {
  wait_for_signal();
  if (auto started = start(std::move(config)); !started) {
    log::error("start-failed", {{"error", started.error()}});
    notify::status("failed: " + started.error().message);
    inspect_.stop();
    return 1;
  }
  started_up_ = true;
  if (ready_wanted_) ready();
  ready_timer_.expires_after(kReadyLimit);
  ready_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) ready();
  });
  feed_watchdog();
  try {
    io_.run();
  } catch (const std::exception& e) {
    log::error("uncaught", {{"error", e.what()}});
    exit_code_ = 1;
    inspect_.stop();
  }
  log::info("stopped", {{"exit", exit_code_}});
  return exit_code_;
}

void Runtime::wait_for_signal() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    on_signal(signal);
    wait_for_signal();
  });
}

void Runtime::on_signal(int signal) {
  if (signal == SIGHUP) {
    if (auto done = reload(); !done) return;  // logged
  } else {
    log::info("signal", {{"name", sigabbrev_np(signal)}});
    begin_stop(signal == SIGUSR2 ? StopReason::restart : StopReason::drain, 0);
  }
}

void Runtime::feed_watchdog() {
  if (!watchdog_limit_) return;
  bool alive = true;
  for (Probe& probe : probes_) {
    bool now_alive = probe.alive();
    if (!now_alive && probe.was_alive) log::error("stalled", {{"part", probe.name}});
    probe.was_alive = now_alive;
    alive = alive && now_alive;
  }
  if (alive) notify::watchdog();
  watchdog_timer_.expires_after(*watchdog_limit_ / 4);
  watchdog_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) feed_watchdog();
  });
}

Result<std::string> Runtime::reload() {
  if (stopping_) return make_error(Errc::unavailable, spec_.name, " is stopping");
  // Before the first READY the service manager would take the one after a reload for it.
  if (ready_) notify::reloading();
  auto outcome = try_reload();
  if (ready_) notify::ready();
  if (outcome) {
    log::info("reloaded", {{"file", file_}, {"changes", *outcome}});
  } else {
    log::error("reload-refused", {{"file", file_}, {"error", outcome.error()}});
  }
  inspect_.notify_changed("status");
  return outcome;
}

Result<std::string> Runtime::try_reload() {
  auto loaded = load_config(spec_, file_);
  if (!loaded) return loaded.error();
  if (loaded->node != node_) {
    return make_error(Errc::conflict, "node: name, state_dir and run_dir need a restart");
  }
  auto changed = service_.reload(loaded->own);
  if (!changed) return changed.error();
  if (loaded->log.level != configured_level_) {
    configured_level_ = loaded->log.level;
    log::set_level(configured_level_);
    *changed +=
        std::string(changed->empty() ? "" : ", ") + "log level " + to_string(configured_level_);
  }
  if (changed->empty()) return std::string("nothing changed");
  return changed;
}

void Runtime::begin_stop(StopReason reason, int exit_code) {
  exit_code_ = std::max(exit_code_, exit_code);
  if (stopping_) return finish();  // asked twice: at once
  stopping_ = true;
  notify::stopping();
  status("stopping");
  stop_timer_.expires_after(kStopLimit);
  stop_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    log::error("stop-timeout", {{"limit", kStopLimit}});
    finish();
  });
  service_.stop(reason, [this] { boost::asio::post(io_, [this] { finish(); }); });
}

void Runtime::finish() {
  inspect_.stop();
  io_.stop();
}

}  // namespace

namespace detail {

int run_any_daemon(int argc, char** argv, const AnyDaemonSpec& spec) {
  CLI::App app(spec.summary, spec.name);
  std::string file = "/etc/dmsc/" + spec.name + ".yaml";
  bool check = false;
  app.add_option("--config", file, "configuration file")->type_name("FILE")->capture_default_str();
  app.add_flag("--check", check, "check the configuration file and exit");
  app.set_version_flag("--version", spec.name + " " + DMSC_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  auto config = load_config(spec, file);
  if (!config) {
    std::cerr << config.error().message << std::endl;
    return 2;
  }
  if (check) {
    std::cout << file << ": ok\n";
    return 0;
  }
  relax_timers();  // threads inherit it
  crypto::init();
  std::signal(SIGPIPE, SIG_IGN);
  gpr_set_log_function(log_grpc);
  log::set_level(config->log.level);
  raise_descriptor_limit();
  log::info("starting", {{"daemon", spec.name},
                         {"version", DMSC_VERSION},
                         {"node", config->node.name},
                         {"config", file}});
  notify::status("starting");
  Runtime runtime(spec, file, *config);
  return runtime.run(config->own);
}

}  // namespace detail
}  // namespace dmsc::runtime
