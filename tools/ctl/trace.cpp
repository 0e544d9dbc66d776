// trace NAME: the path to a name, hop by hop. The daemon's topic "trace" answers
//   {"name","outcome","detail","path":[...],"hops":[{"hop","node","rtt_ms",...}]}
#include "commands.hpp"

namespace dmsc::ctl {
namespace {

void trace(Context& context, const std::string& name) {
  auto client = context.inspect();
  if (!client) return;
  auto reply = client->show("trace", {name}, 60);
  if (!reply) return context.fail(reply.error());
  context.print(*reply);
  Json document = Json::parse(*reply, nullptr, false);
  if (!document.is_object()) return;
  const Json value = document.value("value", Json::object());
  if (value.is_object() && value.value("outcome", "answered") != "answered") {
    context.exit_code = kNegative;
  }
}

}  // namespace

void add_trace(CLI::App& app, Context& context) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("trace", "The path to a service name, hop by hop");
  command->add_option("NAME", *name, "such as B/4")->required();
  command->callback([&context, name] { trace(context, *name); });
}

}  // namespace dmsc::ctl
