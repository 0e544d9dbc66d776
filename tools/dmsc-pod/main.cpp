// dmsc-pod: a pod's side of the service network by hand or around an unmodified program.
#include <cstdio>

#include "commands.hpp"
#include "common.hpp"

int main(int argc, char** argv) {
  CLI::App app{"dmsc-pod: announce, serve and call services by name"};
  app.set_version_flag("--version", std::string("dmsc-pod ") + DMSC_VERSION);
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::help);
  app.footer(
      "Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 refused, 4 no route or instance,\n"
      "5 deadline, 6 gateway or instance not reachable.\n"
      "The gateway's sockets are looked for in $DMSC_RUN_DIR, else in /run/dmsc/sgd.");
  dmsc::pod::Command chosen;
  dmsc::pod::add_run(app, chosen);
  dmsc::pod::add_serve(app, chosen);
  dmsc::pod::add_call(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? dmsc::pod::kDone : dmsc::pod::kUsage;
  }
  dmsc::pod::block_signals();
  return chosen();
}
