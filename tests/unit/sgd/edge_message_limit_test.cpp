// Calls under the rate limit of a prefix (docs/protocol.md, U15).
#include "tests/unit/sgd/edge_path_fixture.hpp"

namespace dmsc::sgd::test {
namespace {

using Answer = FairShaper::Answer;

// 8 Mbit/s for B: a byte per microsecond, so a burst of 5,000 bytes and a queue of 20,000.
struct Limited : Pair {
  Limited() {
    a.path.set_limits({{*Name::parse("B"), 8'000'000}});
    a.connected = false;  // what is sent is looked at, and goes nowhere
    a.clock = Time{} + seconds(1);
  }
  static Bytes segment(const char* to, wire::PayloadProtocol protocol = wire::PayloadProtocol::message,
                    const char* from = "A/1") {
    wire::ServicePacketSpec spec;
    spec.kind = wire::PacketKind::request;
    spec.protocol = protocol;
    spec.exchange = 7;
    spec.ingress = NodeId{1};
    spec.egress = NodeId{4};
    spec.destination = to;
    spec.source = from;
    return *wire::build_service_packet(spec, Bytes(972));  // counts 1,000 bytes
  }
  std::map<Answer, int> offer(int count, Bytes (*make)()) {
    std::map<Answer, int> out;
    for (int i = 0; i < count; ++i) {
      Bytes datagram = make();
      ++out[a.path.limit_message(datagram)];
    }
    return out;
  }
};

}  // namespace

TEST_CASE("U15 segments of calls pass, wait at most twenty milliseconds, or are dropped and counted") {
  Limited t;
  auto answers = t.offer(40, [] { return Limited::segment("B/4"); });
  CHECK(answers[Answer::pass] == 5);
  CHECK(answers[Answer::wait] == 20);
  CHECK(answers[Answer::drop] == 15);
  CHECK(t.a.path.counter(Count::rate_limited) == 15);
  t.a.sent.clear();
  for (std::size_t sent = 2; sent <= 20; sent += 2) {
    t.a.clock += milliseconds(2);
    CHECK(t.a.path.release_limited().has_value() == (sent < 20));
    REQUIRE(t.a.sent.size() == sent);
  }
  CHECK(t.a.sent.back() == Limited::segment("B/4"));
}

TEST_CASE("U15 other names and acknowledgements are not held back") {
  Limited t;
  CHECK(t.offer(40, [] { return Limited::segment("A/2"); })[Answer::pass] == 40);
  CHECK(t.offer(40, [] { return Limited::segment("B/4", wire::PayloadProtocol::control); })[Answer::pass] == 40);
}

TEST_CASE("U15 a pod's calls take the share of its packets, others' have their own") {
  Limited t;
  t.offer(25, [] { return Limited::segment("B/4"); });  // the queue is the pod's alone
  t.a.sent.clear();
  t.call(tcp(40000, 8080, kTcpSyn));
  CHECK(t.a.sent.empty());
  CHECK(t.a.path.counter(Count::rate_limited) == 1);  // its packet finds its own queue full
  auto other = t.offer(1, [] { return Limited::segment("B/4", wire::PayloadProtocol::message, "A/9"); });
  CHECK(other[Answer::wait] == 1);
}

TEST_CASE("U15 the two families of a pod's device are one sender") {
  Limited t;
  PathPort twin;
  twin.sender = 2;  // as the pod's own port
  twin.address = ip("100.64.1.6");
  twin.open = true;
  PathPort other = twin;
  other.sender = 4;
  other.address = ip("100.64.1.10");
  t.a.path.set_port(3, twin);
  t.a.path.set_port(4, other);
  t.offer(25, [] { return Limited::segment("B/4"); });
  t.a.sent.clear();
  auto syn = [&](std::uint32_t port, Ipv4 from) {
    t.a.emit(port, make_packet(from, t.service, kProtoTcp, tcp(40000, 8080, kTcpSyn)));
    return t.a.path.counter(Count::rate_limited);
  };
  CHECK(syn(4, other.address) == 0);  // another pod's waits
  CHECK(syn(3, twin.address) == 1);
  CHECK(t.a.sent.empty());
}

}  // namespace dmsc::sgd::test
