#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <future>

#include "dmsc/node/node_store.hpp"
#include "dmsc/runtime/files.hpp"
#include "dmsc/runtime/state_file.hpp"
#include "dmsc/wire/spa_lsa.hpp"
#include "tests/unit/node/test_domain.hpp"

using namespace dmsc;
using namespace dmsc::node;
using linkstate::DrainLevel;

namespace {
struct Directory {
  std::string path = (std::filesystem::temp_directory_path() /
                      ("dmsc-store-" + std::to_string(::getpid())))
                         .string();
  Directory() { std::filesystem::remove_all(path); }
  ~Directory() { std::filesystem::remove_all(path); }
  NodeStore open(std::uint64_t domain = 7) {
    auto store = NodeStore::open(path, DomainId{domain});
    REQUIRE(store.ok());
    return std::move(*store);
  }
};
const DrainState kDrains{Drain{DrainLevel::hard, "new fan"},
                         {{"to-sr-2", {DrainLevel::soft, ""}}, {"x", {DrainLevel::hard, "\"fiber\" 7"}}}};

void drain(Node& node, DrainLevel level, bool persistent, const std::string& link = "") {
  node.drain({level, link, "maintenance", persistent}, [](Status) {});
}
}  // namespace

TEST_CASE("node store: epoch, drain, time, keys and objects survive a restart") {
  Directory d;
  test::Authority authority;
  Bytes revocation = authority.revocation(3, {1});
  {
    NodeStore store = d.open();
    CHECK(store.epoch() == 0);
    CHECK(store.drains() == DrainState{});
    CHECK_FALSE(store.link_keys());
    store.set_epoch(1234567890123);
    store.set_drains(kDrains, [](bool good) { CHECK(good); });
    store.set_domain_time(DomainTime{1000});
    store.set_domain_time(DomainTime{1030});  // less than a minute on: not written
    store.set_link_keys(authority.link_keys);
    store.set_object((*wire::make_spa_lsa(revocation))->key, revocation);
    store.set_object((*wire::make_spa_lsa(authority.authority_object))->key,
                     authority.authority_object);
  }
  NodeStore store = d.open();
  CHECK(store.epoch() == 1234567890123);
  CHECK(store.drains() == kDrains);
  CHECK(store.domain_time() == DomainTime{1000});
  REQUIRE(store.link_keys());
  CHECK(store.link_keys()->keys() == authority.link_keys.keys());
  CHECK(store.link_keys()->active() == 1);
  REQUIRE(store.objects().size() == 2);
  CHECK(store.objects()[0] == authority.authority_object);  // the authority first
  CHECK(store.objects()[1] == revocation);
}

TEST_CASE("node store: a drain taken back is gone after a restart") {
  Directory d;
  {
    NodeStore store = d.open();
    store.set_drains(kDrains, [](bool) {});
    store.set_drains({}, [](bool) {});
  }
  CHECK(d.open().drains() == DrainState{});
}

TEST_CASE("DR8 node store: a drain is on disk before it is told to be") {
  Directory d;
  NodeStore store = d.open();
  std::promise<bool> stored;
  store.set_drains(kDrains, [&](bool good) { stored.set_value(good); });
  REQUIRE(stored.get_future().get());
  CHECK(d.open().drains() == kDrains);  // what a process started after a kill -9 just now would read
}

TEST_CASE("DR9 node store: cut anywhere, the drain state is the old or the new one") {
  Directory d;
  DrainState before = kDrains, after = kDrains;
  after.links.clear();
  after.node = Drain{DrainLevel::soft, "then this"};
  auto write = [&](const DrainState& state) {
    NodeStore store = d.open();
    store.set_drains(state, [](bool) {});
  };
  write(before);
  write(after);
  std::string newest = d.path + "/drained.b";
  std::string whole = *runtime::read_file(newest);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    REQUIRE(runtime::write_file_atomically(newest, whole.substr(0, size)));
    REQUIRE(d.open().drains() == before);
    REQUIRE(runtime::StateFile(d.path + "/drained").load().damaged.size() == 1);  // and it is told
  }
  REQUIRE(runtime::write_file_atomically(newest, whole));
  CHECK(d.open().drains() == after);
  // The older copy cut: nothing is lost at all.
  std::string older = d.path + "/drained.a", old_whole = *runtime::read_file(older);
  for (std::size_t size = 0; size < old_whole.size(); ++size) {
    REQUIRE(runtime::write_file_atomically(older, old_whole.substr(0, size)));
    REQUIRE(d.open().drains() == after);
  }
  // A change after the damage goes over the damaged copy, and the whole one stays until it is done.
  write(before);
  CHECK(*runtime::read_file(newest) == whole);
  CHECK(d.open().drains() == before);
  CHECK(runtime::StateFile(d.path + "/drained").load().damaged.empty());
}

TEST_CASE("DR9 drain state: what is no drain state is refused with its place") {
  CHECK(decode_drain_state(encode(kDrains)).ok());
  CHECK(*decode_drain_state(encode(kDrains)) == kDrains);
  for (const char* bad : {"", "[]", R"({"node":3})", R"({"node":{"level":"never"}})", R"({"links":[]})",
                          R"({"links":{"x":{"level":4}}})"}) {
    auto out = decode_drain_state(bad);
    REQUIRE_FALSE(out.ok());
    CHECK_FALSE(out.error().message.empty());
  }
}

TEST_CASE("node store: keys and objects of another domain are not used") {
  Directory d;
  test::Authority authority;
  {
    NodeStore store = d.open(7);
    store.set_link_keys(authority.link_keys);
    store.set_object((*wire::make_spa_lsa(authority.authority_object))->key,
                     authority.authority_object);
  }
  NodeStore other = d.open(8);
  CHECK_FALSE(other.link_keys());
  CHECK(other.objects().empty());
}

TEST_CASE("N7 DR8 nodes: a persistent drain of node or link outlives a restart, another does not") {
  Directory d;
  test::TestDomain domain({{"sr-1", "sr"}, {"sr-2", "sr"}}, {{1, 2}});
  domain.kill(1);
  domain.start(1, d.path);
  std::string link = domain.settings(1).links.at(0).name;
  drain(*domain[1].node, DrainLevel::hard, true);
  drain(*domain[1].node, DrainLevel::soft, true, link);
  domain.kill(1);
  domain.start(1, d.path);
  CHECK(domain[1].node->draining());
  CHECK(domain[1].node->drains().links.at(link).level == DrainLevel::soft);
  // Restored at its level, without another move: nothing can flow yet.
  auto overload = [&] {
    auto lsa = domain[1].node->engine().find({NodeId{1}, wire::LsaType::node, 0});
    return lsa != nullptr && wire::decode_node_body(lsa->body())->overload;
  };
  CHECK(domain.run_until([&] { return domain[1].node->engine().synchronised(); }));
  CHECK(overload());
  drain(*domain[1].node, DrainLevel::none, true);
  drain(*domain[1].node, DrainLevel::none, true, link);
  drain(*domain[1].node, DrainLevel::hard, false);
  domain.kill(1);
  domain.start(1, d.path);
  CHECK_FALSE(domain[1].node->draining());
  CHECK(domain[1].node->drains().links.empty());
}
