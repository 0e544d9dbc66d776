// Each command is one function in one file: it adds its subcommand to the parser, with a callback
// that does the work and leaves the outcome in Context::exit_code.
#pragma once
#include "context.hpp"

namespace dmsc::ctl {

void add_show(CLI::App& app, Context& context);   // show.cpp: status, show, explain
void add_watch(CLI::App& app, Context& context);  // watch.cpp
void add_ping(CLI::App& app, Context& context);   // ping.cpp
void add_trace(CLI::App& app, Context& context);  // trace.cpp
void add_admin(CLI::App& app, Context& context);  // admin.cpp: drain, undrain, reload, log-level
void add_spa(CLI::App& app, Context& context);    // spa_commands.cpp: spactl's edits of the registry
void add_completion(CLI::App& app, Context& context);  // completion.cpp

// follow.cpp: `watch` of a topic that is streamed row by row, `count` changes of it; 0 = without end.
bool is_followed(const Persona& persona, const std::string& topic);
Status follow(Context& context, InspectClient& client, const std::string& topic, unsigned count);

// Everything `context.persona` can do.
void add_commands(CLI::App& app, Context& context);

}  // namespace dmsc::ctl
