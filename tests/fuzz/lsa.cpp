// LSAs, and the bodies of every type by themselves (the first byte chooses).
#include "dmsc/wire/lsa.hpp"

#include "dmsc/wire/spa_lsa.hpp"
#include "harness.hpp"

using namespace dmsc;

namespace {

wire::NodeBody sample_node() {
  wire::NodeBody body;
  body.name = "sg-1";
  body.role = wire::NodeRole::gateway;
  body.no_transit = true;
  body.adjacencies = {{NodeId{2}, 1, 7, 10, 500, 20, 1, 1000, 2000, wire::kAdjacencyUsable},
                      {NodeId{3}, 2, 8, 20, 0, 0, 0, 0, 0, wire::kAdjacencyStarting}};
  body.unknown = {{999, {1, 2, 3}}};
  return body;
}

wire::PrefixBody sample_prefixes() {
  wire::PrefixBody body;
  body.entries = {{Name::parse("B/4").value(), false, 1, {{InstanceId{1}, 100}}},
                  {Name::parse("B").value(), true, 0, {{InstanceId{1}, 0}, {InstanceId{2}, 9}}}};
  body.entries[0].ports = {{"http", 80, wire::kPortTcp, 100}, {"", 53, 3, 0}};
  return body;
}

void whole(ByteView data) {
  Result<std::size_t> length = wire::lsa_length(data);
  if (length.ok()) fuzz::require(*length <= data.size(), "an LSA fits its data");
  Result<wire::LsaPtr> lsa = wire::decode_lsa(data);
  if (!lsa.ok()) return;
  const wire::Lsa& l = **lsa;
  fuzz::require(length.ok() && *length == data.size(), "one LSA is exactly its data");
  fuzz::require(std::equal(l.raw.begin(), l.raw.end(), data.begin(), data.end()),
                "kept as it came");
  fuzz::require(l.signed_bytes().size() + wire::kLsaSignatureBytes == l.raw.size(),
                "the signature ends it");
  (void)l.signature();
  (void)wire::spa_lsa_object(l);
  (void)wire::decode_node_body(l.body());
  (void)wire::decode_prefix_body(l.body());
}

}  // namespace

void fuzz::one_input(ByteView data) {
  if (data.empty()) return;
  ByteView rest = data.subspan(1);
  switch (data[0] % 5) {
    case 0:
      return whole(rest);
    case 1:
      return round_trip(wire::decode_node_body(rest), wire::decode_node_body);
    case 2:
      return round_trip(wire::decode_prefix_body(rest), wire::decode_prefix_body);
    case 3:
      (void)wire::decode_identity_body(rest);
      return;
    default:
      (void)wire::decode_object_body(rest);
      return;
  }
}

void fuzz::seeds(SeedWriter& out) {
  Bytes node = encode(sample_node()), prefixes = encode(sample_prefixes());
  crypto::SigningKey key(crypto::Key32{5});
  for (const auto& [type, body] :
       {std::pair(wire::LsaType::node, node), std::pair(wire::LsaType::prefix, prefixes)}) {
    auto lsa = wire::make_lsa({NodeId{4}, type, 0}, {7, 1}, 3600, false, body, key);
    out(0, lsa.value()->raw);
  }
  out(0,
      wire::make_lsa({NodeId{4}, wire::LsaType::node, 3}, {7, 2}, 60, true, {}, key).value()->raw);
  out(1, node);
  out(2, prefixes);
  wire::IdentityBody identity;
  identity.certificate = {0x30, 0x03, 1, 2, 3};
  out(3, encode(identity));
  out(4, wire::encode_object_body(Bytes{1, 2, 3}));
}
