#include "tests/sim/world.hpp"

#include <cstdio>

namespace dmsc::sim {

World::World(Pki& p, JudgeMemo& memo, std::uint64_t seed, const Options& o)
    : now(Time{} + seconds(1000)), rng(seed), options(o), pki(p), memo_(memo) {}

void World::log(const std::string& line) {
  if (!options.verbose) return;
  double t = std::chrono::duration<double>(now - Time{} - seconds(1000)).count();
  std::printf("  %9.3f %s\n", t, line.c_str());
}

std::size_t World::add_node(bool gateway, bool rogue) {
  specs.push_back({NodeId{static_cast<std::uint32_t>(specs.size() + 1)}, gateway, rogue});
  nodes.emplace_back();
  links_of.emplace_back();
  announced.emplace_back();
  overloaded.push_back(false);
  wake_at_.emplace_back();
  life_.push_back(0);
  wires_.emplace_back();
  return specs.size() - 1;
}

std::size_t World::add_link(std::size_t a, std::size_t b) {
  LinkSpec link;
  std::size_t number = links.size(), end = 0;
  for (std::size_t node : {a, b}) {
    LinkId id{static_cast<std::uint32_t>(wires_[node].size() + 1)};
    link.ends[end] = {node, id, static_cast<std::uint32_t>(1 + rng.below(20))};
    wires_[node][id] = {number, static_cast<int>(end)};
    links_of[node].push_back(number);
    ++end;
  }
  link.delay = rng.between(microseconds(100), milliseconds(4));
  links.push_back(link);
  return number;
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

void World::boot(std::size_t node, std::uint64_t stored_epoch) {
  const NodeSpec& spec = specs[node];
  const Identity& identity = pki.identity(spec.id, spec.gateway);
  crypto::KeyChain keys;
  keys.add(1, crypto::Key32{1, 2, 3});
  keys.set_active(1);
  linkstate::EngineConfig config{spec.id,
                                 "n" + std::to_string(spec.id.value),
                                 spec.gateway ? wire::NodeRole::gateway : wire::NodeRole::router,
                                 spec.gateway,
                                 kDomain,
                                 SessionId{rng.next() | 1},
                                 stored_epoch,
                                 0,
                                 rng.next(),
                                 identity.key,
                                 identity.certificate,
                                 keys,
                                 3600};
  std::uint64_t life = ++life_[node];
  SimNode::Shared shared{pki, memo_, violations};
  nodes[node] = std::make_unique<SimNode>(
      shared, spec, std::move(config), now, [this, node, life](LinkId link, Bytes datagram) {
        if (life_[node] == life) send(node, link, std::move(datagram));
      });
  SimNode& n = *nodes[node];
  for (const auto& [id, where] : wires_[node]) {
    n.engine().add_link(now, link_config(where.first, where.second));
  }
  if (spec.gateway) {
    n.inject(now, pki.authority());
    n.inject(now, pki.parameters());
    if (!revocations_.empty()) n.inject(now, pki.revocation(revocations_, revocations_.size()));
    n.announce(now, announced[node]);
  }
  n.engine().set_overload(now, overloaded[node]);
  wake_at_[node].reset();
  n.settle(now);
  wake(node);
}

void World::start_all() {
  for (std::size_t i = 0; i < specs.size(); ++i) {
    at(now + rng.between(Duration(0), milliseconds(500)), [this, i] { boot(i, 0); });
  }
}

void World::crash(std::size_t node) {
  if (!nodes[node]) return;
  log("crash n" + std::to_string(node + 1));
  nodes[node].reset();
  ++life_[node];
  wake_at_[node].reset();
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
  for (int end = 0; is_announced && end < 2; ++end) {
    std::size_t node = link.ends[end].node;
    if (!nodes[node]) continue;
    nodes[node]->engine().interface_state(now, link.ends[end].id, false);
    nodes[node]->settle(now);
    wake(node);
  }
}

void World::restore(std::size_t number) {
  LinkSpec& link = links[number];
  log("restore l" + std::to_string(number));
  link.cut[0] = link.cut[1] = false;
  for (const LinkEnd& end : link.ends) {
    if (!nodes[end.node]) continue;
    nodes[end.node]->engine().interface_state(now, end.id, true);
    nodes[end.node]->settle(now);
    wake(end.node);
  }
}

void World::set_partition(std::vector<bool> side) {
  log(side.empty() ? "partition heals" : "partition");
  side_ = std::move(side);
}

void World::announce(std::size_t node, Announced what) {
  announced[node] = std::move(what);
  log("n" + std::to_string(node + 1) + " announces " +
      std::to_string(announced[node].entries.size()) + " prefixes");
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
  log("n" + std::to_string(node + 1) + (overload ? " drains" : " undrains"));
  if (!nodes[node]) return;
  nodes[node]->engine().set_overload(now, overload);
  nodes[node]->settle(now);
  wake(node);
}

void World::set_metric(std::size_t number, int end, std::uint32_t metric) {
  LinkEnd& e = links[number].ends[end];
  e.metric = metric;
  log("metric of l" + std::to_string(number) + " at n" + std::to_string(e.node + 1) + " is " +
      std::to_string(metric));
  if (!nodes[e.node]) return;
  nodes[e.node]->engine().change_link(now, link_config(number, end));
  nodes[e.node]->settle(now);
  wake(e.node);
}

void World::at(Time when, std::function<void()> action) {
  Event event;
  event.at = when;
  event.action = std::move(action);
  push(std::move(event));
}

void World::push(Event event) {
  event.order = ++order_;
  queue_.push(std::move(event));
}

void World::send(std::size_t node, LinkId id, Bytes datagram) {
  ++packets;
  auto [number, end] = wires_[node].at(id);
  const LinkSpec& link = links[number];
  const LinkEnd& to = link.ends[1 - end];
  bool apart = !side_.empty() && side_[node] != side_[to.node];
  if (link.cut[end] || apart || rng.chance(loss)) return;
  if (rng.chance(corrupt)) {
    std::size_t bit = rng.below(datagram.size() * 8);
    datagram[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
  }
  auto delay = [&] {
    Duration d = link.delay + rng.between(Duration(0), link.delay / 10);
    return rng.chance(reorder) ? d + rng.between(Duration(0), milliseconds(20)) : d;
  };
  if (rng.chance(duplicate)) deliver(to.node, to.id, datagram, delay());
  deliver(to.node, to.id, std::move(datagram), delay());
}

void World::deliver(std::size_t node, LinkId link, Bytes datagram, Duration delay) {
  Event event;
  event.at = now + delay;
  event.node = node;
  event.link = link;
  event.datagram = std::move(datagram);
  push(std::move(event));
}

void World::wake(std::size_t node) {
  if (!nodes[node]) return;
  auto due = nodes[node]->deadline();
  if (!due || (wake_at_[node] && *wake_at_[node] <= *due)) return;
  wake_at_[node] = due;
  Event event;
  event.at = std::max(*due, now);
  event.node = node;
  event.life = life_[node];
  push(std::move(event));
}

void World::run_until(Time end) {
  while (!queue_.empty() && queue_.top().at <= end) {
    Event event = std::move(const_cast<Event&>(queue_.top()));
    queue_.pop();
    now = event.at;
    ++events;
    if (event.action) {
      event.action();
      continue;
    }
    if (!nodes[event.node]) continue;
    if (event.link) {
      nodes[event.node]->receive(now, event.link, event.datagram);
    } else {
      // A wake-up that an earlier one has replaced, or of a process that is gone, is void.
      if (event.life != life_[event.node] || wake_at_[event.node] > now) continue;
      wake_at_[event.node].reset();
      nodes[event.node]->tick(now);
    }
    wake(event.node);
  }
  now = end;
}

}  // namespace dmsc::sim
