// dmsc-pod run: announces on behalf of an unmodified program, and looks after that program if it is
// given one.
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "commands.hpp"
#include "common.hpp"
#include "dmsc/runtime/notify.hpp"

extern char** environ;

namespace dmsc::pod {
namespace {

struct RunOptions {
  AnnounceOptions announce;
  std::vector<std::string> program;
  std::string patience = "30s";
  bool no_wait = false;
};

Result<pid_t> start_program(const std::vector<std::string>& program) {
  std::vector<char*> argv;
  for (const std::string& word : program) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  SpawnAttributes attributes;
  pid_t pid = 0;
  int error = ::posix_spawnp(&pid, argv[0], nullptr, attributes.get(), argv.data(), environ);
  if (error != 0) {
    return make_error(Errc::not_found, "cannot start ", program[0], ": ", std::strerror(error));
  }
  return pid;
}

// Forwards signals until the program ends; its exit code becomes ours.
int look_after(pid_t child) {
  while (true) {
    const int signal = wait_for_signal();
    if (signal != SIGCHLD) {
      ::kill(child, signal);
      continue;
    }
    int status = 0;  // only this child: those of the checks are waited for elsewhere
    if (::waitpid(child, &status, WNOHANG) == child) {
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
  }
}

int run(const RunOptions& options) {
  auto announcements = make_announcements(options.announce);
  auto patience = parse_time(options.patience);
  if (!announcements || !patience) {
    std::fprintf(stderr, "dmsc-pod run: %s\n",
                 (announcements ? patience.error() : announcements.error()).message.c_str());
    return kUsage;
  }
  client::Options client_options;
  client_options.socket_dir = options.announce.socket_dir;
  client_options.client = "dmsc-pod run";
  client::Gateway gateway(client_options);
  // Checks of the endpoint can pass only when the program runs: it is started before their result.
  const bool checked = options.announce.check != "none";
  Announcer announcer(gateway, std::move(*announcements));
  if (!options.no_wait && !checked) {
    if (Status granted = announcer.wait_granted(*patience); !granted) {
      std::fprintf(stderr, "dmsc-pod run: %s\n", granted.error().message.c_str());
      return exit_code(granted.error());
    }
  }
  runtime::notify::ready();
  int code = kDone;
  if (options.program.empty()) {
    while (wait_for_signal() == SIGCHLD) {}
  } else {
    auto child = start_program(options.program);
    if (!child) {
      std::fprintf(stderr, "dmsc-pod run: %s\n", child.error().message.c_str());
      return kFailed;
    }
    code = look_after(*child);
  }
  runtime::notify::stopping();
  return code;  // the gateway's destructor withdraws
}

}  // namespace

void add_run(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "Announce on behalf of an unmodified program");
  add_announce_options(*command, options->announce);
  command->add_option("--patience", options->patience, "How long to wait for the grant")
      ->capture_default_str();
  command->add_flag("--no-wait", options->no_wait, "Start the program before the grant");
  command->add_option("program", options->program, "-- PROGRAM ARGUMENTS...; without it: just stay");
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace dmsc::pod
