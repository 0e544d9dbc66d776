// The audit log: who tampers with it is found.
#include "spad/audit.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/spad/fixture.hpp"

using namespace dmsc;
using namespace dmsc::spad;

namespace {

struct Log {
  test::Folder dir;
  Store store = *Store::open(dir.file("r.db"));
  Audit audit{store, test::key_of(1)};
  Log() {
    for (std::uint64_t i = 1; i <= 5; ++i) {
      REQUIRE(audit.append({0, 1000 + i, "sg-1", "authenticate", "pod:x B/4", "granted", ""}));
    }
  }
};

}  // namespace

TEST_CASE("audit: an untouched log verifies and is read newest first") {
  Log log;
  CHECK(log.audit.verify().value() == 5);
  std::vector<AuditRecord> two = *log.audit.newest(2);
  REQUIRE(two.size() == 2);
  CHECK(two[0].seq == 5);
  CHECK(two[0].time == 1005);
  CHECK(two[1].seq == 4);
}

TEST_CASE("audit: a changed record is found and named") {
  Log log;
  REQUIRE(log.store.db().run(
      "UPDATE audit SET record = replace(record, 'granted', 'refused') WHERE seq = 3"));
  CHECK(log.audit.verify().error().message == "audit record 3 is missing or was changed");
}

TEST_CASE("audit: a dropped record is found and named") {
  Log log;
  REQUIRE(log.store.db().run("DELETE FROM audit WHERE seq = 2"));
  CHECK(log.audit.verify().error().message == "audit record 2 is missing or was changed");
}

TEST_CASE("audit: a log cut short is found by the signed end") {
  Log log;
  REQUIRE(log.store.db().run("DELETE FROM audit WHERE seq > 3"));
  CHECK(log.audit.verify().error().message ==
        "audit log ends at record 3, which is not the end this issuer signed");
  REQUIRE(log.store.db().run("DELETE FROM audit"));
  CHECK_FALSE(log.audit.verify().ok());
}

TEST_CASE("audit: a record forged with all hashes right lacks the issuer's signature") {
  Log log;
  Audit forger(log.store, test::key_of(2));
  REQUIRE(forger.append({0, 2000, "sg-9", "authenticate", "pod:evil B/4", "granted", ""}));
  CHECK_FALSE(log.audit.verify().ok());
}

TEST_CASE("audit: a record that was not committed never happened") {
  Log log;
  Status rolled_back = log.store.db().transaction([&]() -> Status {
    REQUIRE(log.audit.append({0, 1, "a", "b", "c", "d", "e"}));
    return make_error(Errc::internal, "no");
  });
  CHECK_FALSE(rolled_back.ok());
  CHECK(log.audit.verify().value() == 5);
}
