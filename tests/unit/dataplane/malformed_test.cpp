// A thousand wrong packets and more of each class, from a fixed seed, over real sockets and the
// real FIB: each costs one counter, gets one verdict, and changes nothing else (D3, D15, H2, H3,
// A3, F6, F10).
#include <catch2/catch.hpp>
#include <exception>
#include <random>

#include "tests/unit/dataplane/hand_played.hpp"

using namespace dmsc;
using namespace dmsc::dataplane;
using forwarding::DropReason;

namespace {

constexpr int kEach = 1200;
using Random = std::mt19937;

std::uint32_t below(Random& random, std::size_t n) {
  return static_cast<std::uint32_t>(random() % n);
}

Bytes random_bytes(Random& random, std::size_t n) {
  Bytes out(n);
  for (auto& b : out) b = static_cast<std::uint8_t>(random());
  return out;
}

// A good packet of any sort that node 2 forwards to node 3. Without an ingress nobody is told of
// its drop.
Bytes good_packet(Random& random) {
  wire::ServicePacketSpec spec;
  spec.kind = static_cast<wire::PacketKind>(1 + below(random, 4));
  spec.destination = "B/4";
  spec.egress = kDownstream;
  if (below(random, 3) == 0) spec.label = PathLabel{0x100001};
  if (below(random, 2) == 0) spec.source = "shop/cart";
  if (below(random, 2) == 0)
    spec.instance = InstanceId{static_cast<std::uint16_t>(1 + below(random, 9))};
  if (below(random, 2) == 0) spec.deadline_ms = below(random, 1000);
  spec.flow = random();
  spec.exchange = below(random, 1U << 31);
  return wire::build_service_packet(spec, random_bytes(random, below(random, 200))).value();
}

// The good packet with one more TLV behind the others.
Bytes with_tlv(Random& random, std::uint8_t type, ByteView value) {
  Bytes packet = good_packet(random);
  auto view = wire::ServicePacket::parse(packet).value();
  std::size_t header = view.header_size(), end = header;
  Bytes payload(view.payload().begin(), view.payload().end());
  for (std::size_t at = wire::kServiceFixedBytes; at < header;
       at += 2 + std::size_t{packet[at + 1]}) {
    if (packet[at] == 0) {
      end = at;
      break;
    }
  }
  packet.resize(end);
  packet.push_back(type);
  packet.push_back(static_cast<std::uint8_t>(value.size()));
  packet.insert(packet.end(), value.begin(), value.end());
  while (packet.size() % 4 != 0) packet.push_back(0);
  packet[4] = static_cast<std::uint8_t>(packet.size() / 4);
  packet.insert(packet.end(), payload.begin(), payload.end());
  return packet;
}

// What a class may move besides its one reason.
struct Expected {
  DropReason reason = DropReason::none;  // none: forwarded
  bool authentic = false;                // its tag is looked at and good
  bool by_name = false;
};

class Flood {
 public:
  explicit Flood(std::uint32_t seed) : random(seed) {}
  Random random;
  HandPlayed node;

  // Sends `count` packets of `make` and holds the counters against what was expected.
  template <class Make>
  void run(int count, const Expected& expected, Make make) {
    run_from(node.upstream, count, expected, make);
  }
  template <class Make>
  void run_from(const UniqueFd& from, int count, const Expected& expected, Make make) {
    CounterValues before = node.plane->counters();
    auto work = node.plane->fib().work().total();
    for (int sent = 0; sent < count;) {
      for (int i = 0; i < 50 && sent < count; ++i, ++sent) node.send_from(from, make());
      REQUIRE(node.arrived(before.received + static_cast<std::uint64_t>(sent)));
    }
    node.on_worker([](Worker&) {});  // the round that took the last one is over
    check(before, static_cast<std::uint64_t>(count), expected);
    CHECK(node.plane->fib().work().total() == work);
  }
  // After all that, a good packet passes as ever.
  ~Flood() noexcept(false) {
    if (std::uncaught_exceptions() > 0) return;
    run(10, {DropReason::none, true, false}, [this] { return tagged(good_packet(random)); });
  }
  Bytes tagged(Bytes packet) {
    node.tag(packet);
    return packet;
  }

 private:
  void check(const CounterValues& before, std::uint64_t n, const Expected& expected) {
    CounterValues after = node.plane->counters();
    CHECK(after.received - before.received == n);
    CHECK(after.packets_in - before.packets_in == (expected.authentic ? n : 0));
    CHECK(after.forwarded - before.forwarded == (expected.reason == DropReason::none ? n : 0));
    CHECK(after.by_name - before.by_name == (expected.by_name ? n : 0));
    for (std::size_t i = 1; i < kDropReasons; ++i) {
      INFO(forwarding::to_string(static_cast<DropReason>(i)));
      bool wanted = static_cast<DropReason>(i) == expected.reason;
      CHECK(after.drops[i] - before.drops[i] == (wanted ? n : 0));
    }
    CHECK(after.delivered == before.delivered);
    CHECK(after.ended == before.ended);
    CHECK(after.repaired == before.repaired);
    CHECK(after.errors_sent + after.errors_suppressed ==
          before.errors_sent + before.errors_suppressed);
    CHECK(node.settled());
    CHECK(node.sink.delivered == 0);
  }
};

constexpr Expected kMalformed{DropReason::malformed, false, false};

}  // namespace

TEST_CASE("H2 malformed: truncated packets and garbage of every length") {
  Flood flood(1);
  flood.run(kEach, kMalformed, [&] {
    Bytes packet = flood.tagged(good_packet(flood.random));
    packet.resize(below(flood.random, packet.size()));
    return packet;
  });
  flood.run(kEach, kMalformed, [&] {
    Bytes packet = random_bytes(flood.random, below(flood.random, 300));
    if (packet.size() > 5) packet[4] = 0;  // no header is that short
    return packet;
  });
}

TEST_CASE("H2 H3 malformed: lengths that do not fit the datagram, the header or their TLV") {
  Flood flood(2);
  flood.run(kEach, kMalformed, [&] {
    Bytes packet = flood.tagged(good_packet(flood.random));
    Bytes more = random_bytes(flood.random, 1 + below(flood.random, 20));
    packet.insert(packet.end(), more.begin(), more.end());
    return packet;
  });
  flood.run(kEach, kMalformed, [&] {
    Bytes packet = flood.tagged(good_packet(flood.random));
    std::size_t at = 4 + 2 * below(flood.random, 2);  // header length, payload length
    packet[at] ^= static_cast<std::uint8_t>(1 + below(flood.random, 255));
    return packet;
  });
  flood.run(kEach, kMalformed, [&] {  // the name's length leaves the header
    Bytes packet = flood.tagged(good_packet(flood.random));
    packet[49] = static_cast<std::uint8_t>(packet[4] * 4 - 49 + below(flood.random, 100));
    return packet;
  });
  flood.run(kEach, kMalformed, [&] {  // a length its type does not have
    static const std::uint8_t fixed[] = {3, 4, 5, 9, 12, 18};
    std::uint8_t type = fixed[below(flood.random, 6)];
    return with_tlv(flood.random, type, Bytes(type == 5 ? 7 : 3, 1));
  });
}

TEST_CASE("H2 H3 malformed: versions, kinds, node ids and padding that are not") {
  Flood flood(3);
  flood.run(kEach, kMalformed, [&] {
    Bytes packet = flood.tagged(good_packet(flood.random));
    std::uint32_t what = below(flood.random, 4);
    if (what == 0) packet[0] = static_cast<std::uint8_t>((1 + below(flood.random, 15)) << 4 | 1);
    if (what == 1)
      packet[0] =
          static_cast<std::uint8_t>(below(flood.random, 2) == 0 ? 0 : 8 + below(flood.random, 8));
    if (what == 2) packet[24] = static_cast<std::uint8_t>(1 + below(flood.random, 255));
    if (what == 3) packet[28] = static_cast<std::uint8_t>(1 + below(flood.random, 255));
    return packet;
  });
  flood.run(kEach, kMalformed, [&] {
    Bytes packet = with_tlv(flood.random, 200,
                            Bytes(3, 1));  // 5 bytes: so there are 1 to 3 of padding, or none
    std::size_t header = std::size_t{packet[4]} * 4;
    packet.insert(packet.begin() + static_cast<std::ptrdiff_t>(header),
                  {0, 0, 0, 0});  // 4 more are too many
    ++packet[4];
    return packet;
  });
}

TEST_CASE("H3 malformed: a known TLV twice, a name of no bytes") {
  Flood flood(4);
  flood.run(kEach, kMalformed, [&] {
    if (below(flood.random, 2) == 0) return with_tlv(flood.random, 1, as_bytes("B/4"));
    return with_tlv(flood.random, 2, {});
  });
}

TEST_CASE("H3 malformed: an unknown critical TLV is one counter, but only if its tag is good") {
  Flood flood(5);
  auto critical = [&] {
    auto type = static_cast<std::uint8_t>(21 + 2 * below(flood.random, 110));
    return with_tlv(flood.random, type, random_bytes(flood.random, below(flood.random, 30)));
  };
  flood.run(kEach, {DropReason::unknown_tlv, true, false},
            [&] { return flood.tagged(critical()); });
  flood.run(kEach, {DropReason::bad_tag, false, false}, [&] {
    Bytes packet = flood.tagged(critical());
    packet[40 + below(flood.random, 8)] ^= 0x10;
    return packet;
  });
}

TEST_CASE("H3 malformed: an unknown TLV that is not critical passes on") {
  Flood flood(6);
  flood.run(kEach, {DropReason::none, true, false}, [&] {
    auto type = static_cast<std::uint8_t>(20 + 2 * below(flood.random, 118));
    return flood.tagged(
        with_tlv(flood.random, type, random_bytes(flood.random, below(flood.random, 30))));
  });
}

TEST_CASE("F10 malformed: names that are none, or nobody's, have no route") {
  Flood flood(7);
  flood.run(kEach, {DropReason::no_route, true, false}, [&] {
    static const std::string bad[] = {"B//4",
                                      "/B/4",
                                      "B/4/",
                                      "B/4x",
                                      "B",
                                      "b/4",
                                      std::string("B/4\0", 4),
                                      "..",
                                      "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a",
                                      std::string(255, '/'),
                                      std::string(255, 'a')};
    wire::ServicePacketSpec spec;
    std::string name = bad[below(flood.random, 11)];
    if (below(flood.random, 2) == 0) {
      Bytes noise = random_bytes(flood.random, 1 + below(flood.random, 255));
      name.assign(noise.begin(), noise.end());
    }
    spec.destination = name;
    spec.flow = flood.random();
    return flood.tagged(wire::build_service_packet(spec, {}).value());
  });
}

TEST_CASE("F6 malformed: what would go in circles ends with its hop limit") {
  Flood flood(8);
  flood.run(kEach, {DropReason::hop_limit, true, false}, [&] {
    Bytes packet = good_packet(flood.random);
    packet[2] = static_cast<std::uint8_t>(below(flood.random, 2));
    return flood.tagged(packet);
  });
  // A neighbour that sends each packet straight back: it passes here as often as its hop limit
  // allows.
  CounterValues before = flood.node.plane->counters();
  for (int i = 0; i < 100; ++i) {
    Bytes packet = good_packet(flood.random);
    for (packet[2] = 32; packet[2] > 0; --packet[2]) flood.node.send(flood.tagged(packet));
    REQUIRE(flood.node.arrived(before.received + 32 * static_cast<std::uint64_t>(i + 1)));
  }
  flood.node.on_worker([](Worker&) {});
  CounterValues after = flood.node.plane->counters();
  CHECK(after.forwarded - before.forwarded == 31 * 100);
  CHECK(after.drops[static_cast<std::size_t>(DropReason::hop_limit)] -
            before.drops[static_cast<std::size_t>(DropReason::hop_limit)] ==
        100);
}

TEST_CASE(
    "D3 malformed: headers a pod makes up are not even read, nor is another node's good packet") {
  Flood flood(9);
  auto pod = open_udp(*SocketAddress::parse("127.0.0.1", 0), {});
  flood.run_from(*pod, kEach, {DropReason::not_neighbour, false, false}, [&] {
    Bytes packet = good_packet(flood.random);
    if (below(flood.random, 2) == 0)
      packet = random_bytes(flood.random, 1 + below(flood.random, 200));
    return packet;
  });
  flood.run_from(flood.node.downstream, kEach, {DropReason::bad_tag, false, false}, [&] {
    return flood.tagged(good_packet(flood.random));
  });  // under another link's key
}

TEST_CASE(
    "D3 malformed: hop blocks with an unknown key, a wrong tag, a changed header, a worker there "
    "is not") {
  Flood flood(10);
  flood.run(kEach, {DropReason::bad_key, false, false}, [&] {
    Bytes packet = flood.tagged(good_packet(flood.random));
    packet[32] = static_cast<std::uint8_t>(2 + below(flood.random, 254));
    return packet;
  });
  flood.run(kEach, {DropReason::bad_tag, false, false}, [&] {
    Bytes packet = flood.tagged(good_packet(flood.random));
    static const std::uint8_t places[] = {1, 2, 3, 8, 12, 16, 25, 30, 33, 34, 39, 40, 47, 50};
    packet[places[below(flood.random, 14)]] ^=
        static_cast<std::uint8_t>(1U << below(flood.random, 4));
    return packet;
  });
  flood.run(kEach, {DropReason::replay, false, false}, [&] {
    Bytes packet = good_packet(flood.random);
    flood.node.tag(packet, static_cast<std::uint8_t>(1 + below(flood.random, 255)));
    return packet;
  });
}

TEST_CASE("A3 malformed: replays and counters that are too old, among good ones") {
  Flood flood(11);
  std::vector<Bytes> seen;
  flood.run(kEach, {DropReason::none, true, false}, [&] {
    seen.push_back(flood.tagged(good_packet(flood.random)));
    return seen.back();
  });
  flood.run(kEach, {DropReason::replay, false, false},
            [&] { return seen[below(flood.random, seen.size())]; });
  flood.node.counter += 5000;
  flood.run(1, {DropReason::none, true, false},
            [&] { return flood.tagged(good_packet(flood.random)); });
  flood.run(kEach, {DropReason::replay, false, false}, [&] {
    Bytes packet = good_packet(flood.random);
    flood.node.tag_with(packet, flood.node.counter - 1024 - below(flood.random, 3000));
    return packet;
  });
}
