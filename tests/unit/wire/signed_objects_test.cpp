// docs/protocol.md, "Signed objects": golden bytes of every kind, and what a decoder refuses.
#include "dmsc/wire/signed_objects.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;
using namespace dmsc::wire;

namespace {

crypto::SigningKey key_of(std::uint8_t fill) {
  crypto::Key32 seed;
  seed.fill(fill);
  return crypto::SigningKey(seed);
}

ObjectHeader header(std::uint32_t issuer, std::uint64_t serial) {
  return {DomainId{0x0102030405060708ULL}, issuer, serial, DomainTime{1000}};
}

Name name(const char* text) { return *Name::parse(text); }

Grant sample_grant() {
  Grant g;
  g.header = header(2, 7);
  g.node = NodeId{5};
  g.identity = "pod:pod-4@sg-4";
  g.subtree = name("B/4");
  g.depth = 1;
  g.covering = true;
  g.pools = {name("B")};
  g.valid_until = DomainTime{4600};
  g.grace = 900;
  return g;
}

Revocation sample_revocation() {
  Revocation r;
  r.header = header(2, 3);
  r.part = 1;
  r.grants = {{2, 7}};
  r.nodes = {{NodeId{5}, key_of(9).public_key()}};
  return r;
}

Authority sample_authority() {
  Authority a;
  a.header = header(0, 4);
  a.issuers = {{2, "spa-2", key_of(2).public_key(), DomainTime{9000}}};
  return a;
}

const char* kHeaderRoot4 = "0100" "0102030405060708" "00000000" "0000000000000004" "00000000000003e8";

std::string unsigned_hex(const Bytes& object) {
  return to_hex(ByteView(object).first(object.size() - 64));
}

// Signs `fields` behind a header as an attacker with a key might.
Bytes forged(const std::string& unsigned_part) {
  Bytes b = from_hex(unsigned_part);
  crypto::Signature s = key_of(1).sign(b);
  b.insert(b.end(), s.begin(), s.end());
  return b;
}

}  // namespace

TEST_CASE("signed objects: golden bytes of an authority") {
  Bytes b = sign(sample_authority(), key_of(1));
  CHECK(unsigned_hex(b) == std::string(kHeaderRoot4) + "0001" "00000002" "0000000000002328" +
                               to_hex(key_of(2).public_key()) + "05" "7370612d32");
  CHECK(to_hex(key_of(2).public_key()).substr(0, 16) == "8139770ea87d175f");
  CHECK(decode_authority(b).value() == sample_authority());
  CHECK(object_kind(b).value() == ObjectKind::authority);
}

TEST_CASE("signed objects: golden bytes of a grant") {
  Bytes b = sign(sample_grant(), key_of(2));
  CHECK(unsigned_hex(b) ==
        "0200" "0102030405060708" "00000002" "0000000000000007" "00000000000003e8"
        "00000005" "00000000000011f8" "00000384" "01" "01" "0e" "706f643a706f642d344073672d34"
        "03" "422f34" "01" "01" "42");
  CHECK(decode_grant(b).value() == sample_grant());
}

TEST_CASE("signed objects: golden bytes of a revocation") {
  Bytes b = sign(sample_revocation(), key_of(2));
  CHECK(unsigned_hex(b) ==
        "0300" "0102030405060708" "00000002" "0000000000000003" "00000000000003e8"
        "0001" "0001" "00000002" "0000000000000007" "0001" "00000005" +
            to_hex(key_of(9).public_key()));
  CHECK(decode_revocation(b).value() == sample_revocation());
}

TEST_CASE("signed objects: golden bytes of the domain parameters") {
  DomainParameters p;
  p.header = header(0, 1);
  Bytes b = sign(p, key_of(1));
  CHECK(unsigned_hex(b) ==
        "0400" "0102030405060708" "00000000" "0000000000000001" "00000000000003e8"
        "000186a0" "00000040" "00000400" "00015180" "00001000" "000003e8" "00002710" "0000003c"
        "0010" "ff" "10" "0101010101");
  CHECK(decode_domain_parameters(b).value() == p);
}

TEST_CASE("signed objects: the signature covers every byte before it") {
  Bytes good = sign(sample_grant(), key_of(2));
  CHECK(verify_object(good, key_of(2).public_key()));
  CHECK_FALSE(verify_object(good, key_of(3).public_key()));
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= 1;
    CHECK_FALSE(verify_object(bad, key_of(2).public_key()));
  }
}

TEST_CASE("signed objects: cut anywhere they are refused, with one more byte too") {
  for (const Bytes& whole : {sign(sample_grant(), key_of(2)), sign(sample_authority(), key_of(1)),
                             sign(sample_revocation(), key_of(2))}) {
    for (std::size_t n = 0; n < whole.size(); ++n) {
      ByteView cut = ByteView(whole).first(n);
      CHECK_FALSE(decode_grant(cut).ok());
      CHECK_FALSE(decode_authority(cut).ok());
      CHECK_FALSE(decode_revocation(cut).ok());
    }
    Bytes longer = whole;
    longer.push_back(0);
    CHECK_FALSE(decode_grant(longer).ok());
    CHECK_FALSE(decode_authority(longer).ok());
    CHECK_FALSE(decode_revocation(longer).ok());
  }
}

TEST_CASE("signed objects: unknown kinds, versions and the wrong kind are refused by name") {
  Bytes b = sign(sample_grant(), key_of(2));
  CHECK(decode_authority(b).error().message == "authority object: kind 2");
  b[1] = 1;
  CHECK(decode_grant(b).error().code == Errc::unsupported);
  b[1] = 0;
  b[0] = 9;
  CHECK(object_kind(b).error().message == "signed object: kind 9 version 0");
  CHECK(object_kind(Bytes(kMaxObjectBytes + 1, 0)).error().code == Errc::limit);
}

TEST_CASE("signed objects: the root grants nothing and revokes nothing") {
  Grant g = sample_grant();
  g.header.issuer = 0;
  CHECK(decode_grant(sign(g, key_of(1))).error().code == Errc::invalid);
  Revocation r = sample_revocation();
  r.header.issuer = 0;
  CHECK(decode_revocation(sign(r, key_of(1))).error().code == Errc::invalid);
}

TEST_CASE("signed objects: only the root states the authority and the parameters") {
  Authority a = sample_authority();
  a.header.issuer = 2;
  CHECK(decode_authority(sign(a, key_of(2))).error().message == "authority object: not of the root");
  DomainParameters p;
  p.header = header(2, 1);
  CHECK_FALSE(decode_domain_parameters(sign(p, key_of(2))).ok());
}

TEST_CASE("signed objects: limits under which nobody could speak are refused, and unknown actions") {
  auto refused = [](auto change) {
    DomainParameters p;
    p.header = header(0, 1);
    change(p);
    return !decode_domain_parameters(sign(p, key_of(1))).ok();
  };
  CHECK_FALSE(refused([](DomainParameters&) {}));
  CHECK(refused([](DomainParameters& p) { p.max_adjacencies_per_node = 0; }));
  CHECK(refused([](DomainParameters& p) { p.max_prefixes_per_node = 0; }));
  CHECK(refused([](DomainParameters& p) { p.max_grants_per_node = 0; }));
  CHECK(refused([](DomainParameters& p) { p.max_lsa_lifetime = 59; }));
  CHECK(refused([](DomainParameters& p) { p.lsas_per_second = 0; }));
  CHECK(refused([](DomainParameters& p) { p.lsa_burst = 0; }));
  CHECK(refused([](DomainParameters& p) { p.actions[2] = static_cast<LimitAction>(3); }));
}

TEST_CASE("signed objects: bad fields are named") {
  Grant g = sample_grant();
  g.depth = 17;
  CHECK(decode_grant(sign(g, key_of(2))).error().message == "grant object: depth 17");
  g = sample_grant();
  g.node = NodeId{kMaxNodeId + 1};
  CHECK(decode_grant(sign(g, key_of(2))).error().message == "grant object: node 1048577");
  g = sample_grant();
  g.identity = "";
  CHECK_FALSE(decode_grant(sign(g, key_of(2))).ok());
  g.identity = "pod:a b";
  CHECK_FALSE(decode_grant(sign(g, key_of(2))).ok());
  g = sample_grant();
  g.subtree = Name();
  CHECK(decode_grant(sign(g, key_of(2))).error().message.rfind("grant object: subtree: ", 0) == 0);
  Authority a = sample_authority();
  a.issuers.push_back(a.issuers[0]);
  CHECK(decode_authority(sign(a, key_of(1))).error().message == "authority object: issuer id 2");
}

TEST_CASE("signed objects: a count larger than the object is refused before it is believed") {
  CHECK(decode_authority(forged(std::string(kHeaderRoot4) + "ffff")).error().message ==
        "authority object: issuers are cut short");
}

TEST_CASE("signed objects: the stated maxima fit one LSA") {
  Authority a;
  a.header = header(0, 1);
  for (std::uint32_t i = 1; i <= kMaxIssuers; ++i) {
    a.issuers.push_back({i, std::string(63, 'x'), key_of(1).public_key(), DomainTime{1}});
  }
  CHECK(sign(a, key_of(1)).size() <= kMaxObjectBytes);
  Revocation r;
  r.header = header(1, 1);
  r.grants.resize(kMaxRevokedGrantsPerPart);
  r.nodes.resize(kMaxRevokedNodesPerPart);
  CHECK(sign(r, key_of(1)).size() <= kMaxObjectBytes);
}
