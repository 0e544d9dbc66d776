#include "tests/rigs/fib_reference.hpp"

#include <catch2/catch.hpp>

TEST_CASE("F1 F2 F3 fib: equal to a naive reference on 200,000 random cases") {
  dmsc::rigs::FibReference reference(1);
  auto wrong = reference.run(200'000);
  INFO(wrong.value_or(""));
  CHECK_FALSE(wrong.has_value());
  CHECK(reference.prefixes() > 1000);
}
