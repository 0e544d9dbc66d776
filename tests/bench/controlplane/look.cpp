// controlplane_look TOPIC[,ARGUMENT...] RUN_DIR...: asks many daemons of one machine for one topic,
// from one process. Prints a line for each, in order: the daemon's JSON document, or {"error":
// why}.
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "client.hpp"

namespace {

std::string ask(const std::string& run_dir, const std::string& topic,
                const std::vector<std::string>& arguments) {
  auto failed = [](const dmsc::Error& error) {
    return nlohmann::json{{"error", error.message}}.dump();
  };
  auto channel = dmsc::ctl::connect("the daemon", run_dir + "/inspect.sock");
  if (!channel) return failed(channel.error());
  auto answer = dmsc::ctl::InspectClient(*channel).show(topic, arguments);
  return answer ? *answer : failed(answer.error());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: controlplane_look TOPIC[,ARGUMENT...] RUN_DIR...\n";
    return 2;
  }
  std::istringstream words(argv[1]);
  std::string topic, word;
  std::vector<std::string> arguments;
  std::getline(words, topic, ',');
  while (std::getline(words, word, ',')) arguments.push_back(word);
  for (int i = 2; i < argc; ++i) std::cout << ask(argv[i], topic, arguments) << std::endl;
  return 0;
}
