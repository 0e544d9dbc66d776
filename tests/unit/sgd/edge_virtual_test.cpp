#include "sgd/edge_virtual.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;
using namespace dmsc::sgd;

namespace {
const Ipv4Net kRange = *parse_ipv4_net("100.96.0.0/24");
const Ipv4 kDns = *parse_ipv4("100.96.0.1");
const crypto::Key16 kKey = {1, 2, 3};
}  // namespace

TEST_CASE("edge virtual: one name, one address, also after a restart without the table") {
  VirtualAddresses a(kRange, kDns, kKey), b(kRange, kDns, kKey);
  Ipv4 first = *a.allocate("B/4", {});
  CHECK(*a.allocate("B/4", {}) == first);
  CHECK(*a.allocate("B/3", {}) != first);
  CHECK(*a.find(first) == "B/4");
  CHECK(*b.allocate("B/4", {}) == first);
  CHECK(b.version() == 1);
}

TEST_CASE("edge virtual: first, last and reserved address are never given") {
  VirtualAddresses a(kRange, kDns, kKey);
  for (int i = 0; i < 253; ++i) {
    auto address = a.allocate("n/" + std::to_string(i), {});
    REQUIRE(address);
    CHECK(kRange.contains(*address));
    CHECK(*address != kDns);
    CHECK(*address != kRange.network());
    CHECK(*address != kRange.last());
  }
  CHECK_FALSE(a.allocate("one/too/many", {}));
}

TEST_CASE("edge virtual: an address is reused only after long idleness, the idlest first") {
  VirtualAddresses a(kRange, kDns, kKey);
  Time t{};
  for (int i = 0; i < 253; ++i) a.allocate("n/" + std::to_string(i), t);
  Ipv4 zero = *a.allocate("n/0", t), one = *a.allocate("n/1", t);
  Time later = t + VirtualAddresses::kReuseAfter;
  CHECK_FALSE(a.allocate("new", later - seconds(1)));
  for (int i = 2; i < 253; ++i) a.allocate("n/" + std::to_string(i), later);
  a.touch(zero, later);
  CHECK(*a.allocate("new", later) == one);
  CHECK_FALSE(a.allocate("newer", later));
  CHECK(*a.find(one) == "new");
}

TEST_CASE("edge virtual: the saved table comes back, a wrong one names its line") {
  SavedAddresses saved{kKey, {{*parse_ipv4("100.96.0.9"), "B/4"}}};
  auto back = decode_saved(encode_saved(saved));
  REQUIRE(back.ok());
  CHECK(back->key == saved.key);
  CHECK(back->names == saved.names);
  VirtualAddresses a(kRange, kDns, back->key);
  CHECK(a.restore("B/4", back->names[0].first, {}));
  CHECK_FALSE(a.restore("B/5", back->names[0].first, {}));
  CHECK_FALSE(a.restore("B/6", kDns, {}));
  CHECK_FALSE(a.restore("B/7", {1}, {}));
  CHECK(*a.allocate("B/4", {}) == *parse_ipv4("100.96.0.9"));
  std::string text = encode_saved(saved);
  CHECK(decode_saved(text + "100.96.0.300 x\n").error().message.find("line 4") !=
        std::string::npos);
  CHECK(decode_saved(text + "100.96.0.3 a//b\n").error().message.find("component 2") !=
        std::string::npos);
  CHECK_FALSE(decode_saved("").ok());
  CHECK_FALSE(decode_saved("dmsc-virtual-addresses 2\n").ok());
  CHECK_FALSE(decode_saved("dmsc-virtual-addresses 1\nkey 00\n").ok());
}
