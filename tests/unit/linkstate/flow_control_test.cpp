// docs/protocol.md, "Flooding": flow control, and work that does not grow with neighbours or database.

#include <deque>

#include "tests/unit/linkstate/harness.hpp"

using namespace dmsc;
using namespace dmsc::linkstate;
using namespace dmsc::linkstate::test;

namespace {

wire::PduType type_of(const Packet& p) { return static_cast<wire::PduType>(p.datagram[1]); }

// An LSA of some other origin; nobody looks at its signature here.
wire::LsaPtr foreign(std::uint32_t number, std::uint64_t sequence = 1, std::size_t size = 100) {
  ByteWriter body, w;
  body.u16(9).bytes16(Bytes(size, static_cast<std::uint8_t>(number)));
  w.u8(0).u8(2).u16(number % 64).u32(1000 + number / 64).u64(1).u64(sequence).u32(86400).u16(0);
  w.bytes16(body.view()).bytes(Bytes(wire::kLsaSignatureBytes));
  return *wire::decode_lsa(w.view());
}

void trust_all(Net& net) {
  net.judge_override = [](const wire::Lsa&, const Node&) { return std::optional<bool>(true); };
}

// How many LSAs, or acknowledgements, a datagram carries.
std::size_t entries_in(const Packet& p) {
  ByteView body = ByteView(p.datagram).subspan(wire::kPduHeaderBytes,
                                               p.datagram.size() - wire::kPduOverhead);
  if (type_of(p) == wire::PduType::update) return wire::decode_update(body)->size();
  return 0;
}

// A receiver that needs `per_lsa` for each LSA and has a socket buffer, behind a link that loses packets:
// datagrams queue, or are lost when the buffer is full.
struct SlowReceiver {
  Net& net;
  Duration per_lsa;
  double loss;
  std::size_t buffer = 212992;
  Time free_at{};
  std::size_t lost_lsas = 0, lost_packets = 0, overflows = 0, sent_lsas = 0;
  std::deque<std::pair<Time, std::size_t>> queue;
  std::uint64_t state = 88172645463325252ULL;

  bool lose() {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return static_cast<double>(state >> 11) / 9007199254740992.0 < loss;
  }
  // The harness's delivery hook: takes the packet itself and injects it when the receiver is through.
  bool operator()(Packet& p) {
    std::size_t lsas = entries_in(p), bytes = p.datagram.size();
    sent_lsas += p.to == 1 ? lsas : 0;
    while (!queue.empty() && queue.front().first <= net.now) queue.pop_front();
    std::size_t waiting = bytes;
    for (const auto& [until, size] : queue) waiting += size;
    bool full = p.to == 1 && waiting > buffer;
    if (full || lose()) {
      overflows += full ? 1 : 0;
      lost_lsas += lsas;
      ++lost_packets;
      return false;
    }
    if (p.to != 1) return true;
    free_at = std::max(free_at, net.now) + static_cast<std::int64_t>(lsas) * per_lsa;
    queue.push_back({free_at, bytes});
    net.inject(std::move(p), free_at - net.now + net.delay);
    return false;
  }
};

}  // namespace

TEST_CASE("LS-F5 a receiver slowed 100 times, with 5 % loss, takes 100,000 LSAs without waste") {
  Net net = Net::line(2);
  trust_all(net);
  net.run(seconds(3));
  constexpr std::uint32_t kLsas = 100000;
  SlowReceiver slow{net, milliseconds(2), 0.05};  // 500 LSAs a second; 50,000 is the goal of a node
  net.deliver = std::ref(slow);
  for (std::uint32_t i = 0; i < kLsas; ++i) {
    net[0].engine.inject(net.now, foreign(i));
    if (i % 1000 == 0) net.drain(0);
  }
  net.drain(0);
  CHECK(net[0].view().queued + net[0].view().unacknowledged <= kLsas + 8);  // one slot for each
  std::size_t most_behind = 0;
  // Half way, one LSA in ten changes: what waits is sent once, as it is then.
  net.until([&] { return net[1].engine.lsa_count() >= kLsas / 2; }, minutes(20));
  for (std::uint32_t i = 5; i < kLsas; i += 10) net[0].engine.inject(net.now, foreign(i, 2));
  net.until([&] {
    most_behind = std::max(most_behind, slow.queue.size());
    return net.equal_databases();
  }, minutes(20));
  std::uint64_t repeated = net[0].engine.counters().retransmissions;
  INFO("lost LSAs " << slow.lost_lsas << " sent " << slow.sent_lsas << " retransmissions " << repeated
                    << " overflows " << slow.overflows << " behind " << most_behind);
  CHECK(repeated <= slow.lost_lsas * 12 / 10 + kLsas / 100);
  CHECK(slow.overflows == 0);
  CHECK(slow.sent_lsas <= kLsas + kLsas / 10 + repeated + 100);
  for (int i : {0, 1}) {
    CHECK(net[i].adjacency_log.size() == 1);
    CHECK(net[i].view().flaps == 0);
  }
  net.run(seconds(5));
  CHECK(net[0].view().queued + net[0].view().unacknowledged == 0);
}

TEST_CASE("LS-F5 hellos and keepalives never wait behind a flood") {
  Net net = Net::line(2);
  trust_all(net);
  net.run(seconds(3));
  Time last = net.now;
  Duration longest{};
  net.deliver = [&](Packet& p) {
    if (p.from == 0 && type_of(p) == wire::PduType::keepalive) {
      longest = std::max<Duration>(longest, net.now - last);
      last = net.now;
    }
    return true;
  };
  for (std::uint32_t i = 0; i < 20000; ++i) net[0].engine.inject(net.now, foreign(i));
  net.until([&] { return net.equal_databases(); }, seconds(30));
  CHECK(longest <= milliseconds(50));
}

TEST_CASE("LS-F5 on a fast link nothing is sent twice and the window opens") {
  Net net = Net::line(2);
  trust_all(net);
  net.run(seconds(3));
  Time start = net.now;
  for (std::uint32_t i = 0; i < 20000; ++i) net[0].engine.inject(net.now, foreign(i));
  net.until([&] { return net.equal_databases(); }, seconds(30));
  CHECK(net[0].engine.counters().retransmissions == 0);
  CHECK(net.now - start <= milliseconds(600));  // 20,000 LSAs over a round trip of 2 ms
}

TEST_CASE("LS-F4 a change is encoded once, however many neighbours get it") {
  constexpr int kNeighbours = 64;
  Net net;
  net.add();
  trust_all(net);
  for (int i = 1; i <= kNeighbours; ++i) {
    net.add();
    net.join(0, i, [](LinkConfig& c) { c.liveness.interval = seconds(1); });
  }
  net.run(seconds(3));
  REQUIRE(net[0].view(kNeighbours).state == AdjacencyState::up);
  EngineCounters before = net[0].engine.counters();
  for (std::uint32_t i = 0; i < 16; ++i) net[0].engine.inject(net.now, foreign(i, 1, 150));
  net.run(milliseconds(500));
  EngineCounters after = net[0].engine.counters();
  CHECK(after.lsas_out - before.lsas_out == 16 * kNeighbours);
  CHECK(after.lsas_encoded - before.lsas_encoded == 16);
  CHECK(after.retransmissions == before.retransmissions);
  CHECK(net.equal_databases());
}

TEST_CASE("an idle node's wake-ups do not grow with the database") {
  double per_second[2];
  for (int large : {0, 1}) {
    Net net = Net::line(2);
    trust_all(net);
    for (std::uint32_t i = 0; i < (large ? 10000 : 10); ++i) {
      net[0].engine.inject(net.now, foreign(i));
    }
    net.run(seconds(10));
    REQUIRE(net.equal_databases());
    std::uint64_t before = net[1].engine.counters().ticks;
    std::uint64_t steps = net[1].engine.lsdb_memory().steps;
    net.run(seconds(60));
    per_second[large] = static_cast<double>(net[1].engine.counters().ticks - before) / 60;
    CHECK(net[1].engine.lsdb_memory().steps - steps < 100);  // and nothing is walked through
  }
  CHECK(per_second[1] <= per_second[0] * 1.05 + 0.5);
  CHECK(per_second[1] < 60);
}

TEST_CASE("LS-D1 two equal million-prefix databases find out at once") {
  Net net;
  net.add();
  net.add();
  trust_all(net);
  net.join(0, 1);
  for (std::uint32_t i = 0; i < 40000; ++i) {  // 25 prefixes of 37 bytes in each
    auto lsa = foreign(i, 1, 925);
    for (int n : {0, 1}) net[n].engine.inject(net.now, lsa);
    if (i % 1000 == 0) net.drain(0), net.drain(1);
  }
  net.until([&] { return net.equal_databases() && net[0].view().synchronised; }, seconds(60));
  net.run(seconds(2));
  REQUIRE(net.equal_databases());
  // A second link comes up between them: a neighbour of whom nothing is known yet.
  std::size_t bytes = 0, lsas = 0;
  net.deliver = [&](Packet& p) {
    bytes += p.link == LinkId{2} ? p.datagram.size() : 0;
    lsas += entries_in(p);
    return true;
  };
  std::uint64_t steps = net[0].engine.lsdb_memory().steps;
  net.join(0, 1);
  net.until([&] { return net[0].view(2).state == AdjacencyState::up; }, milliseconds(100));
  Time up = net.now;
  net.until([&] { return net[0].view(2).synchronised && net[1].view(2).synchronised; },
            milliseconds(100));
  CHECK(net.now - up <= milliseconds(5));
  CHECK(bytes <= 4096);
  CHECK(lsas == 0);
  CHECK(net[0].engine.lsdb_memory().steps - steps < 200);  // nothing is walked through
}

TEST_CASE("LS-D2 a hundred differences among a million prefixes are repaired by what differs") {
  Net net;
  net.add();
  net.add();
  trust_all(net);
  constexpr std::uint32_t kLsas = 40000;
  for (std::uint32_t i = 0; i < kLsas; ++i) {
    auto lsa = foreign(i, 1, 925);
    net[0].engine.inject(net.now, lsa);
    net[1].engine.inject(net.now, i % 400 == 7 ? foreign(i, 2, 925) : lsa);
    if (i % 1000 == 0) net.drain(0), net.drain(1);
  }
  net.run(seconds(1));
  std::size_t bytes = 0, lsas = 0;
  net.deliver = [&](Packet& p) {
    bytes += p.datagram.size();
    lsas += entries_in(p);
    return true;
  };
  std::uint64_t steps = net[0].engine.lsdb_memory().steps;
  net.join(0, 1);
  Time start = net.now;
  net.until([&] { return net.equal_databases() && net[0].view().synchronised; }, seconds(2));
  INFO("bytes " << bytes << " LSAs " << lsas << " after "
                << std::chrono::duration_cast<milliseconds>(net.now - start).count() << " ms");
  CHECK(bytes <= 256 * 1024);
  CHECK(lsas <= 120);
  CHECK(net[0].engine.lsdb_memory().steps - steps < 400000);  // 100 paths, not 40,000 LSAs a level
}
