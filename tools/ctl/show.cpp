// status, show TOPIC, explain NAME: one question, one answer.
#include "commands.hpp"

namespace dmsc::ctl {
namespace {

void ask(Context& context, const std::string& topic, const std::vector<std::string>& arguments) {
  auto client = context.inspect();
  if (!client) return;
  auto reply = client->show(topic, arguments);
  if (!reply) return context.fail(reply.error());
  context.print(*reply);
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
  explain->callback([&context, name] { ask(context, "explain", {*name}); });
}

}  // namespace dmsc::ctl
