// The subcommands; each adds itself to the command line and returns the program's exit code.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>

namespace dmsc::pod {

using Command = std::function<int()>;

// `chosen` is set to what the parsed command line asks for.
void add_run(CLI::App& app, Command& chosen);
void add_serve(CLI::App& app, Command& chosen);
void add_call(CLI::App& app, Command& chosen);

struct AnnounceOptions;
void add_announce_options(CLI::App& command, AnnounceOptions& options);

// SIGTERM, SIGINT and SIGHUP are blocked in all threads from main() on; these wait for them.
void block_signals();
int wait_for_signal();

}  // namespace dmsc::pod
