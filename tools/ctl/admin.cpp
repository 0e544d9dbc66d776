// drain, undrain, reload, log-level: what changes the running daemon, on the admin socket.
#include <iostream>

#include "commands.hpp"

namespace dmsc::ctl {
namespace {

void run(Context& context, const std::function<Result<std::string>(AdminClient&)>& call) {
  auto client = context.admin();
  if (!client) return;
  auto detail = call(*client);
  if (!detail) {
    context.fail(detail.error());
    // The daemon is there and says no: whatever the reason, that is a refusal.
    if (context.exit_code == kUsage || context.exit_code == kNegative) context.exit_code = kRefused;
    return;
  }
  if (context.json) {
    std::cout << Json{{"schema", 1}, {"daemon", context.persona.daemon}, {"detail", *detail}}
              << "\n";
  } else {
    std::cout << printable(*detail) << "\n";
  }
}

}  // namespace

void add_admin(CLI::App& app, Context& context) {
  auto reason = std::make_shared<std::string>();
  CLI::App* drain =
      app.add_subcommand("drain", "Move traffic away, until undrain; survives restarts");
  drain->add_option("REASON", *reason, "kept and shown in status");
  drain->callback([&context, reason] {
    run(context, [&](AdminClient& admin) { return admin.drain(*reason); });
  });

  app.add_subcommand("undrain", "Take traffic again")->callback([&context] {
    run(context, [](AdminClient& admin) { return admin.undrain(); });
  });

  app.add_subcommand("reload", "Read the configuration again, and tell what changed")
      ->callback([&context] { run(context, [](AdminClient& admin) { return admin.reload(); }); });

  auto level = std::make_shared<std::string>();
  CLI::App* log = app.add_subcommand("log-level", "Change the log level until the next restart");
  log->add_option("LEVEL", *level, "debug, info, warning or error")
      ->required()
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  log->callback([&context, level] {
    run(context, [&](AdminClient& admin) { return admin.set_log_level(*level); });
  });
}

}  // namespace dmsc::ctl
