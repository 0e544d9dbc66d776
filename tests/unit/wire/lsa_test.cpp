// LSA envelope and bodies: docs/protocol.md, "LSAs" (rules L1-L9).
#include "dmsc/wire/lsa.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;
using namespace dmsc::wire;

namespace {

crypto::SigningKey key_of_seed(std::uint8_t seed) {
  crypto::Key32 bytes{};
  bytes[0] = seed;
  return crypto::SigningKey(bytes);
}

LsaPtr sample(ByteView body = {}) {
  auto lsa = make_lsa({NodeId{7}, LsaType::prefix, 3}, {11, 12}, 3600, false, body, key_of_seed(1));
  REQUIRE(lsa.ok());
  return *lsa;
}

NodeBody sample_node() {
  NodeBody body;
  body.name = "sg-1";
  body.role = NodeRole::gateway;
  body.overload = true;
  body.no_transit = true;
  body.adjacencies = {{NodeId{2}, 1, 9, 100, 250, 30, 1000, 9'000'000'000ULL, 10'000'000'000ULL, 3},
                      {NodeId{3}, 2, 1, 0xffffff, 0, 0, 0, 0, 0, 0}};
  body.unknown = {{99, {1, 2, 3}}};
  return body;
}

}  // namespace

TEST_CASE("LS-L1 an LSA travels as header, TLVs and signature, and is read back") {
  NodeBody node = sample_node();
  auto made = make_lsa({NodeId{7}, LsaType::node, 0}, {5, 6}, 1800, true, encode(node), key_of_seed(1));
  REQUIRE(made.ok());
  auto read = decode_lsa((*made)->raw);
  REQUIRE(read.ok());
  const Lsa& lsa = **read;
  CHECK(lsa.key == LsaKey{NodeId{7}, LsaType::node, 0});
  CHECK(lsa.version == LsaVersion{5, 6});
  CHECK(lsa.lifetime == 1800);
  CHECK(lsa.purge);
  CHECK(lsa.hash == crypto::sha256(lsa.raw));
  CHECK(crypto::verify(key_of_seed(1).public_key(), lsa.signed_bytes(), lsa.signature()));
  CHECK_FALSE(crypto::verify(key_of_seed(2).public_key(), lsa.signed_bytes(), lsa.signature()));
  auto body = decode_node_body(lsa.body());
  REQUIRE(body.ok());
  CHECK(*body == node);
}

TEST_CASE("LS-L1 every truncation of an LSA is refused") {
  LsaPtr lsa = sample(encode(sample_node()));
  for (std::size_t n = 0; n < lsa->raw.size(); ++n) {
    CHECK_FALSE(decode_lsa(ByteView(lsa->raw).first(n)).ok());
  }
  Bytes longer = lsa->raw;
  longer.push_back(0);
  CHECK(decode_lsa(longer).error().message == "LSA: 1 bytes after its signature");
  CHECK(lsa_length(longer).value() == lsa->raw.size());
}

TEST_CASE("LS-L2 version, origin, fragment, lifetime and body size are checked") {
  Bytes good = sample()->raw;
  auto with = [&](std::size_t at, std::uint8_t value) {
    Bytes raw = good;
    raw[at] = value;
    return decode_lsa(raw);
  };
  CHECK(with(0, 1).error().code == Errc::unsupported);
  CHECK(with(2, 0x10).error().code == Errc::limit);    // fragment 4099
  CHECK(with(4, 0x01).error().code == Errc::invalid);  // origin over 2^20
  CHECK(with(4, 0x80).ok());                           // an issuer
  CHECK(with(30, 0xff).error().code == Errc::limit);   // body of 65 KiB
  Bytes no_life = good;
  no_life[26] = no_life[27] = 0;
  CHECK(decode_lsa(no_life).error().message == "LSA header: lifetime is zero");
  Bytes large(kMaxLsaBodyBytes + 1);
  CHECK(make_lsa({NodeId{1}, LsaType::node, 0}, {}, 1, false, large, key_of_seed(1)).error().code ==
        Errc::limit);
}

TEST_CASE("LS-L3 a TLV that reaches past the body is refused") {
  ByteWriter w;
  w.u16(77).u16(5).u32(0);
  auto lsa = make_lsa({NodeId{1}, LsaType::prefix, 0}, {1, 1}, 60, false, w.view(), key_of_seed(1));
  REQUIRE_FALSE(lsa.ok());
  CHECK(lsa.error().message == "LSA body: TLV at byte 0 reaches past the end");
}

TEST_CASE("LS-L4 unknown types and unknown TLVs are kept as they came") {
  ByteWriter w;
  w.u16(500).bytes16(as_bytes("later"));
  auto lsa = make_lsa({NodeId{1}, static_cast<LsaType>(200), 0}, {1, 1}, 60, false, w.view(),
                      key_of_seed(1));
  REQUIRE(lsa.ok());
  CHECK(std::string(to_string((*lsa)->key.type)) == "unknown");
  auto node = decode_node_body((*lsa)->body());
  REQUIRE(node.ok());
  REQUIRE(node->unknown.size() == 1);
  CHECK(encode(*node) == to_bytes(w.view()));
}

TEST_CASE("LS-L5 a prefix body holds names, flags, interface and instances") {
  PrefixBody body;
  body.entries = {{*Name::parse("A/1"), false, 4, {{InstanceId{1}, 100}}},
                  {*Name::parse("A"), false, 0, {{InstanceId{1}, 100}, {InstanceId{2}, 0}}},
                  {*Name::parse("shop/cart"), true, 2, {}}};
  body.unknown = {{9, {}}};
  Bytes bytes = encode(body);
  std::size_t sum = 4;
  for (const PrefixEntry& e : body.entries) sum += encoded_size(e);
  CHECK(bytes.size() == sum);
  auto read = decode_prefix_body(bytes);
  REQUIRE(read.ok());
  CHECK(*read == body);
}

TEST_CASE("LS-L5 a malformed prefix is refused with its place") {
  auto decode = [](std::string_view name, std::initializer_list<std::uint8_t> tail) {
    ByteWriter w;
    w.u16(1).u16(4 + name.size() + tail.size()).u8(0).u16(0).text8(name);
    for (std::uint8_t b : tail) w.u8(b);
    return decode_prefix_body(w.view());
  };
  CHECK(decode("A/1", {0, 1, 0, 9}).ok());
  CHECK_FALSE(decode("A//1", {}).ok());
  CHECK_FALSE(decode("", {}).ok());
  CHECK(decode("A", {0, 1, 0}).error().message ==
        "prefix: TLV 1 before byte 12: an instance is cut short");
  CHECK(decode("A", {0, 0, 0, 5}).error().message ==
        "prefix: TLV 1 before byte 13: instance id zero");
}

TEST_CASE("LS-L6 a node body refuses metric zero, a bad neighbour and attributes twice") {
  NodeBody body = sample_node();
  body.adjacencies[0].metric = 0;
  CHECK(decode_node_body(encode(body)).error().message.find("metric is zero") != std::string::npos);
  body = sample_node();
  body.adjacencies[0].neighbour = NodeId{kMaxNodeId + 1};
  CHECK_FALSE(decode_node_body(encode(body)).ok());
  Bytes once = encode(sample_node());
  Bytes twice = once;
  twice.insert(twice.end(), once.begin(), once.end());
  CHECK(decode_node_body(twice).error().message.find("attributes twice") != std::string::npos);
  CHECK(encoded_size(body.adjacencies[0]) == 48);
}

TEST_CASE("LS-L7 identity and signed objects are opaque bytes in TLV 1") {
  IdentityBody body{{1, 2, 3}, {{8, {4}}}};
  auto read = decode_identity_body(encode(body));
  REQUIRE(read.ok());
  CHECK(read->certificate == body.certificate);
  CHECK(read->unknown == body.unknown);
  CHECK(decode_object_body(encode_object_body(Bytes{9, 9})).value() == Bytes{9, 9});
  CHECK_FALSE(decode_object_body({}).ok());
  Bytes twice = encode_object_body(Bytes{9});
  twice.insert(twice.end(), twice.begin(), twice.begin() + 5);
  CHECK_FALSE(decode_object_body(twice).ok());
}
