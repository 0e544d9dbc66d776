// Real nodes on loopback addresses: the whole way from a hello to a delivered packet.
#include <catch2/catch.hpp>
#include <thread>

#include "dmsc/node/inspect_explain.hpp"
#include "tests/unit/node/test_domain.hpp"

using namespace dmsc;
using namespace dmsc::node;
using namespace dmsc::node::test;

namespace {

// sg-1 - sr-2 - sg-3
TestDomain row() { return TestDomain({{"sg-1", "sg"}, {"sr-2", "sr"}, {"sg-3", "sg"}}, {{1, 2}, {2, 3}}); }

bool has_route(TestDomain& domain, std::uint32_t node, const std::string& name) {
  const auto route = domain[node].node->rib().find(*Name::parse(name));
  return route && !route->choices.empty();
}

bool announce(TestDomain& domain) {
  domain[3].node->set_grants({domain.authority.grant(3, "B/4", 0, {"B"})});
  domain[3].node->set_prefixes({prefix("B/4"), prefix("B")});
  return domain.run_until([&] {
    return has_route(domain, 1, "B/4") && has_route(domain, 2, "B/4") && has_route(domain, 1, "B");
  });
}

wire::ServicePacketSpec request(std::uint32_t from, std::uint32_t egress, std::string_view name) {
  wire::ServicePacketSpec spec;
  spec.ingress = NodeId{from};
  spec.egress = NodeId{egress};
  spec.destination = name;
  spec.exchange = 9;
  spec.flow = 4;
  return spec;
}

}  // namespace

TEST_CASE("R19 R21 R22 nodes: adjacent nodes share one LSDB and reach each other by SPF") {
  TestDomain domain = row();
  REQUIRE(domain.converged());
  CHECK(domain[1].node->rib().destination(NodeId{3})->distance == 20);
  REQUIRE(domain.run_until([&] {
    return domain[1].node->engine().digest() == domain[2].node->engine().digest() &&
           domain[2].node->engine().digest() == domain[3].node->engine().digest();
  }));
  CHECK(domain[1].node->name_of(NodeId{3}) == "sg-3");
  CHECK(domain[1].node->find_node("sr-2") == NodeId{2});
}

TEST_CASE("R23 R24 R42 R43 nodes: a granted prefix reaches every FIB and a packet its gateway") {
  TestDomain domain = row();
  REQUIRE(domain.converged());
  REQUIRE(announce(domain));
  auto spec = request(1, 0, "B/4");
  spec.flags = wire::kFlagTrace;
  spec.record_slots = 8;
  REQUIRE(domain.run_until([&] { return static_cast<bool>(domain[1].node->data_plane().fib().match("B/4")); }));
  CHECK(domain[1].send(spec, "hello").by_name);
  REQUIRE(domain.run_until([&] { return domain[3].sink.packets().size() == 1; }));
  auto packet = domain[3].sink.packets()[0];
  CHECK(packet.payload == "hello");
  CHECK(packet.hops == std::vector<NodeId>{NodeId{1}, NodeId{2}, NodeId{3}});
  CHECK(domain[2].node->data_plane().counters().by_name == 1);
  // Its own pods' prefixes are in the gateway's own FIB too.
  CHECK(domain[3].send(request(3, 0, "B/4"), "self").action == forwarding::Action::deliver);
}

TEST_CASE("N5 R12 R15 nodes: a prefix without a grant is in no RIB, its announcer's included") {
  TestDomain domain = row();
  REQUIRE(domain.converged());
  REQUIRE(announce(domain));
  domain[3].node->set_prefixes({prefix("B/4"), prefix("B"), prefix("C/1"), prefix("B/4/x")});
  wire::LsaKey key{NodeId{3}, wire::LsaType::prefix, 0};
  REQUIRE(domain.run_until([&] {
    auto lsa = domain[1].node->engine().find(key);
    return lsa && wire::decode_prefix_body(lsa->body())->entries.size() == 4;
  }));
  domain.run_for(milliseconds(200));
  for (std::uint32_t id : {1u, 2u, 3u}) {
    CHECK_FALSE(has_route(domain, id, "C/1"));
    CHECK_FALSE(has_route(domain, id, "B/4/x"));
    CHECK(has_route(domain, id, "B/4"));
    CHECK_FALSE(domain[id].node->data_plane().fib().find("C/1"));
  }
  Json why = domain[1].show("explain", {"C/1"});
  CHECK(why["verdict"].get<std::string>().find("no route") != std::string::npos);
  bool refused = false;
  for (const Json& step : why["steps"]) refused = refused || (step["step"] == "grant" && !step["ok"]);
  CHECK(refused);
}

TEST_CASE("F17 nodes: a name never heard of has no route, a withdrawn one no instance") {
  TestDomain domain = row();
  REQUIRE(domain.converged());
  REQUIRE(announce(domain));
  CHECK(domain[1].send(request(1, 0, "D/1"), "x").reason == forwarding::DropReason::no_route);
  domain[3].node->set_prefixes({});
  REQUIRE(domain.run_until([&] { return !has_route(domain, 1, "B/4"); }));
  CHECK(domain[1].send(request(1, 0, "B/4"), "x").reason == forwarding::DropReason::no_instance);
  CHECK(domain[1].show("explain", {"B/4"})["verdict"].get<std::string>().find("did a few minutes ago") !=
        std::string::npos);
}

TEST_CASE("nodes: packets of the data plane under a foreign key are dropped and counted") {
  TestDomain domain = row();
  REQUIRE(domain.converged());
  REQUIRE(announce(domain));
  crypto::KeyChain foreign;
  foreign.add(1, crypto::Key32{66});
  foreign.set_active(1);
  domain[1].node->data_plane().set_keys(foreign);
  domain[1].send(request(1, 0, "B/4"), "x");
  auto bad = static_cast<std::size_t>(forwarding::DropReason::bad_tag);
  CHECK(domain.run_until([&] { return domain[2].node->data_plane().counters().drops[bad] > 0; }));
  CHECK(domain[3].sink.packets().empty());
}

TEST_CASE("N5 nodes: a revoked grant takes its prefixes out of every RIB") {
  TestDomain domain = row();
  REQUIRE(domain.converged());
  REQUIRE(announce(domain));
  auto lsa = wire::make_spa_lsa(domain.authority.revocation(1, {1}));
  domain[1].node->engine().inject(domain[1].node->now(), *lsa);
  CHECK(domain.run_until([&] {
    return !has_route(domain, 1, "B/4") && !has_route(domain, 2, "B/4") &&
           !has_route(domain, 3, "B/4");
  }));
}

TEST_CASE("N6 nodes: a revoked node leaves topology and RIB of all others") {
  TestDomain domain = row();
  REQUIRE(domain.converged());
  REQUIRE(announce(domain));
  auto key = crypto::SigningKey(domain.authority.identity("sg-3", 3, "sg").key_seed).public_key();
  auto lsa = wire::make_spa_lsa(domain.authority.revocation(1, {}, {{NodeId{3}, key}}));
  domain[1].node->engine().inject(domain[1].node->now(), *lsa);
  CHECK(domain.run_until([&] {
    const auto d = domain[1].node->rib().destination(NodeId{3});
    bool gone = !d;
    return gone && !has_route(domain, 1, "B/4") && !has_route(domain, 2, "B/4");
  }));
}

TEST_CASE("N5 nodes: a grant that ends takes its prefix along") {
  TestDomain domain = row();
  REQUIRE(domain.converged());
  domain[3].node->set_grants({domain.authority.grant(3, "E/1", 0, {}, 5, 3)});
  domain[3].node->set_prefixes({prefix("E/1")});
  REQUIRE(domain.run_until([&] { return has_route(domain, 1, "E/1"); }));
  CHECK(domain.run_until([&] { return !has_route(domain, 1, "E/1") && !has_route(domain, 3, "E/1"); }));
}

TEST_CASE("nodes: a timer that expired just before its node went does nothing") {
  TestDomain domain = row();
  REQUIRE(domain.converged());
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(60));  // the timers of all nodes expire
    domain.io.run_one();                                         // this queues what waits on them
    domain.kill(2);
    domain.run_for(milliseconds(20));
    domain.start(2);
    REQUIRE(domain.converged());
  }
}

TEST_CASE("nodes: a killed neighbour is lost, its return is found") {
  TestDomain domain = row();
  REQUIRE(domain.converged());
  REQUIRE(announce(domain));
  std::vector<AdjacencyEvent> events;
  domain[1].node->on_adjacency([&](const AdjacencyEvent& e) { events.push_back(e); });
  domain.kill(2);
  REQUIRE(domain.run_until([&] { return !events.empty(); }));
  CHECK_FALSE(events[0].up);
  CHECK(events[0].reason != "");
  REQUIRE(domain.run_until([&] { return !has_route(domain, 1, "B/4"); }));
  domain.start(2);
  CHECK(domain.run_until([&] { return has_route(domain, 1, "B/4"); }));
}

TEST_CASE("nodes: the LSDB subscription is a snapshot, then every change without a gap") {
  TestDomain domain = row();
  REQUIRE(domain.converged());
  std::vector<LsdbEvent> events;
  domain[1].node->subscribe_lsdb([&](const LsdbEvent& e) { events.push_back(e); });
  auto end = std::find_if(events.begin(), events.end(), [](const LsdbEvent& e) {
    return e.kind == LsdbEvent::Kind::snapshot_end;
  });
  REQUIRE(end != events.end());
  CHECK(events.size() - 1 == static_cast<std::size_t>(end - events.begin()));
  std::size_t snapshot = events.size();
  REQUIRE(announce(domain));
  REQUIRE(events.size() > snapshot);
  for (std::size_t i = snapshot; i < events.size(); ++i) {
    CHECK(events[i].sequence == i - snapshot + 1);
    CHECK(events[i].lsa != nullptr);
  }
}

TEST_CASE("nodes: ready after the first SPF of a synchronised database") {
  TestDomain domain = row();
  bool ready = false;
  domain[2].node->when_ready([&] { ready = true; });
  REQUIRE(domain.run_until([&] { return ready; }));
  CHECK(domain[2].node->waiting_for() == "");
  CHECK(domain[2].node->engine().synchronised());
}

TEST_CASE("DR1 DR7 nodes: a drained router's traffic moves first, then it is no transit; undrained it is") {
  // 1 - 2 - 3 and 1 - 4 - 3: two ways.
  TestDomain domain({{"sr-1", "sr"}, {"sr-2", "sr"}, {"sr-3", "sr"}, {"sr-4", "sr"}},
                    {{1, 2}, {2, 3}, {1, 4}, {4, 3}});
  REQUIRE(domain.run_until([&] {
    const auto d = domain[1].node->rib().destination(NodeId{3});
    return d && d->next_hops.size() == 2;
  }));
  auto overload = [&] { return domain[1].node->topology().attributes(NodeId{2})->overload; };
  auto moved = [&] {
    const auto d = domain[1].node->rib().destination(NodeId{3});
    return d && d->next_hops.size() == 1 && d->next_hops[0].neighbour == NodeId{4};
  };
  auto order = [&](linkstate::DrainLevel level, const std::string& link) {
    domain[2].node->drain({level, link, "maintenance", false}, [](Status stored) { CHECK(stored); });
  };
  order(linkstate::DrainLevel::hard, "");
  CHECK(domain[2].node->draining());
  CHECK(domain[2].show("neighbors").size() == 2);
  REQUIRE(domain.run_until(moved));
  CHECK_FALSE(overload());  // make before break: transit still, while nothing needs it any more
  REQUIRE(domain.run_until(overload));
  CHECK(domain[1].node->rib().destination(NodeId{2})->distance == 10);  // reachable itself
  order(linkstate::DrainLevel::none, "");
  auto both = [&] { return domain[1].node->rib().destination(NodeId{3})->next_hops.size() == 2; };
  REQUIRE(domain.run_until(both));
  // The same with one of its links.
  std::string link = domain.settings(2).links.at(1).name;
  order(linkstate::DrainLevel::soft, link);
  REQUIRE(domain.run_until(moved));
  CHECK(domain[2].show("neighbors")[1]["drain"] == "soft");
  CHECK(domain.run_until([&] { return domain[3].show("neighbors")[0]["drain"] == "by neighbor"; }));
  order(linkstate::DrainLevel::hard, link);
  CHECK(domain[2].show("neighbors")[1]["drain"] == "moving");
  REQUIRE(domain.run_until([&] { return domain[2].show("neighbors")[1]["drain"] == "hard"; }));
  CHECK(domain.run_until([&] { return domain[2].node->rib().destination(NodeId{3})->distance == 30; }));
  order(linkstate::DrainLevel::none, link);
  CHECK(domain.run_until(both));
  domain[2].node->drain({linkstate::DrainLevel::hard, "no-such", "", false}, [](Status stored) {
    REQUIRE_FALSE(stored.ok());
    CHECK(stored.error().code == Errc::not_found);
  });
}

TEST_CASE("EX1 nodes: explain names the LSA, the grant, the policy, the path and what breaks ties") {
  TestDomain domain = row();
  REQUIRE(domain.converged());
  REQUIRE(announce(domain));
  REQUIRE(domain.run_until([&] { return bool(domain[1].node->data_plane().fib().match("B/4")); }));
  Json out = domain[1].show("explain", {"B/4"});
  CHECK(out["verdict"] == "reachable");
  auto step = [&](const std::string& what) {
    for (const Json& each : out["steps"]) {
      if (each["step"] == what) return each;
    }
    FAIL("no step " << what << " in " << out.dump(1));
    return Json();
  };
  Json lsa = step("lsdb")["lsa"];
  CHECK(lsa["origin"] == "sg-3");
  CHECK(lsa["type"] == "prefix");
  CHECK(lsa["fragment"] == 0);
  auto held = domain[1].node->engine().find({NodeId{3}, wire::LsaType::prefix, 0});
  CHECK(lsa["epoch"] == held->version.epoch);
  CHECK(lsa["sequence"] == held->version.sequence);
  CHECK(lsa["age_s"].get<int>() + lsa["remaining_s"].get<int>() == 3600);
  Json grant = step("grant")["grant"];
  CHECK(grant["serial"] == 1);
  CHECK(grant["subtree"] == "B/4");
  CHECK(grant["until"].is_number_unsigned());
  std::string until = inspect::end_text({grant["until"]}, domain[1].node->domain_time());
  until = until.substr(0, until.find(" UTC, in "));  // what is left of it may have run on by a second
  CHECK(step("grant")["detail"].get<std::string>().find("until " + until + " UTC, in ") != std::string::npos);
  Json hops = step("path")["path"];
  REQUIRE(hops.size() == 2);
  CHECK(hops[0]["from"] == "sg-1");
  CHECK(hops[1]["to"] == "sg-3");
  CHECK(hops[0]["metric"] == 10);
  CHECK(hops[1]["lsa"]["origin"] == "sr-2");
  CHECK(hops[1]["lsa"]["type"] == "node");
  CHECK(step("policy")["detail"].get<std::string>().find("none weighs it") == 0);
  // A policy that weighs it is named instead.
  domain[1].node->set_weights({*Name::parse("B/4"), {{{NodeId{3}, InstanceId{1}}, 5}}, 1});
  out = domain[1].show("explain", {"B/4"});
  CHECK(step("policy")["detail"].get<std::string>().find("weights by policy") == 0);
  // The pool's name is allowed by the same grant, as a pool.
  out = domain[1].show("explain", {"B"});
  CHECK(step("grant")["grant"]["pool"] == true);
}

TEST_CASE("EX1 nodes: when a grant ends is a time of day and how far away that is") {
  const DomainTime end{1795363215};
  auto from = [&](std::uint64_t left) { return inspect::end_text(end, {end.seconds - left}); };
  CHECK(from(3 * 3600 + 12 * 60 + 7) == "2026-11-22 16:00:15 UTC, in 3 h 12 min");
  CHECK(from(2 * 86400 + 59) == "2026-11-22 16:00:15 UTC, in 2 d");
  CHECK(from(2 * 86400 + 5 * 3600) == "2026-11-22 16:00:15 UTC, in 2 d 5 h");
  CHECK(from(65) == "2026-11-22 16:00:15 UTC, in 1 min 5 s");
  CHECK(from(60) == "2026-11-22 16:00:15 UTC, in 1 min");
  CHECK(from(1) == "2026-11-22 16:00:15 UTC, in 1 s");
  CHECK(from(0) == "2026-11-22 16:00:15 UTC, 0 s ago");
  CHECK(inspect::end_text(end, {end.seconds + 90}) == "2026-11-22 16:00:15 UTC, 1 min 30 s ago");
}

TEST_CASE("EX2 nodes: explain says what breaks a tie between equal paths") {
  TestDomain domain({{"sg-1", "sg"}, {"sr-2", "sr"}, {"sr-3", "sr"}, {"sg-4", "sg"}},
                    {{1, 2}, {1, 3}, {2, 4}, {3, 4}});
  REQUIRE(domain.run_until([&] {
    const auto d = domain[1].node->rib().destination(NodeId{4});
    return d && d->next_hops.size() == 2;
  }));
  domain[4].node->set_grants({domain.authority.grant(4, "B/4", 0)});
  domain[4].node->set_prefixes({prefix("B/4")});
  REQUIRE(domain.run_until([&] { return has_route(domain, 1, "B/4"); }));
  Json out = domain[1].show("explain", {"B/4"});
  bool tie = false;
  for (const Json& each : out["steps"]) {
    tie = tie || (each["step"] == "tie-break" &&
                  each["detail"] == "2 first hops of equal cost: the flow id picks one");
  }
  CHECK(tie);
}

TEST_CASE("nodes: ping and trace go through the data plane; the path is compared with the LSDB's") {
  TestDomain domain = row();
  REQUIRE(domain.converged());
  REQUIRE(announce(domain));
  Json ping = domain[1].show("ping", {"B/4"});
  CHECK(ping["outcome"] == "answered");
  CHECK(ping["egress"] == "sg-3");
  CHECK(ping["path"] == Json::array({"sg-1", "sr-2", "sg-3"}));
  Json trace = domain[1].show("trace", {"B/4"});
  CHECK(trace["as_lsdb"] == true);
  CHECK(trace["lsdb_path"] == trace["path"]);
  REQUIRE(trace["hops"].size() == 2);
  CHECK(trace["hops"][0]["node"] == "sr-2");
  CHECK(trace["hops"][0]["outcome"] == "passed on");
  CHECK(trace["hops"][1]["outcome"] == "answered");
  CHECK(trace["hops"][1]["node"] == "sg-3");
  CHECK(domain[1].show("ping", {"node:sr-2"})["outcome"] == "answered");
  CHECK(domain[1].show("ping", {"Z/9"})["outcome"] == "refused");
}

TEST_CASE("nodes: a stream of probes counts what is lost; wrong arguments are refused") {
  TestDomain domain = row();
  REQUIRE(domain.converged());
  Json answered = domain[1].show("stream", {"node:sg-3", "200", "1"});
  CHECK(answered["sent"] == 200);
  CHECK(answered["lost"] == 0);
  CHECK(answered["interval_ms"] == 5.0);
  CHECK(answered["last_answered"] == true);
  Json refused = domain[1].show("stream", {"Z/9", "200", "1"});
  CHECK(refused["lost"] == 200);
  CHECK(refused["outage_ms"] == 1000.0);
  CHECK(refused["last_answered"] == false);
  for (const char* rate : {"0", "2001", "x"}) {
    INFO(rate);
    CHECK(domain[1].show("stream", {"node:sg-3", rate}).contains("error"));
  }
}

TEST_CASE("N7 nodes: stop says good-bye, so the neighbour does not wait for the hold time") {
  TestDomain domain = row();
  REQUIRE(domain.converged());
  std::string reason;
  domain[1].node->on_adjacency([&](const AdjacencyEvent& e) { reason = e.reason; });
  bool stopped = false;
  auto begin = std::chrono::steady_clock::now();
  domain[2].node->stop(true, [&] { stopped = true; });
  REQUIRE(domain.run_until([&] { return stopped; }));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(3));
  REQUIRE(domain.run_until([&] { return !reason.empty(); }));
  CHECK(reason.find("hold") == std::string::npos);
}

TEST_CASE("nodes: reload adds, changes and removes links and leaves the others alone") {
  TestDomain domain = row();
  REQUIRE(domain.converged());
  std::vector<AdjacencyEvent> events;
  domain[2].node->on_adjacency([&](const AdjacencyEvent& e) { events.push_back(e); });
  NodeSettings next = domain.settings(2);
  next.links[0].metric = 55;  // to sg-1
  CHECK(domain[2].node->reload(next).ok());
  REQUIRE(domain.run_until([&] {
    return domain[3].node->rib().destination(NodeId{1})->distance == 65;
  }));
  CHECK(events.empty());
  next.links.pop_back();  // to sg-3
  CHECK(domain[2].node->reload(next).ok());
  REQUIRE(domain.run_until([&] { return events.size() == 1; }));
  CHECK(events[0].neighbour == NodeId{3});
  CHECK(domain[2].node->reload(domain.settings(2)).ok());
  CHECK(domain.run_until([&] { return events.size() == 2 && events[1].up; }));
  next.links[0].local = "not an address";
  auto bad = domain[2].node->reload(next);
  REQUIRE_FALSE(bad.ok());
  CHECK(bad.error().message.find("to-sg-1") != std::string::npos);
  CHECK(domain[2].node->settings().links.size() == 2);
}
