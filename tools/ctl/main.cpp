// sgctl, srctl, spactl, scscctl: one program by several names. See docs/operations.md.
#include <cstdlib>
#include <iostream>

#include "commands.hpp"
#include "terminal.hpp"

namespace dmsc::ctl {
namespace {

// https://no-color.org: set to anything means none.
bool color_wanted() { return is_terminal() && std::getenv("NO_COLOR") == nullptr; }

int usage_of_names() {
  std::cerr << "ctl: call me by the name of what you want to look at:";
  for (const Persona& p : personas()) std::cerr << " " << p.program;
  std::cerr << "\n     or as: ctl PROGRAM ...\n";
  return kUsage;
}

struct Options {
  std::string output = "table";
  bool no_color = false;
};

void add_options(CLI::App& app, Context& context, Options& options) {
  app.add_option("--run-dir", context.run_dir, "run directory of the daemon")
      ->capture_default_str();
  app.add_option("--socket", context.socket, "the very socket to use");
  app.add_option("-o,--output", options.output, "table, or json: the daemon's answer unchanged")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  app.add_flag("-w,--wide", context.view.wide,
               "every column, and no cutting to the terminal's width");
  app.add_flag("--no-color", options.no_color, "no colour, as with NO_COLOR set");
}

int run(const Persona& persona, std::vector<std::string> arguments) {
  Context context;
  context.persona = persona;
  context.run_dir = "/run/dmsc/" + persona.daemon;
  Options options;
  CLI::App app("Looks at and steers " + persona.daemon + ", the " + persona.entity + ".",
               persona.program);
  app.set_version_flag("--version", persona.program + " " + DMSC_VERSION);
  app.require_subcommand(0, 1);  // none: told below; an unknown word is then named by the parser
  app.fallthrough();
  app.footer(
      "Exit codes: 0 done, 1 the answer is no, 2 wrong usage, 3 the daemon does not answer,\n"
      "4 the daemon refuses.");
  add_options(app, context, options);
  add_commands(app, context);
  app.parse_complete_callback([&] {
    context.json = options.output == "json";
    context.view.style.color = color_wanted() && !options.no_color;
    context.view.style.width = context.width();
  });
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as CLI11 wants them
  try {
    app.parse(reversed);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kOk : kUsage;
  }
  if (app.get_subcommands().empty()) {
    std::cerr << persona.program << ": say what to do, for example `" << persona.program
              << " status`; --help lists the verbs\n";
    return kUsage;
  }
  return context.exit_code;
}

}  // namespace
}  // namespace dmsc::ctl

int main(int argc, char** argv) {
  using namespace dmsc::ctl;
  std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  const Persona* persona = persona_of(argc > 0 ? argv[0] : "");
  if (!persona && !arguments.empty()) {
    persona = persona_of(arguments.front());
    arguments.erase(arguments.begin());
  }
  return persona ? run(*persona, std::move(arguments)) : usage_of_names();
}
