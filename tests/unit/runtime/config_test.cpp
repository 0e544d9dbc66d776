#include "dmsc/runtime/config.hpp"

#include <catch2/catch.hpp>

#include "dmsc/runtime/node_config.hpp"

using namespace dmsc;
using namespace dmsc::runtime;

namespace {

std::string report_of(const std::string& text) {
  auto doc = ConfigDocument::parse(text, "f.yaml");
  read_router_config(doc->root(), "srd");
  doc->finish();
  return doc->report();
}

}  // namespace

TEST_CASE("config: an unknown key is an error with line, column and a suggestion") {
  CHECK(report_of("node:\n  name: sr-1\n  run_dri: /run/x\n") ==
        "f.yaml:3:3: node.run_dri: unknown key: did you mean 'run_dir'?\n");
  CHECK(report_of("node:\n  name: sr-1\nlnks: []\n") ==
        "f.yaml:3:1: lnks: unknown key: did you mean 'links'?\n");
  CHECK(report_of("node:\n  name: sr-1\nzebra: 1\n") == "f.yaml:3:1: zebra: unknown key\n");
}

TEST_CASE("config: every error is reported, in the order of the file") {
  CHECK(
      report_of("node:\n"
                "  name: SR_1\n"
                "links:\n"
                "  - name: a\n"
                "    local: 10.0.0.1\n"
                "    metric: 0\n"
                "    liveness: {interval: 50, multiplier: 99}\n"
                "log: {level: loud}\n") ==
      "f.yaml:2:9: node.name: 'SR_1' is no node name: 1 to 63 of a-z, 0-9 and -, not at the ends\n"
      "f.yaml:4:5: links[0].remote: is required\n"
      "f.yaml:6:13: links[0].metric: '0' is no metric: 1 to 16777214, or delay\n"
      "f.yaml:7:26: links[0].liveness.interval: '50' has no unit: write a duration such as 50ms, "
      "3s or 1h\n"
      "f.yaml:7:42: links[0].liveness.multiplier: 99 is not between 2 and 50\n"
      "f.yaml:8:14: log.level: 'loud' is no log level: debug, info, warning or error\n");
}

TEST_CASE("config: a key given twice is an error") {
  CHECK(report_of("node: {name: a}\nspa: []\nspa: [h:1]\n") ==
        "f.yaml:3:1: spa: given twice, first on line 2\n");
}

TEST_CASE("config: wrong shapes are named") {
  CHECK(report_of("node: []\n") ==
        "f.yaml:1:7: node: must be a map of keys\n"
        "f.yaml:1:7: node.name: is required\n");
  CHECK(report_of("node: {name: a}\nlinks: {}\n") == "f.yaml:2:8: links: must be a list\n");
  CHECK(report_of("node: {name: [a]}\n") == "f.yaml:1:14: node.name: must be a single value\n");
  CHECK(report_of("node: {name: }\n") == "f.yaml:1:8: node.name: has no value\n");
  CHECK(report_of("- a\n") ==
        "f.yaml:1:1: the file must be a map of sections\nf.yaml:1:1: node.name: is required\n");
}

TEST_CASE("config: a file that is not YAML gives its first error only") {
  CHECK(report_of("node:\n  name: [a\nlinks: }\n").rfind("f.yaml:3:", 0) == 0);
  std::string all = report_of("a: [\n");
  CHECK(all.find("not YAML") != std::string::npos);
  CHECK(std::count(all.begin(), all.end(), '\n') == 1);
}

TEST_CASE("config: defaults, and lists or sections left empty") {
  auto doc = ConfigDocument::parse("node: {name: sr-1}\nlinks:\nspa:\nlog:\n", "f");
  RouterConfig c = read_router_config(doc->root(), "srd");
  doc->finish();
  CHECK(doc->report() == "");
  CHECK(c.node.state_dir == "/var/lib/dmsc/srd");
  CHECK(c.node.run_dir == "/run/dmsc/srd");
  CHECK(c.links.empty());
  CHECK(c.log.level == log::Level::info);
}

TEST_CASE("config: a link with every key") {
  auto doc = ConfigDocument::parse(
      "node: {name: sr-1}\n"
      "links:\n"
      "  - {name: l, peer: sr-2, interface: eth1, local: 10.0.0.1, remote: 'sr-2.example:9000',\n"
      "     metric: auto, bandwidth: 1Gbit/s, mtu: 1400, liveness: {interval: 10ms, multiplier: "
      "3}}\n",
      "f");
  RouterConfig c = read_router_config(doc->root(), "srd");
  doc->finish();
  REQUIRE(doc->report() == "");
  REQUIRE(c.links.size() == 1);
  const LinkSection& l = c.links[0];
  CHECK(l.local == Endpoint{"10.0.0.1", 7401});
  CHECK(l.remote == Endpoint{"sr-2.example", 9000});
  CHECK(l.metric == 0);
  CHECK(l.bandwidth_bps == 1'000'000'000);
  CHECK(l.mtu == 1400);
  CHECK(l.liveness.interval == milliseconds(10));
  CHECK(l.liveness.multiplier == 3);
}

TEST_CASE("config: two links may not share a name or a pair of addresses") {
  std::string text = report_of(
      "node: {name: a}\nlinks:\n"
      "  - {name: x, local: 10.0.0.1, remote: 10.0.0.2}\n"
      "  - {name: x, local: 10.0.0.1, remote: 10.0.0.2}\n");
  CHECK(text ==
        "f.yaml:4:12: links[1].name: 'x' is already links[0]\n"
        "f.yaml:4:40: links[1].remote: 10.0.0.1:7401 to 10.0.0.2:7401 is already links[0]\n");
}

TEST_CASE("config: neighbours found on an interface need no name, no ends") {
  auto doc = ConfigDocument::parse(
      "node: {name: sr-1}\nlinks:\n"
      "  - {interface: eth1, discover: true, metric: delay, max_neighbours: 4}\n"
      "  - {interface: eth2, discover: true, name: lan, local: 10.0.0.1}\n"
      "  - {interface: eth3, discover: true, family: ipv6}\n"
      "  - {interface: eth4, discover: true, local: 'fe80::1'}\n",
      "f.yaml");
  RouterConfig c = read_router_config(doc->root(), "srd");
  doc->finish();
  INFO(doc->report());
  REQUIRE(doc->ok());
  REQUIRE(c.links.size() == 4);
  CHECK(c.links[0].discover);
  CHECK_FALSE(c.links[0].ipv6);
  CHECK(c.links[2].ipv6);
  CHECK(c.links[3].ipv6);  // as its address says
  CHECK(report_of("node: {name: a}\nlinks:\n"
                  "  - {interface: eth1, discover: true, local: 10.0.0.1, family: ipv6}\n") ==
        "f.yaml:3:64: links[0].family: not that of local, an IPv4 address\n");
  CHECK(c.links[0].name == "eth1");
  CHECK(c.links[0].metric == 0);
  CHECK(c.links[0].max_neighbours == 4);
  CHECK(c.links[0].local.host == "");
  CHECK(c.links[1].name == "lan");
  CHECK(c.links[1].local.host == "10.0.0.1");
  CHECK(c.links[1].max_neighbours == 16);
  CHECK(report_of("node: {name: a}\nlinks:\n  - {interface: eth1, discover: true, remote: 10.0.0.2}\n") ==
        "f.yaml:3:47: links[0].remote: not with discover: neighbours say it themselves\n");
  CHECK(report_of("node: {name: a}\nlinks:\n  - {discover: true}\n").find("interface: is required") !=
        std::string::npos);
}

TEST_CASE("config: a run_dir too long for Unix sockets is refused") {
  std::string text = report_of("node: {name: a, run_dir: /" + std::string(100, 'x') + "}\n");
  CHECK(text.find("Unix sockets could not be named") != std::string::npos);
}

TEST_CASE("config: a value may be checked by its reader") {
  auto doc = ConfigDocument::parse("a: {b: 5, c: [1, x], e: red, p: 7%}\n", "f");
  ConfigNode a = doc->root().section("a");
  CHECK(a.integer("b", {1, 2, 9}) == 5);
  std::vector<std::uint64_t> got;
  for (const auto& element : a.list("c")) got.push_back(element.as(parse_integer).value_or(77));
  CHECK(got == std::vector<std::uint64_t>{1, 77});
  CHECK(a.choice("e", {"green", "blue"}, 1) == 1);
  CHECK(a.percent("p", {0, 0.5, 1}) == Approx(0.07));
  a.error("b", "is odd");
  doc->finish();
  CHECK(doc->report() ==
        "f:1:8: a.b: is odd\nf:1:18: a.c[1]: 'x' is not a whole number\n"
        "f:1:25: a.e: 'red' is not one of green, blue\n");
}

TEST_CASE("config: an unreadable file names itself") {
  auto doc = ConfigDocument::load("/nonexistent/x.yaml");
  REQUIRE_FALSE(doc.ok());
  CHECK(doc.error().message == "/nonexistent/x.yaml: No such file or directory");
}

TEST_CASE("config: suggestions are near words only") {
  CHECK(nearest_word("metirc", {"metric", "mtu"}) == "metric");
  CHECK(nearest_word("mut", {"metric", "mtu"}) == "mtu");
  CHECK(nearest_word("xyz", {"metric", "mtu"}) == "");
}

TEST_CASE("config: hostile YAML gives an error, never a crash") {
  CHECK(report_of("node: " + std::string(20'000, '[')).find("not YAML") != std::string::npos);
  CHECK(report_of("node: &a {name: *a}\n") != "");
  CHECK(report_of("node: *nowhere\n").find("not YAML") != std::string::npos);
  CHECK(report_of("? [a, b]\n: c\nnode: {name: a}\n") == "f.yaml:1:3: a key must be a word\n");
  CHECK(report_of(std::string("node: {name: a\0b}\n", 18)) != "");
  CHECK(report_of("") == "f.yaml:1:1: node.name: is required\n");
  CHECK(report_of("--- \nnode: {name: a}\n--- \nnode: {name: b}\n") ==
        "f.yaml:4:1: a second document: there may be only one\n");
}

TEST_CASE("config: an alias stands for what it names") {
  CHECK(report_of("node: {name: a}\nlinks:\n"
                  "  - {name: x, local: 10.0.0.1, remote: 10.0.0.2, liveness: &l {multiplier: 3}}\n"
                  "  - {name: y, local: 10.0.0.1, remote: 10.0.0.3, liveness: *l}\n") == "");
}

TEST_CASE("U28 config: how long a gateway's workers look before they sleep is at most 50 us") {
  auto read = [](const std::string& section, const std::string& daemon = "sgd") {
    auto doc = ConfigDocument::parse("node: {name: sg-1}\ndataplane: " + section + "\n", "f.yaml");
    RouterConfig c = read_router_config(doc->root(), daemon);
    doc->finish();
    return std::pair(c.dataplane, doc->report());
  };
  CHECK(read("{}").first.busy_poll == microseconds(50));
  CHECK(read("{busy_poll: 20us}").first.busy_poll == microseconds(20));
  CHECK(read("{busy_poll: 0s}").first.busy_poll == Duration::zero());
  CHECK(read("{busy_poll: 0s}").second.empty());
  CHECK(read("{busy_poll: 51us}").second.find("f.yaml:2:24: dataplane.busy_poll: ") == 0);
  CHECK(read("{busy_poll: 20}").second.find("f.yaml:2:24: dataplane.busy_poll: ") == 0);
  CHECK(read("{busy_poll: 20us}", "srd").second == "f.yaml:2:13: dataplane.busy_poll: unknown key\n");
}

TEST_CASE("config: a gateway's TUN devices trade large segments and trains unless told otherwise") {
  auto read = [](const std::string& section, const std::string& daemon = "sgd") {
    auto doc = ConfigDocument::parse("node: {name: sg-1}\ndataplane: {offloads: " + section + "}\n", "f.yaml");
    RouterConfig c = read_router_config(doc->root(), daemon);
    doc->finish();
    return std::pair(c.dataplane, doc->report());
  };
  CHECK((read("{}").first.tun_tso && read("{}").first.tun_uso));
  CHECK_FALSE(read("{tun_uso: false}").first.tun_uso);
  CHECK_FALSE(read("{tun_tso: false}").first.tun_tso);
  CHECK(read("{tun_tso: false, tun_uso: false}").second.empty());
  CHECK(read("{tun_uso: false}", "srd").second == "f.yaml:2:24: dataplane.offloads.tun_uso: unknown key\n");
}

TEST_CASE("config: a gateway seals unless told otherwise; a router has no say in it") {
  auto read = [](const std::string& section) {
    auto doc = ConfigDocument::parse("node: {name: sg-1}\ndataplane: " + section + "\n", "f.yaml");
    RouterConfig c = read_router_config(doc->root(), "sgd");
    doc->finish();
    INFO(doc->report());
    CHECK(doc->ok());
    return c.dataplane;
  };
  CHECK(read("{}").security == PayloadSecurity::sealed);
  CHECK(read("{}").unsealed == UnsealedPolicy::refuse);
  CHECK(read("{security: none}").security == PayloadSecurity::none);
  CHECK(read("{unsealed: by-name}").unsealed == UnsealedPolicy::by_name);
  CHECK(read("{unsealed: accept}").unsealed == UnsealedPolicy::accept);
  CHECK(report_of("node: {name: sr-1}\ndataplane: {security: sealed}\n") ==
        "f.yaml:2:13: dataplane.security: unknown key\n");
}
