// dmsc-pod serve: answers requests by name, by itself or with a command per request.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "commands.hpp"
#include "common.hpp"
#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/notify.hpp"

extern char** environ;

namespace dmsc::pod {

void add_announce_options(CLI::App& command, AnnounceOptions& options) {
  command.add_option("--prefix", options.prefixes, "Service prefix to announce; may be repeated")
      ->required();
  command.add_flag("--pool", options.pool, "Join the pool of the parent name");
  command.add_flag("--covering", options.covering, "Serve names below the prefix too");
  command.add_option("--capacity", options.capacity, "Relative share of the traffic")
      ->capture_default_str();
  command.add_option("--endpoint", options.endpoint, "ADDRESS:PORT of an unmodified program");
  command.add_option("--port", options.ports, "[NAME=]SERVICE[:ENDPOINT][/tcp|udp]; may be repeated");
  command.add_option("--check", options.check, "none, self, tcp, http:/path or cmd:COMMAND")
      ->capture_default_str();
  command.add_option("--interval", options.interval, "Between checks")->capture_default_str();
  command.add_option("--timeout", options.timeout, "Of one check")->capture_default_str();
  command.add_option("--rise", options.rise, "Good checks to become healthy")->capture_default_str();
  command.add_option("--fall", options.fall, "Bad checks to fail")->capture_default_str();
  command.add_option("--socket-dir", options.socket_dir, "Run directory of the gateway")
      ->capture_default_str();
}

void block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

int wait_for_signal() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&set, signal);
  int signal = 0;
  sigwait(&set, &signal);
  return signal;
}

namespace {

// Counts requests by the id that `dmsc-pod call -n` puts in front ("#RUN-N "): how often was the same
// request run here? Only ids of the last minutes are kept.
class RunCounter {
 public:
  // How many times this id has been seen, this time included; 0 if the request has no id.
  unsigned count(std::string_view payload) {
    if (payload.empty() || payload[0] != '#') return 0;
    auto end = payload.find(' ');
    if (end == std::string_view::npos || end > 64) return 0;
    std::lock_guard lock(mutex_);
    if (current_.size() >= kGeneration) {
      previous_ = std::move(current_);
      current_.clear();
    }
    std::string id(payload.substr(0, end));
    auto old = previous_.find(id);
    unsigned& seen = current_[id];
    if (seen == 0 && old != previous_.end()) seen = old->second;
    return ++seen;
  }

 private:
  static constexpr std::size_t kGeneration = 200000;
  std::mutex mutex_;
  std::unordered_map<std::string, unsigned> current_, previous_;
};

bool write_all(int fd, ByteView data) {
  while (!data.empty()) {
    ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    data = data.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

// The request on the command's standard input, its standard output is the reply.
Result<Bytes> run_exec(const std::string& command, const client::Request& request) {
  int in[2], out[2];
  if (::pipe2(in, O_CLOEXEC) != 0) return make_error(Errc::internal, "pipe: ", std::strerror(errno));
  if (::pipe2(out, O_CLOEXEC) != 0) {
    ::close(in[0]);
    ::close(in[1]);
    return make_error(Errc::internal, "pipe: ", std::strerror(errno));
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  std::vector<std::string> variables{"DMSC_PREFIX=" + request.prefix,
                                     "DMSC_DESTINATION=" + request.destination,
                                     "DMSC_SOURCE=" + request.source};
  std::vector<char*> environment;
  for (char** e = environ; *e != nullptr; ++e) environment.push_back(*e);
  for (std::string& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  const char* argv[] = {"/bin/sh", "-c", command.c_str(), nullptr};
  SpawnAttributes attributes;
  pid_t pid = 0;
  int error = ::posix_spawn(&pid, "/bin/sh", &actions, attributes.get(), const_cast<char**>(argv),
                            environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(in[0]);
  ::close(out[1]);
  Bytes reply;
  if (error == 0) {
    std::thread writer([&] {
      write_all(in[1], request.payload);
      ::close(in[1]);
    });
    const Time until = runtime::now() + request.left;
    std::uint8_t buffer[65536];
    bool late = false;
    while (reply.size() <= wire::kMaxMessageBytes) {
      auto left = std::chrono::ceil<milliseconds>(until - runtime::now()).count();
      pollfd p{out[0], POLLIN, 0};
      int ready = left > 0 ? ::poll(&p, 1, static_cast<int>(left)) : 0;
      if (ready == 0) {
        late = true;
        break;
      }
      ssize_t n = ready > 0 ? ::read(out[0], buffer, sizeof buffer) : -1;
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      reply.insert(reply.end(), buffer, buffer + n);
    }
    if (late) ::kill(pid, SIGKILL);
    ::close(out[0]);
    writer.join();
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (late) return make_error(Errc::deadline, "the command took longer than the deadline");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      return make_error(Errc::internal, "the command failed with status ",
                        std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : 128));
    }
    return reply;
  }
  ::close(in[1]);
  ::close(out[0]);
  return make_error(Errc::internal, "cannot start /bin/sh: ", std::strerror(error));
}

struct ServeOptions {
  AnnounceOptions announce;
  std::string exec, delay = "0ms";
  bool echo = false;
};

client::Handler make_handler(const ServeOptions& options, client::Gateway& gateway,
                             Duration delay) {
  auto runs = std::make_shared<RunCounter>();
  return [options, &gateway, delay, runs](const client::Request& request) -> Result<Bytes> {
    const unsigned run = runs->count(as_text(request.payload));
    if (delay > Duration(0)) std::this_thread::sleep_for(delay);
    if (!options.exec.empty()) return run_exec(options.exec, request);
    if (options.echo) return request.payload;
    auto session = gateway.session();
    std::string text = "hello from " + request.prefix;
    if (session) text += " (" + session->identity + " at " + session->gateway + ")";
    text += ", asked by " + (request.source.empty() ? std::string("anonymous") : request.source);
    if (run > 0) text += ", run " + std::to_string(run);
    text += ": " + std::string(as_text(request.payload));
    return to_bytes(as_bytes(text));
  };
}

int serve(const ServeOptions& options) {
  auto announcements = make_announcements(options.announce);
  auto delay = parse_time(options.delay);
  if (!announcements || !delay) {
    std::fprintf(stderr, "dmsc-pod serve: %s\n",
                 (announcements ? delay.error() : announcements.error()).message.c_str());
    return kUsage;
  }
  client::Options client_options;
  client_options.socket_dir = options.announce.socket_dir;
  client_options.client = "dmsc-pod serve";
  client_options.handler_threads = 16;
  client::Gateway gateway(client_options);
  client::Handler handler = make_handler(options, gateway, *delay);
  for (const auto& announcement : *announcements) gateway.serve(announcement.prefix, handler);
  Announcer announcer(gateway, std::move(*announcements));
  std::thread waiter([&] {
    announcer.wait_answered(seconds(5));
    runtime::notify::ready();
  });
  while (wait_for_signal() == SIGCHLD) {}
  runtime::notify::stopping();
  waiter.join();
  return kDone;
}

}  // namespace

void add_serve(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App* command = app.add_subcommand("serve", "Answer requests for the announced prefixes");
  add_announce_options(*command, options->announce);
  auto* exec = command->add_option("--exec", options->exec,
                                   "Shell command per request: request on stdin, reply on stdout");
  command->add_flag("--echo", options->echo, "Reply with the request")->excludes(exec);
  command->add_option("--delay", options->delay, "Wait before each reply")->capture_default_str();
  command->callback([options, &chosen] { chosen = [options] { return serve(*options); }; });
}

}  // namespace dmsc::pod
