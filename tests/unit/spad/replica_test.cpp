// A writer and a read replica in one process.
#include <catch2/catch.hpp>

#include "spad/admin_service.hpp"
#include "spad/journal_follower.hpp"
#include "tests/unit/spad/member.hpp"

using namespace dmsc;
using namespace dmsc::spad;
using test::Follow;
using test::Member;

namespace {

Config replica_config(const test::Folder& dir, const runtime::Endpoint& writer) {
  Config c;
  c.node = {"spa-2", dir.file("spa-2"), dir.file("run")};
  c.listen = {"127.0.0.1", 0};
  c.advertise = {"192.0.2.2", 7410};
  c.writer = writer;
  c.enrol = {{writer}, dir.file("tokens/spa-2")};
  return c;
}

}  // namespace

TEST_CASE("R4 a replica joins with a token, signs with its own key, and lives without the writer") {
  test::Folder dir;
  auto writer = std::make_unique<test::Spa>(test::writer_config(dir));
  REQUIRE(writer->start());
  Config config = replica_config(dir, writer->endpoint());
  Member sg = *Member::join(dir, "sg-4", writer->endpoint(), 4);
  runtime::Identity id = sg.identity;
  {
    test::Spa replica(config);
    REQUIRE(replica.start());
    REQUIRE(replica.becomes([](Core& c) { return c.open(); }));
    CHECK(replica.on([](Core& c) { return c.office()->issuer(); }) == 2);

    sg.dial(replica.endpoint());
    Result<v1::AuthenticateReply> reply = sg.ask("pod:pod-4", "B/4");
    REQUIRE(reply);
    trust::TrustStore store = sg.store();
    // The authority of enrolment did not know issuer 2 yet: following brings it.
    CHECK(store.learn_object(test::bytes(reply->grant())).error().code == Errc::not_found);
    Follow follow(sg);
    REQUIRE(follow.next(&store));
    CHECK(store.learn_object(test::bytes(reply->grant())).value());
    CHECK(wire::decode_grant(test::bytes(reply->grant()))->header.issuer == 2);

    // An edit at the writer reaches the replica, which revokes what it granted.
    Result<std::uint64_t> removed = writer->on([](Core& c) {
      return c.edit("operator", "test", "", [](const View& view, Moment) {
        return remove_rule(view, "B/4", "");
      });
    });
    REQUIRE(removed);
    do REQUIRE(follow.next(&store));
    while (follow.last.revocations_size() == 0);
    CHECK(store.grants_of(id.certificate.node).size() == 1);
    CHECK(store.revoked({2, 1}));
    CHECK(sg.refusal("pod:pod-4", "B/4") == "unknown_identity");

    CHECK(replica.on([](Core& c) { return c.writer_connected(); }));
    writer.reset();
    CHECK(replica.becomes([](Core& c) { return !c.writer_connected(); }));
    sg.dial(replica.endpoint());
    Member sg1 = sg;
    CHECK(sg1.refusal("pod:pod-4", "A/1") == "unknown_identity");
    Result<std::uint64_t> edit = replica.on([](Core& c) {
      return c.edit("operator", "test", "", [](const View&, Moment) -> Result<Changes> {
        return Changes{};
      });
    });
    REQUIRE_FALSE(edit.ok());
    CHECK(edit.error().message.find("edit the registry at the writer, 127.0.0.1:") !=
          std::string::npos);
    CHECK(runtime::renew(replica.endpoint(), id, seconds(10)).error().message.find("ask the writer") !=
          std::string::npos);
  }
  // Started again with the writer still dead, it serves from its own database.
  test::Spa replica(config);
  REQUIRE(replica.start());
  REQUIRE(replica.becomes([](Core& c) { return c.open(); }));
  sg.dial(replica.endpoint());
  Result<v1::AuthenticateReply> reply = sg.ask("unit:shop.service", "shop/x");
  REQUIRE(reply);
  CHECK(reply->refusal_code().empty());
  CHECK(replica.on([](Core& c) { return c.audit()->verify().ok(); }));
}

TEST_CASE("R4 a replica that was away catches up on the journal") {
  test::Folder dir;
  Config writer_config = test::writer_config(dir);
  test::Spa writer(writer_config);
  REQUIRE(writer.start());
  Config config = replica_config(dir, writer.endpoint());
  auto same = [&](Core& c) {
    return c.store().position() == writer.on([](Core& w) { return w.store().position(); });
  };
  {
    test::Spa replica(config);
    REQUIRE(replica.start());
    REQUIRE(replica.becomes([](Core& c) { return c.open(); }));
    REQUIRE(replica.becomes(same));
  }
  for (int i = 0; i < 200; ++i) {
    REQUIRE(writer.on([i](Core& c) {
      return c.edit("operator", "test", "", [i](const View& view, Moment at) {
        return set_rule(view, {"X/" + std::to_string(i), "pod:x", 0, false, false}, at);
      });
    }));
  }
  test::Spa replica(config);
  REQUIRE(replica.start());
  REQUIRE(replica.becomes(same));
  CHECK(replica.on([](Core& c) { return c.view().rules.count("X/199"); }) == 1);
  CHECK(replica.becomes([](Core& c) { return c.writer_connected(); }));
}

TEST_CASE("R4 a grant revoked by number is refused until its rule is set again") {
  test::Folder dir;
  test::Spa spa(test::writer_config(dir));
  REQUIRE(spa.start());
  Member sg = *Member::join(dir, "sg-4", spa.endpoint(), 4);
  wire::Grant grant = *wire::decode_grant(test::bytes(sg.ask("pod:pod-4", "B/4")->grant()));
  Result<std::uint64_t> revoked = spa.on([&](Core& c) {
    return c.edit("operator", "revoke", "", [&](const View&, Moment at) -> Result<Changes> {
      GrantRow row = *c.office()->find_grant(grant.header.serial);
      return Changes{record(RevokedGrant{{1, row.serial}, row.accepted_until, "test", at.position,
                                         row.node, row.identity, row.subtree})};
    });
  });
  REQUIRE(revoked);
  CHECK(sg.refusal("pod:pod-4", "B/4") == "revoked");
  REQUIRE(spa.on([](Core& c) {
    return c.edit("operator", "prefix_set", "", [](const View& view, Moment at) {
      return set_rule(view, {"B/4", "pod:pod-4@sg-4", 0, false, false}, at);
    });
  }));
  Result<v1::AuthenticateReply> again = sg.ask("pod:pod-4", "B/4");
  REQUIRE(again->refusal_code().empty());
  CHECK(wire::decode_grant(test::bytes(again->grant()))->header.serial > grant.header.serial);
}
