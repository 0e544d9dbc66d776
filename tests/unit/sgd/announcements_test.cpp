// docs/protocol.md, "Announcements": signalling 1 in virtual time, with an SPA played by the test.
#include <catch2/catch.hpp>

#include "sgd/announcements.hpp"

using namespace dmsc;
using namespace dmsc::sgd;
using State = AnnouncementState;

namespace {

struct Fixture {
  Time now{seconds(100)};
  DomainTime domain{1000};
  std::uint16_t next_instance = 7;
  std::uint64_t serial = 1;
  crypto::SigningKey spa{crypto::Key32{1}};
  Announcements a{config()};

  Announcements::Config config() {
    Announcements::Config c;
    c.self = NodeId{4};
    c.new_instance = [this] { return InstanceId{next_instance++}; };
    c.interface_of = [](const std::string& identity) {
      return std::uint16_t(identity == "pod:pod-1" ? 1 : 0);
    };
    return c;
  }
  static AnnouncedService service(const std::string& prefix, bool pool = false) {
    AnnouncedService s;
    s.prefix = *Name::parse(prefix);
    s.join_pool = pool;
    return s;
  }
  Bytes grant(const std::string& subtree, const std::string& identity, std::uint64_t life = 600,
              std::vector<Name> pools = {}, std::uint32_t node = 4) {
    wire::Grant g;
    g.header = {DomainId{5}, 1, serial++, domain};
    g.node = NodeId{node};
    g.identity = identity;
    g.subtree = *Name::parse(subtree);
    g.pools = std::move(pools);
    g.valid_until = domain + life;
    g.grace = 60;
    return wire::sign(g, spa);
  }
  std::string open(const std::string& identity = "pod:pod-1", const std::string& resume = "") {
    return a.open(now, identity, resume, "lease-" + std::to_string(serial++));
  }
  Announcements::Question question() {
    auto q = a.take_questions();
    REQUIRE(q.size() == 1);
    return q[0];
  }
  void yes(const Bytes& raw) {
    a.answered(now, domain, question().ticket, Announcements::Answer{raw, "", ""});
  }
  void unreachable() {
    a.answered(now, domain, question().ticket, make_error(Errc::unavailable, "no SPA answers"));
  }
  void advance(Duration by) {
    now += by;
    a.tick(now, domain);
  }
  Announcements::Status last() {
    auto s = a.take_statuses();
    REQUIRE_FALSE(s.empty());
    return s.back();
  }
  bool originates(const std::string& name) {
    for (const auto& e : a.entries()) {
      if (e.name.text() == name) return true;
    }
    return false;
  }
  std::string granted(const std::string& prefix = "B/4") {
    auto lease = open();
    a.announce(now, lease, service(prefix));
    yes(grant(prefix, "pod:pod-1"));
    REQUIRE(originates(prefix));
    return lease;
  }
};

}  // namespace

TEST_CASE("R9 announcements: a pod tells its gateway which prefix it uses") {
  Fixture f;
  auto lease = f.open();
  f.a.announce(f.now, lease, Fixture::service("B/4"));
  auto q = f.question();
  CHECK(q.prefix.text() == "B/4");
  CHECK(q.identity == "pod:pod-1");
  CHECK(f.last().state == State::pending);
}

TEST_CASE("R12 R15 announcements: each is asked for, and nothing is originated before the grant") {
  Fixture f;
  auto lease = f.open();
  f.a.announce(f.now, lease, Fixture::service("B/4"));
  CHECK(f.a.entries().empty());
  CHECK(f.a.grants().empty());
  f.yes(f.grant("B/4", "pod:pod-1"));
  CHECK(f.last().state == State::granted);
  CHECK(f.originates("B/4"));
  CHECK(f.a.grants().size() == 1);
}

TEST_CASE("R11 R18 announcements: the gateway registers on the pod's behalf, per pod interface") {
  Fixture f;
  auto lease = f.open();
  auto service = Fixture::service("B/4", true);
  service.capacity = 250;
  service.covering = true;
  f.a.announce(f.now, lease, service);
  auto q = f.question();
  CHECK(q.covering);
  CHECK(q.join_pool);
  wire::Grant g = *wire::decode_grant(f.grant("B/4", "pod:pod-1", 600, {*Name::parse("B")}));
  g.covering = true;
  f.a.answered(f.now, f.domain, q.ticket, Announcements::Answer{wire::sign(g, f.spa), "", ""});
  auto entries = f.a.entries();
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].name.text() == "B");
  CHECK_FALSE(entries[0].covering);
  CHECK(entries[1].name.text() == "B/4");
  CHECK(entries[1].covering);
  CHECK(entries[1].interface == 1);
  CHECK(entries[1].instances == std::vector<wire::PrefixInstance>{{InstanceId{7}, 250}});
  CHECK(entries[0].instances == entries[1].instances);
}

TEST_CASE("R14 announcements: a refusal reaches the pod with its reason; nothing is originated") {
  Fixture f;
  auto lease = f.open();
  f.a.announce(f.now, lease, Fixture::service("B/4"));
  f.a.answered(f.now, f.domain, f.question().ticket,
               Announcements::Answer{{}, "not_owner", "B belongs to pod:pod-2"});
  auto status = f.last();
  CHECK(status.state == State::refused);
  CHECK(status.reason == "not_owner: B belongs to pod:pod-2");
  CHECK(f.a.entries().empty());
  CHECK(f.a.granted_names("pod:pod-1").empty());
  f.advance(minutes(5));
  CHECK(f.a.take_questions().empty());  // a no is not asked again by itself
}

TEST_CASE("R16 announcements: only an identity with a grant has names to call under") {
  Fixture f;
  f.granted();
  CHECK(f.a.granted_names("pod:pod-1").size() == 1);
  CHECK(f.a.granted_names("pod:pod-2").empty());
}

TEST_CASE("Announcements: a grant that is not ours is not used") {
  Fixture f;
  auto lease = f.open();
  for (const Bytes& wrong :
       {f.grant("B/4", "pod:pod-2"), f.grant("B/5", "pod:pod-1"),
        f.grant("B", "pod:pod-1"), f.grant("B/4", "pod:pod-1", 600, {}, 9), Bytes{1, 2, 3}}) {
    f.a.announce(f.now, lease, Fixture::service("B/4"));
    f.yes(wrong);
    CHECK(f.a.entries().empty());
    CHECK(f.last().reason.find("cannot be used") != std::string::npos);
    f.a.withdraw(f.now, lease, "B/4");
  }
}

TEST_CASE("Announcements: with no SPA they wait with the reason, and are granted within 2 s of one") {
  Fixture f;
  auto lease = f.open();
  f.a.announce(f.now, lease, Fixture::service("B/4"));
  f.unreachable();
  auto status = f.last();
  CHECK(status.state == State::pending);
  CHECK(status.reason == "no SPA answers");
  for (int i = 0; i < 20; ++i) {
    f.advance(seconds(1));
    f.unreachable();  // one question each second, REQUIREd inside
  }
  f.advance(seconds(2));
  f.yes(f.grant("B/4", "pod:pod-1"));
  CHECK(f.originates("B/4"));
}

TEST_CASE("Announcements: with no SPA an identity's earlier grant still counts") {
  Fixture f;
  auto lease = f.granted();
  f.a.withdraw(f.now, lease, "B/4");
  CHECK(f.a.entries().empty());
  f.a.announce(f.now, lease, Fixture::service("B/4"));
  f.unreachable();
  CHECK(f.originates("B/4"));
  auto other = f.open("pod:pod-2");
  f.a.announce(f.now, other, Fixture::service("B/4"));
  f.unreachable();
  CHECK(f.a.entries()[0].instances.size() == 1);  // not somebody else's
}

TEST_CASE("Announcements: a broken lease keeps its prefixes for the grace, then they go") {
  Fixture f;
  auto lease = f.granted();
  f.a.broken(f.now, lease);
  f.advance(milliseconds(2999));
  CHECK(f.originates("B/4"));
  f.advance(milliseconds(1));
  CHECK_FALSE(f.originates("B/4"));
  CHECK(f.a.grants().empty());
  CHECK(f.a.lease_count() == 0);
}

TEST_CASE("Announcements: a lease resumed within the grace goes on under the same instance") {
  Fixture f;
  auto lease = f.granted();
  auto before = f.a.entries();
  f.a.broken(f.now, lease);
  f.advance(seconds(2));
  CHECK(f.open("pod:pod-2", lease) != lease);  // another identity cannot take it
  CHECK(f.open("pod:pod-1", lease) == lease);
  f.a.take_statuses();
  f.a.announce(f.now, lease, Fixture::service("B/4"));
  CHECK(f.last().state == State::granted);
  CHECK(f.a.take_questions().empty());
  f.advance(seconds(10));
  CHECK(f.a.entries() == before);
}

TEST_CASE("Announcements: withdrawn by the pod is withdrawn at once") {
  Fixture f;
  auto lease = f.granted();
  f.a.take_changed();
  f.a.withdraw(f.now, lease, "B/4");
  CHECK(f.last().state == State::withdrawn);
  CHECK(f.a.take_changed());
  CHECK(f.a.entries().empty());
  f.a.withdraw(f.now, lease, "B/4");
  CHECK(f.last().state == State::invalid);
}

TEST_CASE("Announcements: two pods with the same prefix are two instances of it") {
  Fixture f;
  f.granted();
  auto lease = f.open("pod:pod-2");
  f.a.announce(f.now, lease, Fixture::service("B/4"));
  f.yes(f.grant("B/4", "pod:pod-2"));
  REQUIRE(f.a.entries().size() == 1);
  CHECK(f.a.entries()[0].instances.size() == 2);
  CHECK(f.a.grants().size() == 2);
}

TEST_CASE("Announcements: a grant is renewed before it ends; without an SPA it works until its end") {
  Fixture f;
  f.granted();  // 600 s
  f.domain.seconds += 399;
  f.advance(seconds(399));
  CHECK(f.a.take_questions().empty());
  f.domain.seconds += 1;
  f.advance(seconds(1));
  f.unreachable();
  CHECK(f.originates("B/4"));
  f.domain.seconds += 100;
  f.advance(seconds(100));
  f.yes(f.grant("B/4", "pod:pod-1"));
  CHECK(f.originates("B/4"));
  f.domain.seconds += 150;  // past the end of the first grant
  f.advance(seconds(150));
  CHECK(f.originates("B/4"));
  f.domain.seconds += 600;
  f.advance(seconds(600));
  f.unreachable();
  CHECK_FALSE(f.originates("B/4"));
  CHECK(f.last().state == State::pending);
}

TEST_CASE("Announcements: a revoked grant is given up at once and asked for again") {
  Fixture f;
  f.granted();
  f.a.revoke(f.now, [](const wire::ObjectHeader&) { return false; });
  CHECK(f.originates("B/4"));
  f.a.revoke(f.now, [](const wire::ObjectHeader& h) { return h.issuer == 1; });
  CHECK(f.a.entries().empty());
  CHECK(f.a.grants().empty());
  f.unreachable();  // and the revoked grant is no longer "known"
  CHECK(f.a.entries().empty());
}

TEST_CASE("R28 announcements: the gateway asks the pod to check itself, and originates by the result") {
  Fixture f;
  auto lease = f.open();
  auto service = Fixture::service("B/4");
  service.check.kind = CheckKind::self;
  service.check.rise = 2;
  service.check.fall = 3;
  f.a.announce(f.now, lease, service);
  f.yes(f.grant("B/4", "pod:pod-1"));
  auto round = [&](bool healthy) {
    auto runs = f.a.take_checks();
    REQUIRE(runs.size() == 1);
    CHECK(runs[0].lease == lease);
    f.a.checked(f.now, lease, runs[0].ticket, healthy, healthy ? "" : "disk full");
    f.advance(seconds(1));
  };
  CHECK_FALSE(f.originates("B/4"));  // granted, not yet well
  round(true);
  CHECK_FALSE(f.originates("B/4"));
  round(true);
  CHECK(f.originates("B/4"));
  round(false);
  round(false);
  CHECK(f.originates("B/4"));
  round(true);  // a good one in between starts the count again
  round(false);
  round(false);
  round(false);
  CHECK_FALSE(f.originates("B/4"));
  auto status = f.last();
  CHECK(status.state == State::unhealthy);
  CHECK(status.reason == "self-check failed: disk full");
  round(true);
  round(true);
  CHECK(f.originates("B/4"));
}

TEST_CASE("Announcements: a check without an answer is a bad one") {
  Fixture f;
  auto lease = f.open();
  auto service = Fixture::service("B/4");
  service.check.kind = CheckKind::tcp;
  service.endpoint = "127.0.0.1:80";
  service.check.fall = 1;
  f.a.announce(f.now, lease, service);
  f.yes(f.grant("B/4", "pod:pod-1"));
  auto runs = f.a.take_checks();
  REQUIRE(runs.size() == 1);
  CHECK(runs[0].endpoint == "127.0.0.1:80");
  f.a.checked(f.now, lease, runs[0].ticket, true, "");
  CHECK(f.originates("B/4"));
  f.advance(seconds(1));
  auto late = f.a.take_checks();
  REQUIRE(late.size() == 1);
  f.advance(milliseconds(500));
  CHECK_FALSE(f.originates("B/4"));
  f.a.checked(f.now, lease, late[0].ticket, true, "");  // too late to count
  CHECK_FALSE(f.originates("B/4"));
}

TEST_CASE("Announcements: a pod cannot answer another's check") {
  Fixture f;
  auto lease = f.open();
  auto other = f.open("pod:pod-2");
  auto service = Fixture::service("B/4");
  service.check.kind = CheckKind::self;
  f.a.announce(f.now, lease, service);
  f.yes(f.grant("B/4", "pod:pod-1"));
  auto runs = f.a.take_checks();
  f.a.checked(f.now, other, runs.at(0).ticket, true, "");
  CHECK_FALSE(f.originates("B/4"));
}

TEST_CASE("Announcements: a draining gateway originates capacity 0") {
  Fixture f;
  f.granted();
  f.a.set_draining(true);
  CHECK(f.a.entries()[0].instances[0].capacity == 0);
  f.a.set_draining(false);
  CHECK(f.a.entries()[0].instances[0].capacity == 100);
}

TEST_CASE("Announcements: a drop-in's lease is kept by its file alone") {
  Fixture f;
  f.a.open_permanent(f.now, "pod:pod-1", "drop-in:x");
  f.a.announce(f.now, "drop-in:x", Fixture::service("B/4"));
  f.yes(f.grant("B/4", "pod:pod-1"));
  CHECK(f.open("pod:pod-1", "drop-in:x") != "drop-in:x");  // no stream can take it
  f.a.broken(f.now, "drop-in:x");
  f.advance(minutes(1));
  CHECK(f.originates("B/4"));
  f.a.close(f.now, "drop-in:x");
  CHECK_FALSE(f.originates("B/4"));
}

TEST_CASE("Announcements: another check of the same prefix starts over without a new question") {
  Fixture f;
  auto lease = f.granted();
  auto service = Fixture::service("B/4");
  service.check.kind = CheckKind::self;
  f.a.announce(f.now, lease, service);
  CHECK(f.a.take_questions().empty());
  CHECK_FALSE(f.originates("B/4"));
  auto runs = f.a.take_checks();
  REQUIRE(runs.size() == 1);
  f.a.checked(f.now, lease, runs[0].ticket, true, "");
  CHECK(f.originates("B/4"));
}

TEST_CASE("U22 announcements: ports are told with the prefix and its pool; draining they have capacity 0") {
  Fixture f;
  auto lease = f.open();
  AnnouncedService s = Fixture::service("B/4", true);
  s.endpoint = "127.0.0.1:8080";
  s.ports = {{80, 8080, "tcp", "http"}};
  f.a.announce(f.now, lease, s);
  f.yes(f.grant("B/4", "pod:pod-1", 600, {*Name::parse("B")}));
  for (const wire::PrefixEntry& e : f.a.entries()) {
    CHECK(e.ports == std::vector<wire::ServicePort>{{"http", 80, wire::kPortTcp, 100}});
  }
  CHECK(f.a.views(f.now).at(0).ports == "http 80:8080/tcp");
  // Another name for the port is told without asking the SPA again.
  s.ports[0].name = "www";
  f.a.take_changed();
  f.a.announce(f.now, lease, s);
  CHECK(f.a.take_questions().empty());
  CHECK(f.a.take_changed());
  CHECK(f.a.entries().at(0).ports.at(0).name == "www");
  f.a.set_draining(true);
  CHECK(f.a.entries().at(1).ports.at(0).capacity == 0);
}
