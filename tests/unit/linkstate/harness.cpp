#include "tests/unit/linkstate/harness.hpp"

namespace dmsc::linkstate::test {

crypto::Key32 seed(std::uint8_t fill) {
  crypto::Key32 key;
  key.fill(fill);
  return key;
}

crypto::KeyChain chain(std::initializer_list<std::uint16_t> ids, std::uint16_t active) {
  crypto::KeyChain out;
  for (std::uint16_t id : ids) out.add(id, seed(static_cast<std::uint8_t>(id)));
  out.set_active(active);
  return out;
}

wire::PrefixEntry prefix(const std::string& name, std::uint16_t capacity) {
  return {*Name::parse(name), false, 0, {{InstanceId{1}, capacity}}};
}

AdjacencyState Node::state(std::uint32_t link) const { return view(link).state; }

NeighbourView Node::view(std::uint32_t link) const {
  for (const NeighbourView& v : engine.neighbours(Time{})) {
    if (v.link == LinkId{link}) return v;
  }
  return {};
}

Net::Net() { now = Time{} + seconds(10000); }

int Net::add(std::function<void(EngineConfig&)> change, Duration skew) {
  auto number = static_cast<std::uint32_t>(nodes.size() + 1);
  crypto::SigningKey signer(seed(static_cast<std::uint8_t>(number)));
  EngineConfig c{NodeId{number},
                 "n" + std::to_string(number),
                 wire::NodeRole::router,
                 false,
                 DomainId{7},
                 SessionId{++sessions_},
                 0,
                 1000,
                 number,
                 signer,
                 to_bytes(signer.public_key()),
                 chain({1}, 1),
                 3600};
  if (change) change(c);
  nodes.push_back(std::make_unique<Node>(std::move(c), now + skew));
  nodes.back()->skew = skew;
  return static_cast<int>(nodes.size()) - 1;
}

void Net::join(int a, int b, std::function<void(LinkConfig&)> change) {
  Node &x = (*this)[a], &y = (*this)[b];
  LinkId la{static_cast<std::uint32_t>(x.wires.size() + 1)};
  LinkId lb{static_cast<std::uint32_t>(y.wires.size() + 1)};
  x.wires[la] = {b, lb};
  y.wires[lb] = {a, la};
  LinkConfig config;
  config.data.worker_ports = {7402};
  if (change) change(config);
  config.id = la;
  config.name = "to-" + y.config.name;
  x.engine.add_link(now + x.skew, config);
  config.id = lb;
  config.name = "to-" + x.config.name;
  y.engine.add_link(now + y.skew, config);
}

Net Net::line(int n, Duration liveness) {
  Net net;
  for (int i = 0; i < n; ++i) net.add();
  for (int i = 1; i < n; ++i) {
    net.join(i - 1, i, [&](LinkConfig& c) { c.liveness.interval = liveness; });
  }
  return net;
}

void Net::judge(int index, const VerifyWanted& wanted) {
  Node& node = (*this)[index];
  const wire::Lsa& lsa = *wanted.lsa;
  if (judge_override) {
    if (auto verdict = judge_override(lsa, node)) {
      return node.engine.verdict(now + node.skew, wanted.ticket, *verdict);
    }
  }
  crypto::PublicKey key{};
  if (is_issuer_origin(lsa.key.origin)) {
    key = crypto::SigningKey(seed(200)).public_key();
  } else if (lsa.key.type == wire::LsaType::identity && !lsa.purge) {
    auto body = wire::decode_identity_body(lsa.body());
    if (body && body->certificate.size() == key.size()) {
      std::copy(body->certificate.begin(), body->certificate.end(), key.begin());
    }
  } else {
    auto known = node.identities.find(lsa.key.origin);
    if (known == node.identities.end()) {
      return node.engine.undecided(now + node.skew, wanted.ticket);  // it waits
    }
    key = known->second;
  }
  node.engine.verdict(now + node.skew, wanted.ticket,
                      crypto::verify(key, lsa.signed_bytes(), lsa.signature()));
}

void Net::drain(int index) {
  Node& node = (*this)[index];
  for (bool again = true; again;) {
    again = false;
    for (Output& output : node.engine.poll()) {
      again = true;
      if (auto* t = std::get_if<Transmit>(&output)) {
        auto [peer, link] = node.wires.at(t->link);
        ++packets;
        Packet packet{index, peer, link, std::move(t->datagram)};
        if (!deliver || deliver(packet)) inject(std::move(packet), delay);
      } else if (auto* v = std::get_if<VerifyWanted>(&output)) {
        judge(index, *v);
      } else if (auto* up = std::get_if<AdjacencyUp>(&output)) {
        node.adjacency_log.push_back("up " + up->neighbour_name);
      } else if (auto* down = std::get_if<AdjacencyDown>(&output)) {
        node.adjacency_log.push_back("down " + down->reason);
      } else if (auto* change = std::get_if<LsdbChanged>(&output)) {
        const wire::Lsa& lsa = *change->lsa;
        node.changes.push_back(*change);
        if (change->kind == ChangeKind::removed) {
          node.heard.erase(lsa.key);
        } else {
          node.heard[lsa.key] = change->lsa;
        }
        if (lsa.key.type == wire::LsaType::identity && change->kind == ChangeKind::installed) {
          auto body = wire::decode_identity_body(lsa.body());
          if (body && body->certificate.size() == 32) {
            std::copy(body->certificate.begin(), body->certificate.end(),
                      node.identities[lsa.key.origin].begin());
          }
        }
      } else if (std::holds_alternative<Synchronised>(output)) {
        ++node.synchronised_events;
      } else if (auto* epoch = std::get_if<Epoch>(&output)) {
        node.epoch = epoch->value;
      } else if (auto* m = std::get_if<Misbehaviour>(&output)) {
        node.misbehaviour.push_back(m->what);
      } else if (auto* over = std::get_if<LimitExceeded>(&output)) {
        node.exceeded.push_back(*over);
      }
    }
  }
}

void Net::inject(Packet packet, Duration after) { queue_.emplace(now + after, std::move(packet)); }

void Net::pause(Duration time) {
  now += time;
  std::multimap<Time, Packet> waiting;
  for (auto& [at, packet] : queue_) waiting.emplace(std::max(at, now), std::move(packet));
  queue_ = std::move(waiting);
}

bool Net::step(Time end) {
  std::optional<Time> next;
  int who = -1;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!nodes[i]->alive) continue;
    drain(static_cast<int>(i));
    auto due = nodes[i]->engine.next_deadline();
    if (due) *due -= nodes[i]->skew;
    if (due && (!next || *due < *next)) {
      next = due;
      who = static_cast<int>(i);
    }
  }
  bool packet_first = !queue_.empty() && (!next || queue_.begin()->first <= *next);
  if (packet_first) next = queue_.begin()->first;
  if (!next || *next > end) return false;
  now = std::max(now, *next);
  if (!packet_first) {
    (*this)[who].engine.tick(local(who));
    return true;
  }
  Packet packet = std::move(queue_.begin()->second);
  queue_.erase(queue_.begin());
  Node& to = (*this)[packet.to];
  if (to.alive) to.engine.receive(local(packet.to), packet.link, packet.datagram);
  return true;
}

void Net::run(Duration time) {
  Time end = now + time;
  while (step(end)) {
  }
  now = end;
}

void Net::until(const std::function<bool()>& done, Duration limit) {
  Time end = now + limit;
  while (!done()) {
    bool more = step(end);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (nodes[i]->alive) drain(static_cast<int>(i));
    }
    if (!more && !done()) {
      FAIL("not reached within the limit of virtual time");
      return;
    }
  }
}

void Net::restart(int index, std::uint64_t stored_epoch, std::uint64_t clock_seconds) {
  Node& old = (*this)[index];
  EngineConfig c = old.config;
  c.session = SessionId{++sessions_};
  c.random_seed += 1000;
  c.stored_epoch = stored_epoch;
  c.clock_seconds = clock_seconds;
  auto fresh = std::make_unique<Node>(std::move(c), now + old.skew);
  fresh->skew = old.skew;
  fresh->wires = old.wires;
  for (const auto& [link, peer] : old.wires) {
    LinkConfig config;
    config.id = link;
    config.data.worker_ports = {7402};
    fresh->engine.add_link(now + old.skew, config);
  }
  nodes[static_cast<std::size_t>(index)] = std::move(fresh);
}

bool Net::equal_databases() const {
  for (const auto& node : nodes) {
    if (node->alive && node->engine.digest() != nodes[0]->engine.digest()) return false;
  }
  return true;
}

}  // namespace dmsc::linkstate::test
