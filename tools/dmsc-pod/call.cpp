// dmsc-pod call: one request by name, or many at a rate with a summary for tests.
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "dmsc/runtime/clock.hpp"

namespace dmsc::pod {
namespace {

using Json = nlohmann::ordered_json;

struct CallOptions {
  std::string socket_dir = default_socket_dir();
  std::string name, text, deadline = "2s", source, output = "text";
  bool idempotent = false, trace = false, by_name = false, endless = false;
  std::uint64_t count = 0;
  double rate = 100;
};

double ms(Duration d) { return double(std::chrono::duration_cast<microseconds>(d).count()) / 1000; }

std::string hop_name(const client::Hop& hop) {
  return hop.name.empty() ? "node " + std::to_string(hop.node) : hop.name;
}

Json hop_names(const std::vector<client::Hop>& path) {
  Json out = Json::array();
  for (const client::Hop& hop : path) out.push_back(hop_name(hop));
  return out;
}

std::string arrows(const std::vector<client::Hop>& path) {
  std::string out;
  for (const client::Hop& hop : path) out += (out.empty() ? "" : " -> ") + hop_name(hop);
  return out;
}

// Text for JSON: what is not UTF-8 is replaced, as the reply may be any bytes.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Bytes read_payload(const std::string& text) {
  if (text != "-") return to_bytes(as_bytes(text));
  Bytes out;
  std::uint8_t buffer[65536];
  ssize_t n = 0;
  while ((n = ::read(STDIN_FILENO, buffer, sizeof buffer)) > 0) {
    out.insert(out.end(), buffer, buffer + n);
  }
  return out;
}

void print_reply(const CallOptions& options, const client::Reply& reply, Duration took) {
  if (options.output == "json") {
    Json out{{"reply", std::string(as_text(reply.payload))},
             {"egress", hop_name(reply.egress)},
             {"instance", reply.instance},
             {"path", hop_names(reply.path)},
             {"return_path", hop_names(reply.return_path)},
             {"error", ""},
             {"took_ms", ms(took)}};
    std::printf("%s\n", dump(out).c_str());
    return;
  }
  std::fwrite(reply.payload.data(), 1, reply.payload.size(), stdout);
  if (!reply.payload.empty() && reply.payload.back() != '\n') std::fputc('\n', stdout);
  if (!options.trace) return;
  std::fprintf(stderr, "path:   %s\nreturn: %s\ntook:   %.2f ms\n", arrows(reply.path).c_str(),
               arrows(reply.return_path).c_str(), ms(took));
}

int call_once(client::Gateway& gateway, const CallOptions& options,
              const client::CallOptions& call) {
  const Time begun = runtime::now();
  auto reply = gateway.call(options.name, read_payload(options.text), call);
  const Duration took = runtime::now() - begun;
  if (reply) {
    print_reply(options, *reply, took);
    return kDone;
  }
  if (options.output == "json") {
    std::printf("%s\n", dump(Json{{"reply", ""}, {"error", reply.error().message},
                                  {"took_ms", ms(took)}}).c_str());
  }
  std::fprintf(stderr, "dmsc-pod call %s: %s\n", options.name.c_str(),
               reply.error().message.c_str());
  return exit_code(reply.error());
}

// ---- many -------------------------------------------------------------------------------------

class Load {
 public:
  Load(client::Gateway& gateway, const CallOptions& options, client::CallOptions call)
      : gateway_(gateway), options_(options), call_(std::move(call)), run_(to_hex(runtime::random_array<6>())) {}

  // Until all calls are made and answered, or a signal says to stop making them.
  void run() {
    begun_ = runtime::now();
    const Duration gap = Duration(static_cast<std::int64_t>(1e9 / options_.rate));
    Time next = begun_;
    while ((options_.endless || sent_ < options_.count) && !stop_wanted(next - runtime::now())) {
      start_one();
      next += gap;
    }
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return finished_ == sent_; });
    elapsed_ = runtime::now() - begun_;
  }

  Json summary() {
    std::lock_guard lock(mutex_);
    std::sort(took_ms_.begin(), took_ms_.end());
    auto percentile = [this](double p) {
      if (took_ms_.empty()) return 0.0;
      return took_ms_[std::min(took_ms_.size() - 1, std::size_t(p * double(took_ms_.size())))];
    };
    return Json{{"name", options_.name}, {"sent", sent_}, {"ok", ok_}, {"failed", failed_},
                {"twice", twice_}, {"seconds", ms(elapsed_) / 1000},
                {"p50_ms", percentile(0.5)}, {"p95_ms", percentile(0.95)},
                {"p99_ms", percentile(0.99)}, {"max_ms", percentile(1)},
                {"slowest_failure_ms", slowest_failure_ms_}, {"by_egress", by_egress_},
                {"errors", errors_}, {"failures", failures_}};
  }
  bool all_good() const { return failed_ == 0 && twice_ == 0; }

 private:
  static constexpr std::size_t kMaxFailures = 1000;

  static bool stop_wanted(Duration wait) {
    sigset_t set;
    sigemptyset(&set);
    for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
    wait = std::max<Duration>(wait, Duration(0));
    timespec limit{};
    limit.tv_sec = std::chrono::duration_cast<seconds>(wait).count();
    limit.tv_nsec = (wait % seconds(1)).count();
    return ::sigtimedwait(&set, nullptr, &limit) > 0;
  }

  void start_one() {
    const std::string text = "#" + run_ + "-" + std::to_string(sent_) + " " + options_.text;
    const Time start = runtime::now();
    {
      std::lock_guard lock(mutex_);
      ++sent_;
    }
    gateway_.call_async(options_.name, as_bytes(text), call_,
                        [this, start](Result<client::Reply> reply) { done(start, reply); });
  }

  void done(Time start, const Result<client::Reply>& reply) {
    const Time now = runtime::now();
    std::lock_guard lock(mutex_);
    ++finished_;
    if (reply) {
      ++ok_;
      took_ms_.push_back(ms(now - start));
      ++by_egress_[hop_name(reply->egress) + "/" + std::to_string(reply->instance)];
      // The default handler of `dmsc-pod serve` says how often it has run this very request.
      const std::string text(as_text(reply->payload));
      auto run = text.find(", run ");
      if (run != std::string::npos && text.compare(run, 8, ", run 1:") != 0) ++twice_;
    } else {
      ++failed_;
      const std::string& message = reply.error().message;
      ++errors_[message.substr(0, message.find(':'))];
      slowest_failure_ms_ = std::max(slowest_failure_ms_, ms(now - start));
      if (failures_.size() < kMaxFailures) {
        failures_.push_back({{"at_ms", ms(start - begun_)}, {"took_ms", ms(now - start)},
                             {"error", message}});
      }
    }
    if (finished_ == sent_) idle_.notify_all();
  }

  client::Gateway& gateway_;
  const CallOptions& options_;
  const client::CallOptions call_;
  const std::string run_;
  Time begun_{};
  Duration elapsed_{};
  std::mutex mutex_;
  std::condition_variable idle_;
  std::uint64_t sent_ = 0, finished_ = 0, ok_ = 0, failed_ = 0, twice_ = 0;
  std::map<std::string, std::uint64_t> errors_, by_egress_;
  std::vector<double> took_ms_;
  double slowest_failure_ms_ = 0;
  Json failures_ = Json::array();
};

int call(const CallOptions& options) {
  client::CallOptions call_options;
  auto deadline = parse_time(options.deadline);
  if (!deadline) {
    std::fprintf(stderr, "dmsc-pod call: --deadline: %s\n", deadline.error().message.c_str());
    return kUsage;
  }
  call_options.deadline = *deadline;
  call_options.idempotent = options.idempotent;
  call_options.trace = options.trace;
  call_options.by_name = options.by_name;
  call_options.source = options.source;
  client::Options client_options;
  client_options.socket_dir = options.socket_dir;
  client_options.client = "dmsc-pod call";
  client_options.announces = false;
  client::Gateway gateway(client_options);
  if (options.count == 0 && !options.endless) return call_once(gateway, options, call_options);
  Load load(gateway, options, call_options);
  load.run();
  std::printf("%s\n", dump(load.summary()).c_str());
  return load.all_good() ? kDone : kFailed;
}

}  // namespace

void add_call(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<CallOptions>();
  CLI::App* command = app.add_subcommand("call", "Send a request to a name and print the reply");
  command->add_option("name", options->name, "Service name, for example B/4")->required();
  command->add_option("text", options->text, "The request; - reads standard input");
  command->add_option("--deadline", options->deadline, "How long to wait")->capture_default_str();
  command->add_flag("--idempotent", options->idempotent, "May be tried at another instance");
  command->add_flag("--trace", options->trace, "Also print the path recorded in the packets");
  command->add_flag("--by-name", options->by_name,
                    "Let every hop match the name instead of pinning an instance");
  command->add_option("--source", options->source, "Which of the pod's granted names calls");
  command->add_option("--socket-dir", options->socket_dir, "Run directory of the gateway")
      ->capture_default_str();
  command->add_option("-o,--output", options->output, "text or json")
      ->check(CLI::IsMember({"text", "json"}));
  auto* count = command->add_option("-n,--count", options->count,
                                    "Load mode: so many calls, then a summary as JSON");
  command->add_flag("--endless", options->endless, "Load mode until SIGTERM or SIGINT")
      ->excludes(count);
  command->add_option("--rate", options->rate, "Load mode: calls per second")
      ->check(CLI::Range(0.001, 1e6))->capture_default_str();
  command->callback([options, &chosen] { chosen = [options] { return call(*options); }; });
}

}  // namespace dmsc::pod
