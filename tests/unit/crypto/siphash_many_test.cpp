#include "dmsc/crypto/siphash_many.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <vector>

using namespace dmsc;
using namespace dmsc::crypto;

namespace {

struct Message {
  Key16 key;
  Bytes head, tail;
};

Bytes random_bytes(std::mt19937& random, std::size_t n) {
  Bytes out(n);
  for (auto& b : out) b = static_cast<std::uint8_t>(random());
  return out;
}

Message random_message(std::mt19937& random, std::size_t words, std::size_t tail) {
  Message out;
  for (auto& b : out.key) b = static_cast<std::uint8_t>(random());
  out.head = random_bytes(random, words * 8);
  out.tail = random_bytes(random, tail);
  return out;
}

void check(const std::vector<Message>& messages) {
  std::vector<SipMessage> jobs;
  for (const Message& m : messages) jobs.push_back({&m.key, m.head, m.tail});
  siphash24_many(jobs);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    Bytes whole = messages[i].head;
    whole.insert(whole.end(), messages[i].tail.begin(), messages[i].tail.end());
    REQUIRE(jobs[i].hash == siphash24(messages[i].key, whole));
  }
}

}  // namespace

TEST_CASE("A2 siphash of many: every length, in any number, is what it is alone") {
  std::mt19937 random(1);
  for (std::size_t tail = 0; tail < 70; ++tail) {
    for (std::size_t count : {1, 7, 8, 9, 16, 19}) {
      std::vector<Message> messages;
      for (std::size_t i = 0; i < count; ++i)
        messages.push_back(random_message(random, tail % 6, tail));
      check(messages);
    }
  }
}

TEST_CASE("A2 siphash of many: lengths and keys may change at any place") {
  std::mt19937 random(2);
  for (int run = 0; run < 200; ++run) {
    std::vector<Message> messages;
    std::size_t tail = 4;
    for (int i = 0; i < 40; ++i) {
      if (random() % 6 == 0) tail = random() % 300;
      messages.push_back(random_message(random, 5, tail));
    }
    check(messages);
  }
  siphash24_many({});
}

TEST_CASE("A2 siphash of many: each may have a length of its own, as the headers of different names have") {
  std::mt19937 random(3);
  for (int run = 0; run < 300; ++run) {
    std::vector<Message> messages;
    for (std::size_t n = 1 + random() % 20; n-- > 0;) {
      std::size_t head = run % 3 == 0 ? random() % 3 : 5;
      messages.push_back(random_message(random, head, random() % (run % 2 == 0 ? 20 : 200)));
    }
    check(messages);
  }
}
