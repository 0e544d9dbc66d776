// ping NAME: probes through the data plane, one a second. The daemon's topic "ping" sends one
// probe:
//   {"name","outcome":"answered|error|timeout|refused","egress","instance","rtt_ms","detail","path"}
#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <thread>

#include "commands.hpp"

namespace dmsc::ctl {
namespace {

struct Request {
  std::string name;
  unsigned count = 4;
  double interval = 1.0;  // seconds
};

struct Totals {
  unsigned sent = 0;
  std::vector<double> rtt_ms;
};

void print_probe(const Context& context, unsigned sequence, const Json& value) {
  const Style& style = context.view.style;
  std::string line = "seq=" + std::to_string(sequence);
  for (const auto& [key, item] : value.items()) {
    if (key == "name" || key == "outcome" || item.is_null() || item == "") continue;
    line += " " + header_of(key) + "=" + cell_of(key, item).text;
  }
  std::string outcome = value.value("outcome", "unknown");
  std::cout << paint(outcome, outcome == "answered" ? Tone::good : Tone::bad, style) << " " << line
            << std::endl;
}

void print_totals(const std::string& name, const Totals& totals) {
  std::size_t answered = totals.rtt_ms.size();
  std::cout << "--- " << printable(name) << ": " << totals.sent << " sent, " << answered
            << " answered, " << (totals.sent - answered) * 100 / std::max(1U, totals.sent)
            << "% lost";
  if (answered) {
    auto [low, high] = std::minmax_element(totals.rtt_ms.begin(), totals.rtt_ms.end());
    double sum = 0;
    for (double v : totals.rtt_ms) sum += v;
    std::cout << ", rtt min/avg/max " << human_duration(*low / 1e3) << "/"
              << human_duration(sum / static_cast<double>(answered) / 1e3) << "/"
              << human_duration(*high / 1e3);
  }
  std::cout << std::endl;
}

// False if there is no sense in going on.
bool probe(Context& context, InspectClient& client, const Request& request, Totals& totals) {
  auto reply = client.show("ping", {request.name});
  ++totals.sent;
  if (!reply) {
    context.fail(reply.error());
    return reply.error().code == Errc::deadline;
  }
  if (context.json) std::cout << *reply << std::endl;
  Json document = Json::parse(*reply, nullptr, false);
  const Json value =
      document.is_object() ? document.value("value", Json::object()) : Json::object();
  if (!context.json) print_probe(context, totals.sent, value);
  if (value.value("outcome", "") == "answered") totals.rtt_ms.push_back(value.value("rtt_ms", 0.0));
  return true;
}

void ping(Context& context, const Request& request) {
  auto client = context.inspect();
  if (!client) return;
  Totals totals;
  while (probe(context, *client, request, totals)) {
    if (request.count && totals.sent >= request.count) break;
    std::this_thread::sleep_for(std::chrono::duration<double>(request.interval));
  }
  if (context.exit_code != kOk) return;
  if (!context.json) print_totals(request.name, totals);
  if (totals.rtt_ms.empty()) context.exit_code = kNegative;
}

}  // namespace

void add_ping(CLI::App& app, Context& context) {
  auto request = std::make_shared<Request>();
  CLI::App* command = app.add_subcommand("ping", "Probe a service name through the data plane");
  command->add_option("NAME", request->name, "such as B/4")->required();
  command->add_option("-c,--count", request->count, "probes to send; 0 = until interrupted")
      ->capture_default_str();
  command->add_option("-i,--interval", request->interval, "seconds between two probes")
      ->check(CLI::Range(0.01, 3600.0))
      ->capture_default_str();
  command->callback([&context, request] { ping(context, *request); });
}

}  // namespace dmsc::ctl
