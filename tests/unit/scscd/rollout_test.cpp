#include "scscd/rollout.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "scscd/history.hpp"
#include "scscd/labels.hpp"

using namespace dmsc;
using namespace dmsc::scscd;

namespace {
Time at(double s) { return Time(Duration(static_cast<std::int64_t>(s * 1e9))); }
Policy bias(std::uint32_t value) { return {"bias/x", Bias{1, NodeId{2}, value}, "r"}; }
const NodeId node{3};
}  // namespace

TEST_CASE("rollout: sent once the session is open, again until acknowledged, then refreshed") {
  Rollout r;
  r.desire(at(0), node, bias(5));
  CHECK(r.poll(at(0)).empty());
  r.session_opened(at(0), node, {});
  auto out = r.poll(at(0));
  REQUIRE(out.size() == 1);
  CHECK(r.poll(at(1)).empty());
  CHECK(r.poll(at(2.1)).size() == 1);
  r.acknowledged(at(2.2), node, "bias/x", out[0].version, true, "");
  CHECK(r.accepted(node, "bias/x"));
  CHECK(r.poll(at(5)).empty());
  CHECK(r.poll(at(13)).size() == 1);
}

TEST_CASE("rollout: an acknowledgement of an older version does not count") {
  Rollout r;
  r.session_opened(at(0), node, {});
  r.desire(at(0), node, bias(5));
  auto first = r.poll(at(0));
  r.desire(at(0), node, bias(6));
  r.acknowledged(at(0), node, "bias/x", first[0].version, true, "");
  CHECK_FALSE(r.accepted(node, "bias/x"));
  CHECK(r.poll(at(0)).size() == 1);
}

TEST_CASE("rollout: the same content is no change; a refusal stays until the content changes") {
  Rollout r;
  r.session_opened(at(0), node, {});
  r.desire(at(0), node, bias(5));
  auto out = r.poll(at(0));
  r.acknowledged(at(0), node, "bias/x", out[0].version, false, "no such link");
  CHECK(r.refused(node, "bias/x"));
  r.desire(at(1), node, bias(5));
  CHECK(r.poll(at(30)).empty());
  r.desire(at(31), node, bias(6));
  CHECK(r.poll(at(31)).size() == 1);
}

TEST_CASE("rollout: a withdrawal is repeated until acknowledged") {
  Rollout r;
  r.session_opened(at(0), node, {});
  r.desire(at(0), node, bias(5));
  auto out = r.poll(at(0));
  r.acknowledged(at(0), node, "bias/x", out[0].version, true, "");
  r.withdraw(at(1), node, "bias/x");
  out = r.poll(at(1));
  REQUIRE(out.size() == 1);
  CHECK(out[0].withdraw);
  CHECK(r.poll(at(3.5)).size() == 1);
  r.acknowledged(at(4), node, "bias/x", out[0].version, true, "");
  CHECK(r.states().at(node).empty());
}

TEST_CASE("rollout: what a returning node holds and nobody wants is withdrawn") {
  Rollout r;
  r.session_opened(at(0), node, {"weights/old"});
  auto out = r.poll(at(0));
  REQUIRE(out.size() == 1);
  CHECK(out[0].withdraw);
  CHECK(out[0].policy.id == "weights/old");
}

TEST_CASE("labels: carry the epoch, are not reused for ten minutes") {
  LabelPool pool(0x1007);
  PathLabel first = *pool.take(at(0));
  CHECK(first.value == (0x007U << 20 | 1));
  pool.give_back(at(0), first);
  CHECK(*pool.take(at(1)) != first);
}

TEST_CASE("history: rows survive in order, the oldest go first, the epoch rises with every start") {
  char folder[] = "/tmp/dmsc-history-XXXXXX";
  REQUIRE(mkdtemp(folder) != nullptr);
  std::string file = std::string(folder) + "/history.db";
  {
    auto history = History::open(file, 3);
    REQUIRE(history.ok());
    CHECK(*history->next_epoch() == 1);
    for (int i = 0; i < 5; ++i) {
      REQUIRE(history->add(100 + i, {at(0), "tripped", "s" + std::to_string(i), "r"}).ok());
    }
    auto rows = history->last(10);
    REQUIRE(rows->size() == 3);
    CHECK(rows->front().subject == "s4");
  }
  auto again = History::open(file, 3);
  CHECK(*again->next_epoch() == 2);
  CHECK(again->last(1)->front().subject == "s4");
  std::filesystem::remove_all(folder);
}
