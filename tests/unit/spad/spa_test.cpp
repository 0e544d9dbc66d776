// Whole SPAs over loopback TLS: enrol, authenticate, follow, roles.
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "spad/authentication_service.hpp"
#include "spad/bootstrap.hpp"
#include "tests/unit/spad/member.hpp"

using namespace dmsc;
using namespace dmsc::spad;
using test::Follow;
using test::Member;

namespace {

Changes edit(test::Spa& spa, const std::function<Result<Changes>(const View&, Moment)>& make) {
  Changes made;
  Result<std::uint64_t> done = spa.on([&](Core& c) {
    return c.edit("operator", "test", "", [&](const View& view, Moment at) -> Result<Changes> {
      Result<Changes> changes = make(view, at);
      if (changes) made = *changes;
      return changes;
    });
  });
  REQUIRE(done);
  return made;
}

}  // namespace

TEST_CASE("R12 R13 enrol, authenticate, and the grant verifies at every node") {
  test::Folder dir;
  test::Spa spa(test::writer_config(dir));
  REQUIRE(spa.start());
  struct stat mode {};
  REQUIRE(stat(dir.file("tokens/sg-4").c_str(), &mode) == 0);
  CHECK((mode.st_mode & 0777) == 0600);
  Result<Member> sg = Member::join(dir, "sg-4", spa.endpoint(), 4);
  REQUIRE(sg);
  CHECK(trust::spiffe_uri(sg->identity.certificate) == "spiffe://fig2.dmsc/sg/sg-4/3");
  CHECK(sg->identity.link_keys.size() == 1);
  CHECK(sg->identity.link_keys.active() == 1);
  REQUIRE(sg->identity.spas.size() == 2);
  REQUIRE(sg->identity.scscs.size() == 1);
  CHECK(sg->identity.scscs[0] == runtime::Endpoint{"192.0.2.9", 7420});

  Result<v1::AuthenticateReply> reply = sg->ask("pod:pod-4", "B/4", true);
  REQUIRE(reply);
  REQUIRE(reply->refusal_code().empty());
  trust::TrustStore store = sg->store();
  wire::LsaPtr grant =
      sg->lsa(wire::LsaType::grant, wire::encode_object_body(test::bytes(reply->grant())));
  CHECK(store.judge(*grant) == trust::Verdict::valid);
  store.learn(*grant);
  DomainTime now{reply->domain_time()};
  NodeId self = sg->identity.certificate.node;
  CHECK(store.may_announce(self, *Name::parse("B/4"), false, now).allowed);
  CHECK(store.may_join_pool(self, *Name::parse("B"), now).allowed);
  CHECK_FALSE(store.may_announce(self, *Name::parse("B/1"), false, now).allowed);

  CHECK(sg->refusal("pod:pod-4", "A/1") == "not_owner");
  CHECK(sg->refusal("pod:pod-1", "A/1") == "wrong_gateway");
  CHECK(spa.on([](Core& c) { return c.audit()->verify().ok(); }));
}

TEST_CASE("R16 one grant serves the subtree, and is given again while it lasts") {
  test::Folder dir;
  test::Spa spa(test::writer_config(dir));
  REQUIRE(spa.start());
  Member sg = *Member::join(dir, "sg-1", spa.endpoint(), 4);
  std::string first = sg.ask("unit:shop.service", "shop/cart")->grant();
  CHECK(first == sg.ask("unit:shop.service", "shop/pay/v2")->grant());
  CHECK_FALSE(first == sg.ask("pod:pod-1", "A/1")->grant());
  CHECK(spa.on([](Core& c) { return c.office()->live_grants(c.now())->size(); }) == 2);
  CHECK(sg.refusal("unit:shop.service", "shop/Cart") == "name_conflict");
}

TEST_CASE("enrolment: a token is good once, for one key") {
  test::Folder dir;
  test::Spa spa(test::writer_config(dir));
  REQUIRE(spa.start());
  REQUIRE(Member::join(dir, "sg-4", spa.endpoint(), 4));
  REQUIRE(Member::join(dir, "sg-4", spa.endpoint(), 4));  // the answer may have been lost
  CHECK(Member::join(dir, "sg-4", spa.endpoint(), 5).error().message.find("used already") !=
        std::string::npos);
  runtime::JoinToken token =
      *runtime::parse_join_token(*runtime::read_file(dir.file("tokens/sg-1")));
  token.secret[0] = token.secret[0] == '0' ? '1' : '0';
  CHECK(runtime::enrol(spa.endpoint(), token, test::key_of(6), seconds(10)).error().code ==
        Errc::denied);
  token.root_fingerprint[0] ^= 1;
  CHECK(runtime::enrol(spa.endpoint(), token, test::key_of(6), seconds(10))
            .error()
            .message.find("does not present the root") != std::string::npos);
}

TEST_CASE("enrolment: an expired or replaced token is refused, a wrong proof too") {
  test::Folder dir;
  test::Spa spa(test::writer_config(dir));
  REQUIRE(spa.start());
  auto secret = [](const std::string& text) { return runtime::parse_join_token(text)->secret; };
  auto try_it = [&](const std::string& text, std::uint64_t later, bool good_proof) {
    return spa.on([&](Core& c) {
      auto key = test::key_of(6);
      auto proof = key.sign(runtime::enrol_proof_text(good_proof ? secret(text) : "x"));
      auto r = c.registrar()->enrol(secret(text), key.public_key(), proof, c.now() + later);
      return r ? std::string("ok") : r.error().message;
    });
  };
  std::string old = *runtime::read_file(dir.file("tokens/sg-1"));
  CHECK(try_it(old, 86400 + 10, true) == "this join token has expired");
  CHECK(try_it(old, 0, false) == "the key's proof is wrong");
  std::string fresh = spa.on([](Core& c) {
    return *c.registrar()->new_token("sg-1", crypto::Key32{1}, "operator", c.now());
  });
  CHECK(try_it(old, 0, true) == "this join token is not known, or was replaced");
  CHECK(try_it(fresh, 0, true) == "ok");
}

TEST_CASE("enrolment: renewal needs the current certificate, and a replaced key is revoked") {
  test::Folder dir;
  test::Spa spa(test::writer_config(dir));
  REQUIRE(spa.start());
  Member first = *Member::join(dir, "sg-4", spa.endpoint(), 4);
  Result<runtime::Identity> renewed = runtime::renew(spa.endpoint(), first.identity, seconds(10));
  REQUIRE(renewed);
  CHECK(renewed->certificate.serial > first.identity.certificate.serial);
  CHECK(renewed->key.public_key() == first.identity.key.public_key());
  std::string token = spa.on([](Core& c) {
    return *c.registrar()->new_token("sg-4", crypto::Key32{1}, "operator", c.now());
  });
  REQUIRE(runtime::enrol(spa.endpoint(), *runtime::parse_join_token(token), test::key_of(5),
                         seconds(10)));
  CHECK(runtime::renew(spa.endpoint(), first.identity, seconds(10)).error().code == Errc::denied);
  CHECK(first.refusal("pod:pod-4", "B/4") == "unknown_gateway");
  CHECK(spa.on([](Core& c) { return c.view().revoked_nodes.size(); }) == 1);
}

TEST_CASE("spad: every call is for its roles only") {
  test::Folder dir;
  test::Spa spa(test::writer_config(dir));
  REQUIRE(spa.start());
  Member sr = *Member::join(dir, "sr-1", spa.endpoint(), 4);
  Member sg = *Member::join(dir, "sg-1", spa.endpoint(), 5);
  CHECK(sr.ask("pod:pod-1", "A/1").error().code == Errc::denied);
  auto subscribe = [](const Member& who) {
    grpc::ClientContext context;
    Member::limit(context);
    auto reader = v1::Journal::NewStub(who.channel)->Subscribe(&context, {});
    v1::JournalEntry entry;
    CHECK_FALSE(reader->Read(&entry));
    return reader->Finish().error_code();
  };
  CHECK(subscribe(sg) == grpc::StatusCode::PERMISSION_DENIED);
  Member nobody = sg;
  nobody.channel = runtime::tls_channel(runtime::to_string(spa.endpoint()), "spa", "fig2.dmsc",
                                        runtime::tls_anonymous_credentials(sg.identity.root.der));
  CHECK(nobody.ask("pod:pod-1", "A/1").error().code == Errc::unauthenticated);
  CHECK(subscribe(nobody) == grpc::StatusCode::UNAUTHENTICATED);
  CHECK_FALSE(Follow(nobody).next());
  Member scsc = *Member::join(dir, "scsc-1", spa.endpoint(), 6);
  CHECK(scsc.identity.link_keys.empty());
  Follow follow(scsc);
  REQUIRE(follow.next());
  CHECK(follow.last.link_keys_size() == 0);
  CHECK_FALSE(follow.last.authority().empty());
}

TEST_CASE("spad: following tells everything at once, then what changes") {
  test::Folder dir;
  test::Spa spa(test::writer_config(dir));
  REQUIRE(spa.start());
  Member sg = *Member::join(dir, "sg-4", spa.endpoint(), 4);
  trust::TrustStore store = sg.store();
  Result<v1::AuthenticateReply> reply = sg.ask("pod:pod-4", "B/4");
  REQUIRE(store.learn_object(test::bytes(reply->grant())));
  wire::Grant grant = *wire::decode_grant(test::bytes(reply->grant()));
  NodeId self = sg.identity.certificate.node;
  DomainTime now{reply->domain_time()};
  Follow follow(sg);
  REQUIRE(follow.next(&store));
  CHECK_FALSE(follow.last.authority().empty());
  CHECK_FALSE(follow.last.parameters().empty());
  CHECK(follow.last.link_keys_size() == 1);
  CHECK(follow.last.active_link_key() == 1);
  CHECK(follow.last.domain_time() >= reply->domain_time());
  CHECK(follow.last.spa() == "spa-1");
  CHECK(store.may_announce(self, *Name::parse("B/4"), false, now).allowed);

  edit(spa, [](const View& view, Moment) { return remove_rule(view, "B/4", ""); });
  do REQUIRE(follow.next(&store));
  while (follow.last.revocations_size() == 0);
  CHECK(store.revoked({grant.header.issuer, grant.header.serial}));
  CHECK_FALSE(store.may_announce(self, *Name::parse("B/4"), false, now).allowed);
  CHECK(sg.refusal("pod:pod-4", "B/4") == "unknown_identity");
}

TEST_CASE("T7 removing a node revokes its key wherever it is followed") {
  test::Folder dir;
  test::Spa spa(test::writer_config(dir));
  REQUIRE(spa.start());
  Member sg = *Member::join(dir, "sg-4", spa.endpoint(), 4);
  Member sr = *Member::join(dir, "sr-1", spa.endpoint(), 5);
  trust::TrustStore store = sr.store();
  store.learn(*sg.identity_lsa());
  REQUIRE(store.identity(sg.identity.certificate.node) != nullptr);
  Follow follow(sr);
  REQUIRE(follow.next(&store));
  edit(spa, [](const View& view, Moment at) { return remove_node(view, "sg-4", at); });
  do REQUIRE(follow.next(&store));
  while (follow.last.revocations_size() == 0);
  CHECK(store.identity(sg.identity.certificate.node) == nullptr);
  CHECK(store.judge(*sg.identity_lsa()) == trust::Verdict::invalid);
  CHECK(sg.refusal("pod:pod-4", "B/4") == "unknown_gateway");
}

TEST_CASE("spad: a removed node is told nothing more") {
  test::Folder dir;
  test::Spa spa(test::writer_config(dir));
  REQUIRE(spa.start());
  Member sr = *Member::join(dir, "sr-1", spa.endpoint(), 5);
  Follow follow(sr);
  REQUIRE(follow.next());
  edit(spa, [](const View& view, Moment at) { return remove_node(view, "sr-1", at); });
  while (follow.next()) CHECK(follow.last.revocations_size() == 0);  // the clock may tick before
  CHECK(spa.becomes([](Core& c) { return c.authentication()->followers() == 0; }));
  CHECK_FALSE(Follow(sr).next());
}

TEST_CASE("enrolment: a removed node's token does not serve a later node of its name") {
  test::Folder dir;
  test::Spa spa(test::writer_config(dir));
  REQUIRE(spa.start());
  edit(spa, [](const View& view, Moment at) { return remove_node(view, "sg-1", at); });
  edit(spa, [](const View& view, Moment at) { return add_node(view, {"sg-1", "sg", "", ""}, at); });
  CHECK(Member::join(dir, "sg-1", spa.endpoint(), 4).error().message.find("not known") !=
        std::string::npos);
}

TEST_CASE("spad: a restart keeps root, registry, grants and serials") {
  test::Folder dir;
  Config config = test::writer_config(dir);
  std::uint64_t serial = 0;
  Bytes root;
  runtime::Identity id = [&] {
    test::Spa spa(config);
    REQUIRE(spa.start());
    Member sg = *Member::join(dir, "sg-4", spa.endpoint(), 4);
    serial = wire::decode_grant(test::bytes(sg.ask("pod:pod-4", "B/4")->grant()))->header.serial;
    root = sg.identity.root.der;
    return sg.identity;
  }();
  std::filesystem::remove(config.registry_file);  // only the first start needs it
  test::Spa spa(config);
  REQUIRE(spa.start());
  CHECK(spa.on([](Core& c) { return c.identity().root.der; }) == root);
  Member sg(id, spa.endpoint());
  Result<v1::AuthenticateReply> again = sg.ask("pod:pod-4", "B/4");
  REQUIRE(again);
  CHECK(wire::decode_grant(test::bytes(again->grant()))->header.serial == serial);
  CHECK(spa.on([](Core& c) { return c.audit()->verify().ok(); }));
}

TEST_CASE("spad: a registry without its root is refused, not given a new one") {
  test::Folder dir;
  Config config = test::writer_config(dir);
  {
    test::Spa spa(config);
    REQUIRE(spa.start());
  }
  std::filesystem::remove(dir.file("spa-1/root/key.pem"));
  test::Spa spa(config);
  Status started = spa.start();
  REQUIRE_FALSE(started.ok());
  CHECK(started.error().message.find("root/key.pem is gone") != std::string::npos);
}
