#include "dmsc/linkstate/due_heap.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <random>

using namespace dmsc;
using namespace dmsc::linkstate;

namespace {

struct Item {
  int number = 0;
  std::uint32_t due_place = DueHeap<Item>::kNowhere;
};

// What is due at `until`, by the heap.
std::vector<int> due(const DueHeap<Item>& heap, Time until) {
  std::vector<int> out;
  heap.visit(until, [&](const Item& item) { out.push_back(item.number); });
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

TEST_CASE("what is due in a heap is what a sorted list says, over 20,000 random changes") {
  std::mt19937 random(7);
  std::deque<Item> items;
  for (int i = 0; i < 60; ++i) items.push_back({i});
  DueHeap<Item> heap;
  std::map<int, Time> expected;
  for (int step = 0; step < 20000; ++step) {
    Item& item = items[random() % items.size()];
    if (random() % 4 == 0) {
      heap.remove(item);
      expected.erase(item.number);
    } else {
      Time at = Time{} + milliseconds(random() % 100);
      heap.set(item, at);
      expected[item.number] = at;
    }
    REQUIRE(heap.size() == expected.size());
    Time until = Time{} + milliseconds(random() % 100), first = Time::max();
    std::vector<int> wanted;
    for (const auto& [number, at] : expected) {
      first = std::min(first, at);
      if (at <= until) wanted.push_back(number);
    }
    REQUIRE(due(heap, until) == wanted);
    REQUIRE(heap.empty() == expected.empty());
    if (!heap.empty()) REQUIRE(heap.first() == first);
  }
}
