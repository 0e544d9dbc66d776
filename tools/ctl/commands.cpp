#include "commands.hpp"

namespace dmsc::ctl {

void add_commands(CLI::App& app, Context& context) {
  add_show(app, context);
  add_watch(app, context);
  bool forwards = context.persona.daemon == "sgd" || context.persona.daemon == "srd";
  if (forwards) {
    add_ping(app, context);
    add_trace(app, context);
  }
  if (context.persona.daemon == "spad") add_spa(app, context);
  add_admin(app, context);
  add_completion(app, context);
}

}  // namespace dmsc::ctl
