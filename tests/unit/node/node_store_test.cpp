#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "dmsc/node/node_store.hpp"
#include "dmsc/wire/spa_lsa.hpp"
#include "tests/unit/node/test_domain.hpp"

using namespace dmsc;
using namespace dmsc::node;

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
}  // namespace

TEST_CASE("node store: epoch, drain, time, keys and objects survive a restart") {
  Directory d;
  test::Authority authority;
  Bytes revocation = authority.revocation(3, {1});
  {
    NodeStore store = d.open();
    CHECK(store.epoch() == 0);
    CHECK_FALSE(store.drain_reason());
    CHECK_FALSE(store.link_keys());
    store.set_epoch(1234567890123);
    store.set_drain("new fan");
    store.set_domain_time(DomainTime{1000});
    store.set_domain_time(DomainTime{1030});  // less than a minute on: not written
    store.set_link_keys(authority.link_keys);
    store.set_object((*wire::make_spa_lsa(revocation))->key, revocation);
    store.set_object((*wire::make_spa_lsa(authority.authority_object))->key,
                     authority.authority_object);
  }
  NodeStore store = d.open();
  CHECK(store.epoch() == 1234567890123);
  CHECK(store.drain_reason() == std::string("new fan"));
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
    store.set_drain("x");
    store.set_drain(std::nullopt);
  }
  CHECK_FALSE(d.open().drain_reason());
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

TEST_CASE("N7 nodes: a persistent drain outlives a restart, another does not") {
  Directory d;
  test::TestDomain domain({{"sr-1", "sr"}, {"sr-2", "sr"}}, {{1, 2}});
  domain.kill(1);
  domain.start(1, d.path);
  domain[1].node->drain("maintenance", true);
  domain.kill(1);
  domain.start(1, d.path);
  CHECK(domain[1].node->draining());
  domain[1].node->undrain();
  domain[1].node->drain("just now", false);
  domain.kill(1);
  domain.start(1, d.path);
  CHECK_FALSE(domain[1].node->draining());
}
