#include "tests/sim/world.hpp"

#include <cstring>

#include "tests/sim/walks.hpp"

namespace dmsc::sim {
namespace {

constexpr Time kBegin = Time{} + seconds(1000);
constexpr Duration kReorderMost = milliseconds(200), kSkewMost = seconds(3600);

std::uint64_t blend(std::uint64_t sum, std::uint64_t value) {
  sum = (sum ^ value) * 0x9e3779b97f4a7c15ULL;
  return sum ^ sum >> 32;
}

}  // namespace

World::World(Pki& p, JudgeMemo& memo, std::uint64_t seed, const Options& o)
    : now(kBegin),
      rng(seed),
      options(o),
      pki(p),
      memo_(memo),
      work_(std::make_shared<SharedWork>(o.tags)),
      walks_(std::make_unique<Walks>(*this, seed)) {}

World::~World() = default;

void World::log(const std::string& line) {
  for (char c : line) fingerprint_ = blend(fingerprint_, static_cast<unsigned char>(c));
  double t = std::chrono::duration<double>(now - kBegin).count();
  if (options.verbose) std::printf("  %9.3f %s\n", t, line.c_str());
  if (options.log != nullptr) std::fprintf(options.log, "%.9f %s\n", t, line.c_str());
}

std::size_t World::add_node(bool gateway, bool rogue) {
  specs.push_back({NodeId{static_cast<std::uint32_t>(specs.size() + 1)}, gateway, rogue});
  nodes.emplace_back();
  links_of.emplace_back();
  announced.emplace_back();
  overloaded.push_back(false);
  drained.push_back(linkstate::DrainLevel::none);
  queue_.add_nodes(specs.size());
  wires_.emplace_back();
  wall_.push_back(rng.between(-kSkewMost, kSkewMost));
  calendar_.push_back(rng.chance(0.7));
  return specs.size() - 1;
}

std::size_t World::add_link(std::size_t a, std::size_t b, Duration delay, std::uint32_t metric) {
  LinkSpec link;
  std::size_t number = links.size(), end = 0;
  for (std::size_t node : {a, b}) {
    wires_[node].push_back(static_cast<std::uint32_t>(2 * number + end));
    link.ends[end] = {node, LinkId{static_cast<std::uint32_t>(wires_[node].size())}, metric};
    links_of[node].push_back(number);
    ++end;
  }
  link.delay = delay;
  links.push_back(link);
  return number;
}

std::size_t World::add_link(std::size_t a, std::size_t b) {
  std::size_t number = add_link(a, b, rng.between(microseconds(100), milliseconds(4)), 10);
  LinkSpec& link = links[number];
  link.jitter = link.delay / 10;
  for (LinkEnd& end : link.ends) end.metric = static_cast<std::uint32_t>(1 + rng.below(20));
  return number;
}

std::pair<std::size_t, int> World::wire_at(std::size_t node, LinkId id) const {
  std::uint32_t wire = wires_[node].at(id.value - 1);
  return {wire / 2, static_cast<int>(wire % 2)};
}

linkstate::LinkConfig World::link_config(std::size_t number, int end) const {
  const LinkSpec& link = links[number];
  linkstate::LinkConfig config;
  config.id = link.ends[end].id;
  config.name = "l" + std::to_string(number);
  config.peer_name = "n" + std::to_string(specs[link.ends[1 - end].node].id.value);
  config.metric = link.ends[end].metric;
  config.liveness.interval = liveness;
  config.data.worker_ports = {7402};
  return config;
}

linkstate::EngineConfig World::engine_config(std::size_t node, std::uint64_t stored_epoch) {
  const NodeSpec& spec = specs[node];
  const Identity& identity = pki.identity(spec.id, spec.gateway);
  linkstate::EngineConfig config{.signer = identity.key};
  config.self = spec.id;
  config.name = "n" + std::to_string(spec.id.value);
  config.role = spec.gateway ? wire::NodeRole::gateway : wire::NodeRole::router;
  config.no_transit = spec.gateway;
  config.domain = kDomain;
  config.session = SessionId{rng.next() | 1};
  config.stored_epoch = stored_epoch;
  config.random_seed = rng.next();
  config.certificate = identity.certificate;
  config.keys.add(1, crypto::Key32{1, 2, 3});
  config.keys.set_active(1);
  config.primitives = work_;
  if (node == recorded_) {
    tape_.bytes.clear();
    config.record_to = &tape_;
  }
  // A calendar clock is off by up to an hour, and may be set while the node is down.
  if (rng.chance(0.2)) wall_[node] = rng.between(-kSkewMost, kSkewMost);
  if (calendar_[node]) {
    auto wall = std::chrono::duration_cast<seconds>(now - kBegin + wall_[node]).count();
    config.clock_seconds = static_cast<std::uint64_t>(static_cast<std::int64_t>(kDomainTime) + wall);
  }
  return config;
}

void World::boot(std::size_t node, std::uint64_t stored_epoch) {
  const NodeSpec& spec = specs[node];
  linkstate::EngineConfig config = engine_config(node, stored_epoch);
  Duration clock = rng.between(Duration(0), 2 * kSkewMost);  // monotonic clocks begin anywhere
  FibWatch* watch = options.walk ? walks_.get() : nullptr;
  SimNode::Shared shared{pki, memo_, *this, *work_, outputs_, certificates_, watch, options.mutation};
  nodes[node] = std::make_unique<SimNode>(shared, spec, std::move(config), now, clock);
  SimNode& n = *nodes[node];
  n.set_drain(now, drained[node]);
  for (std::uint32_t wire : wires_[node]) {
    std::size_t number = wire / 2;
    int end = static_cast<int>(wire % 2);
    n.add_link(now, link_config(number, end));
    if (links[number].drain[end] != linkstate::DrainLevel::none) {
      n.set_link_drain(now, links[number].ends[end].id, links[number].drain[end]);
    }
  }
  if (spec.gateway) {
    n.inject(now, pki.authority());
    n.inject(now, pki.parameters());
    if (!revocations_.empty()) n.inject(now, pki.revocation(revocations_, revocations_.size()));
    n.announce(now, announced[node]);
  }
  n.set_overload(now, overloaded[node]);
  n.settle(now);
  if (options.walk) walks_->physical();
  if (walks_->trace() != nullptr) walks_->trace()->forget(node);
  if (watch != nullptr) watch->links(spec.id);
  wake(node);
}

void World::start_all(Duration within) {
  for (std::size_t i = 0; i < specs.size(); ++i) {
    at(now + rng.between(Duration(0), within), [this, i] { boot(i, 0); });
  }
}

void World::crash(std::size_t node) {
  if (!nodes[node]) return;
  log("crash n" + std::to_string(node + 1));
  nodes[node].reset();
  queue_.set_wake(node, Time::max());
  walks_->physical();
}

void World::restart(std::size_t node, std::uint64_t stored_epoch) {
  log("start n" + std::to_string(node + 1) + " with stored epoch " + std::to_string(stored_epoch));
  boot(node, stored_epoch);
}

void World::cut(std::size_t number, bool both_ways, bool is_announced) {
  LinkSpec& link = links[number];
  log("cut l" + std::to_string(number) + (both_ways ? "" : " one way") +
      (is_announced ? " with carrier loss" : ""));
  link.cut[0] = true;
  link.cut[1] = both_ways;
  walks_->physical();
  for (int end = 0; is_announced && end < 2; ++end) {
    std::size_t node = link.ends[end].node;
    if (!nodes[node]) continue;
    nodes[node]->interface_state(now, link.ends[end].id, false);
    wake(node);
  }
}

void World::restore(std::size_t number) {
  LinkSpec& link = links[number];
  log("restore l" + std::to_string(number));
  link.cut[0] = link.cut[1] = false;
  walks_->physical();
  for (const LinkEnd& end : link.ends) {
    if (!nodes[end.node]) continue;
    nodes[end.node]->interface_state(now, end.id, true);
    wake(end.node);
  }
}

void World::set_partition(std::vector<bool> side) {
  log(side.empty() ? "partition heals" : "partition");
  side_ = std::move(side);
  walks_->physical();
}

void World::announce(std::size_t node, Announced what) {
  announced[node] = std::move(what);
  log("n" + std::to_string(node + 1) + " announces " +
      std::to_string(announced[node].entries.size()) + " prefixes");
  walks_->names_changed();
  if (!nodes[node]) return;
  nodes[node]->announce(now, announced[node]);
  nodes[node]->settle(now);
  wake(node);
}

void World::revoke(wire::Revocation::GrantRef grant) {
  revoked.insert(grant.serial);
  revocations_.push_back(grant);
  log("revoke grant " + std::to_string(grant.serial));
  Bytes object = pki.revocation(revocations_, revocations_.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!nodes[i] || !specs[i].gateway) continue;
    nodes[i]->inject(now, object);
    nodes[i]->settle(now);
    wake(i);
  }
}

void World::set_overload(std::size_t node, bool overload) {
  overloaded[node] = overload;
  log("n" + std::to_string(node + 1) + (overload ? " overloaded" : " no longer overloaded"));
  if (!nodes[node]) return;
  nodes[node]->set_overload(now, overload);
  wake(node);
}

void World::set_drain(std::size_t node, linkstate::DrainLevel level) {
  drained[node] = level;
  log("drain of n" + std::to_string(node + 1) + ": " + linkstate::to_string(level));
  if (!nodes[node]) return;
  nodes[node]->set_drain(now, level);
  wake(node);
}

void World::set_link_drain(std::size_t number, int end, linkstate::DrainLevel level) {
  LinkSpec& link = links[number];
  link.drain[end] = level;
  std::size_t node = link.ends[end].node;
  log("drain of l" + std::to_string(number) + " at n" + std::to_string(node + 1) + ": " +
      linkstate::to_string(level));
  if (!nodes[node]) return;
  nodes[node]->set_link_drain(now, link.ends[end].id, level);
  wake(node);
}

void World::set_metric(std::size_t number, int end, std::uint32_t metric) {
  LinkEnd& e = links[number].ends[end];
  e.metric = metric;
  log("metric of l" + std::to_string(number) + " at n" + std::to_string(e.node + 1) + " is " +
      std::to_string(metric));
  if (!nodes[e.node]) return;
  nodes[e.node]->change_link(now, link_config(number, end));
  wake(e.node);
}

void World::set_mtu(std::size_t number, int end, std::uint16_t mtu) {
  links[number].mtu[end] = mtu;
  log("l" + std::to_string(number) + " carries " + std::to_string(mtu) + " bytes from n" +
      std::to_string(links[number].ends[end].node + 1));
}

void World::set_weather(const Weather& next) {
  weather = next;
  char text[96];
  std::snprintf(text, sizeof text, "weather: loss %.3f duplicate %.3f reorder %.3f corrupt %.3f", weather.loss,
                weather.duplicate, weather.reorder, weather.corrupt);
  log(text);
}

void World::at(Time when, std::function<void()> action) { queue_.push_action(when, std::move(action)); }

void World::send(std::size_t node, LinkId id, Bytes datagram) {
  ++packets;
  std::uint32_t wire = wires_[node][id.value - 1];
  std::size_t number = wire / 2;
  int end = static_cast<int>(wire % 2);
  const LinkSpec& link = links[number];
  const LinkEnd& to = link.ends[1 - end];
  if (options.mutation == Mutation::no_digest && datagram[1] == 5) return;
  LoopTrace* trace = walks_->trace();
  if (!carries(number, end) || datagram.size() > link.mtu[end] || (weather.loss > 0 && rng.chance(weather.loss))) {
    if (trace != nullptr) trace->packet(now, node, to.node, datagram, std::nullopt);
    return;
  }
  if (weather.corrupt > 0 && rng.chance(weather.corrupt)) {
    std::size_t bit = rng.below(datagram.size() * 8);
    datagram[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
  }
  auto delay = [&] {
    Duration d = link.delay;
    if (link.jitter.count() > 0) d += rng.between(Duration(0), link.jitter);
    bool late = weather.reorder > 0 && rng.chance(weather.reorder);
    return late ? d + rng.between(Duration(0), kReorderMost) : d;
  };
  if (weather.duplicate > 0 && rng.chance(weather.duplicate)) deliver(to.node, to.id, datagram, delay());
  Duration last = delay();
  if (trace != nullptr) trace->packet(now, node, to.node, datagram, now + last);
  deliver(to.node, to.id, std::move(datagram), last);
}

void World::deliver(std::size_t node, LinkId link, Bytes datagram, Duration delay) {
  queue_.push_packet(now + delay, static_cast<std::uint32_t>(node), link, std::move(datagram));
}

void World::wake(std::size_t node) {
  if (!nodes[node]) return;
  queue_.set_wake(node, std::max(nodes[node]->deadline(), now));
}

// What two runs of one seed must have in common: every event, with the bytes it carried.
void World::note(std::size_t node, ByteView datagram) {
  std::uint64_t tag = 0;  // its front: it covers all the rest
  if (datagram.size() >= wire::kPduOverhead) {
    std::memcpy(&tag, datagram.last(wire::kPduTrailerBytes).data(), sizeof tag);
  }
  fingerprint_ = blend(fingerprint_, static_cast<std::uint64_t>(now.time_since_epoch().count()));
  fingerprint_ = blend(fingerprint_, tag ^ std::uint64_t{node} << 40 ^ datagram.size());
  if (options.log == nullptr) return;
  double t = std::chrono::duration<double>(now - kBegin).count();
  if (datagram.empty()) {
    std::fprintf(options.log, "%.9f n%zu wakes\n", t, node + 1);
  } else {
    std::fprintf(options.log, "%.9f n%zu receives %zu bytes %016llx\n", t, node + 1, datagram.size(),
                 static_cast<unsigned long long>(tag));
  }
}

void World::step_packet() {
  Queue::Packet packet = queue_.pop_packet();
  std::size_t i = packet.node;
  if (!nodes[i]) return;
  note(i, packet.datagram);
  nodes[i]->receive(now, packet.link, std::move(packet.datagram));
  wake(i);
}

void World::step(const Queue::Next& next) {
  if (next.kind == Queue::Kind::packet) return step_packet();
  if (next.kind == Queue::Kind::action) return queue_.pop_action()();
  note(next.node, {});
  nodes[next.node]->tick(now);
  queue_.set_wake(next.node, std::max(nodes[next.node]->deadline(), now), true);
}

void World::run_until(Time end) {
  for (;;) {
    Queue::Next next = queue_.next();
    if (next.at > end || next.kind == Queue::Kind::none) break;
    if (options.walk) walks_->sample_before(next.at);
    now = next.at;
    ++events;
    step(next);
  }
  if (options.walk) walks_->sample_before(end);
  now = end;
}

}  // namespace dmsc::sim
