// docs/protocol.md, U19: what the edge keeps on disk.
#include "sgd/edge_state.hpp"

#include <catch2/catch.hpp>

#include "dmsc/runtime/files.hpp"
#include "tests/unit/runtime/temporary.hpp"

using namespace dmsc;
using namespace dmsc::sgd;

namespace {

HandedFlow flow(std::uint32_t port, std::uint64_t id, bool inbound = false) {
  HandedFlow f;
  f.inbound = inbound;
  f.key = {port, L4::tcp, *parse_ipv4("100.64.1.2"), *parse_ipv4("100.96.0.9"), 40000, 8080};
  f.id = id;
  f.peer = NodeId{4};
  f.instance = InstanceId{9};
  f.service_port = 8080;
  f.next_sequence = 0xfffffff0;
  f.acknowledged = 17;
  f.window = 501;
  f.established = f.fin_in = true;
  f.idle = milliseconds(1500);
  f.destination = inbound ? "" : "B/4";
  f.header = Bytes{1, 2, 3};
  return f;
}

const std::vector<std::string> kPorts = {" host", " outside", "pod-1", "pod-2"};

}  // namespace

TEST_CASE("U19 flow table on disk: what was handed over is read, once") {
  TemporaryDirectory dir;
  EdgeState state(dir.path());
  const std::vector<HandedFlow> flows = {flow(2, 1), flow(3, 2, true), flow(6, 3)};
  REQUIRE(state.hand_over(kPorts, flows));
  CHECK(state.flows(kPorts) == flows);
  CHECK(state.flows(kPorts).empty());
  CHECK(EdgeState("").flows(kPorts).empty());
}

TEST_CASE("U19 flow table on disk: pods are told by name, and flows of a pod that is gone are left out") {
  Handover handover{"b", {}, kPorts, {flow(2, 1), flow(3, 2), flow(7, 3), flow(8, 4), flow(99, 5)}};
  auto now = renumbered(handover, {" host", " outside", "pod-0", "pod-2", "pod-3"});
  REQUIRE(now.size() == 2);
  CHECK(now[0].id == 2);
  CHECK(now[0].key.port == 3);
  CHECK(now[1].id == 3);  // of the IPv6 twin
  CHECK(now[1].key.port == 8);
  CHECK(renumbered(Handover{"b", {}, {}, {flow(0, 1)}}, kPorts).empty());
}

TEST_CASE("U19 flow table on disk: cut or changed anywhere it is refused, never a crash") {
  const Bytes good = encode_handover({"boot", seconds(5), kPorts, {flow(2, 1), flow(3, 2, true)}});
  REQUIRE(decode_handover(good));
  for (std::size_t cut = 0; cut < good.size(); ++cut) CHECK_FALSE(decode_handover(ByteView(good).first(cut)));
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes bad = good;
    bad[at] ^= 1;
    CHECK_FALSE(decode_handover(bad));
  }
  // A right checksum over a wrong body.
  for (std::size_t cut = 5; cut + 32 < good.size(); ++cut) {
    Bytes bad(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(cut));
    auto digest = crypto::sha256(bad);
    bad.insert(bad.end(), digest.begin(), digest.end());
    CHECK_FALSE(decode_handover(bad));
  }
}

TEST_CASE("U19 flow table on disk: of another boot, or too old, it is left") {
  TemporaryDirectory dir;
  EdgeState state(dir.path());
  auto put = [&](const std::string& boot, Duration written) {
    const Bytes bytes = encode_handover({boot, written, kPorts, {flow(2, 1)}});
    REQUIRE(runtime::write_file_atomically(dir.path() + "/flows", as_text(bytes)));
    return state.flows(kPorts).size();
  };
  CHECK(put("another", seconds(1)) == 0);
  REQUIRE(runtime::write_file_atomically(dir.path() + "/flows", "DMFL nonsense"));
  CHECK(state.flows(kPorts).empty());
}

TEST_CASE("U19 clients' addresses on disk: what was written is read; damage is an error") {
  const EdgeState::Clients clients = {{*parse_ipv4("100.104.0.7"), "1 3 A/1"},
                                      {*parse_ipv4("100.104.0.9"), "1 3 A/1 2"}};
  const std::string text = encode_clients(clients);
  auto read = decode_clients(text);
  REQUIRE(read);
  CHECK(*read == clients);
  for (std::size_t cut = 0; cut < text.size(); ++cut) CHECK_FALSE(decode_clients(text.substr(0, cut)));
  std::string bad = text;
  bad[30] ^= 1;
  CHECK_FALSE(decode_clients(bad));
  TemporaryDirectory dir;
  EdgeState state(dir.path());
  REQUIRE(state.save(clients));
  CHECK(state.clients() == clients);
}

TEST_CASE("U19 the hash key is kept, and tells that there was a gateway before") {
  TemporaryDirectory dir;
  EdgeState state(dir.path());
  SavedAddresses first = state.addresses();
  CHECK_FALSE(first.found);
  REQUIRE(state.save(first));
  CHECK(state.addresses().found);
  CHECK(state.addresses().key == first.key);
}
