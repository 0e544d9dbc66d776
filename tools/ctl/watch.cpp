// watch TOPIC: the state, then the new state after every change. On a terminal the table is drawn
// in place; events and JSON scroll.
#include <ctime>
#include <iostream>

#include "commands.hpp"

namespace dmsc::ctl {
namespace {

struct Request {
  std::string topic = "events";
  std::vector<std::string> arguments;
  unsigned count = 0;
};

std::string heading(const Context& context, const std::string& topic) {
  std::time_t at = std::time(nullptr);
  std::tm local{};
  localtime_r(&at, &local);
  char when[32];
  std::strftime(when, sizeof when, "%H:%M:%S", &local);
  return paint(context.persona.daemon + " " + topic + "  " + when, Tone::dim, context.view.style) +
         "\n";
}

void watch(Context& context, const Request& request, bool in_place) {
  auto client = context.inspect();
  if (!client) return;
  // A topic without arguments that the daemon streams row by row; an older daemon does not.
  if (request.arguments.empty() && is_followed(context.persona, request.topic)) {
    auto followed = follow(context, *client, request.topic, request.count);
    if (followed) return;
    if (followed.error().code != Errc::not_found && followed.error().code != Errc::unsupported) {
      return context.fail(followed.error());
    }
  }
  unsigned seen = 0;
  auto ended = client->watch(request.topic, request.arguments, [&](const std::string& json) {
    bool scroll = context.json || request.topic == "events";
    if (!scroll) {
      if (in_place) std::cout << "\x1b[H\x1b[2J";
      std::cout << heading(context, request.topic);
    }
    context.print(json);
    if (!scroll && !in_place) std::cout << std::endl;
    return ++seen != request.count;
  });
  if (!ended) context.fail(ended.error());
}

}  // namespace

void add_watch(CLI::App& app, Context& context) {
  auto request = std::make_shared<Request>();
  CLI::App* command =
      app.add_subcommand("watch", "A topic, again after every change; or the events");
  command->add_option("TOPIC", request->topic, "any topic of show")->capture_default_str();
  command->add_option("ARGUMENT", request->arguments, "what the topic asks for");
  command->add_option("-c,--count", request->count, "stop after this many replies; 0 = never");
  command->callback(
      [&context, request] { watch(context, *request, context.view.style.color && !context.json); });
}

}  // namespace dmsc::ctl
