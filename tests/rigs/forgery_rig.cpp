#include "tests/rigs/forgery_rig.hpp"

#include "dmsc/wire/spa_lsa.hpp"

namespace dmsc::rigs {

using namespace linkstate;

namespace {

constexpr std::size_t kA = 0, kB = 1, kC = 2, kForeign = 3;
constexpr DomainId kDomain{7}, kOtherDomain{8};

crypto::Key32 filled(std::uint8_t byte) {
  crypto::Key32 key;
  key.fill(byte);
  return key;
}

crypto::SigningKey signer_of(std::uint32_t node) {
  return crypto::SigningKey(filled(static_cast<std::uint8_t>(node)));
}

crypto::KeyChain chain(std::uint16_t active) {
  crypto::KeyChain out;
  out.add(1, filled(101));
  out.add(2, filled(102));
  out.set_active(active);
  return out;
}

std::vector<wire::PrefixEntry> prefixes(std::uint32_t node, int round) {
  std::vector<wire::PrefixEntry> out;
  for (int i = 0; i < 40; ++i) {
    std::string name = "n" + std::to_string(node) + "/" + std::to_string(i + round % 7);
    out.push_back({*Name::parse(name), false, 0, {{InstanceId{1}, 100}}});
  }
  return out;
}

// The counters of refusal. A packet that is refused raises one of them.
// Time between two cases: forgeries in an origin's name come slower than the rate at which its LSAs begin to wait.
constexpr Duration kBetween = microseconds(200);

std::uint64_t refusals(const EngineCounters& c) {
  return c.auth_failures + c.replays + c.malformed + c.strangers + c.reflected + c.refused_hellos +
         c.verify_failed + c.lsas_older;
}

bool outsider(Forgery kind) { return kind <= Forgery::cross_domain; }

}  // namespace

const char* to_string(Forgery kind) {
  constexpr const char* kNames[kForgeries] = {
      "replayed",     "replayed elsewhere", "reflected",    "truncated",    "extended",
      "bit-flipped",  "cross-domain",       "forged origin", "forged own LSA", "forged purge",
      "tampered LSA", "stale LSA",          "forged issuer"};
  return kNames[static_cast<std::size_t>(kind)];
}

ForgeryRig::ForgeryRig(std::uint64_t seed)
    : random_(seed * 0x9e3779b97f4a7c15ULL + 1), now_(seconds(1000)), keys_(chain(2), kDomain) {
  record(seed);
}

std::uint64_t ForgeryRig::draw() {
  random_ ^= random_ >> 12;
  random_ ^= random_ << 25;
  random_ ^= random_ >> 27;
  return random_ * 0x2545f4914f6cdd1dULL >> 16;
}

void ForgeryRig::add_node(std::uint32_t id, std::uint64_t session, DomainId domain) {
  crypto::SigningKey signer = signer_of(id);
  EngineConfig c{.self = NodeId{id},
                 .name = "n" + std::to_string(id),
                 .domain = domain,
                 .session = SessionId{session},
                 .clock_seconds = 1'000'000,
                 .random_seed = session,
                 .signer = signer,
                 .certificate = to_bytes(signer.public_key()),
                 .keys = chain(1)};
  engines_.push_back(std::make_unique<Engine>(std::move(c), now_));
  wires_.emplace_back();
}

void ForgeryRig::join(std::size_t a, LinkId la, std::size_t b, LinkId lb) {
  wires_[a][la] = {b, lb};
  wires_[b][lb] = {a, la};
  for (auto [node, id] : {std::pair{a, la}, std::pair{b, lb}}) {
    LinkConfig link;
    link.id = id;
    link.name = "link" + std::to_string(id.value);
    engines_[node]->add_link(now_, link);
  }
}

// A busy domain: changes all the time, a restart of A, a change of keys. Beside it another domain.
void ForgeryRig::record(std::uint64_t seed) {
  add_node(1, seed * 10 + 1, kDomain);
  add_node(2, seed * 10 + 2, kDomain);
  add_node(3, seed * 10 + 3, kDomain);
  add_node(1, seed * 10 + 4, kOtherDomain);
  add_node(2, seed * 10 + 5, kOtherDomain);
  join(kA, LinkId{1}, kB, LinkId{1});
  join(kB, LinkId{2}, kC, LinkId{1});
  join(kForeign, LinkId{1}, kForeign + 1, LinkId{1});
  a_session_ = seed * 10 + 1;
  for (int round = 0; round < 60; ++round) {
    if (round == 20) {  // A forgets everything
      a_session_ = seed * 10 + 6;
      auto wires = wires_[kA];
      add_node(1, a_session_, kDomain);
      std::swap(engines_[kA], engines_.back());
      engines_.pop_back();
      wires_.pop_back();
      LinkConfig link;
      link.id = LinkId{1};
      link.name = "link1";
      engines_[kA]->add_link(now_, link);
    }
    if (round >= 40 && round < 43) engines_[static_cast<std::size_t>(round - 40)]->set_keys(now_, chain(2));
    for (std::size_t node = 0; node < engines_.size(); ++node) {
      engines_[node]->set_prefixes(now_, prefixes(static_cast<std::uint32_t>(node % 3 + 1), round));
      if (node == kC) engines_[node]->set_metric_bias(now_, LinkId{1}, static_cast<std::uint32_t>(round));
    }
    run_for(milliseconds(100));
    for (const LsdbEntryView& e : engines_[kB]->lsdb(now_)) {
      if (e.lsa->key.origin == NodeId{3}) stale_.push_back(e.lsa);
    }
  }
  run_for(seconds(3));
  for (const LsdbEntryView& e : engines_[kB]->lsdb(now_)) {
    if (e.lsa->key.origin == NodeId{3}) current_.push_back(e.lsa);
  }
  auto newest = [this](const wire::LsaPtr& old) {
    for (const wire::LsaPtr& lsa : current_) {
      if (lsa->key == old->key) return lsa->version == old->version;
    }
    return true;
  };
  std::vector<wire::LsaPtr> older;
  for (const wire::LsaPtr& lsa : stale_) {
    if (!newest(lsa)) older.push_back(lsa);
  }
  stale_ = std::move(older);
  flying_.clear();
}

void ForgeryRig::run_for(Duration time) {
  Time end = now_ + time;
  for (;;) {
    std::optional<Time> next;
    std::size_t who = 0;
    for (std::size_t i = 0; i < engines_.size(); ++i) {
      drain(i);
      auto due = engines_[i]->next_deadline();
      if (due && (!next || *due < *next)) {
        next = due;
        who = i;
      }
    }
    bool packet = !flying_.empty() && (!next || flying_.begin()->first <= *next);
    if (packet) next = flying_.begin()->first;
    if (!next || *next > end) break;
    now_ = std::max(now_, *next);
    if (packet) {
      InFlight p = std::move(flying_.begin()->second);
      flying_.erase(flying_.begin());
      // Only what arrived: the first copy of a packet still under way would be no replay.
      if (p.to.node == kB) heard_.push_back({p.to.link, p.datagram});
      engines_[p.to.node]->receive(now_, p.to.link, p.datagram);
    } else {
      engines_[who]->tick(now_);
    }
  }
  now_ = end;
}

void ForgeryRig::drain(std::size_t node) {
  for (bool again = true; again;) {
    again = false;
    for (Output& output : engines_[node]->poll()) {
      again = true;
      if (auto* sent = std::get_if<Transmit>(&output)) {
        Wire to = wires_[node].at(sent->link);
        if (node == kB) sent_.push_back({sent->link, sent->datagram});
        if (node >= kForeign) foreign_.push_back({LinkId{1}, sent->datagram});
        flying_.emplace(now_ + milliseconds(1), InFlight{now_, to, std::move(sent->datagram)});
      } else if (auto* wanted = std::get_if<VerifyWanted>(&output)) {
        judge(node, *wanted);
      }
    }
  }
}

void ForgeryRig::judge(std::size_t node, const VerifyWanted& wanted) {
  engines_[node]->verdict(now_, wanted.ticket, verify(*wanted.lsa));
}

bool ForgeryRig::verify(const wire::Lsa& lsa) const {
  if (is_issuer_origin(lsa.key.origin)) {
    auto object = wire::spa_lsa_object(lsa);
    return object && wire::verify_object(*object, signer_of(200).public_key());
  }
  return crypto::verify(signer_of(lsa.key.origin.value).public_key(), lsa.signed_bytes(),
                        lsa.signature());
}

// ---- the cases -----------------------------------------------------------------------------------

ForgeryRig::Heard ForgeryRig::insider_update(ByteView lsa) {
  ByteWriter body;
  body.u32(3000).bytes(lsa);
  wire::PduHeader header{wire::PduType::update, keys_.active_id(), NodeId{1}, 1,
                         SessionId{a_session_}, ++a_counter_};
  return {LinkId{1}, wire::seal_pdu(header, body.view(), *keys_.active())};
}

Bytes ForgeryRig::forge_lsa(Forgery kind) {
  const wire::Lsa& genuine = *current_[below(current_.size())];
  crypto::SigningKey forger = signer_of(1);
  wire::LsaVersion newer{genuine.version.epoch + draw() % 3, genuine.version.sequence + 1 + draw() % 9};
  auto type = static_cast<wire::LsaType>(1 + below(4) + (below(8) == 0 ? 40 : 0));
  wire::LsaKey key{NodeId{3}, type, static_cast<std::uint16_t>(below(8))};
  switch (kind) {
    case Forgery::forged_own: key.origin = NodeId{2}; [[fallthrough]];
    case Forgery::forged_origin: {
      if (below(2) == 0) key.type = genuine.key.type;
      newer.epoch += 1;
      return (*wire::make_lsa(key, newer, 3600, false, genuine.body(), forger))->raw;
    }
    case Forgery::forged_purge: {
      newer.epoch += 1;
      if (below(3) != 0) {
        key = below(2) == 0 ? genuine.key : wire::LsaKey{NodeId{2}, genuine.key.type, 0};
        return (*wire::make_lsa(key, newer, 3600, true, {}, forger))->raw;
      }
      Bytes raw = genuine.raw;  // the same version as a purge: it would win if it verified
      raw[29] |= wire::kLsaFlagPurge;
      return raw;
    }
    case Forgery::tampered_lsa: {
      Bytes raw = genuine.raw;
      std::size_t bit = below(raw.size() * 8);
      raw[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
      return raw;
    }
    case Forgery::stale_lsa: return stale_[below(stale_.size())]->raw;
    default: {
      wire::Authority authority;
      authority.header = {kDomain, 0, 1 + draw() % 1000, {1000}};
      authority.issuers.push_back({1, "spa", forger.public_key(), {1'000'000}});
      return (*wire::make_spa_lsa(wire::sign(authority, forger)))->raw;
    }
  }
}

ForgeryRig::Heard ForgeryRig::forge(Forgery kind) {
  Heard packet = heard_[below(heard_.size())];
  switch (kind) {
    case Forgery::replayed: break;
    case Forgery::replayed_elsewhere: packet.link = LinkId{3 - packet.link.value}; break;
    case Forgery::reflected: packet = sent_[below(sent_.size())]; break;
    case Forgery::truncated: packet.datagram.resize(below(packet.datagram.size())); break;
    case Forgery::extended:
      for (std::size_t i = 1 + below(64); i > 0; --i) {
        packet.datagram.push_back(static_cast<std::uint8_t>(draw()));
      }
      break;
    case Forgery::flipped:
      for (std::size_t i = 1 + below(8); i > 0; --i) {
        std::size_t bit = below(packet.datagram.size() * 8);
        packet.datagram[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
      }
      break;
    case Forgery::cross_domain: packet = foreign_[below(foreign_.size())]; break;
    default: return insider_update(forge_lsa(kind));
  }
  return packet;
}

// Empty if the packet was refused as it must be.
std::string ForgeryRig::check(Forgery kind, const Heard& packet) {
  Engine& b = *engines_[kB];
  Fingerprint was = b.fingerprint();
  EngineCounters before = b.counters();
  b.receive(now_, packet.link, packet.datagram);
  std::string why;
  for (bool again = true; again;) {
    again = false;
    for (Output& output : b.poll()) {
      again = true;
      if (auto* wanted = std::get_if<VerifyWanted>(&output)) {
        judge(kB, *wanted);
      } else if (std::holds_alternative<LsdbChanged>(output)) {
        why = "changed the database";
      } else if (std::holds_alternative<AdjacencyUp>(output) ||
                 std::holds_alternative<AdjacencyDown>(output)) {
        why = "changed an adjacency";
      }
    }
  }
  const EngineCounters& after = b.counters();
  Fingerprint is = b.fingerprint();
  bool same = is.database == was.database && (!outsider(kind) || is == was);
  if (!same) why = "changed state";
  if (after.lsas_new != before.lsas_new) why = "installed an LSA";
  if (outsider(kind) && after.keepalives_in + after.lsas_in + after.acks_in !=
                            before.keepalives_in + before.lsas_in + before.acks_in) {
    why = "was taken";
  }
  std::uint64_t raised = refusals(after) - refusals(before);
  if (raised != 1) why = "raised " + std::to_string(raised) + " counters";
  return why;
}

std::vector<std::string> ForgeryRig::run(std::uint64_t cases) {
  std::vector<std::string> wrong;
  for (std::uint64_t i = 0; i < cases; ++i) {
    // Insiders cost a signature each: one case in ten.
    std::size_t kind = below(10) != 0 ? below(7) : 7 + below(6);
    auto forgery = static_cast<Forgery>(kind);
    ++count_[kind];
    now_ += kBetween;
    std::string why = check(forgery, forge(forgery));
    if (!why.empty() && wrong.size() < 100) {
      wrong.push_back(std::string(to_string(forgery)) + " case " + std::to_string(i) + " " + why);
    }
  }
  return wrong;
}

}  // namespace dmsc::rigs
