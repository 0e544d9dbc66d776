// Golden packets: one hex file per PDU and LSA type in tests/unit/wire/golden/. Each is what the
// encoder makes of a fixed value, and what the decoder turns back into that value. After a deliberate
// change of a layout, rewrite them all with one command, from anywhere inside the source tree:
//
//   DMSC_GOLDEN=write build/release/tests/unit_wire '[golden]'
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "dmsc/wire/pdu.hpp"

using namespace dmsc;
using namespace dmsc::wire;

namespace {

std::filesystem::path folder() {
  for (auto at = std::filesystem::current_path(); at != at.parent_path(); at = at.parent_path()) {
    if (std::filesystem::exists(at / "tests/unit/wire/golden")) return at / "tests/unit/wire/golden";
  }
  FAIL("run inside the source tree: tests/unit/wire/golden is not above the current directory");
  return {};
}

// The bytes of the golden file; written first if DMSC_GOLDEN=write.
Bytes golden(const std::string& name, const Bytes& encoded) {
  auto path = folder() / (name + ".hex");
  const char* mode = std::getenv("DMSC_GOLDEN");
  if (mode != nullptr && std::string(mode) == "write") {
    std::ofstream out(path);
    std::string hex = to_hex(encoded);
    for (std::size_t i = 0; i < hex.size(); i += 64) out << hex.substr(i, 64) << '\n';
  }
  std::ifstream in(path);
  std::string line, hex;
  while (std::getline(in, line)) hex += line;
  INFO("golden file " << path.string());
  REQUIRE(!hex.empty());
  return from_hex(hex);
}

crypto::Key32 key() {
  crypto::Key32 k;
  k.fill(0x11);
  return k;
}

// Checks the datagram against its file and returns the file's body.
Bytes check_pdu(const std::string& name, PduType type, const Bytes& body) {
  PduHeader header{type, 7, NodeId{3}, 2, SessionId{0x0102030405060708}, 1000};
  Bytes datagram = seal_pdu(header, body, key());
  Bytes file = golden(name, datagram);
  CHECK(to_hex(file) == to_hex(datagram));
  auto opened = open_pdu(file, key());
  REQUIRE(opened.ok());
  CHECK(opened->header.type == type);
  CHECK(opened->header.counter == 1000);
  return to_bytes(opened->body);
}

LsaPtr sample_lsa(LsaType type, const Bytes& body, bool purge = false) {
  auto lsa = make_lsa({NodeId{3}, type, 1}, {1'750'000'000, 42}, 3600, purge, body,
                      crypto::SigningKey(key()));
  REQUIRE(lsa.ok());
  return *lsa;
}

Bytes node_body() {
  NodeBody body;
  body.name = "sg-1";
  body.role = NodeRole::gateway;
  body.no_transit = true;
  body.adjacencies = {{NodeId{1}, 1, 4, 10, 250, 30, 1000, 900'000'000, 1'000'000'000, 1}};
  return encode(body);
}

Bytes prefix_body() {
  PrefixBody body;
  body.entries = {{*Name::parse("A/1"), false, 1, {{InstanceId{1}, 100}}},
                  {*Name::parse("A"), false, 1, {{InstanceId{1}, 100}}}};
  body.entries[0].ports = {{"http", 80, kPortTcp, 100}, {"", 53, kPortTcp | kPortUdp, 100}};
  return encode(body);
}

}  // namespace

TEST_CASE("LS-P1 golden: hello", "[golden]") {
  Hello h;
  h.domain = DomainId{0xd0};
  h.nonce = 0xa1a2a3a4a5a6a7a8;
  h.echo_session = SessionId{0xb1b2b3b4b5b6b7b8};
  h.echo_nonce = 0xc1c2c3c4c5c6c7c8;
  h.state = HelloState::two_way;
  h.flags = kHelloStarting;
  h.window = 512;
  h.pending = 3;
  h.lsa_count = 17;
  h.digest = {0xd1d2d3d4d5d6d7d8, 0xe1e2e3e4e5e6e7e8};
  h.data_mtu = 1400;
  h.worker_ports = {7402, 7403};
  h.name = "sr-1";
  CHECK(decode_hello(check_pdu("hello", PduType::hello, encode(h))).value() == h);
}

TEST_CASE("LS-P1 golden: keepalive, mtu probe, goodbye", "[golden]") {
  Keepalive k{kKeepalivePoll, 9, 1'000'000'001, 1'000'000'002, 1'000'000'003};
  CHECK(decode_keepalive(check_pdu("keepalive", PduType::keepalive, to_bytes(encode(k)))).value() == k);
  MtuProbe probe{false, 5, 128};
  CHECK(decode_mtu_probe(check_pdu("mtu-probe", PduType::mtu_probe, encode(probe))).value() == probe);
  Goodbye goodbye{"shutting down"};
  CHECK(decode_goodbye(check_pdu("goodbye", PduType::goodbye, encode(goodbye))).value() == goodbye);
}

TEST_CASE("LS-P1 golden: announcement", "[golden]") {
  Announcement a{DomainId{0xd0}, 3500, {10, 1, 2, 3}, 7401, "sr-1"};
  CHECK(decode_announcement(check_pdu("announcement", PduType::announcement, encode(a))).value() == a);
}

TEST_CASE("LS-P1 golden: update, ack", "[golden]") {
  LsaPtr lsa = sample_lsa(LsaType::prefix, prefix_body());
  ByteWriter w;
  w.u32(3599).bytes(lsa->raw);
  auto entries = decode_update(check_pdu("update", PduType::update, w.take()));
  REQUIRE(entries.ok());
  REQUIRE(entries->size() == 1);
  CHECK((*entries)[0].remaining == 3599);
  std::vector<LsaRef> acks{ref_of(*lsa)};
  CHECK(decode_acks(check_pdu("ack", PduType::ack, encode_acks(acks))).value() == acks);
}

TEST_CASE("LS-P1 golden: digest, request", "[golden]") {
  LsaRef ref{{NodeId{3}, LsaType::prefix, 2}, {1, 2}, 3};
  std::vector<DigestRange> ranges{{0, 99, false, 7, {1, 2}, {}},
                                  {100, kMaxKeyNumber, true, 0, {}, {ref}}};
  CHECK(decode_digest(check_pdu("digest", PduType::digest, encode(ranges))).value() == ranges);
  std::vector<LsaKey> keys{ref.key};
  CHECK(decode_request(check_pdu("request", PduType::request, encode_request(keys))).value() == keys);
}

TEST_CASE("LS-L1 golden: LSAs of every type a node originates", "[golden]") {
  struct Case {
    const char* name;
    LsaType type;
    Bytes body;
    bool purge;
  };
  for (const Case& c : {Case{"lsa-node", LsaType::node, node_body(), false},
                        Case{"lsa-prefix", LsaType::prefix, prefix_body(), false},
                        Case{"lsa-identity", LsaType::identity, encode(IdentityBody{{1, 2, 3}, {}}),
                             false},
                        Case{"lsa-grant", LsaType::grant, encode_object_body(Bytes{4, 5, 6}), false},
                        Case{"lsa-purge", LsaType::prefix, {}, true}}) {
    LsaPtr lsa = sample_lsa(c.type, c.body, c.purge);
    Bytes file = golden(c.name, lsa->raw);
    CHECK(to_hex(file) == to_hex(lsa->raw));
    auto read = decode_lsa(file);
    REQUIRE(read.ok());
    CHECK((*read)->key == lsa->key);
    CHECK((*read)->purge == c.purge);
    CHECK(to_bytes((*read)->body()) == c.body);
  }
}
