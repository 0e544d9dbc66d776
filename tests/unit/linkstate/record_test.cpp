// The record of an engine's inputs and its replay (docs/protocol.md, "Records").
#include "dmsc/linkstate/input_log.hpp"
#include "tests/unit/linkstate/harness.hpp"

namespace dmsc::linkstate::test {
namespace {

struct Tape : InputSink {
  Bytes bytes;
  void write(ByteView entry) override { bytes.insert(bytes.end(), entry.begin(), entry.end()); }
};

bool contains(ByteView bytes, ByteView part) {
  return std::search(bytes.begin(), bytes.end(), part.begin(), part.end()) != bytes.end();
}

// Three nodes in a row, the middle one recorded, with all kinds of inputs; marked at the end.
struct Recorded {
  Tape tape;
  Net net;
  Recorded() {
    net.add();
    net.add([this](EngineConfig& config) { config.record_to = &tape; });
    net.add();
    net.join(0, 1);
    net.join(1, 2);
    net.deliver = [this](Packet& p) {  // every 29th datagram is corrupted on its way
      if (p.to == 1 && ++count_ % 29 == 0) p.datagram.back() ^= 1;
      return count_ % 31 != 0;
    };
    net.until([this] { return net.equal_databases() && net[1].state(1) == AdjacencyState::up; });
    Engine& e = net[1].engine;
    wire::PrefixEntry with_ports = prefix("a/1");
    with_ports.ports = {{"http", 80, wire::kPortTcp, 100}, {"", 53, wire::kPortUdp, 0}};
    e.set_prefixes(net.now, {with_ports, prefix("a/2")});
    e.set_grants(net.now, {Bytes{1, 2, 3}});
    e.set_keys(net.now, chain({1, 2}, 1));
    e.set_overload(net.now, true);
    e.set_drain(net.now, DrainLevel::soft);
    e.set_link_drain(net.now, LinkId{2}, DrainLevel::hard);
    e.set_metric_bias(net.now, LinkId{2}, 7);
    e.set_link_quality(net.now, LinkId{2}, 1000, true);
    e.link_hint(net.now, LinkId{1});
    net.drain(1);
    net.run(seconds(2));
    e.interface_state(net.now, LinkId{1}, false);
    net.drain(1);
    net.run(milliseconds(500));
    e.interface_state(net.now, LinkId{1}, true);
    e.set_prefixes(net.now, {prefix("a/2")});
    e.receive(net.now, LinkId{1}, Bytes{1, 2, 3});
    net.deliver = [this](Packet& p) {  // LS-V8
      if (p.to == 1) waited_.emplace_back(net.now, p);
      return p.to != 1;
    };
    net.run(milliseconds(60));
    for (auto& [sent, p] : waited_) e.receive(net.now, p.link, p.datagram, net.now - sent);
    net.deliver = {};
    e.recheck(net.now, NodeId{1});
    e.retry_waiting(net.now);
    e.too_many_prefixes(net.now, NodeId{3}, 100'001);
    net.drain(1);
    net.run(seconds(3));
    net.drain(1);
    e.mark_record(net.now);
  }

 private:
  int count_ = 0;
  std::vector<std::pair<Time, Packet>> waited_;
};

// The digest a replay ends with; the first thing that differs in `diverged`.
U128 play(ByteView tape, std::string& diverged, std::uint64_t* inputs = nullptr,
          Fingerprint* fingerprint = nullptr) {
  auto replay = Replay::open(tape);
  REQUIRE(replay.ok());
  for (;;) {
    auto step = replay->step();
    if (!step.ok()) {
      diverged = step.error().message;
      break;
    }
    if (!*step) break;
    if (diverged.empty()) diverged = (*step)->diverged;
  }
  if (inputs != nullptr) *inputs = replay->reader().inputs();
  if (fingerprint != nullptr) *fingerprint = replay->engine().fingerprint();
  return replay->engine().digest();
}

}  // namespace

TEST_CASE("records: a replay reaches the same digest, without any key") {
  Recorded recorded;
  std::string diverged;
  std::uint64_t inputs = 0;
  Fingerprint fingerprint;
  CHECK(play(recorded.tape.bytes, diverged, &inputs, &fingerprint) == recorded.net[1].engine.digest());
  CHECK(fingerprint == recorded.net[1].engine.fingerprint());  // also what waited, and how long
  CHECK(diverged.empty());
  CHECK(inputs > 100);
  CHECK(recorded.net[1].engine.counters().auth_failures > 0);  // refused tags were among the inputs
}

TEST_CASE("records: hold no link key, no signing key and no link tag") {
  Tape tape;
  Net net;
  net.add();
  net.add([&](EngineConfig& config) { config.record_to = &tape; });
  net.join(0, 1);
  std::vector<Bytes> tags;
  net.deliver = [&](Packet& p) {
    if (p.to == 1) tags.emplace_back(p.datagram.end() - wire::kPduTrailerBytes, p.datagram.end());
    return true;
  };
  net.run(seconds(2));
  net[1].engine.set_keys(net.now, chain({1, 2}, 2));
  REQUIRE(tags.size() > 20);
  for (const Bytes& tag : tags) CHECK_FALSE(contains(tape.bytes, tag));
  CHECK_FALSE(contains(tape.bytes, net[1].config.signer.seed()));
  crypto::KeyChain keys = chain({1, 2}, 2);
  for (const auto& [id, secret] : keys.keys()) CHECK_FALSE(contains(tape.bytes, secret));
}

TEST_CASE("records: a replay notices that it went another way") {
  Recorded recorded;
  Bytes changed = recorded.tape.bytes;
  auto& name = *std::search(changed.begin(), changed.end(), "a/1", "a/1" + 3);
  (&name)[2] = '7';
  std::string diverged;
  play(changed, diverged);
  CHECK(diverged == "another LSA is signed than then");
}

TEST_CASE("records: one that a crash cut short replays up to the cut") {
  Recorded recorded;
  ByteView whole = recorded.tape.bytes;
  for (std::size_t cut = whole.size() - 40; cut < whole.size(); ++cut) {
    auto replay = Replay::open(whole.first(cut));
    REQUIRE(replay.ok());
    for (auto step = replay->step(); step.ok() && *step; step = replay->step()) {
    }
    CHECK((replay->reader().truncated() || replay->reader().position() == cut));
  }
}

TEST_CASE("records: garbage is refused with its place, never a crash") {
  Recorded recorded;
  Bytes bytes = recorded.tape.bytes;
  CHECK_FALSE(Replay::open({}).ok());
  CHECK_FALSE(Replay::open(Bytes{1, 4, 'D', 'M', 'R', 'X'}).ok());
  std::uint64_t state = 7;
  for (int round = 0; round < 300; ++round) {
    Bytes bad = bytes;
    for (int i = 0; i < 5; ++i) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      bad[(state >> 33) % bad.size()] ^= static_cast<std::uint8_t>(1U << (state >> 60) % 8);
    }
    auto replay = Replay::open(bad);
    if (!replay.ok()) continue;
    for (auto step = replay->step(); step.ok() && *step; step = replay->step()) {
    }
  }
}

TEST_CASE("records: one of a later version is refused") {
  Recorded recorded;
  Bytes bytes = recorded.tape.bytes;
  auto at = std::search(bytes.begin(), bytes.end(), "DMRC", "DMRC" + 4);
  REQUIRE(at != bytes.end());
  at[4] = kRecordVersion + 1;
  auto reader = InputReader::open(bytes);
  REQUIRE_FALSE(reader.ok());
  CHECK(reader.error().code == Errc::unsupported);
}

}  // namespace dmsc::linkstate::test
