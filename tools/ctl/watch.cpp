// watch TOPIC: the state, then the new state after every change. On a terminal the table is drawn
// in place; events, JSON and wide tables scroll.
#include <ctime>
#include <iostream>

#include "commands.hpp"
#include "terminal.hpp"

namespace dmsc::ctl {
namespace {

struct Request {
  std::string topic = "events";
  std::vector<std::string> arguments;
  unsigned count = 0;
};

std::string heading(const Context& context, const Request& request) {
  std::string what = request.topic;
  for (const std::string& argument : request.arguments) what += " " + argument;
  std::time_t at = std::time(nullptr);
  std::tm local{};
  localtime_r(&at, &local);
  char when[32];
  std::strftime(when, sizeof when, "%H:%M:%S", &local);
  return paint(context.persona.daemon + " " + printable(what) + "  " + when, Tone::dim, context.view.style) +
         "\n";
}

// Events as a log has them.
void print_events(const Context& context, const std::string& json) {
  const Json document = Json::parse(json, nullptr, false);
  if (!document.is_object() || !document.contains("rows")) return context.print(json);
  for (const Json& row : document["rows"]) {
    std::string level = row.value("level", "");
    Tone tone = level == "error" ? Tone::bad : level == "warning" ? Tone::warn : Tone::plain;
    std::string line = cell_of("time", row.value("time", Json())).text + " ";
    std::string word = level + std::string(level.size() < 8 ? 8 - level.size() : 1, ' ');
    std::cout << paint(line, Tone::dim, context.view.style) << paint(word, tone, context.view.style)
              << printable(row.value("line", "")) << "\n";
  }
  std::cout.flush();
}

void watch(Context& context, const Request& request) {
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
  bool events = request.topic == "events", in_place = is_terminal() && !context.view.wide;
  unsigned seen = 0;
  auto ended = client->watch(request.topic, request.arguments, [&](const std::string& json) {
    if (context.json) {
      context.print(json);
    } else if (events) {
      print_events(context, json);
    } else {
      std::string text = heading(context, request) + context.render(json);
      if (in_place && seen == 0) std::cout << "\x1b[2J";
      std::cout << (in_place ? screenful(text, terminal_size()) : text + "\n") << std::flush;
    }
    return ++seen != request.count;
  });
  if (!ended) context.fail(ended.error());
}

}  // namespace

void add_watch(CLI::App& app, Context& context) {
  auto request = std::make_shared<Request>();
  CLI::App* command =
      app.add_subcommand("watch", "A topic, again after every change; or the events, as they happen");
  command->add_option("TOPIC", request->topic, "any topic of show")->capture_default_str();
  command->add_option("ARGUMENT", request->arguments, "what the topic asks for");
  command->add_option("-c,--count", request->count,
                      "stop after this many: the state and each change of it count one; 0 = never");
  std::string rows;
  for (const char* topic : {"lsdb", "routes", "paths", "neighbors"}) {
    if (is_followed(context.persona, topic)) rows += (rows.empty() ? "" : ", ") + std::string(topic);
  }
  if (!rows.empty()) {
    command->footer("Row by row (" + rows + "): + came, ~ what changed in it, - went; with -w its sequence\n"
                    "number too. Any other topic is drawn anew. Ctrl-C ends it.");
  }
  command->callback([&context, request] { watch(context, *request); });
}

}  // namespace dmsc::ctl
