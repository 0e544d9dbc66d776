// The domain's limits, from the writer's file to who follows.
#include <catch2/catch.hpp>

#include "dmsc/runtime/config.hpp"
#include "spad/domain_limits.hpp"
#include "tests/unit/spad/member.hpp"

using namespace dmsc;
using namespace dmsc::spad;
using test::Follow;
using test::Member;
using wire::Limit;
using wire::LimitAction;

namespace {

struct Read {
  wire::DomainParameters limits;
  std::string report;
};

Read read(const std::string& text) {
  auto document = runtime::ConfigDocument::parse(text, "spad.yaml");
  Read out{read_limits(document->root().section("limits")), ""};
  document->finish();
  out.report = document->report();
  return out;
}

wire::DomainParameters signed_at(test::Spa& spa) {
  return spa.on([](Core& c) {
    return *wire::decode_domain_parameters(c.view().objects.at("parameters"));
  });
}

}  // namespace

TEST_CASE("limits: the file's keys become the parameters, what is left out keeps its default") {
  Read none = read("");
  CHECK(none.report.empty());
  CHECK(none.limits == wire::DomainParameters());
  Read some = read(R"(
limits:
  prefixes: {per_node: 5000, instances: 8, action: isolate}
  names: {bytes: 100, components: 6, action: warn}
  lsa: {lifetime: 2h, grants: 10, unknown_fragments: 0}
  rate: {per_second: 50, burst: 60}
  neighbours: {per_node: 12}
  isolate_for: 5m
)");
  CHECK(some.report.empty());
  wire::DomainParameters wanted;
  wanted.max_prefixes_per_node = 5000;
  wanted.max_instances_per_prefix = 8;
  wanted.max_name_bytes = 100;
  wanted.max_name_components = 6;
  wanted.max_lsa_lifetime = 7200;
  wanted.max_grants_per_node = 10;
  wanted.max_unknown_fragments = 0;
  wanted.lsas_per_second = 50;
  wanted.lsa_burst = 60;
  wanted.max_adjacencies_per_node = 12;
  wanted.isolate_seconds = 300;
  wanted.actions[0] = LimitAction::isolate;
  wanted.actions[1] = LimitAction::warn;
  CHECK(some.limits == wanted);
}

TEST_CASE("limits: mistakes are named by line and column") {
  CHECK(read(R"(limits:
  prefixes: {per_node: 0}
  names: {components: 17, action: ignore}
  rate: {per_secnod: 5}
  isolate_for: 5
)").report ==
        "spad.yaml:2:24: limits.prefixes.per_node: 0 is not between 1 and 100000000\n"
        "spad.yaml:3:23: limits.names.components: 17 is not between 1 and 16\n"
        "spad.yaml:3:35: limits.names.action: 'ignore' is not one of warn, block, isolate\n"
        "spad.yaml:4:10: limits.rate.per_secnod: unknown key: did you mean 'per_second'?\n"
        "spad.yaml:5:16: limits.isolate_for: '5' has no unit: write a duration such as 50ms, 3s or 1h\n");
}

TEST_CASE("limits: whatever the file allows, the signed object is accepted by every node") {
  for (const char* text :
       {"limits: {prefixes: {per_node: 1, instances: 1}, names: {bytes: 1, components: 1}}",
        "limits: {lsa: {lifetime: 1m, grants: 1, unknown_fragments: 0}, isolate_for: 1s}",
        "limits: {rate: {per_second: 1, burst: 1}, neighbours: {per_node: 1}}",
        "limits: {prefixes: {per_node: 100000000, instances: 65535}, lsa: {lifetime: 30d}}"}) {
    Read r = read(text);
    CHECK(r.report.empty());
    r.limits.header = {DomainId{1}, 0, 1, {1}};
    auto back = wire::decode_domain_parameters(wire::sign(r.limits, test::key_of(1)));
    REQUIRE(back);
    CHECK(*back == r.limits);
  }
}

TEST_CASE("limits: a reload signs what differs with the next serial, and followers are told") {
  test::Folder dir;
  Config config = test::writer_config(dir);
  config.limits.max_prefixes_per_node = 500;
  {
    test::Spa spa(config);
    REQUIRE(spa.start());
    CHECK(signed_at(spa).header.serial == 1);
    CHECK(signed_at(spa).max_prefixes_per_node == 500);
    Member sg = *Member::join(dir, "sg-4", spa.endpoint(), 4);
    trust::TrustStore store = sg.store();
    Follow follow(sg);
    REQUIRE(follow.next(&store));
    CHECK(store.parameters().max_prefixes_per_node == 500);

    CHECK(*spa.on([&](Core& c) { return c.reload(config); }) == "");
    CHECK(signed_at(spa).header.serial == 1);
    config.limits.actions[0] = LimitAction::isolate;
    config.limits.max_prefixes_per_node = 200;
    CHECK(*spa.on([&](Core& c) { return c.reload(config); }) == "limits");
    do REQUIRE(follow.next(&store));
    while (follow.last.parameters().empty());
    CHECK(store.parameters().header.serial == 2);
    CHECK(store.parameters().max_prefixes_per_node == 200);
    CHECK(store.parameters().action(Limit::prefixes) == LimitAction::isolate);
    auto newest = spa.on([](Core& c) { return c.audit()->newest(1); });
    REQUIRE(newest);
    CHECK(newest->front().action == "limits");
    CHECK(newest->front().detail == "serial 2");
  }
  config.limits.max_name_components = 5;  // edited while the SPA was down
  test::Spa again(config);
  REQUIRE(again.start());
  CHECK(signed_at(again).header.serial == 3);
  CHECK(signed_at(again).max_name_components == 5);
}

TEST_CASE("limits: show parameters has the keys of the file") {
  wire::DomainParameters p;
  p.header.serial = 7;
  p.actions[4] = LimitAction::warn;
  Json json = limits_json(p);
  CHECK(json["serial"] == 7);
  CHECK(json["isolate_for_s"] == 60);
  CHECK(json["prefixes"] == Json({{"action", "block"}, {"per_node", 100000}, {"instances", 64}}));
  CHECK(json["lsa"]["lifetime_s"] == 86400);
  CHECK(json["neighbours"]["action"] == "warn");
}
