#include "dmsc/name/name.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;

TEST_CASE("R8 names: hierarchical names parse, print and compare by component") {
  Name cart = *Name::parse("shop/cart/v2");
  CHECK(cart.text() == "shop/cart/v2");
  CHECK(cart.component_count() == 3);
  CHECK(cart.parent().text() == "shop/cart");
  CHECK(Name::parse("A")->parent().empty());
  CHECK(Name::parse("shop/ca")->covers(*Name::parse("shop/cart")) == false);
  CHECK(Name::parse("shop/cart")->covers(*Name::parse("shop/cart/v2")));
  CHECK(Name::parse("shop/cart")->covers(*Name::parse("shop/cart")));
  CHECK_FALSE(Name::parse("shop/cart/v2")->covers(*Name::parse("shop/cart")));
  CHECK(*Name::parse("b/4") != *Name::parse("B/4"));
  CHECK(Name::parse("B/4")->folded() == "b/4");
}

TEST_CASE("names: what is wrong and where is said") {
  CHECK(Name::parse("").error().message == "name is empty");
  CHECK(Name::parse("a//b").error().message == "name component 2 is empty");
  CHECK(Name::parse("a/").error().message == "name component 2 is empty");
  CHECK(Name::parse("a/b c").error().message.find("name component 2 has ' '") == 0);
  CHECK(Name::parse(std::string("a\x01")).error().message.find("byte 0x01") != std::string::npos);
  CHECK(Name::parse(std::string(64, 'x')).error().message.find("64 bytes") != std::string::npos);
  CHECK(Name::parse(std::string(63, 'x')).ok());
  CHECK_FALSE(Name::parse("1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17").ok());
  CHECK(Name::parse("1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16").ok());
  std::string longest = std::string(63, 'a');
  for (int i = 0; i < 3; ++i) longest += "/" + std::string(63, 'a');
  CHECK(longest.size() == 255);
  CHECK(Name::parse(longest).ok());
  CHECK_FALSE(Name::parse(longest + "a").ok());
}

TEST_CASE("names: component ends") {
  std::uint8_t ends[kMaxNameComponents];
  CHECK(component_ends("shop/cart/v2", ends) == 3);
  CHECK(ends[0] == 4);
  CHECK(ends[1] == 9);
  CHECK(ends[2] == 12);
}

TEST_CASE("names: component ends of any bytes are those found one by one") {
  std::uint64_t random = 1;
  auto draw = [&random](std::uint64_t n) {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (random >> 33) % n;
  };
  for (int run = 0; run < 20000; ++run) {
    std::string text(draw(run % 100 == 0 ? 256 : 60), '\0');
    static const std::string some("/\xaf\x0f.a\x2e\x30\0\x7f\xff", 10);
    const std::uint64_t few = 2 + draw(some.size() - 1);
    for (char& c : text) c = some[draw(few)];
    std::vector<std::uint8_t> expected;
    for (std::size_t i = 0; i <= text.size() && expected.size() < kMaxNameComponents; ++i) {
      if (i == text.size() || text[i] == '/') expected.push_back(static_cast<std::uint8_t>(i));
    }
    std::uint8_t ends[kMaxNameComponents];
    std::size_t n = component_ends(text, ends);
    REQUIRE(std::vector<std::uint8_t>(ends, ends + n) == expected);
  }
}

TEST_CASE("names: the DNS form reverses the components") {
  CHECK(to_dns(*Name::parse("B/4"), "svc.dmsc") == "4.b.svc.dmsc");
  CHECK(to_dns(*Name::parse("shop/cart/v2"), "svc.dmsc") == "v2.cart.shop.svc.dmsc");
  CHECK_FALSE(to_dns(*Name::parse("a.b/c"), "svc.dmsc"));
  CHECK_FALSE(to_dns(*Name::parse("a~b"), "svc.dmsc"));
  CHECK(from_dns("4.b.svc.dmsc", "svc.dmsc")->text() == "b/4");
  CHECK(from_dns("4.B.SVC.dmsc.", "svc.dmsc")->text() == "B/4");
  CHECK_FALSE(from_dns("example.org", "svc.dmsc").ok());
  CHECK_FALSE(from_dns("svc.dmsc", "svc.dmsc").ok());
  CHECK_FALSE(from_dns("a..svc.dmsc", "svc.dmsc").ok());
}
