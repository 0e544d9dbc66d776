#include "tests/rigs/attack_rig.hpp"

#include <malloc.h>

#include <algorithm>

#include "dmsc/trust/certificate.hpp"
#include "dmsc/wire/pdu.hpp"

namespace dmsc::rigs {

using namespace linkstate;

namespace {

constexpr Duration kFlight = milliseconds(1), kJudging = microseconds(70);
constexpr Duration kChange = milliseconds(50);
constexpr DomainId kDomain{7};
constexpr std::uint64_t kSession = 500;
constexpr int kNamesPerLsa = 50;

crypto::Key32 filled(std::uint8_t byte) {
  crypto::Key32 key;
  key.fill(byte);
  return key;
}

crypto::KeyChain chain() {
  crypto::KeyChain out;
  out.add(1, filled(101));
  out.set_active(1);
  return out;
}

std::int64_t heap_bytes() {
  struct mallinfo2 info = mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd);
}

std::vector<wire::PrefixEntry> named(const std::string& name) {
  return {{*Name::parse(name), false, 0, {{InstanceId{1}, 100}}}};
}

}  // namespace

AttackRig::Routes::Routes(NodeId self, const Engine& engine)
    : trust(*trust::TrustStore::create(
          kDomain, *trust::issue_root("attacked.dmsc", crypto::SigningKey(filled(99)),
                                      DomainTime{1'000'000}, DomainTime{2'000'000'000}))),
      rib(self, *this),
      keeper(trust, rib, [&engine](const wire::LsaKey& key) { return engine.find(key); }, NameKey{}) {}

void AttackRig::Routes::take(const LsdbChanged& change) {
  if (change.lsa->key.type != wire::LsaType::prefix) return;
  if (change.kind == ChangeKind::removed || change.lsa->purge) {
    keeper.removed(DomainTime{1'000'001}, change.lsa->key);
  } else {
    keeper.installed(DomainTime{1'000'001}, *change.lsa);
  }
}

AttackRig::AttackRig(const Options& options)
    : options_(options), now_(seconds(1000)), keys_(chain(), kDomain) {
  for (std::uint32_t i = 0; i < kNodes; ++i) {
    crypto::SigningKey signer(filled(static_cast<std::uint8_t>(i + 1)));
    EngineConfig c{.self = NodeId{i + 1},
                   .name = "n" + std::to_string(i + 1),
                   .domain = kDomain,
                   .session = SessionId{kSession + i},
                   .clock_seconds = 1'000'000,
                   .random_seed = i,
                   .signer = signer,
                   .certificate = to_bytes(signer.public_key()),
                   .keys = chain()};
    nodes_[i].engine = std::make_unique<Engine>(std::move(c), now_);
    nodes_[i].routes = std::make_unique<Routes>(NodeId{i + 1}, *nodes_[i].engine);
  }
  join(kH, LinkId{1}, kR, LinkId{1});
  join(kH, LinkId{2}, kP, LinkId{1});
  join(kH, LinkId{3}, kO, LinkId{1});
}

void AttackRig::join(std::size_t a, LinkId la, std::size_t b, LinkId lb) {
  nodes_[a].wires[la] = {b, lb};
  nodes_[b].wires[lb] = {a, la};
  for (auto [node, id] : {std::pair{a, la}, std::pair{b, lb}}) {
    LinkConfig link;
    link.id = id;
    link.name = "link" + std::to_string(id.value);
    nodes_[node].engine->add_link(now_, link);
  }
}

// The rogue sends more than its engine would, in the same session: all its datagrams are numbered anew.
Bytes AttackRig::reseal(Bytes datagram) {
  auto pdu = wire::open_pdu(datagram, *keys_.active());
  wire::PduHeader header = pdu->header;
  header.counter = ++counter_;
  return wire::seal_pdu(header, pdu->body, *keys_.active());
}

void AttackRig::drain(std::size_t number) {
  Node& node = nodes_[number];
  for (bool again = true; again;) {
    again = false;
    for (Output& output : node.engine->poll()) {
      again = true;
      if (auto* sent = std::get_if<Transmit>(&output)) {
        Bytes datagram = number == kR ? reseal(std::move(sent->datagram)) : std::move(sent->datagram);
        flying_.push_back({now_ + kFlight, node.wires.at(sent->link), std::move(datagram)});
      } else if (auto* wanted = std::get_if<VerifyWanted>(&output)) {
        if (node.to_judge.empty()) node.judge_free = std::max(node.judge_free, now_) + kJudging;
        node.to_judge.push_back(std::move(*wanted));
      } else if (auto* change = std::get_if<LsdbChanged>(&output)) {
        if (number == kP) note(*change);
        node.routes->take(*change);
      } else if (std::holds_alternative<AdjacencyDown>(output)) {
        ++outcome_.adjacencies_lost;
      } else if (auto* over = std::get_if<LimitExceeded>(&output)) {
        outcome_.told.push_back(*over);
      }
    }
  }
}

void AttackRig::judge(Node& node) {
  VerifyWanted wanted = std::move(node.to_judge.front());
  node.to_judge.pop_front();
  if (!node.to_judge.empty()) node.judge_free = now_ + kJudging;
  bool genuine = wanted.lsa->key.origin.value <= kNodes;  // all that these say here they have signed
  if (!genuine && wanted.ticket % 2 == 0) return;         // unknown: the engine is told nothing
  node.engine->verdict(now_, wanted.ticket, genuine);
}

void AttackRig::note(const LsdbChanged& change) {
  const wire::Lsa& lsa = *change.lsa;
  if (lsa.key.type != wire::LsaType::prefix || change.kind == ChangeKind::removed) return;
  if (lsa.key.origin == NodeId{kR + 1}) ++outcome_.installed;
  if (lsa.key.origin != NodeId{kO + 1}) return;
  auto body = wire::decode_prefix_body(lsa.body());
  if (!body || body->entries.empty()) return;
  std::uint64_t round = std::stoull(body->entries[0].name.text().substr(2));
  Duration& longest = attacked_ ? outcome_.attacked_delay : outcome_.quiet_delay;
  while (!pending_.empty() && pending_.front().first <= round) {
    longest = std::max<Duration>(longest, now_ - pending_.front().second);
    pending_.pop_front();
  }
}

void AttackRig::change_honest() {
  ++outcome_.changes;
  pending_.emplace_back(++round_, now_);
  nodes_[kO].engine->set_prefixes(now_, named("o/" + std::to_string(round_)));
  drain(kO);
}

Bytes AttackRig::rogue_lsa() {
  wire::LsaKey key{NodeId{kR + 1}, wire::LsaType::prefix, static_cast<std::uint16_t>(sequence_ % 4096)};
  if (options_.mode == Mode::junk_origins) {
    random_ = random_ * 6364136223846793005ULL + 1442695040888963407ULL;
    key.origin = NodeId{static_cast<std::uint32_t>(100 + (random_ >> 44) % 1'000'000)};
    key.fragment = 0;
  }
  wire::PrefixBody body;
  for (int i = 0; i < kNamesPerLsa; ++i) {
    body.entries.push_back(named("x/" + std::to_string(sequence_ * kNamesPerLsa + static_cast<std::uint64_t>(i)))[0]);
  }
  Bytes encoded = wire::encode(body);
  // As make_lsa() does it, with any signature: who judges here knows the answer.
  ByteWriter w;
  w.u8(0).u8(static_cast<std::uint8_t>(key.type)).u16(key.fragment).u32(key.origin.value);
  w.u64(2'000'000).u64(++sequence_).u32(3600).u16(0).u16(encoded.size()).bytes(encoded);
  w.bytes(Bytes(wire::kLsaSignatureBytes, 1));
  return w.take();
}

void AttackRig::attack() {
  ByteWriter update;
  update.u32(3600).bytes(rogue_lsa());
  wire::PduHeader header{wire::PduType::update, keys_.active_id(), NodeId{kR + 1}, 1,
                         SessionId{kSession + kR}, ++counter_};
  flying_.push_back({now_ + kFlight, {kH, LinkId{1}}, wire::seal_pdu(header, update.view(), *keys_.active())});
  ++outcome_.lsas_sent;
}

bool AttackRig::step(Time end) {
  Time next = end;
  enum { nothing, packet, timer, verdict } what = nothing;
  std::size_t who = 0;
  auto sooner = [&](Time at, decltype(what) kind, std::size_t node) {
    if (at > next || (at == next && what != nothing)) return;
    next = at;
    what = kind;
    who = node;
  };
  if (!flying_.empty()) sooner(flying_.front().at, packet, 0);
  for (std::size_t i = 0; i < kNodes; ++i) {
    if (auto due = nodes_[i].engine->next_deadline()) sooner(std::max(*due, now_), timer, i);
    if (!nodes_[i].to_judge.empty()) sooner(std::max(nodes_[i].judge_free, now_), verdict, i);
  }
  if (what == nothing) return false;
  now_ = next;
  if (what == packet) {
    Packet p = std::move(flying_.front());
    flying_.pop_front();
    who = p.to.node;
    nodes_[who].engine->receive(now_, p.to.link, p.datagram);
  } else if (what == timer) {
    nodes_[who].engine->tick(now_);
  } else {
    judge(nodes_[who]);
  }
  drain(who);
  return true;
}

void AttackRig::run_until(Time end) {
  for (std::size_t i = 0; i < kNodes; ++i) drain(i);
  while (step(end)) {
  }
  now_ = end;
}

AttackRig::Outcome AttackRig::run() {
  run_until(now_ + seconds(3));
  for (int i = 0; i < 40; ++i) {
    change_honest();
    run_until(now_ + kChange);
  }
  pending_.clear();
  attacked_ = true;
  std::int64_t before = heap_bytes();
  const std::uint64_t lsas = options_.names / kNamesPerLsa;
  const Duration gap = Duration(1'000'000'000 / static_cast<std::int64_t>(options_.lsas_per_second));
  Time next_change = now_;
  for (std::uint64_t i = 0; i < lsas; ++i) {
    if (now_ >= next_change) {
      change_honest();
      next_change = now_ + kChange;
      outcome_.memory_most = std::max(outcome_.memory_most, heap_bytes() - before);
      std::size_t waiting = 0;
      if (i % 64 == 0) {
        for (const LsdbEntryView& e : nodes_[kH].engine->lsdb(now_)) waiting += e.verified ? 0 : 1;
      }
      outcome_.waiting_most = std::max(outcome_.waiting_most, waiting);
    }
    attack();
    run_until(now_ + gap);
  }
  run_until(now_ + seconds(1));
  const routing::PrefixKeeper::Counts& held = nodes_[kP].routes->keeper.counts();
  outcome_.refused_names = held.entries - held.used;
  if (!pending_.empty()) {
    outcome_.attacked_delay = std::max<Duration>(outcome_.attacked_delay, now_ - pending_.front().second);
  }
  return outcome_;
}

}  // namespace dmsc::rigs
