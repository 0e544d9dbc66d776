// linkem: a layer-2 link emulator. It carries frames between pairs of interfaces and gives each
// link delay, jitter, loss, rate and cuts, changeable while it runs. See tools/linkem/README.md.
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "control.hpp"

namespace {

struct LinkArgument {
  std::string name, first, second;
  linkem::Parameters parameters;
};

// NAME=IF0,IF1[,key=value...]
LinkArgument parse_link(const std::string& text) {
  const std::size_t equals = text.find('=');
  std::vector<std::string> parts;
  for (std::size_t at = equals + 1; equals != std::string::npos && at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    parts.push_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  if (parts.size() < 2 || equals == 0 || parts[0].empty() || parts[1].empty()) {
    throw CLI::ValidationError("--link", "'" + text + "' is not NAME=IF0,IF1[,key=value...]");
  }
  LinkArgument link{text.substr(0, equals), parts[0], parts[1], {}};
  for (std::size_t i = 2; i < parts.size(); ++i) {
    const std::string wrong = linkem::apply_setting(parts[i], link.parameters);
    if (!wrong.empty()) throw CLI::ValidationError("--link " + link.name, wrong);
  }
  return link;
}

// A wire does not wait for a processor: without this a busy machine stops all links of a lab at once,
// long enough for neighbours to give each other up. Needs the right to do so; the lab runs as root.
constexpr int kNice = -20;

int run(const std::string& control, const std::vector<std::string>& texts, std::uint64_t seed) {
  if (setpriority(PRIO_PROCESS, 0, kNice) != 0) {
    std::fprintf(stderr, "linkem: runs at ordinary priority: delays grow when the machine is busy\n");
  }
  std::vector<LinkArgument> links;
  for (const std::string& text : texts) links.push_back(parse_link(text));
  linkem::Emulator emulator(seed);
  for (const auto& l : links) emulator.add(l.name, l.first, l.second, l.parameters);
  linkem::ControlSocket socket(emulator, control);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  const int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
  emulator.watch(signal_fd, [&emulator] { emulator.stop(); });
  sd_notifyf(0, "READY=1\nSTATUS=%zu links", links.size());
  emulator.run();
  close(signal_fd);
  return 0;
}

int request(const std::string& control, const std::string& line) {
  const std::string reply = linkem::ask(control, line);
  const auto value = nlohmann::json::parse(reply);
  if (!value.value("ok", false)) {
    std::fprintf(stderr, "linkem: %s\n", value.value("error", reply).c_str());
    return 1;
  }
  for (const auto& link : value.value("links", nlohmann::json::array())) {
    std::printf("%s\n", link["name"].get<std::string>().c_str());
    for (const auto& way : link["ways"]) {
      std::printf("  from %-15s %s\n    frames %lu  bytes %lu  lost %lu  cut %lu  queue full %lu\n",
                  way["from"].get<std::string>().c_str(),
                  way["settings"].get<std::string>().c_str(), way["frames"].get<unsigned long>(),
                  way["bytes"].get<unsigned long>(), way["lost"].get<unsigned long>(),
                  way["cut"].get<unsigned long>(), way["queue_full"].get<unsigned long>());
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Layer-2 link emulator: delay, jitter, loss, rate and cuts between two interfaces"};
  app.require_subcommand(1);
  std::string control, link, way = "both";
  std::vector<std::string> links, settings;
  std::uint64_t seed = std::random_device{}();
  auto* run_command = app.add_subcommand("run", "carry frames until SIGTERM");
  run_command->add_option("--link", links, "NAME=IF0,IF1[,key=value...]; may be given again")
      ->required();
  run_command->add_option("--seed", seed, "of loss and jitter; random unless given");
  auto* show_command = app.add_subcommand("show", "the links, their settings and counters");
  auto* set_command = app.add_subcommand("set", "change a link");
  auto* cut_command = app.add_subcommand("cut", "let nothing pass");
  auto* heal_command = app.add_subcommand("heal", "undo a cut");
  for (auto* command : {run_command, show_command, set_command, cut_command, heal_command}) {
    command->add_option("--control", control, "path of the control socket")->required();
  }
  for (auto* command : {set_command, cut_command, heal_command}) {
    command->add_option("link", link, "name of the link")->required();
    command->add_option("--way", way, "both, 0 (from the first interface) or 1 (from the second)");
  }
  set_command
      ->add_option("settings", settings,
                   "delay=20ms jitter=2ms loss=1% rate=10Mbit/s queue=64kB burst=3kB "
                   "reorder=on|off cut=on|off")
      ->required();
  try {
    app.parse(argc, argv);
    if (run_command->parsed()) return run(control, links, seed);
    if (show_command->parsed()) return request(control, "show");
    std::string line = set_command->parsed() ? "set" : cut_command->parsed() ? "cut" : "heal";
    line += " " + link + " " + way;
    for (const std::string& setting : settings) line += " " + setting;
    return request(control, line);
  } catch (const CLI::ParseError& e) {
    return app.exit(e);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "linkem: %s\n", e.what());
    return 1;
  }
}
