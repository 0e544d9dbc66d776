#include "tests/sim/loop_trace.hpp"

#include <cstdio>

#include "dmsc/wire/lsa.hpp"
#include "dmsc/wire/pdu.hpp"

namespace dmsc::sim {
namespace {

constexpr Duration kBefore = milliseconds(60);  // of the story, before packets circled
constexpr Duration kKept = seconds(10);

std::string node_lsa(const wire::LsaKey& key, const wire::LsaVersion& version) {
  return " n" + std::to_string(key.origin.value) + "#" + std::to_string(version.sequence);
}

// The Node LSAs it carries or acknowledges; empty if there are none.
std::string topology_in(wire::PduType type, ByteView body) {
  std::string out;
  if (type == wire::PduType::update) {
    auto entries = wire::decode_update(body);
    for (std::size_t i = 0; entries && i < entries->size(); ++i) {
      auto lsa = wire::decode_lsa((*entries)[i].raw);
      if (lsa && (*lsa)->key.type == wire::LsaType::node)
        out += node_lsa((*lsa)->key, (*lsa)->version);
    }
  } else if (type == wire::PduType::ack) {
    auto acks = wire::decode_acks(body);
    for (std::size_t i = 0; acks && i < acks->size(); ++i) {
      const wire::LsaRef& ref = (*acks)[i];
      if (ref.key.type == wire::LsaType::node) out += node_lsa(ref.key, ref.version);
    }
  }
  return out;
}

}  // namespace

void LoopTrace::add(Event event) {
  while (!events_.empty() && events_.front().at + kKept < event.at) events_.pop_front();
  events_.push_back(std::move(event));
}

void LoopTrace::packet(Time now, std::size_t from, std::size_t to, ByteView datagram,
                       std::optional<Time> arrival) {
  auto pdu = wire::parse_pdu(datagram);
  if (!pdu) return;
  std::string what = topology_in(pdu->header.type, pdu->body);
  if (what.empty()) return;
  char fate[40] = "LOST";
  if (arrival) {
    std::snprintf(fate, sizeof fate, "%.1f ms",
                  std::chrono::duration<double, std::milli>(*arrival - now).count());
  }
  const char* kind = pdu->header.type == wire::PduType::ack ? "acknowledges" : "sends";
  add({now, from, to, std::string(kind) + what + " to n" + std::to_string(to + 1) + ": " + fate});
}

void LoopTrace::note(Time now, std::size_t node, std::string what) {
  add({now, node, node, std::move(what)});
}

void LoopTrace::holds(std::size_t node, const wire::LsaKey& key, const wire::LsaVersion& version) {
  auto& held = held_[node];
  if (version.sequence == 0)
    held.erase(key);
  else
    held[key] = {version.epoch, version.sequence};
}

bool LoopTrace::differ(const std::set<std::size_t>& nodes) const {
  for (std::size_t node : nodes) {
    auto first = held_.find(*nodes.begin()), other = held_.find(node);
    if (first == held_.end() || other == held_.end() || first->second != other->second) return true;
  }
  return false;
}

void LoopTrace::circled(Time from, Time until, const std::set<std::size_t>& nodes,
                        const std::string& name, const std::string& causes) {
  if (until - from <= longer_than_ || !told_.insert({from, nodes}).second) return;
  std::string circle;
  for (std::size_t node : nodes) circle += " n" + std::to_string(node + 1);
  std::printf("LOOP %.3f to %.3f (%.0f ms) to %s:%s; %s\n", seconds_of(from), seconds_of(until),
              std::chrono::duration<double, std::milli>(until - from).count(), name.c_str(),
              circle.c_str(), causes.c_str());
  for (const Event& e : events_) {
    bool here = nodes.count(e.node) != 0 || nodes.count(e.other) != 0;
    if (!here || e.at < from - kBefore || e.at > until + milliseconds(5)) continue;
    std::printf("    %9.4f n%zu %s\n", seconds_of(e.at), e.node + 1, e.what.c_str());
  }
}

}  // namespace dmsc::sim
