// The link-state engine: an adjacency is brought up with a real peer, then the input plays the peer
// (forged PDUs behind a good HMAC, LSAs of three origins), the network (raw datagrams), the local
// node and the clock. The first fields of every step choose what it does, so any input is a run.
#include "dmsc/linkstate/engine.hpp"

#include "dmsc/wire/pdu.hpp"
#include "harness.hpp"

using namespace dmsc;
using linkstate::Engine;

namespace {

constexpr LinkId kLink{1};
constexpr DomainId kDomain{7};
constexpr int kMaxSteps = 48;

crypto::Key32 filled(std::uint8_t byte) {
  crypto::Key32 key;
  key.fill(byte);
  return key;
}

const crypto::SigningKey& signer(std::uint32_t node) {
  static const crypto::SigningKey keys[] = {
      crypto::SigningKey(filled(0)), crypto::SigningKey(filled(1)), crypto::SigningKey(filled(2)),
      crypto::SigningKey(filled(3))};
  return keys[node % 4];
}

// As linkstate derives it from the chain (docs/protocol.md, "Authentication").
const crypto::Key32& control_key() {
  static const crypto::Key32 key = [] {
    ByteWriter salt;
    salt.u64(kDomain.value);
    Bytes okm = crypto::hkdf_sha256(filled(1), salt.view(), "dmsc control", 32);
    crypto::Key32 out;
    std::copy(okm.begin(), okm.end(), out.begin());
    return out;
  }();
  return key;
}

Engine make_engine(std::uint32_t number, Time now) {
  crypto::KeyChain keys;
  keys.add(1, filled(1));
  keys.set_active(1);
  linkstate::EngineConfig config{NodeId{number},
                                 "n" + std::to_string(number),
                                 wire::NodeRole::router,
                                 false,
                                 kDomain,
                                 SessionId{100 + number},
                                 0,
                                 1000,
                                 number,
                                 signer(number),
                                 to_bytes(signer(number).public_key()),
                                 keys,
                                 3600};
  Engine engine(config, now);
  linkstate::LinkConfig link;
  link.id = kLink;
  link.name = "to-" + std::to_string(3 - number);
  link.data.worker_ports = {7402};
  engine.add_link(now, link);
  return engine;
}

class World {
 public:
  World() : node_(make_engine(1, now_)), peer_(make_engine(2, now_)) {
    Time end = now_ + milliseconds(400);
    while (now_ < end) {
      exchange();
      now_ += milliseconds(25);
      node_.tick(now_);
      peer_.tick(now_);
    }
    exchange();
    fuzz::require(node_.neighbours(now_).at(0).state == linkstate::AdjacencyState::up,
                  "the adjacency comes up");
  }

  void step(ByteReader& in) {
    switch (in.u8() % 6) {
      case 0:
        node_.receive(now_, kLink, in.bytes16());
        break;
      case 1:
        forged(static_cast<wire::PduType>(in.u8()), in.bytes16());
        break;
      case 2:
        update(in);
        break;
      case 3:
        run(milliseconds(in.u16()));
        break;
      case 4:
        local(in);
        break;
      default:
        node_.receive(now_, LinkId{in.u8()}, in.bytes16());
        break;
    }
    drain();
  }

  void check() {
    std::vector<linkstate::LsdbEntryView> all = node_.lsdb(now_);
    for (std::size_t i = 1; i < all.size(); ++i) {
      fuzz::require(!(all[i].lsa->key < all[i - 1].lsa->key),
                    "the database is listed in key order");
    }
    for (const linkstate::LsdbEntryView& entry : all) {
      fuzz::require(entry.lsa != nullptr && entry.remaining <= entry.lsa->lifetime,
                    "remaining lifetime never exceeds the signed one");
    }
    run(seconds(1));
  }

 private:
  // Both sides' packets and verdicts, while there are any.
  void exchange() {
    for (bool again = true; again;) {
      again = carry(node_, peer_);
      again = carry(peer_, node_) || again;
    }
  }
  bool carry(Engine& from, Engine& to) {
    auto outputs = from.poll();
    for (linkstate::Output& output : outputs) {
      if (auto* t = std::get_if<linkstate::Transmit>(&output)) to.receive(now_, kLink, t->datagram);
      if (auto* v = std::get_if<linkstate::VerifyWanted>(&output)) {
        from.verdict(now_, v->ticket, true);
      }
    }
    return !outputs.empty();
  }

  // The peer is the fuzzer from here on. One verdict in eight is no, one stays out.
  void drain() {
    for (int round = 0;; ++round) {
      fuzz::require(round < 1000, "outputs come to an end");
      auto outputs = node_.poll();
      if (outputs.empty()) return;
      fuzz::require(outputs.size() < 10000, "one input makes few outputs");
      for (linkstate::Output& output : outputs) {
        auto* v = std::get_if<linkstate::VerifyWanted>(&output);
        if (v == nullptr) continue;
        int choice = v->lsa->hash[0] % 8;
        if (choice != 1) node_.verdict(now_, v->ticket, choice != 0);
      }
    }
  }

  void forged(wire::PduType type, ByteView body) {
    if (body.size() > 2000) body = body.first(2000);
    wire::PduHeader header{type, 1, NodeId{2}, kLink.value, SessionId{102}, counter_++};
    node_.receive(now_, kLink, wire::seal_pdu(header, body, control_key()));
  }

  void update(ByteReader& in) {
    wire::LsaKey key{NodeId{in.u8() % 4U}, static_cast<wire::LsaType>(in.u8() % 9), in.u8()};
    wire::LsaVersion version{in.u8() % 2 == 0 ? 1000U : 5000U, in.u8()};
    bool purge = in.u8() % 4 == 0;
    std::uint32_t remaining = in.u16();
    ByteView body = in.bytes16();
    auto lsa = wire::make_lsa(key, version, 3600, purge, body, signer(key.origin.value));
    if (!lsa.ok()) return;
    ByteWriter entry;
    entry.u32(remaining).bytes((*lsa)->raw);
    forged(wire::PduType::update, entry.view());
  }

  void local(ByteReader& in) {
    std::uint8_t what = in.u8(), value = in.u8();
    switch (what % 8) {
      case 0:
        node_.interface_state(now_, kLink, value % 2 == 0);
        break;
      case 1:
        node_.set_overload(now_, value % 2 == 0);
        node_.set_drain(now_, static_cast<linkstate::DrainLevel>(value / 2 % 3));
        node_.set_link_drain(now_, kLink, static_cast<linkstate::DrainLevel>(value / 6 % 3));
        break;
      case 2:
        node_.set_link_quality(now_, kLink, value, value % 2 == 0);
        break;
      case 3:
        node_.set_metric_bias(now_, kLink, value);
        break;
      case 4:
        node_.retry_waiting(now_);
        break;
      case 5:
        node_.recheck(now_, NodeId{value % 4U});
        break;
      case 6:
        node_.link_hint(now_, kLink);
        break;
      default: {
        std::vector<wire::PrefixEntry> entries;
        for (int i = 0; i < value; ++i) {
          entries.push_back({Name::parse("p/" + std::to_string(i)).value(),
                             i % 2 == 0,
                             0,
                             {{InstanceId{1}, value}}});
        }
        node_.set_prefixes(now_, entries);
      }
    }
  }

  void run(Duration time) {
    Time end = now_ + time;
    int idle = 0;
    for (auto due = node_.next_deadline(); due && *due <= end; due = node_.next_deadline()) {
      idle = *due > now_ ? 0 : idle + 1;
      fuzz::require(idle < 100, "a deadline met is a deadline gone");
      now_ = std::max(now_, *due);
      node_.tick(now_);
      drain();
    }
    now_ = end;
  }

  Time now_ = Time{} + seconds(1000);
  Engine node_, peer_;
  std::uint64_t counter_ = 1ULL << 40;
};

}  // namespace

void fuzz::one_input(ByteView data) {
  World world;
  ByteReader in(data);
  for (int i = 0; i < kMaxSteps && in.left() > 0; ++i) world.step(in);
  world.check();
}

namespace {

// One step as World::step() reads it.
Bytes pdu_step(wire::PduType type, ByteView body) {
  ByteWriter w;
  w.u8(1).u8(static_cast<std::uint8_t>(type)).bytes16(body);
  return w.take();
}
Bytes update_step(std::uint8_t origin, wire::LsaType type, std::uint8_t sequence, ByteView body) {
  ByteWriter w;
  w.u8(2).u8(origin).u8(static_cast<std::uint8_t>(type)).u8(0).u8(1).u8(sequence).u8(1);
  w.u16(3000).bytes16(body);
  return w.take();
}

}  // namespace

void fuzz::seeds(SeedWriter& out) {
  wire::NodeBody node;
  node.name = "n3";
  wire::Adjacency back;
  back.neighbour = NodeId{2};
  back.link = back.neighbour_link = 5;
  back.metric = 10;
  back.flags = wire::kAdjacencyUsable;
  node.adjacencies = {back};
  wire::PrefixBody prefixes;
  prefixes.entries = {{Name::parse("B/4").value(), false, 0, {{InstanceId{1}, 100}}}};
  wire::Hello hello;
  hello.domain = kDomain;
  hello.nonce = 77;
  hello.state = wire::HelloState::up;
  hello.echo_session = SessionId{101};
  hello.name = "n2";
  hello.worker_ports = {7402};
  wire::DigestRange whole;
  whole.count = 3;
  const Bytes pass_time{3, 0, 200};
  for (const Bytes& first :
       {update_step(3, wire::LsaType::node, 1, encode(node)),
        update_step(3, wire::LsaType::prefix, 1, encode(prefixes)),
        update_step(1, wire::LsaType::node, 200, encode(node)),
        pdu_step(wire::PduType::hello, encode(hello)),
        pdu_step(wire::PduType::keepalive, encode(wire::Keepalive{1, 9, 1, 2, 3})),
        pdu_step(wire::PduType::digest, encode(std::vector<wire::DigestRange>{whole})),
        pdu_step(wire::PduType::request,
                 wire::encode_request({{NodeId{1}, wire::LsaType::node, 0}})),
        pdu_step(wire::PduType::mtu_probe, encode(wire::MtuProbe{true, 1, 1400})),
        pdu_step(wire::PduType::goodbye, encode(wire::Goodbye{"bye"})), Bytes{4, 7, 20},
        Bytes{4, 0, 1}}) {
    Bytes steps = first;
    steps.insert(steps.end(), pass_time.begin(), pass_time.end());
    steps.insert(steps.end(), first.begin(), first.end());
    out(steps);
  }
}
