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

struct DrainOptions {
  std::string reason, link;
  bool soft = false, hard = false, off = false;
};

void add_drain(CLI::App& app, Context& context) {
  auto options = std::make_shared<DrainOptions>();
  CLI::App* drain =
      app.add_subcommand("drain", "Move traffic away, until undrain; survives restarts");
  drain->add_option("REASON", options->reason, "kept and shown in status");
  drain->add_option("--link", options->link, "only this link, by its name");
  auto* soft = drain->add_flag("--soft", options->soft, "only traffic that has another way moves");
  auto* hard = drain->add_flag("--hard", options->hard, "out of use once traffic has moved (the default)");
  auto* off = drain->add_flag("--off", options->off, "like undrain");
  soft->excludes(hard)->excludes(off);
  hard->excludes(off);
  drain->callback([&context, options] {
    run(context, [&](AdminClient& admin) {
      return options->off ? admin.undrain(options->link)
                          : admin.drain(options->link, options->soft, options->reason);
    });
  });
  CLI::App* undrain = app.add_subcommand("undrain", "Take traffic again");
  undrain->add_option("--link", options->link, "only this link");
  undrain->callback([&context, options] {
    run(context, [&](AdminClient& admin) { return admin.undrain(options->link); });
  });
}

}  // namespace

void add_admin(CLI::App& app, Context& context) {
  add_drain(app, context);
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
