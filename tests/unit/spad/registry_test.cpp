// The registry: edits, journal, replay, registry files.
#include <catch2/catch.hpp>

#include "spad/registry_file.hpp"
#include "spad/store.hpp"
#include "tests/unit/spad/fixture.hpp"

using namespace dmsc;
using namespace dmsc::spad;

namespace {

Moment at(std::uint64_t time, std::uint64_t position = 1) { return {time, position}; }

void apply(View& view, Result<Changes> changes) {
  REQUIRE(changes);
  for (const Change& c : *changes) REQUIRE(view.apply(c));
}

void enrol(View& view, const char* name, std::uint8_t key, std::uint64_t not_after) {
  NodeRecord n = *view.node(name);
  n.key = test::key_of(key).public_key();
  n.serial = 7;
  n.not_after = not_after;
  REQUIRE(view.apply(record(n)));
}

// Everything of a view that replication must carry over.
std::string picture(const View& v) {
  std::string out = v.domain + " " + std::to_string(v.domain_id.value);
  for (const auto& [name, n] : v.nodes) out += "\n" + name + " " + record(n).value->dump();
  for (const auto& [subtree, owners] : v.rules) {
    for (const auto& [owner, rule] : owners) {
      out += "\n" + subtree + " " + owner + " " + record(rule).value->dump();
    }
  }
  for (const auto& [id, key] : v.link_keys) out += "\n" + record(key).value->dump();
  for (const auto& [id, until] : v.retired_ids) out += "\n" + std::to_string(id);
  return out;
}

}  // namespace

TEST_CASE("registry: node ids are dense from 1 and rest until nothing of the old holder counts") {
  View view;
  apply(view, add_node(view, {"a", "sr", "", ""}, at(1000)));
  apply(view, add_node(view, {"b", "sg", "", ""}, at(1000)));
  apply(view, add_node(view, {"spa-1", "spa", "", ""}, at(1000)));
  CHECK(view.node("a")->node_id == 1);
  CHECK(view.node("b")->node_id == 2);
  CHECK(view.node("spa-1")->node_id == 0);
  enrol(view, "a", 1, 5000);
  apply(view, remove_node(view, "a", at(2000)));
  CHECK(view.revoked_nodes.size() == 1);
  apply(view, add_node(view, {"c", "sr", "", ""}, at(2000)));
  CHECK(view.node("c")->node_id == 3);
  apply(view, add_node(view, {"d", "sr", "", ""}, at(5000 + 86400)));
  CHECK(view.node("d")->node_id == 1);
  apply(view, remove_node(view, "b", at(2000)));  // never enrolled: nothing can be left of it
  apply(view, add_node(view, {"e", "sr", "", ""}, at(2000)));
  CHECK(view.node("e")->node_id == 2);
}

TEST_CASE("registry: bad edits are refused by what is wrong") {
  View view;
  apply(view, add_node(view, {"a", "sr", "", ""}, at(1)));
  CHECK(add_node(view, {"a", "sr", "", ""}, at(1)).error().code == Errc::exists);
  CHECK(add_node(view, {"A", "sr", "", ""}, at(1)).error().code == Errc::invalid);
  CHECK(add_node(view, {"b", "king", "", ""}, at(1)).error().code == Errc::invalid);
  CHECK(add_node(view, {"b", "spa", "nowhere:x", ""}, at(1)).error().code == Errc::invalid);
  CHECK(remove_node(view, "zz", at(1)).error().code == Errc::not_found);
  CHECK(set_rule(view, {"A//1", "pod:x", 0, false, false}, at(1)).error().code == Errc::invalid);
  CHECK(set_rule(view, {"A/1", "x", 0, false, false}, at(1)).error().code == Errc::invalid);
  CHECK(set_rule(view, {"A/1", "pod:x@", 0, false, false}, at(1)).error().code == Errc::invalid);
  CHECK(set_rule(view, {"A/1", "", 0, false, false}, at(1)).error().code == Errc::invalid);
  CHECK(set_rule(view, {"A/1", "pod:x", 15, false, false}, at(1)).error().code == Errc::invalid);
  CHECK(remove_rule(view, "A/1", "").error().code == Errc::not_found);
}

TEST_CASE("registry: a look-alike of a registered subtree is refused") {
  View view;
  apply(view, set_rule(view, {"shop/Cart", "pod:x", 0, false, false}, at(1)));
  CHECK(set_rule(view, {"shop/cart", "pod:y", 0, false, false}, at(1)).error().code ==
        Errc::conflict);
  apply(view, remove_rule(view, "shop/Cart", ""));
  CHECK(set_rule(view, {"shop/cart", "pod:y", 0, false, false}, at(1)).ok());
}

TEST_CASE("registry: a link key is staged, activated and retired, each after the last has settled") {
  View view;
  crypto::Key32 secret{1};
  apply(view, rotate_link_key(view, "add", secret, at(100)));
  CHECK(rotate_link_key(view, "activate", secret, at(105)).error().code == Errc::conflict);
  apply(view, rotate_link_key(view, "activate", secret, at(110)));
  CHECK(view.active_link_key() == 1);
  CHECK(rotate_link_key(view, "retire", secret, at(200)).error().code == Errc::conflict);
  apply(view, rotate_link_key(view, "add", secret, at(200)));
  CHECK(view.active_link_key() == 1);
  CHECK(rotate_link_key(view, "add", secret, at(220)).error().code == Errc::conflict);
  apply(view, rotate_link_key(view, "activate", secret, at(220)));
  CHECK(view.active_link_key() == 2);
  CHECK(view.link_keys.size() == 2);
  CHECK(rotate_link_key(view, "retire", secret, at(225)).error().code == Errc::conflict);
  apply(view, rotate_link_key(view, "retire", secret, at(230)));
  CHECK(view.link_keys.size() == 1);
  CHECK(rotate_link_key(view, "spin", secret, at(300)).error().code == Errc::invalid);
}

TEST_CASE("registry: a file is loaded whole or not at all, mistakes named by line") {
  View view;
  Result<RegistryFile> file = parse_registry(test::kRegistry, "reg.yaml");
  REQUIRE(file);
  apply(view, load_changes(view, *file, at(1)));
  CHECK(view.nodes.size() == 5);
  CHECK(view.is_pool(*Name::parse("B")));
  CHECK(file->token_files.at("sg-1") == "TOKENS/sg-1");
  std::string again = picture(view);
  apply(view, load_changes(view, *file, at(1)));
  CHECK(picture(view) == again);
  Result<RegistryFile> bad = parse_registry("nodes:\n  - {name: a, rolle: sr}\n", "reg.yaml");
  REQUIRE_FALSE(bad.ok());
  CHECK(bad.error().message.find("reg.yaml:2:") != std::string::npos);
  CHECK(bad.error().message.find("rolle") != std::string::npos);
  RegistryFile half = *file;
  half.rules.push_back({"B//", "pod:x", 0, false, false});
  CHECK_FALSE(load_changes({}, half, at(1)).ok());
}

TEST_CASE("journal: a replica that replays the entries has the same registry, after a restart too") {
  test::Folder dir;
  Store writer = *Store::open(dir.file("writer.db"));
  Changes first = *load_changes({}, *parse_registry(test::kRegistry, "r"), at(1));
  first.push_back(record_meta("domain_id", 42));
  REQUIRE(writer.commit(first, 100));
  REQUIRE(writer.commit(*remove_rule(writer.view(), "A/1", ""), 101));
  REQUIRE(writer.commit(*remove_node(writer.view(), "sr-1", at(1)), 102));
  {
    Store replica = *Store::open(dir.file("replica.db"));
    std::vector<JournalRow> rows = *writer.after(0, 100);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].snapshot);  // a new replica gets everything at once
    REQUIRE(replica.replay(rows[0]));
    CHECK(picture(replica.view()) == picture(writer.view()));
    REQUIRE(writer.commit(*set_rule(writer.view(), {"X", "pod:x", 1, true, true}, at(1)), 103));
    rows = *writer.after(replica.position(), 100);
    REQUIRE(rows.size() == 1);
    CHECK_FALSE(rows[0].snapshot);
    REQUIRE(replica.replay(rows[0]));
    CHECK(replica.replay(rows[0]).error().code == Errc::conflict);  // not twice
  }
  Store replica = *Store::open(dir.file("replica.db"));
  CHECK(picture(replica.view()) == picture(writer.view()));
  CHECK(replica.position() == writer.position());
  CHECK(replica.last_time() == 103);
}

TEST_CASE("journal: a replica from another past, or too far behind, gets a snapshot") {
  test::Folder dir;
  Store writer = *Store::open(dir.file("writer.db"));
  REQUIRE(writer.commit({record_meta("domain_id", 42)}, 1));
  CHECK((*writer.after(99, 10)).at(0).snapshot);
  for (int i = 0; i < 5; ++i) REQUIRE(writer.commit({record_meta("writer", "x")}, 2));
  REQUIRE(writer.db().run("DELETE FROM journal WHERE position < 4"));
  CHECK((*writer.after(1, 10)).at(0).snapshot);
  CHECK_FALSE((*writer.after(3, 10)).at(0).snapshot);
  CHECK((*writer.after(6, 10)).empty());
}

TEST_CASE("registry: a change that cannot be applied leaves nothing behind") {
  test::Folder dir;
  Store store = *Store::open(dir.file("r.db"));
  REQUIRE(store.commit({record_meta("domain_id", 42)}, 1));
  Changes broken{record_meta("domain", "x"), {"node", "a", Json{{"role", 7}}}};
  CHECK(store.commit(broken, 2).error().message.find("node 'a'") != std::string::npos);
  CHECK(store.view().domain.empty());
  CHECK(store.position() == 1);
  CHECK(store.commit({record_meta("domain", "y")}, 3).ok());
  CHECK(store.position() == 2);
}
