#include "dmsc/runtime/units.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;
using namespace dmsc::runtime;

TEST_CASE("units: durations need a unit and nothing after it") {
  CHECK(*parse_duration("50ms") == milliseconds(50));
  CHECK(*parse_duration("1.5s") == milliseconds(1500));
  CHECK(*parse_duration("7d") == std::chrono::hours(168));
  CHECK(*parse_duration("0s") == Duration(0));
  for (const char* bad :
       {"", "50", "ms", "-1s", "1 s", "1sec", "1..5s", "1e3s", "nan", "999999d d"}) {
    INFO(bad);
    CHECK_FALSE(parse_duration(bad).ok());
  }
  CHECK(parse_duration("50").error().message ==
        "'50' has no unit: write a duration such as 50ms, 3s or 1h");
  CHECK(parse_duration("999999999d").error().code == Errc::limit);
}

TEST_CASE("units: bit rates are decimal bits per second") {
  CHECK(*parse_bit_rate("1Gbit/s") == 1'000'000'000);
  CHECK(*parse_bit_rate("2.5Mbit/s") == 2'500'000);
  CHECK_FALSE(parse_bit_rate("1GB/s").ok());
  CHECK_FALSE(parse_bit_rate("1000").ok());
}

TEST_CASE("units: percentages are shares between 0% and 100%") {
  CHECK(*parse_percent("5%") == Approx(0.05));
  CHECK(*parse_percent("100%") == Approx(1));
  CHECK_FALSE(parse_percent("101%").ok());
  CHECK_FALSE(parse_percent("0.05").ok());
}

TEST_CASE("units: sizes, binary and decimal") {
  CHECK(*parse_size("64KiB") == 65536);
  CHECK(*parse_size("1MB") == 1'000'000);
  CHECK_FALSE(parse_size("64K").ok());
}

TEST_CASE("units: endpoints in every form") {
  CHECK(*parse_endpoint("192.0.2.1:99", 1) == Endpoint{"192.0.2.1", 99});
  CHECK(*parse_endpoint("192.0.2.1", 7401) == Endpoint{"192.0.2.1", 7401});
  CHECK(*parse_endpoint("[2001:db8::1]:5", 1) == Endpoint{"2001:db8::1", 5});
  CHECK(*parse_endpoint("2001:db8::1", 7401) == Endpoint{"2001:db8::1", 7401});
  CHECK(*parse_endpoint("spa.example:7410", 0) == Endpoint{"spa.example", 7410});
  CHECK(to_string(Endpoint{"2001:db8::1", 5}) == "[2001:db8::1]:5");
  for (const char* bad :
       {"", ":1", "a b:1", "h:0", "h:65536", "h:x", "[::1", "[::1]x", "1:2:3", "h:1:", "h"}) {
    INFO(bad);
    CHECK_FALSE(parse_endpoint(bad, 0).ok());
  }
  CHECK_FALSE(parse_address_endpoint("spa.example:1", 0).ok());
  CHECK(parse_address_endpoint("fe80::1%eth0", 7401).ok());
}

TEST_CASE("units: IPv4 prefixes keep host bits") {
  auto p = parse_ipv4_prefix("100.64.1.2/30");
  REQUIRE(p);
  CHECK(ipv4_text(p->address) == "100.64.1.2");
  CHECK(ipv4_text(p->network()) == "100.64.1.0");
  CHECK(p->contains(*parse_ipv4("100.64.1.3")));
  CHECK_FALSE(p->contains(*parse_ipv4("100.64.1.4")));
  CHECK(parse_ipv4_prefix("0.0.0.0/0")->contains(*parse_ipv4("9.9.9.9")));
  for (const char* bad : {"1.2.3.4", "1.2.3/8", "1.2.3.4/33", "1.2.3.4/"}) {
    CHECK_FALSE(parse_ipv4_prefix(bad).ok());
  }
}

TEST_CASE("units: what is printed parses back to the same value") {
  for (Duration d : {Duration(0), Duration(1), Duration(milliseconds(1500)), Duration(seconds(120)),
                     Duration(std::chrono::hours(25))}) {
    CHECK(*parse_duration(format_duration(d)) == d);
  }
  for (std::uint64_t b : {1ULL, 1024ULL, 1500ULL, 1ULL << 30}) {
    CHECK(*parse_size(format_size(b)) == b);
  }
  CHECK(format_bit_rate(2'500'000) == "2.5Mbit/s");
}
