// controlplane_look TOPIC[,ARGUMENT...] RUN_DIR...: asks many daemons of one machine for one topic,
// from one process. Prints a line for each, in order: the daemon's JSON document, or {"error":
// why}. controlplane_look - reads such requests, one a line, so that to ask again costs no start of a
// process while the daemons need the processors. The topics !drain and !undrain are orders: the whole
// node, softly.
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "client.hpp"

namespace {

std::string order(const std::string& run_dir, bool drain) {
  auto channel = dmsc::ctl::connect("the daemon", run_dir + "/admin.sock");
  if (!channel) return nlohmann::json{{"error", channel.error().message}}.dump();
  dmsc::ctl::AdminClient admin(*channel);
  auto answer = drain ? admin.drain("", true, "bench") : admin.undrain("");
  return nlohmann::json{{answer ? "answer" : "error", answer ? *answer : answer.error().message}}.dump();
}

std::string ask(const std::string& run_dir, const std::string& topic,
                const std::vector<std::string>& arguments) {
  auto failed = [](const dmsc::Error& error) {
    return nlohmann::json{{"error", error.message}}.dump();
  };
  auto channel = dmsc::ctl::connect("the daemon", run_dir + "/inspect.sock");
  if (!channel) return failed(channel.error());
  if (topic == "!drain" || topic == "!undrain") return order(run_dir, topic == "!drain");
  auto answer = dmsc::ctl::InspectClient(*channel).show(topic, arguments);
  return answer ? *answer : failed(answer.error());
}

void ask_all(const std::string& what, const std::vector<std::string>& run_dirs) {
  std::istringstream words(what);
  std::string topic, word;
  std::vector<std::string> arguments;
  std::getline(words, topic, ',');
  while (std::getline(words, word, ',')) arguments.push_back(word);
  for (const std::string& dir : run_dirs) std::cout << ask(dir, topic, arguments) << std::endl;
}

void serve() {
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string what, dir;
    std::vector<std::string> run_dirs;
    words >> what;
    while (words >> dir) run_dirs.push_back(dir);
    ask_all(what, run_dirs);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 1 && arguments[0] == "-") {
    serve();
    return 0;
  }
  if (arguments.size() < 2) {
    std::cerr << "usage: controlplane_look TOPIC[,ARGUMENT...] RUN_DIR...\n"
                 "       controlplane_look -\n";
    return 2;
  }
  ask_all(arguments[0], {arguments.begin() + 1, arguments.end()});
  return 0;
}
