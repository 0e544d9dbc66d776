#include "dmsc/runtime/log.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;
using namespace dmsc::runtime;

TEST_CASE("log: an event word, then key=value, quoted where needed") {
  CHECK(log::format("adjacency-up", {{"link", "to-sr-2"},
                                     {"neighbour", 7},
                                     {"rtt", milliseconds(3)},
                                     {"ok", true},
                                     {"share", 0.5}}) ==
        "adjacency-up link=to-sr-2 neighbour=7 rtt=3ms ok=yes share=0.5");
  CHECK(log::format("e", {{"why", "two words"}, {"empty", ""}}) ==
        "e why=\"two words\" empty=\"\"");
}

TEST_CASE("log: a field cannot forge a line") {
  CHECK(log::format("e", {{"name", "a\nfake-event b=\"c\""}}) ==
        "e name=\"a\\nfake-event b=\\\"c\\\"\"");
  CHECK(log::format("e", {{"name", std::string("\x1b[31m")}}) == "e name=\"\\x1b[31m\"");
}

TEST_CASE("log: the level decides what observers see, at run time") {
  std::vector<std::string> seen;
  log::observe(
      [&](log::Level, std::string_view, const std::string& line) { seen.push_back(line); });
  log::set_level(log::Level::error);
  log::info("quiet", {});
  log::set_level(log::Level::debug);
  log::debug("loud", {});
  log::set_level(log::Level::info);
  log::observe(nullptr);
  CHECK(seen == std::vector<std::string>{"loud"});
}

TEST_CASE("log: the rate limiter allows a burst, then one per interval, and counts the rest") {
  log::RateLimiter limiter(seconds(1), 2);
  Time t{seconds(100)};
  CHECK(limiter.allow(t));
  CHECK(limiter.allow(t));
  CHECK_FALSE(limiter.allow(t));
  CHECK_FALSE(limiter.allow(t + milliseconds(999)));
  CHECK(limiter.take_suppressed() == 2);
  CHECK(limiter.take_suppressed() == 0);
  CHECK(limiter.allow(t + seconds(1)));
  CHECK_FALSE(limiter.allow(t + seconds(1)));
  CHECK(limiter.allow(t + seconds(60)));
  CHECK(limiter.allow(t + seconds(60)));
  CHECK_FALSE(limiter.allow(t + seconds(60)));
}
