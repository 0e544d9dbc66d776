// docs/protocol.md, "Trust rules": each test names the rule it shows.
#include "dmsc/trust/trust_store.hpp"

#include <catch2/catch.hpp>

#include "dmsc/wire/spa_lsa.hpp"
#include "tests/unit/trust/domain.hpp"

using namespace dmsc;
using namespace dmsc::trust;
using test::Domain;
using test::key_of;
using test::name;

TEST_CASE("T1: nothing is usable without an authority verified under the root") {
  Domain d;
  TrustStore store = d.empty_store();
  REQUIRE(store.learn(*d.identity_lsa(4)));
  wire::LsaPtr grant = d.grant_lsa(4, d.grant(4, "B/4"));
  CHECK(store.judge(*grant) == Verdict::unknown);
  CHECK_FALSE(store.learn_object(sign(d.authority(1), key_of(99))).ok());
  CHECK(store.may_announce(NodeId{4}, name("B/4"), false, d.now).reason ==
        "no authority verified under the root yet");
  REQUIRE(store.learn_object(sign(d.authority(1), d.root_key)).value());
  REQUIRE(store.judge(*grant) == Verdict::valid);
  store.learn(*grant);
  CHECK(store.may_announce(NodeId{4}, name("B/4"), false, d.now).allowed);
}

TEST_CASE("T1: an authority or parameters signed by an issuer are refused") {
  Domain d;
  TrustStore store = d.store();
  wire::Authority a = d.authority(2);
  a.header.issuer = 2;
  CHECK_FALSE(store.learn_object(sign(a, d.issuer_key)).ok());
  wire::DomainParameters p;
  p.header = d.header(2, 9);
  CHECK_FALSE(store.learn_object(sign(p, d.issuer_key)).ok());
}

TEST_CASE("T2: an object of another domain is refused") {
  Domain d;
  TrustStore store = d.store();
  wire::Grant g = d.grant(4, "B/4");
  g.header.domain = DomainId{43};
  CHECK(store.learn_object(sign(g, d.issuer_key)).error().message == "object of another domain");
  CHECK(store.judge(*d.grant_lsa(4, g)) == Verdict::invalid);
}

TEST_CASE("T3: an identity is believed if the root signed it for that very node") {
  Domain d;
  TrustStore store = d.empty_store();
  CHECK(store.judge(*d.identity_lsa(4)) == Verdict::valid);
  std::string why;
  CHECK(store.judge(*d.lsa(5, wire::LsaType::identity, d.identity_body(4), key_of(4)), &why) ==
        Verdict::invalid);
  CHECK(why == "certificate of spiffe://fig2.dmsc/sg/sg-4/4 in an LSA of node 5");
  CHECK(store.judge(*d.lsa(4, wire::LsaType::identity, d.identity_body(4), key_of(5)), &why) ==
        Verdict::invalid);
  CHECK(why == "signature of the LSA");
  Domain other;
  other.use_root(77);
  CHECK(store.judge(*other.identity_lsa(4), &why) == Verdict::invalid);
  CHECK(why == "certificate is not signed by the root");
}

TEST_CASE("T3: a certificate past its end is not believed") {
  Domain d;
  TrustStore store = d.empty_store();
  store.heard_time(Time{}, d.certificate_end + 1);
  CHECK(store.judge(*d.identity_lsa(4)) == Verdict::unknown);
}

TEST_CASE("T4: an LSA of a node is believed only under the key of its identity") {
  Domain d;
  TrustStore store = d.empty_store();
  wire::LsaPtr good = d.lsa(4, wire::LsaType::prefix, {}, key_of(4));
  wire::LsaPtr forged = d.lsa(4, wire::LsaType::prefix, {}, key_of(5));
  CHECK(store.judge(*good) == Verdict::unknown);
  store.learn(*d.identity_lsa(4));
  CHECK(store.judge(*good) == Verdict::valid);
  CHECK(store.judge(*forged) == Verdict::invalid);
  CHECK(store.judge(*d.lsa(4, wire::LsaType(200), {}, key_of(4))) == Verdict::valid);
  CHECK(store.judge(*d.lsa(4, wire::LsaType(200), {}, key_of(5))) == Verdict::invalid);
}

TEST_CASE("T5: a grant LSA is valid only if the grant names its origin") {
  Domain d;
  TrustStore store = d.store();
  std::string why;
  CHECK(store.judge(*d.grant_lsa(4, d.grant(5, "B/4")), &why) == Verdict::invalid);
  CHECK(why == "grant is for node 5");
  CHECK(store.judge(*d.grant_lsa(4, d.grant(4, "B/4"))) == Verdict::valid);
}

TEST_CASE("T5: a grant needs an issuer the authority lists and that issuer's signature") {
  Domain d;
  TrustStore store = d.store();
  std::string why;
  wire::Grant g = d.grant(4, "B/4");
  Bytes forged = sign(g, key_of(50));
  CHECK(store.judge(*d.lsa(4, wire::LsaType::grant, wire::encode_object_body(forged), key_of(4)),
                    &why) == Verdict::invalid);
  CHECK(why == "signature of issuer spa-1");
  g.header.issuer = 3;
  CHECK(store.judge(*d.grant_lsa(4, g), &why) == Verdict::unknown);
  CHECK(why == "issuer 3 is not known");
}

TEST_CASE("T5: an issuer whose key has ended can neither sign nor be used") {
  Domain d;
  TrustStore store = d.store();
  wire::Grant late = d.grant(4, "B/4");
  late.header.issued_at = d.issuer_end + 1;
  CHECK(store.judge(*d.grant_lsa(4, late)) == Verdict::invalid);
  wire::Grant dated_back = d.grant(4, "B/4");
  dated_back.valid_until = d.issuer_end + 1000000;
  store.learn(*d.grant_lsa(4, dated_back));
  CHECK(store.may_announce(NodeId{4}, name("B/4"), false, d.issuer_end).allowed);
  CHECK(store.may_announce(NodeId{4}, name("B/4"), false, d.issuer_end + 1).reason ==
        "grant 2/1: the key of its issuer spa-1 has expired");
}

TEST_CASE("T5: an issuer taken off the authority takes its grants with it") {
  Domain d;
  TrustStore store = d.store_with(d.grant(4, "B/4"));
  wire::Authority none = d.authority(2);
  none.issuers.clear();
  REQUIRE(store.learn_object(sign(none, d.root_key)).value());
  CHECK(store.may_announce(NodeId{4}, name("B/4"), false, d.now).reason ==
        "grant 2/1 is of an issuer no longer trusted");
}

TEST_CASE("T6: the certificate with the higher serial wins, an older one never comes back") {
  Domain d;
  TrustStore store = d.store();
  wire::LsaPtr replaced = d.identity_lsa(4, 44, 1000);
  REQUIRE(store.judge(*replaced) == Verdict::valid);
  REQUIRE(store.learn(*replaced));
  CHECK(store.identity(NodeId{4})->key == key_of(44).public_key());
  CHECK(store.judge(*d.identity_lsa(4)) == Verdict::unknown);
  CHECK_FALSE(store.learn(*d.identity_lsa(4)));
  CHECK(store.judge(*d.lsa(4, wire::LsaType::prefix, {}, key_of(4))) == Verdict::invalid);
}

TEST_CASE("T7: a revoked node key is dropped and stays out, a new key of the node comes in") {
  Domain d;
  TrustStore store = d.store_with(d.grant(4, "B/4"));
  wire::Revocation::NodeRef ref{NodeId{4}, key_of(4).public_key()};
  wire::Revocation r;
  r.header = d.header(2, 1);
  r.nodes = {ref};
  REQUIRE(store.learn_object(sign(r, d.issuer_key)).value());
  CHECK(store.revoked(ref));
  CHECK(store.revoked_nodes().count(ref) == 1);
  CHECK(store.identity(NodeId{4}) == nullptr);
  CHECK_FALSE(store.may_announce(NodeId{4}, name("B/4"), false, d.now).allowed);
  CHECK(store.judge(*d.identity_lsa(4)) == Verdict::invalid);
  CHECK_FALSE(store.learn(*d.identity_lsa(4)));
  REQUIRE(store.judge(*d.identity_lsa(4, 44, 1000)) == Verdict::valid);
  store.learn(*d.identity_lsa(4, 44, 1000));
  CHECK(store.may_announce(NodeId{4}, name("B/4"), false, d.now).allowed);
}

TEST_CASE("T8: of an issuer's revocation lists the newest number counts, each part by itself") {
  Domain d;
  TrustStore store = d.store_with(d.grant(4, "B/4"));
  auto list = [&](std::uint64_t serial, std::uint16_t part, bool revokes) {
    wire::Revocation r;
    r.header = d.header(2, serial);
    r.part = part;
    if (revokes) r.grants = {{2, 1}};
    return sign(r, d.issuer_key);
  };
  CHECK(store.learn_object(list(5, 0, true)).value());
  CHECK(store.may_announce(NodeId{4}, name("B/4"), false, d.now).reason == "grant 2/1 is revoked");
  CHECK_FALSE(store.learn_object(list(4, 0, false)).value());
  CHECK_FALSE(store.may_announce(NodeId{4}, name("B/4"), false, d.now).allowed);
  CHECK(store.learn_object(list(6, 0, false)).value());
  CHECK(store.may_announce(NodeId{4}, name("B/4"), false, d.now).allowed);
  CHECK(store.learn_object(list(1, 1, true)).value());
  CHECK_FALSE(store.may_announce(NodeId{4}, name("B/4"), false, d.now).allowed);
}

TEST_CASE("T9: domain time is the newest signed time heard plus own monotonic time") {
  Domain d;
  TrustStore store = d.empty_store();
  Time t0{seconds(100)};
  CHECK(store.domain_time(t0) == DomainTime{0});
  store.heard_time(t0, DomainTime{5000});
  CHECK(store.domain_time(t0 + seconds(30)) == DomainTime{5030});
  store.heard_time(t0 + seconds(30), DomainTime{5010});  // older than what we know: no step back
  CHECK(store.domain_time(t0 + seconds(31)) == DomainTime{5031});
  store.heard_time(t0 + seconds(40), DomainTime{6000});
  CHECK(store.domain_time(t0 + seconds(41)) == DomainTime{6001});
}

TEST_CASE("T9: the time an SPA object was signed counts as heard") {
  Domain d;
  TrustStore store = d.store();
  CHECK(store.newest_signed() == d.now);
  CHECK(store.domain_time(Time{}) == d.now);
}

TEST_CASE("T10: a grant is accepted until valid_until and grace, not a second longer") {
  Domain d;
  wire::Grant g = d.grant(4, "B/4");
  TrustStore store = d.store_with(g);
  DomainTime end = g.valid_until + g.grace;
  TrustStore::Answer last = store.may_announce(NodeId{4}, name("B/4"), false, end);
  CHECK(last.allowed);
  CHECK(last.until == end);
  CHECK(store.may_announce(NodeId{4}, name("B/4"), false, end + 1).reason ==
        "grant 2/1 has expired");
  CHECK_FALSE(store.expire(end));
  CHECK(store.expire(end + 1));
  CHECK(store.grants_of(NodeId{4}).empty());
}

TEST_CASE("T11: a grant reaches depth components below its subtree") {
  Domain d;
  wire::Grant g = d.grant(4, "shop/cart");
  g.depth = 1;
  TrustStore store = d.store_with(g);
  auto allowed = [&](const char* n) {
    return store.may_announce(NodeId{4}, name(n), false, d.now).allowed;
  };
  CHECK(allowed("shop/cart"));
  CHECK(allowed("shop/cart/v2"));
  CHECK_FALSE(allowed("shop/cart/v2/x"));
  CHECK_FALSE(allowed("shop"));
  CHECK_FALSE(allowed("shop/car"));
  CHECK_FALSE(allowed("shop/carts"));
  CHECK(store.may_announce(NodeId{4}, name("shop/cart/v2/x"), false, d.now).reason ==
        "shop/cart/v2/x is deeper than the grant of shop/cart allows");
}

TEST_CASE("T11: a covering prefix needs a covering grant") {
  Domain d;
  TrustStore store = d.store_with(d.grant(4, "B/4"));
  CHECK(store.may_announce(NodeId{4}, name("B/4"), true, d.now).reason ==
        "the grant of B/4 does not allow covering prefixes");
  wire::Grant wide = d.grant(4, "B/4");
  wide.header.serial = 2;
  wide.covering = true;
  store.learn(*d.grant_lsa(4, wide, 1));
  CHECK(store.may_announce(NodeId{4}, name("B/4"), true, d.now).allowed);
}

TEST_CASE("T11: a grant of another gateway allows nothing here") {
  Domain d;
  TrustStore store = d.store_with(d.grant(4, "B/4"));
  store.learn(*d.identity_lsa(5));
  CHECK(store.may_announce(NodeId{5}, name("B/4"), false, d.now).reason == "sg-5 holds no grant");
}

TEST_CASE("T12: a pool is joined only if a grant of that origin names it") {
  Domain d;
  wire::Grant g = d.grant(4, "B/4");
  TrustStore store = d.store_with(g);
  CHECK_FALSE(store.may_join_pool(NodeId{4}, name("B"), d.now).allowed);
  g.header.serial = 2;
  g.pools = {name("B")};
  store.learn(*d.grant_lsa(4, g, 1));
  CHECK(store.may_join_pool(NodeId{4}, name("B"), d.now).allowed);
  CHECK_FALSE(store.may_join_pool(NodeId{4}, name("A"), d.now).allowed);
  CHECK_FALSE(store.may_announce(NodeId{4}, name("B"), false, d.now).allowed);
}

TEST_CASE("T13: a grant LSA forgotten or replaced takes its grant with it, unless it is held twice") {
  Domain d;
  TrustStore store = d.store();
  wire::LsaPtr first = d.grant_lsa(4, d.grant(4, "B/4"));
  REQUIRE(store.learn(*first));
  CHECK_FALSE(store.learn(*first));
  wire::Grant other = d.grant(4, "A/4");
  other.header.serial = 2;
  REQUIRE(store.learn(*d.grant_lsa(4, other)));  // the same fragment
  REQUIRE(store.grants_of(NodeId{4}).size() == 1);
  CHECK(store.grants_of(NodeId{4})[0].subtree == name("A/4"));
  CHECK_FALSE(store.learn_object(sign(other, d.issuer_key)).value());
  CHECK_FALSE(store.forget(*d.grant_lsa(4, other)));
  CHECK(store.grants_of(NodeId{4}).size() == 1);
}

TEST_CASE("T14: an SPA object's LSA is what follows from the object, and is judged by it") {
  Domain d;
  TrustStore store = d.store();
  Bytes object = sign(d.authority(7), d.root_key);
  wire::LsaPtr good = *wire::make_spa_lsa(object);
  REQUIRE(store.judge(*good) == Verdict::valid);
  for (std::size_t i = 0; i < good->raw.size(); ++i) {
    Bytes bad = good->raw;
    bad[i] ^= 1;
    Result<wire::LsaPtr> lsa = wire::decode_lsa(bad);
    if (lsa) CHECK(store.judge(**lsa) == Verdict::invalid);
  }
  CHECK(store.judge(**wire::make_spa_lsa(sign(d.authority(8), key_of(4)))) == Verdict::invalid);
  CHECK(store.learn(*good));
  CHECK(store.authority()->header.serial == 7);
  CHECK_FALSE(store.forget(*good));
  CHECK(store.authority()->header.serial == 7);
  CHECK(store.judge(*d.lsa(4, wire::LsaType::authority, wire::encode_object_body(object),
                           key_of(4))) == Verdict::invalid);
}

TEST_CASE("trust: every changed byte of a valid grant LSA is noticed") {
  Domain d;
  TrustStore store = d.store();
  wire::LsaPtr good = d.grant_lsa(4, d.grant(4, "B/4"));
  REQUIRE(store.judge(*good) == Verdict::valid);
  for (std::size_t i = 0; i < good->raw.size(); ++i) {
    Bytes bad = good->raw;
    bad[i] ^= 1;
    Result<wire::LsaPtr> lsa = wire::decode_lsa(bad);
    if (lsa) CHECK(store.judge(**lsa) != Verdict::valid);
  }
}

TEST_CASE("trust: many grants of one gateway are found by subtree") {
  Domain d;
  TrustStore store = d.store();
  for (std::uint16_t i = 0; i < 500; ++i) {
    wire::Grant g = d.grant(4, ("s/" + std::to_string(i)).c_str());
    g.header.serial = i + 1;
    g.pools = {name("s")};
    store.learn(*d.grant_lsa(4, g, i));
  }
  for (std::uint16_t i = 0; i < 500; i += 2) {
    wire::Grant g = d.grant(4, ("s/" + std::to_string(i)).c_str());
    g.header.serial = i + 1;
    store.forget(*d.grant_lsa(4, g, i));
  }
  for (int i = 0; i < 500; ++i) {
    Name n = name(("s/" + std::to_string(i)).c_str());
    CHECK(store.may_announce(NodeId{4}, n, false, d.now).allowed == (i % 2 == 1));
  }
  CHECK(store.grants_of(NodeId{4}).size() == 250);
  CHECK(store.may_join_pool(NodeId{4}, name("s"), d.now).allowed);
}
