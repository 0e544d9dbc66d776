#include "dmsc/node/policy_book.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;
using namespace dmsc::node;

namespace {

Time at(double s) { return Time(Duration(static_cast<std::int64_t>(s * 1e9))); }

struct Recorder : PolicyTarget {
  std::map<std::string, routing::PolicyContent> applied;
  bool refuse = false;
  int applications = 0;
  Status apply(const routing::Policy& policy, const routing::Policy*) override {
    if (refuse) return make_error(Errc::not_found, "no link 9 here");
    ++applications;
    applied[policy.id] = policy.content;
    return Ok{};
  }
  void withdraw(const routing::Policy& policy) override { applied.erase(policy.id); }
};

routing::Policy bias(std::uint32_t value) {
  return {"bias/x", routing::LinkBias{1, NodeId{2}, value}, "slow"};
}

}  // namespace

TEST_CASE("P1 policies: applied once, the same again only renews the lifetime") {
  Recorder target;
  PolicyBook book(target);
  CHECK(book.accept(at(0), bias(5), 1, 1, seconds(30)).ok());
  CHECK(book.accept(at(20), bias(5), 1, 1, seconds(30)).ok());
  CHECK(target.applications == 1);
  CHECK(book.tick(at(40)).empty());
  CHECK(target.applied.size() == 1);
}

TEST_CASE("P2 policies: an older epoch or version is refused") {
  Recorder target;
  PolicyBook book(target);
  CHECK(book.accept(at(0), bias(5), 2, 7, seconds(30)).ok());
  CHECK_FALSE(book.accept(at(1), bias(6), 1, 9, seconds(30)).ok());
  CHECK_FALSE(book.accept(at(1), bias(6), 2, 6, seconds(30)).ok());
  CHECK_FALSE(book.withdraw("bias/x", 1).ok());
  CHECK(book.accept(at(1), bias(6), 3, 1, seconds(30)).ok());
  CHECK(std::get<routing::LinkBias>(target.applied["bias/x"]).bias == 6);
}

TEST_CASE("P3 policies: one that cannot be applied is refused with its reason, the last good stays") {
  Recorder target;
  PolicyBook book(target);
  CHECK(book.accept(at(0), bias(5), 1, 1, seconds(30)).ok());
  target.refuse = true;
  Status s = book.accept(at(1), bias(6), 1, 2, seconds(30));
  REQUIRE_FALSE(s.ok());
  CHECK(s.error().message == "no link 9 here");
  CHECK(std::get<routing::LinkBias>(book.held().at("bias/x").policy.content).bias == 5);
}

TEST_CASE("P4 policies: without a renewal they end with their lifetime, and traffic is SPF's again") {
  Recorder target;
  PolicyBook book(target);
  CHECK(book.accept(at(0), bias(5), 1, 1, seconds(30)).ok());
  CHECK(book.tick(at(29.9)).empty());
  CHECK(book.tick(at(30)) == std::vector<std::string>{"bias/x"});
  CHECK(target.applied.empty());
}

TEST_CASE("P5 policies: withdrawing what is not held succeeds") {
  Recorder target;
  PolicyBook book(target);
  CHECK(book.withdraw("bias/none", 1).ok());
  CHECK(book.accept(at(0), bias(5), 1, 1, seconds(30)).ok());
  CHECK(book.withdraw("bias/x", 1).ok());
  CHECK(target.applied.empty());
}

TEST_CASE("P6 policies: a center with a newer epoch silences an older one") {
  Recorder target;
  PolicyBook book(target);
  book.heard_epoch(9);
  CHECK_FALSE(book.accept(at(0), bias(5), 8, 1, seconds(30)).ok());
  CHECK(book.accept(at(0), bias(5), 9, 1, seconds(30)).ok());
}
