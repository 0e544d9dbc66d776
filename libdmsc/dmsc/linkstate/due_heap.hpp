// Items by the instant at which something is to be done about them. Each knows its place in the heap, so an
// instant moves in O(log n) and nothing is allocated.
#pragma once
#include <cstdint>
#include <vector>

#include "dmsc/core/time.hpp"

namespace dmsc::linkstate {

// An Item has a member `std::uint32_t due_place`, at first kNowhere, which only the heap writes. It stays
// where it is in memory while it is in the heap.
template <class Item>
class DueHeap {
 public:
  static constexpr std::uint32_t kNowhere = ~0U;

  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  Time first() const { return heap_.front().at; }
  void set(Item& item, Time at) {
    std::uint32_t place = item.due_place;
    if (place == kNowhere) {
      place = static_cast<std::uint32_t>(heap_.size());
      heap_.push_back({at, &item});
      return rise(place, {at, &item});
    }
    bool earlier = at < heap_[place].at;
    earlier ? rise(place, {at, &item}) : sink(place, {at, &item});
  }
  void remove(Item& item) {
    std::uint32_t place = item.due_place;
    if (place == kNowhere) return;
    item.due_place = kNowhere;
    Entry last = heap_.back();
    heap_.pop_back();
    if (place == heap_.size()) return;
    bool earlier = last.at < heap_[place].at;
    earlier ? rise(place, last) : sink(place, last);
  }
  // Calls use(item) for all that are due at `until` or before, in no order. Looks at no others but
  // their children. Nothing may be set or removed meanwhile.
  template <class Use>
  void visit(Time until, Use&& use) const {
    visit_from(0, until, use);
  }

 private:
  struct Entry {
    Time at;
    Item* item;
  };
  void put(std::uint32_t place, const Entry& entry) {
    heap_[place] = entry;
    entry.item->due_place = place;
  }
  void rise(std::uint32_t place, Entry entry) {
    for (; place > 0 && entry.at < heap_[(place - 1) / 2].at; place = (place - 1) / 2) {
      put(place, heap_[(place - 1) / 2]);
    }
    put(place, entry);
  }
  void sink(std::uint32_t place, Entry entry) {
    for (std::uint32_t child = 2 * place + 1; child < heap_.size(); child = 2 * place + 1) {
      if (child + 1 < heap_.size() && heap_[child + 1].at < heap_[child].at) ++child;
      if (entry.at <= heap_[child].at) break;
      put(place, heap_[child]);
      place = child;
    }
    put(place, entry);
  }
  template <class Use>
  void visit_from(std::size_t place, Time until, Use& use) const {
    if (place >= heap_.size() || heap_[place].at > until) return;
    use(*heap_[place].item);
    visit_from(2 * place + 1, until, use);
    visit_from(2 * place + 2, until, use);
  }

  std::vector<Entry> heap_;
};

}  // namespace dmsc::linkstate
