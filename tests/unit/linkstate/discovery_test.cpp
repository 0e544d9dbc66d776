// docs/protocol.md, "Discovery" (LS-M1 to LS-M9), in virtual time.
#include "dmsc/linkstate/discovery.hpp"

#include <memory>

#include "tests/unit/linkstate/harness.hpp"

using namespace dmsc;
using namespace dmsc::linkstate;
using namespace dmsc::linkstate::test;

namespace {

struct Member {
  std::uint32_t id;
  UnicastEndpoint at;
  std::unique_ptr<Discovery> discovery;
  std::vector<std::string> log;  // "found n2 10.0.0.2:7401", "lost n2 REASON", "refused ..."
  bool there = true;             // on the segment
  std::size_t sent = 0;
};

// A shared segment: what one member sends all others get.
struct Segment {
  Time now = Time{} + seconds(1000);
  std::vector<std::unique_ptr<Member>> members;
  std::function<bool(int from, int to)> deliver;
  std::vector<Bytes> seen;  // every datagram on it

  Member& add(std::function<void(DiscoveryConfig&)> change = {}) {
    auto id = static_cast<std::uint32_t>(members.size() + 1);
    DiscoveryConfig config{NodeId{id}, "n" + std::to_string(id), DomainId{7}, SessionId{100 + id},
                           chain({1}, 1), id, 16};
    if (change) change(config);
    auto member = std::make_unique<Member>();
    member->id = id;
    member->at = {{10, 0, 0, static_cast<std::uint8_t>(id)}, 7401};
    member->discovery = std::make_unique<Discovery>(config, now);
    member->discovery->interface_up(now, member->at);
    members.push_back(std::move(member));
    return *members.back();
  }
  Member& operator[](std::size_t i) { return *members[i]; }

  void inject(Member& to, const Bytes& source, unsigned hops, const Bytes& datagram) {
    to.discovery->receive(now, source, hops, datagram);
    collect(to);
  }
  void run(Duration time) {
    for (Time end = now + time; now < end; now += milliseconds(10)) {
      for (auto& m : members) {
        m->discovery->tick(now);
        collect(*m);
      }
    }
  }
  void collect(Member& m) {
    for (const DiscoveryOutput& output : m.discovery->poll()) {
      if (const auto* send = std::get_if<SendAnnouncement>(&output)) {
        ++m.sent;
        seen.push_back(send->datagram);
        spread(m, send->datagram);
      } else if (const auto* found = std::get_if<NeighbourFound>(&output)) {
        m.log.push_back("found " + found->name);
      } else if (const auto* lost = std::get_if<NeighbourLost>(&output)) {
        m.log.push_back("lost " + std::to_string(lost->node.value) + " " + lost->reason);
      } else {
        m.log.push_back("refused " + std::get<AnnouncementRefused>(output).what);
      }
    }
  }
  void spread(Member& from, const Bytes& datagram) {
    if (!from.there) return;
    for (auto& to : members) {
      if (!to->there) continue;  // also its own: multicast is looped back
      if (deliver && !deliver(static_cast<int>(from.id), static_cast<int>(to->id))) continue;
      to->discovery->receive(now, from.at.address, kDiscoveryHops, datagram);
    }
  }
};

bool knows(const Member& m, std::uint32_t id) { return m.discovery->neighbours().count(NodeId{id}) != 0; }

bool logged(const Member& m, const std::string& start) {
  for (const std::string& line : m.log) {
    if (line.rfind(start, 0) == 0) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("LS-M1 discovery: all on a segment find each other within 200 ms, a newcomer too") {
  Segment s;
  for (int i = 0; i < 3; ++i) s.add();
  s.run(milliseconds(200));
  for (auto& m : s.members) CHECK(m->discovery->neighbours().size() == 2);
  s.run(seconds(20));
  s.add();
  s.run(milliseconds(200));
  for (auto& m : s.members) CHECK(m->discovery->neighbours().size() == 3);
  CHECK(s[3].discovery->neighbours().at(NodeId{2}).at == s[1].at);
}

TEST_CASE("LS-M1 discovery: announcements are one a second, a few more at the start") {
  Segment s;
  s.add();
  s.run(seconds(100));
  CHECK(s[0].sent > 100);
  CHECK(s[0].sent < 130);
}

TEST_CASE("LS-M2 discovery: who falls silent is lost after its hold time; one lost announcement is none") {
  Segment s;
  s.add();
  s.add();
  s.run(seconds(5));
  std::map<int, int> sent;
  s.deliver = [&](int from, int to) { return from == to || ++sent[from] % 2 == 0; };  // every other one
  s.run(seconds(60));
  CHECK_FALSE(logged(s[0], "lost"));
  s.deliver = nullptr;
  s[1].there = false;
  s.run(milliseconds(2000));
  CHECK(knows(s[0], 2));
  s.run(milliseconds(2500));
  CHECK_FALSE(knows(s[0], 2));
  CHECK(s[0].log.back() == "lost 2 no announcement within its hold time");
}

TEST_CASE("LS-M3 discovery: an adjacency keeps its neighbour, silent or not") {
  Segment s;
  s.add();
  s.add();
  s.run(seconds(5));
  s[0].discovery->adjacency(s.now, NodeId{2}, true);
  s[1].there = false;
  s.run(seconds(60));
  CHECK(knows(s[0], 2));
  s[0].discovery->adjacency(s.now, NodeId{2}, false);
  s.run(milliseconds(900));
  CHECK(knows(s[0], 2));  // a second for it to be heard again
  s.run(milliseconds(500));
  CHECK_FALSE(knows(s[0], 2));
}

TEST_CASE("LS-M4 discovery: with the interface go all it found, and come back with it") {
  Segment s;
  for (int i = 0; i < 3; ++i) s.add();
  s.run(seconds(1));
  s[0].discovery->interface_down(s.now, "interface down");
  s.collect(s[0]);
  CHECK(s[0].discovery->neighbours().empty());
  CHECK(logged(s[0], "lost 2 interface down"));
  CHECK(logged(s[0], "lost 3 interface down"));
  std::size_t sent = s[0].sent;
  s.run(seconds(3));
  CHECK(s[0].sent == sent);
  CHECK(s[0].discovery->neighbours().empty());
  CHECK_FALSE(s[0].discovery->next_deadline());
  s[0].discovery->interface_up(s.now, s[0].at);
  s.run(seconds(1));
  CHECK(s[0].discovery->neighbours().size() == 2);
}

TEST_CASE("LS-M5 discovery: what is not authentic, of another domain or from beyond finds nobody") {
  Segment s;
  Member& victim = s.add();
  Member& peer = s.add();
  peer.there = false;
  s.run(milliseconds(50));
  Bytes good = s.seen.back();
  for (const Bytes& each : s.seen) {
    if (wire::open_pdu(each, *ControlKeys(chain({1}, 1), DomainId{7}).active())->header.sender == NodeId{2}) {
      good = each;
    }
  }
  auto refused = [&](const Bytes& source, unsigned hops, const Bytes& datagram, const std::string& why) {
    victim.log.clear();
    s.now += seconds(11);  // refusals are told once in ten seconds
    s.inject(victim, source, hops, datagram);
    CHECK(logged(victim, "refused " + why));
    CHECK_FALSE(knows(victim, 2));
  };
  refused(peer.at.address, 254, good, "announcement from beyond the interface");
  refused({10, 0, 0, 9}, kDiscoveryHops, good, "announcement from another address than it names");
  refused({}, kDiscoveryHops, good, "announcement from another address than it names");
  for (std::size_t byte = 0; byte < good.size(); ++byte) {
    Bytes bad = good;
    bad[byte] ^= 1;
    s.inject(victim, peer.at.address, kDiscoveryHops, bad);
    REQUIRE_FALSE(knows(victim, 2));
    s.inject(victim, peer.at.address, kDiscoveryHops, Bytes(good.begin(), good.begin() + static_cast<long>(byte)));
    REQUIRE_FALSE(knows(victim, 2));
  }
  Segment other;
  other.add();
  other.add([](DiscoveryConfig& c) { c.domain = DomainId{8}; });
  other.run(milliseconds(20));
  refused(peer.at.address, kDiscoveryHops, other.seen.back(), "announcement not authentic");
  s.inject(victim, peer.at.address, kDiscoveryHops, good);
  CHECK(knows(victim, 2));
}

TEST_CASE("LS-M5 discovery: no key, no word") {
  Segment s;
  s.add([](DiscoveryConfig& c) { c.keys = {}; });
  s.add();
  s.run(seconds(3));
  CHECK(s[0].sent == 0);
  CHECK(s[0].discovery->neighbours().empty());
  CHECK(s[1].discovery->neighbours().empty());
  s[0].discovery->set_keys(chain({1, 2}, 2));
  s[1].discovery->set_keys(chain({1, 2}, 1));
  s.run(seconds(2));
  CHECK(knows(s[0], 2));
  CHECK(knows(s[1], 1));
}

TEST_CASE("LS-M6 discovery: a recorded announcement neither keeps a neighbour alive nor moves it") {
  Segment s;
  Member& victim = s.add();
  Member& peer = s.add();
  s.run(seconds(3));
  std::vector<Bytes> recorded = s.seen;
  peer.there = false;
  for (int i = 0; i < 50; ++i) {
    for (const Bytes& each : recorded) victim.discovery->receive(s.now, peer.at.address, kDiscoveryHops, each);
    s.run(milliseconds(100));
  }
  CHECK_FALSE(knows(victim, 2));
}

TEST_CASE("LS-M6 discovery: an adjacency that is up cannot be moved to another address") {
  Segment s;
  Member& victim = s.add();
  Member& peer = s.add();
  s.run(seconds(2));
  victim.discovery->adjacency(s.now, NodeId{2}, true);
  peer.at = {{10, 0, 0, 77}, 7401};
  peer.discovery->interface_up(s.now, peer.at);
  s.run(seconds(3));
  CHECK(victim.discovery->neighbours().at(NodeId{2}).at.address[3] == 2);
  victim.discovery->adjacency(s.now, NodeId{2}, false);
  s.run(seconds(2));
  CHECK(victim.discovery->neighbours().at(NodeId{2}).at.address[3] == 77);
  CHECK(victim.log.back() == "found n2");
}

TEST_CASE("LS-M7 discovery: never more neighbours than the limit; a place that is free is taken") {
  Segment s;
  Member& victim = s.add([](DiscoveryConfig& c) { c.max_neighbours = 4; });
  for (int i = 0; i < 40; ++i) s.add();
  s.run(seconds(30));
  CHECK(victim.discovery->neighbours().size() == 4);
  CHECK(logged(victim, "refused too many neighbours"));
  NodeId first = victim.discovery->neighbours().begin()->first;
  s[first.value - 1].there = false;
  s.run(seconds(10));
  CHECK(victim.discovery->neighbours().size() == 4);
  CHECK_FALSE(knows(victim, first.value));
}

TEST_CASE("LS-M8 discovery: our own announcement looped back is nobody, our id at another node is told") {
  Segment s;
  s.add();
  s.run(seconds(2));
  CHECK(s[0].log.empty());
  s.add([](DiscoveryConfig& c) { c.self = NodeId{1}; });
  s.run(seconds(2));
  CHECK(logged(s[0], "refused another node uses our node id"));
  CHECK(s[0].discovery->neighbours().empty());
}

TEST_CASE("LS-M9 discovery: an announcement on a link changes nothing") {
  Net net = Net::line(2);
  net.run(seconds(2));
  wire::Announcement a{DomainId{7}, 3500, {10, 0, 0, 2}, 7401, "n2"};
  wire::PduHeader header{wire::PduType::announcement, 1, NodeId{2}, 1, SessionId{102}, 1ULL << 62};
  ControlKeys keys(chain({1}, 1), DomainId{7});
  net.inject({1, 0, LinkId{1}, wire::seal_pdu(header, wire::encode(a), *keys.active())}, milliseconds(1));
  net.run(milliseconds(100));
  CHECK(net[0].misbehaviour.size() == 1);
  CHECK(net[0].state() == AdjacencyState::up);
}
