#include "table.hpp"

#include <catch2/catch.hpp>

using namespace dmsc::ctl;

namespace {

Table sample() {
  return {
      {{"prefix", Align::left, true}, {"id", Align::right, false}, {"state", Align::left, true}},
      {{{"shop/cart/checkout"}, {"7"}, {"up", Tone::good}},
       {{"B/4"}, {"12"}, {"down", Tone::bad}}}};
}

}  // namespace

TEST_CASE("table: columns are as wide as their widest cell, numbers to the right") {
  CHECK(render(sample(), {}) ==
        "prefix              id  state\n"
        "shop/cart/checkout   7  up\n"
        "B/4                 12  down\n");
}

TEST_CASE("table: a narrow terminal cuts the widest column, with an ellipsis") {
  CHECK(render(sample(), {20, false}) ==
        "prefix     id  state\n"
        "shop/car…   7  up\n"
        "B/4        12  down\n");
}

TEST_CASE("table: columns that may not shrink do not, however narrow the terminal") {
  std::string text = render(sample(), {1, false});
  CHECK(text.find("12") != std::string::npos);
  CHECK(text.find("shop/…") != std::string::npos);
}

TEST_CASE("table: colour does not change the alignment") {
  CHECK(render(sample(), {0, true}) ==
        "\x1b[2mprefix\x1b[0m              \x1b[2mid\x1b[0m  \x1b[2mstate\x1b[0m\n"
        "shop/cart/checkout   7  \x1b[32mup\x1b[0m\n"
        "B/4                 12  \x1b[31mdown\x1b[0m\n");
}

TEST_CASE("table: width counts characters, not bytes") {
  CHECK(display_width("sr-1 \u2192 sr-2") == 11);
  CHECK(shorten("\u00e4\u00f6\u00fc\u00df", 3) == "\u00e4\u00f6\u2026");
  CHECK(shorten("abc", 3) == "abc");
  CHECK(shorten("abc", 0) == "");
}

TEST_CASE("table: names cannot drive the terminal") {
  CHECK(printable("a\x1b[31mb\n") == "a\\x1b[31mb\\x0a");
}
