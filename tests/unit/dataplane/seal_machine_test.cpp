// Rules SE-7 to SE-14 of docs/protocol.md, "Sealing", under virtual time.
#include <catch2/catch.hpp>

#include "tests/unit/dataplane/seal_pair.hpp"

using namespace dmsc;
using namespace dmsc::dataplane;
using dmsc::dataplane::test::SealPair;
using wire::encode_handshake;
using wire::HandshakeFrame;
using wire::HandshakeType;

TEST_CASE("SE-7 machine: a wish for keys ends with both sealing and opening, cookie first") {
  SealPair p;
  p.send(p.a);
  p.run(milliseconds(9));
  CHECK(p.b.machine->views(p.now).empty());  // the responder remembers nothing of a hello
  p.run(milliseconds(100));
  CHECK(p.agreed());
  CHECK(p.frames == 6);  // hello, cookie, two round trips
  CHECK(p.a.machine->counters().established == 1);
  CHECK(p.b.machine->counters().established == 1);
  CHECK(p.a.machine->counters().resent == 0);
  CHECK((*p.a.sending & 1) == 0);  // begun by the lower id
  p.send(p.a);
  p.send(p.b);
  p.run(milliseconds(20));
  CHECK(p.b.delivered == 2);  // with the confirmation
  CHECK(p.a.delivered == 1);
}

TEST_CASE("SE-7 machine: begun by the higher id it is no different, and the number says so") {
  SealPair p;
  p.send(p.b);
  p.run(milliseconds(100));
  CHECK(p.agreed());
  CHECK((*p.b.sending & 1) == 1);
}

TEST_CASE("SE-7 machine: without a good cookie nothing is begun; cookies age") {
  SealPair p;
  const Bytes datagram = to_bytes(as_bytes("i1101"));
  HandshakeFrame frame{HandshakeType::dtls, 101, {}, datagram};
  p.a.machine->receive(p.now, p.b.id, encode_handshake(frame));
  CHECK(p.a.machine->counters().bad_cookie == 1);
  CHECK(p.a.machine->take_frames().empty());
  p.a.machine->receive(p.now, p.b.id, encode_handshake({HandshakeType::hello, 101, {}, {}}));
  auto answers = p.a.machine->take_frames();
  REQUIRE(answers.size() == 1);
  frame.cookie = wire::decode_handshake(answers[0].payload)->cookie;
  p.a.machine->receive(p.now, NodeId{9}, encode_handshake(frame));  // another node's cookie
  CHECK(p.a.machine->counters().bad_cookie == 2);
  p.a.machine->receive(p.now + 3 * SealMachine::kCookieBucket, p.b.id, encode_handshake(frame));
  CHECK(p.a.machine->counters().bad_cookie == 3);
  p.a.machine->receive(p.now, p.b.id, encode_handshake(frame));
  CHECK(p.a.machine->counters().answered == 1);
}

TEST_CASE("SE-8 machine: any one frame lost, or the confirmation, costs one resend and no more") {
  for (int lost = 0; lost < 6; ++lost) {
    SealPair p;
    int seen = 0;
    p.lose = [&](NodeId, const HandshakeFrame&) { return seen++ == lost; };
    p.send(p.a);
    p.run(milliseconds(160));
    INFO("frame " << lost);
    CHECK(p.agreed());
    CHECK(p.a.machine->counters().started == 1);
  }
  SealPair p;
  p.lose_confirm = true;
  p.send(p.a);
  p.run(milliseconds(60));
  CHECK(p.a.sending);
  CHECK_FALSE(p.b.sending);  // does not seal before it has opened something
  p.lose_confirm = false;
  p.run(milliseconds(100));
  CHECK(p.agreed());
}

TEST_CASE(
    "SE-8 machine: half of the frames lost, each that arrives doubled: it still comes to its end") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SealPair p;
    std::uint64_t state = seed;
    p.twice = true;
    p.lose = [&](NodeId, const HandshakeFrame&) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      return (state >> 33 & 1) != 0;
    };
    for (int second = 0; second < 60 && !p.agreed(); ++second) {
      p.send(p.a);
      p.run(seconds(1));
    }
    INFO("seed " << seed);
    CHECK(p.agreed());
  }
}

TEST_CASE("SE-8 machine: reordered and repeated frames of an old handshake change nothing") {
  SealPair p;
  std::vector<std::pair<NodeId, Bytes>> all;
  p.lose = [&](NodeId from, const HandshakeFrame& frame) {
    all.emplace_back(from, encode_handshake(frame));
    return false;
  };
  p.send(p.a);
  p.run(milliseconds(200));
  REQUIRE(p.agreed());
  const auto sending = p.a.sending;
  p.lose = [](NodeId, const HandshakeFrame&) { return false; };
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = all.size(); i-- > 0;) {
      auto& to = all[i].first == p.a.id ? p.b : p.a;
      to.machine->receive(p.now, all[i].first, all[i].second);
    }
    p.run(milliseconds(50));
  }
  p.run(seconds(12));
  CHECK(p.agreed());
  CHECK(p.a.sending == sending);
  CHECK(p.a.machine->counters().established == 1);
  CHECK(p.b.machine->counters().established == 1);
}

TEST_CASE("SE-9 machine: both begin at once, the lower id's handshake stands") {
  for (int first : {0, 1, 2}) {
    SealPair p;
    p.send(first == 1 ? p.b : p.a);
    if (first == 2) p.run(milliseconds(3));
    p.send(first == 1 ? p.a : p.b);
    p.run(milliseconds(300));
    CHECK(p.agreed());
    CHECK(p.a.sending == p.b.sending);
    CHECK((*p.a.sending & 1) == 0);
    CHECK(p.a.machine->counters().glare_won >= 1);
    CHECK(p.b.machine->counters().glare_lost == 1);
    CHECK(p.a.failures.empty());
    CHECK(p.b.failures.empty());
  }
}

TEST_CASE("SE-9 machine: a lower id that is not heard does not keep the higher one from trying") {
  SealPair p;
  bool cut = true;
  p.lose = [&](NodeId from, const HandshakeFrame&) { return cut && from == NodeId{3}; };
  p.send(p.a);
  p.send(p.b);
  p.run(seconds(11));
  CHECK(p.a.failures.size() == 1);
  CHECK(p.a.failures[0] == "no answer to the handshake");
  cut = false;
  p.run(seconds(1));
  p.send(p.b);
  p.run(milliseconds(200));
  CHECK(p.agreed());
}

TEST_CASE("SE-10 machine: one side restarts; the other hears unknown-key and both have keys anew") {
  for (bool lower : {false, true}) {
    SealPair p;
    p.send(p.a);
    p.run(milliseconds(100));
    auto& restarted = lower ? p.a : p.b;
    auto& stays = p.other(restarted);
    p.start(restarted);
    p.send(stays);
    p.run(milliseconds(100));
    CHECK(p.agreed());
    CHECK(restarted.unknown == 1);
    CHECK(stays.machine->counters().unknown_key_hints == 1);
    const auto before = restarted.delivered;
    p.send(stays);
    p.run(milliseconds(20));
    CHECK(restarted.delivered == before + 1);
  }
}

TEST_CASE("SE-10 machine: a restarted side that speaks first has keys anew without the hint") {
  SealPair p;
  p.send(p.a);
  p.run(milliseconds(100));
  p.start(p.b);
  p.send(p.b);
  p.run(milliseconds(100));
  CHECK(p.agreed());
  CHECK(p.a.machine->counters().unknown_key_hints == 0);
}

TEST_CASE(
    "SE-10 machine: forged unknown-key hints take no keys away and cost one handshake a second") {
  SealPair p;
  p.send(p.a);
  p.run(milliseconds(100));
  const std::uint64_t before = p.a.machine->counters().started;
  for (int i = 0; i < 1000; ++i) {
    REQUIRE(p.a.sending);
    p.a.machine->unknown(p.now, p.b.id, *p.a.sending);
    p.a.machine->unknown(p.now, p.b.id, 0x777);  // of no association
    const std::size_t delivered = p.b.delivered;
    p.send(p.a);
    p.run(milliseconds(10));
    REQUIRE(p.b.delivered > delivered);  // the packet, now and then a confirmation too
  }
  CHECK(p.a.machine->counters().started - before <= 11);
  CHECK(p.a.installed.size() <= 4);
  CHECK(p.b.installed.size() <= 4);
}

TEST_CASE("SE-11 machine: used keys are renewed under load, and no packet is lost to it") {
  SealPair p;
  p.send(p.a);
  p.run(milliseconds(100));
  std::size_t sent = 0;
  const std::size_t before = p.b.delivered + p.a.delivered;
  const auto confirms = [&] { return p.a.machine->counters().established; };
  const std::uint64_t first = confirms();
  const std::set<std::uint32_t> numbers{*p.a.sending};
  std::set<std::uint32_t> used = numbers;
  for (int second = 0; second < 3600; ++second) {
    p.send(p.a);
    p.send(p.b);
    sent += 2;
    p.run(seconds(1));
    REQUIRE(p.agreed());
    used.insert(*p.a.sending);
  }
  CHECK(used.size() == 6);  // every ten minutes
  CHECK(p.a.unknown + p.b.unknown == 0);
  CHECK(p.a.delivered + p.b.delivered - before == sent + (confirms() - first));
  CHECK(p.a.installed.size() <= 2);
  CHECK(p.b.installed.size() <= 2);
}

TEST_CASE(
    "SE-11 machine: unused keys are not renewed; they end, and the next packet makes new ones") {
  SealPair p;
  p.send(p.a);
  p.run(milliseconds(100));
  p.run(SealMachine::kLife + seconds(1));
  CHECK_FALSE(p.a.sending);
  CHECK_FALSE(p.b.sending);
  CHECK(p.a.installed.size() == 1);  // still opened for a minute
  p.run(SealMachine::kLinger);
  CHECK(p.a.installed.empty());
  CHECK(p.b.installed.empty());
  CHECK(p.a.machine->counters().established == 1);
  p.send(p.b);
  p.run(milliseconds(100));
  CHECK(p.agreed());
}

TEST_CASE("SE-11 machine: a key that is nearly used up is renewed on request") {
  SealPair p;
  p.send(p.a);
  p.run(milliseconds(100));
  const auto before = p.a.sending;
  p.b.machine->want(p.now, p.a.id);  // keys are there: nothing to do
  p.run(milliseconds(100));
  CHECK(p.a.sending == before);
  p.b.machine->want(p.now, p.a.id, true);
  p.run(milliseconds(100));
  CHECK(p.agreed());
  CHECK(p.a.sending != before);
}

TEST_CASE(
    "SE-12 machine: without an answer it fails after ten seconds with a reason, tries again "
    "later") {
  SealPair p;
  p.lose = [](NodeId, const HandshakeFrame&) { return true; };
  p.send(p.a);
  p.run(seconds(11));
  REQUIRE(p.a.failures.size() == 1);
  CHECK(p.a.failures[0] == "no answer to the handshake");
  CHECK(p.frames <= 10);  // resent with growing pauses
  p.lose = [](NodeId, const HandshakeFrame&) { return false; };
  p.send(p.a);
  p.run(milliseconds(100));
  CHECK(p.agreed());
  CHECK(p.a.machine->views(p.now)[0].problem.empty());
}

TEST_CASE(
    "SE-12 machine: a peer whose certificate is refused gets no keys, and wishes fail at once") {
  SealPair p;
  std::size_t of_a = 0;
  p.lose = [&](NodeId from, const HandshakeFrame&) {
    of_a += from == p.a.id ? 1 : 0;
    return false;
  };
  p.refuse = true;
  p.send(p.a);
  p.run(milliseconds(100));
  REQUIRE(p.a.failures.size() == 1);
  CHECK(p.a.failures[0] == "certificate is of somebody else");
  CHECK(p.a.installed.empty());
  CHECK(p.b.installed.empty());
  const std::size_t before = of_a;
  p.send(p.a);
  p.run(milliseconds(100));
  CHECK(p.a.failures.size() == 2);
  CHECK(of_a == before);
  CHECK(p.a.machine->views(p.now)[0].state == "failed");
}

TEST_CASE("SE-12 machine: a failed renewal leaves the keys in use as they are") {
  SealPair p;
  p.send(p.a);
  p.run(milliseconds(100));
  const auto before = p.a.sending;
  p.refuse = true;
  p.a.machine->want(p.now, p.b.id, true);
  p.run(seconds(1));
  CHECK(p.a.sending == before);
  CHECK(p.agreed());
  CHECK(p.a.failures.empty());
}

TEST_CASE("SE-13 machine: a peer that is no gateway any more is forgotten with its keys") {
  SealPair p;
  p.send(p.a);
  p.run(milliseconds(100));
  p.a.machine->forget(p.b.id);
  p.run(milliseconds(10));
  CHECK_FALSE(p.a.sending);
  CHECK(p.a.installed.empty());
  CHECK_FALSE(p.a.machine->deadline());
  CHECK(p.a.failures.size() == 1);
}

TEST_CASE(
    "SE-14 machine: malformed frames and those of a number the peer may not choose are counted") {
  SealPair p;
  p.a.machine->receive(p.now, p.b.id, from_hex("ff"));
  p.a.machine->receive(p.now, p.b.id, encode_handshake({HandshakeType::hello, 100, {}, {}}));
  CHECK(p.a.machine->counters().malformed == 2);
  CHECK(p.a.machine->take_frames().empty());
  p.a.machine->receive(p.now, p.b.id, encode_handshake({HandshakeType::cookie, 100, {}, {}}));
  CHECK(p.a.machine->take_frames().empty());  // nobody asked
}

TEST_CASE("SE-8 machine: at 30 percent loss a hundred pairs all come to keys, and agree") {
  for (std::uint32_t seed = 1; seed <= 100; ++seed) {
    SealPair p;
    std::uint64_t state = seed;
    p.lose = [&](NodeId, const HandshakeFrame&) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      return (state >> 33) % 10 < 3;
    };
    for (int second = 0; second < 30 && !p.agreed(); ++second) {
      p.send(p.a);
      p.send(p.b);
      p.run(seconds(1));
    }
    INFO("seed " << seed);
    CHECK(p.agreed());
  }
}
