// What the subcommands of dmsc-pod share: options, exit codes, words for people.
#pragma once
#include <spawn.h>

#include <string>
#include <vector>

#include "dmsc/client/gateway.hpp"

namespace dmsc::pod {

// Exit codes, documented in dmsc-pod(1).
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;        // anything not named below
inline constexpr int kUsage = 2;         // wrong arguments
inline constexpr int kRefused = 3;       // the SPA or the serving program said no
inline constexpr int kNotFound = 4;      // no route or no instance of the name
inline constexpr int kDeadline = 5;      // no answer in time
inline constexpr int kUnavailable = 6;   // no gateway, or its network cannot reach the instance
int exit_code(const Error& error);

// Default of --socket-dir: $DMSC_RUN_DIR, else /run/dmsc/sgd.
std::string default_socket_dir();
// "250ms", "2s", "1m"; the error names what is expected.
Result<milliseconds> parse_time(const std::string& text);
// "none", "self", "tcp", "http:/path", "cmd:program arguments".
Result<client::Check> parse_check(const std::string& text);
// "80:8080" or "53:5353/udp": service port, endpoint port.
Result<client::Announcement::PortMap> parse_port(const std::string& text);
// Gives a child the signals that this program blocks or ignores.
class SpawnAttributes {
 public:
  explicit SpawnAttributes(int more_flags = 0);
  ~SpawnAttributes();
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};
// Runs a shell command, at most `limit`; ok if it exits with 0.
Status run_command(const std::string& command, Duration limit);

struct AnnounceOptions {
  std::string socket_dir = default_socket_dir();
  std::vector<std::string> prefixes, ports;
  bool pool = false, covering = false;
  unsigned capacity = 100;
  std::string endpoint, check = "none", interval = "1s", timeout = "500ms";
  unsigned rise = 1, fall = 2;
};
Result<std::vector<client::Announcement>> make_announcements(const AnnounceOptions& options);

// Announces everything, prints every change of state to stderr, tells the service manager: READY=1
// when each prefix has an answer (granted or not) or after `patience`.
class Announcer {
 public:
  Announcer(client::Gateway& gateway, std::vector<client::Announcement> announcements);
  // Blocks until all are granted; the first refusal, or the end of the time, is the error.
  Status wait_granted(Duration patience);
  // Blocks until every prefix has an answer or the time is over.
  void wait_answered(Duration patience);

 private:
  client::Gateway& gateway_;
  std::vector<std::string> prefixes_;
};

}  // namespace dmsc::pod
