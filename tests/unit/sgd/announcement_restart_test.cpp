// docs/protocol.md, U18: what a gateway announced before a restart is held for its pods.
#include <catch2/catch.hpp>
#include <set>

#include "dmsc/runtime/files.hpp"
#include "sgd/announcement_store.hpp"
#include "tests/unit/runtime/temporary.hpp"

using namespace dmsc;
using namespace dmsc::sgd;

namespace {

constexpr const char* kPod = "pod:pod-1";

// One life of a gateway.
struct Life {
  Time now{seconds(100)};
  DomainTime domain{1000};
  std::uint16_t next_instance;
  std::uint64_t serial = 1;
  crypto::SigningKey spa{crypto::Key32{1}};
  Announcements a{config()};

  explicit Life(std::uint16_t first_instance) : next_instance(first_instance) {}
  Announcements::Config config() {
    Announcements::Config c;
    c.self = NodeId{4};
    c.new_instance = [this] { return InstanceId{next_instance++}; };
    return c;
  }
  static AnnouncedService service(const std::string& prefix) {
    AnnouncedService s;
    s.prefix = *Name::parse(prefix);
    s.capacity = 70;
    s.endpoint = "127.0.0.1:80";
    s.ports = {{8080, 80, "tcp", "http"}};
    s.metadata["zone"] = "a\xff";
    return s;
  }
  Bytes grant(const std::string& subtree, std::uint64_t life = 600, std::uint32_t node = 4) {
    wire::Grant g;
    g.header = {DomainId{5}, 1, serial++, domain};
    g.node = NodeId{node};
    g.identity = kPod;
    g.subtree = *Name::parse(subtree);
    g.valid_until = domain + life;
    return wire::sign(g, spa);
  }
  void announce(const std::string& lease, const std::string& prefix) {
    a.announce(now, lease, service(prefix));
    for (const auto& q : a.take_questions()) {
      a.answered(now, domain, q.ticket, Announcements::Answer{grant(prefix), "", ""});
    }
  }
  void advance(Duration by) {
    now += by;
    a.tick(now, domain);
  }
  // {instance, capacity} of a prefix; {0, 0} if it is not originated.
  std::pair<int, int> originated(const std::string& prefix) const {
    for (const auto& e : a.entries()) {
      if (e.name.text() == prefix) return {e.instances.at(0).id.value, e.instances.at(0).capacity};
    }
    return {0, 0};
  }
};

struct Restarted {
  Life before{7}, after{100};
  std::string lease;
  Restarted() {
    lease = before.a.open(before.now, kPod, "", "lease-1");
    before.announce(lease, "B/4");
    before.announce(lease, "A/4");
    REQUIRE(before.originated("B/4") == std::pair(7, 70));
    CHECK(after.a.restore(after.now, after.domain, before.a.saved()) == 2);
  }
};

}  // namespace

TEST_CASE("U18 after a restart an instance is announced at once under its id, without capacity") {
  Restarted r;
  CHECK(r.after.a.take_changed());
  CHECK(r.after.originated("B/4") == std::pair(7, 0));
  CHECK(r.after.originated("A/4") == std::pair(8, 0));
  CHECK(r.after.a.grants() == r.before.a.grants());
  CHECK(r.after.a.instances().at(1).service == Life::service("B/4"));
  CHECK(r.after.a.granted_names(kPod).size() == 2);
}

TEST_CASE("U18 the pod that comes back within the grace has its instance again") {
  Restarted r;
  r.after.advance(milliseconds(200));
  CHECK(r.after.a.open(r.after.now, kPod, r.lease, "lease-2") == r.lease);
  r.after.announce(r.lease, "B/4");
  CHECK(r.after.originated("B/4") == std::pair(7, 70));
  CHECK(r.after.originated("A/4") == std::pair(8, 0));  // not said again yet
  r.after.advance(seconds(3));
  CHECK(r.after.originated("B/4") == std::pair(7, 70));
  CHECK(r.after.originated("A/4") == std::pair(0, 0));  // given up by its pod meanwhile
}

TEST_CASE("U18 another pod, and another process of the same one, never get the instance") {
  Restarted r;
  CHECK(r.after.a.open(r.after.now, "pod:pod-2", r.lease, "lease-2") == "lease-2");
  CHECK(r.after.a.open(r.after.now, kPod, "", "lease-3") == "lease-3");
  r.after.announce("lease-3", "B/4");
  bool fresh = false;
  for (const auto& instance : r.after.a.instances()) {
    fresh = fresh || (instance.lease == "lease-3" && instance.id == InstanceId{100});
  }
  CHECK(fresh);
}

TEST_CASE("U18 what nobody announces again within the grace is withdrawn") {
  Restarted r;
  r.after.advance(milliseconds(2999));
  CHECK(r.after.originated("B/4").first == 7);
  CHECK(*r.after.a.deadline() <= r.after.now + milliseconds(1));
  r.after.advance(milliseconds(1));
  CHECK(r.after.a.entries().empty());
  CHECK(r.after.a.lease_count() == 0);
}

TEST_CASE("U18 a grant that ended, or that the SPA takes back, is not held") {
  Life before(7), late(100), refused(100);
  before.a.open(before.now, kPod, "", "lease-1");
  before.announce("lease-1", "B/4");
  late.domain = DomainTime{1600};
  CHECK(late.a.restore(late.now, late.domain, before.a.saved()) == 0);
  CHECK(late.a.entries().empty());
  REQUIRE(refused.a.restore(refused.now, refused.domain, before.a.saved()) == 1);
  refused.advance(seconds(1));
  auto questions = refused.a.take_questions();
  REQUIRE(questions.size() == 1);
  refused.a.answered(refused.now, refused.domain, questions[0].ticket,
                     Announcements::Answer{{}, "not-owner", ""});
  CHECK(refused.a.entries().empty());
}

TEST_CASE("U18 an announcement with a check is held as healthy and checked when its pod is back") {
  Life before(7), after(100);
  AnnouncedService checked = Life::service("B/4");
  checked.check.kind = CheckKind::self;
  before.a.open(before.now, kPod, "", "lease-1");
  before.a.announce(before.now, "lease-1", checked);
  auto question = before.a.take_questions().at(0);
  before.a.answered(before.now, before.domain, question.ticket,
                    Announcements::Answer{before.grant("B/4"), "", ""});
  CHECK(before.a.saved().empty());  // not originated before the check
  before.a.checked(before.now, "lease-1", before.a.take_checks().at(0).ticket, true, "");
  REQUIRE(after.a.restore(after.now, after.domain, before.a.saved()) == 1);
  after.advance(seconds(2));
  CHECK(after.a.take_checks().empty());
  after.a.open(after.now, kPod, "lease-1", "lease-2");
  after.a.announce(after.now, "lease-1", checked);
  after.advance(milliseconds(1));
  CHECK(after.a.take_checks().size() == 1);
  CHECK(after.originated("B/4") == std::pair(7, 70));
}

TEST_CASE("U18 announcements on disk: what was written is read, of this boot alone") {
  Restarted r;
  auto saved = r.before.a.saved();
  const std::string text = encode_announcements(saved, "boot-1");
  auto read = decode_announcements(text, "boot-1");
  REQUIRE(read);
  REQUIRE(read->size() == 2);
  CHECK(read->at(1).lease == saved[1].lease);
  CHECK(read->at(1).grant == saved[1].grant);
  CHECK(read->at(1).service.ports == saved[1].service.ports);
  CHECK(read->at(1).instance == InstanceId{7});
  CHECK(decode_announcements(text, "boot-2")->empty());
}

TEST_CASE("U18 announcements on disk: wrong content is an error that names the entry, never a crash") {
  Restarted r;
  const std::string text = encode_announcements(r.before.a.saved(), "b");
  for (std::size_t cut = 0; cut + 2 < text.size(); ++cut) {
    CHECK_FALSE(decode_announcements(text.substr(0, cut), "b"));
  }
  auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    auto read = decode_announcements(changed, "b");
    return read ? std::string("taken") : read.error().message;
  };
  CHECK_THAT(with("\"instance\":8", "\"instance\":\"x\""), Catch::Contains("announcement 0"));
  CHECK_THAT(with("\"grant\":1", "\"grant\":9"), Catch::Contains("announcement 1"));
  CHECK_THAT(with("\"prefix\":\"B/4\"", "\"prefix\":\"//\""), Catch::Contains("announcement 1"));
  CHECK_THAT(with("\"schema\":1", "\"schema\":2"), Catch::Contains("schema"));
}

TEST_CASE("U18 announcements on disk: a damaged copy is ignored and the one before is used") {
  TemporaryDirectory dir;
  Restarted r;
  auto saved = r.before.a.saved();
  for (int i = 0; i < 2; ++i) {
    AnnouncementStore store(dir.path());
    store.load();
    store.save(saved);
    store.flush();
    saved.pop_back();
  }
  CHECK(AnnouncementStore(dir.path()).load().size() == 1);
  std::multiset<std::size_t> left;
  for (const char* copy : {"/announcements.a", "/announcements.b"}) {
    auto text = runtime::read_file(dir.path() + copy);
    REQUIRE(text);
    REQUIRE(runtime::write_file_atomically(dir.path() + copy, text->substr(0, text->size() - 9)));
    left.insert(AnnouncementStore(dir.path()).load().size());
    REQUIRE(runtime::write_file_atomically(dir.path() + copy, *text));
  }
  CHECK(left == std::multiset<std::size_t>{1, 2});
  CHECK(AnnouncementStore("").load().empty());
}
