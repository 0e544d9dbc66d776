// status, show TOPIC, explain NAME: one question, one answer.
#include "commands.hpp"

namespace dmsc::ctl {
namespace {

// False if there was no answer.
bool ask(Context& context, const std::string& topic, const std::vector<std::string>& arguments,
         std::string* answer = nullptr) {
  auto client = context.inspect();
  if (!client) return false;
  auto reply = client->show(topic, arguments);
  if (!reply) {
    context.fail(reply.error());
    return false;
  }
  context.print(*reply);
  if (answer) *answer = std::move(*reply);
  return true;
}

// A node's explanation ends in a verdict; only "reachable" is a yes.
void explain_name(Context& context, const std::string& name) {
  std::string answer;
  if (!ask(context, "explain", {name}, &answer)) return;
  const Json document = Json::parse(answer, nullptr, false);
  if (!document.is_object() || !document.contains("value") || !document["value"].is_object())
    return;
  if (document["value"].value("verdict", "reachable") != "reachable") context.exit_code = kNegative;
}

struct Question {
  std::string topic;
  std::vector<std::string> arguments;
};

}  // namespace

void add_show(CLI::App& app, Context& context) {
  app.add_subcommand("status", "How the daemon is, in short")->callback([&context] {
    ask(context, "status", {});
  });

  auto question = std::make_shared<Question>();
  std::string topics;
  for (const auto& t : context.persona.topics) topics += (topics.empty() ? "" : ", ") + t;
  CLI::App* show = app.add_subcommand("show", "What the daemon holds: " + topics);
  show->add_option("TOPIC", question->topic, "one of those above, or any the daemon has")
      ->required();
  show->add_option("ARGUMENT", question->arguments, "what the topic asks for, such as a name");
  show->callback([&context, question] { ask(context, question->topic, question->arguments); });

  auto name = std::make_shared<std::string>();
  CLI::App* explain =
      app.add_subcommand("explain", "All that is known about a service name, and why");
  explain->add_option("NAME", *name, "such as B/4")->required();
  explain->callback([&context, name] { explain_name(context, *name); });
}

}  // namespace dmsc::ctl
