#include "common.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/notify.hpp"
#include "dmsc/runtime/units.hpp"
#include "dmsc/wire/service_port.hpp"

extern char** environ;

namespace dmsc::pod {

int exit_code(const Error& error) {
  switch (error.code) {
    case Errc::denied:
    case Errc::unauthenticated: return kRefused;
    case Errc::not_found: return kNotFound;
    case Errc::deadline: return kDeadline;
    case Errc::unavailable: return kUnavailable;
    case Errc::invalid: return kUsage;
    default: return kFailed;
  }
}

std::string default_socket_dir() {
  const char* dir = std::getenv("DMSC_RUN_DIR");
  return dir != nullptr && *dir != '\0' ? dir : "/run/dmsc/sgd";
}

Result<milliseconds> parse_time(const std::string& text) {
  auto parsed = runtime::parse_duration(text);
  if (!parsed) return parsed.error();
  return std::chrono::duration_cast<milliseconds>(*parsed);
}

Result<client::Check> parse_check(const std::string& text) {
  using Kind = client::Check::Kind;
  client::Check check;
  if (text == "none") return check;
  if (text == "self") {
    check.kind = Kind::self;
  } else if (text == "tcp") {
    check.kind = Kind::tcp;
  } else if (text.rfind("http:/", 0) == 0) {
    check.kind = Kind::http;
    check.target = text.substr(5);
  } else if (text.rfind("cmd:", 0) == 0 && text.size() > 4) {
    check.kind = Kind::command;
    check.target = text.substr(4);
  } else {
    return make_error(Errc::invalid, "--check ", text,
                      ": expected none, self, tcp, http:/path or cmd:COMMAND");
  }
  return check;
}

Result<client::Announcement::PortMap> parse_port(const std::string& text) {
  client::Announcement::PortMap map;
  std::string numbers = text;
  if (auto equals = numbers.find('='); equals != std::string::npos) {
    auto name = wire::parse_service_name(numbers.substr(0, equals));
    if (!name) return with_context("--port " + text, name.error());
    map.name = *name;
    numbers.erase(0, equals + 1);
  }
  if (auto slash = numbers.find('/'); slash != std::string::npos) {
    map.protocol = numbers.substr(slash + 1);
    numbers.erase(slash);
  }
  auto colon = numbers.find(':');
  auto service = runtime::parse_integer(numbers.substr(0, colon));
  auto endpoint = colon == std::string::npos ? service
                                             : runtime::parse_integer(numbers.substr(colon + 1));
  const bool good = service && endpoint && *service >= 1 && *service <= 65535 && *endpoint >= 1 &&
                    *endpoint <= 65535 && (map.protocol == "tcp" || map.protocol == "udp");
  if (!good) {
    return make_error(Errc::invalid, "--port ", text, ": expected [NAME=]SERVICE[:ENDPOINT][/tcp|udp]");
  }
  map.service = static_cast<std::uint16_t>(*service);
  map.endpoint = static_cast<std::uint16_t>(*endpoint);
  return map;
}

SpawnAttributes::SpawnAttributes(int more_flags) {
  ::posix_spawnattr_init(&attributes_);
  sigset_t none, ours;
  sigemptyset(&none);
  sigemptyset(&ours);
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGPIPE}) sigaddset(&ours, signal);
  ::posix_spawnattr_setsigmask(&attributes_, &none);
  ::posix_spawnattr_setsigdefault(&attributes_, &ours);
  ::posix_spawnattr_setflags(&attributes_, static_cast<short>(POSIX_SPAWN_SETSIGMASK |
                                                              POSIX_SPAWN_SETSIGDEF | more_flags));
}
SpawnAttributes::~SpawnAttributes() { ::posix_spawnattr_destroy(&attributes_); }

Status run_command(const std::string& command, Duration limit) {
  const char* argv[] = {"/bin/sh", "-c", command.c_str(), nullptr};
  SpawnAttributes attributes(POSIX_SPAWN_SETPGROUP);
  pid_t pid = 0;
  int error = ::posix_spawn(&pid, "/bin/sh", nullptr, attributes.get(), const_cast<char**>(argv), environ);
  if (error != 0) return make_error(Errc::internal, "cannot start /bin/sh: ", std::strerror(error));
  const Time until = runtime::now() + limit;
  int status = 0;
  while (::waitpid(pid, &status, WNOHANG) == 0) {
    if (runtime::now() >= until) {
      ::kill(-pid, SIGKILL);
      ::waitpid(pid, &status, 0);
      return make_error(Errc::deadline, "the command took too long");
    }
    std::this_thread::sleep_for(milliseconds(5));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return Ok{};
  return make_error(Errc::unavailable, "the command ended with ",
                    WIFEXITED(status) ? "status " + std::to_string(WEXITSTATUS(status))
                                      : "signal " + std::to_string(WTERMSIG(status)));
}

Result<std::vector<client::Announcement>> make_announcements(const AnnounceOptions& options) {
  client::Announcement base;
  base.join_pool = options.pool;
  base.covering = options.covering;
  if (options.capacity < 1 || options.capacity > 65535) {
    return make_error(Errc::invalid, "--capacity: must be 1-65535");
  }
  base.capacity = static_cast<std::uint16_t>(options.capacity);
  base.endpoint = options.endpoint;
  auto check = parse_check(options.check);
  if (!check) return check.error();
  auto interval = parse_time(options.interval), timeout = parse_time(options.timeout);
  if (!interval) return with_context("--interval", interval.error());
  if (!timeout) return with_context("--timeout", timeout.error());
  base.check = *check;
  base.check.interval = *interval;
  base.check.timeout = *timeout;
  base.check.rise = options.rise;
  base.check.fall = options.fall;
  for (const std::string& text : options.ports) {
    auto port = parse_port(text);
    if (!port) return port.error();
    base.ports.push_back(*port);
  }
  std::vector<client::Announcement> out;
  for (const std::string& prefix : options.prefixes) {
    auto name = Name::parse(prefix);
    if (!name) return with_context("--prefix", name.error());
    base.prefix = prefix;
    out.push_back(base);
  }
  return out;
}

Announcer::Announcer(client::Gateway& gateway, std::vector<client::Announcement> announcements)
    : gateway_(gateway) {
  gateway_.on_status([](const client::AnnouncementStatus& status) {
    std::string line = status.prefix + " " + to_string(status.state);
    if (!status.reason.empty()) line += ": " + status.reason;
    std::fprintf(stderr, "dmsc-pod: %s\n", line.c_str());
    runtime::notify::status(line);
  });
  gateway_.on_check([](const std::string&, const client::Check& check) -> Status {
    if (check.kind != client::Check::Kind::command) return Ok{};  // we are here: that is the check
    return run_command(check.target, check.timeout);
  });
  for (client::Announcement& announcement : announcements) {
    prefixes_.push_back(announcement.prefix);
    gateway_.announce(std::move(announcement));
  }
}

Status Announcer::wait_granted(Duration patience) {
  const Time until = runtime::now() + patience;
  for (const std::string& prefix : prefixes_) {
    auto granted = gateway_.wait_granted(prefix, std::max<Duration>(until - runtime::now(), Duration(0)));
    if (!granted) return granted.error();
  }
  return Ok{};
}

void Announcer::wait_answered(Duration patience) {
  const Time until = runtime::now() + patience;
  for (const std::string& prefix : prefixes_) {
    (void)gateway_.wait_granted(prefix, std::max<Duration>(until - runtime::now(), Duration(0)));
  }
}

}  // namespace dmsc::pod
