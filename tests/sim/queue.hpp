// The event queue: small entries in a heap, what they carry beside it.
#pragma once
#include <algorithm>
#include <functional>
#include <vector>

#include "dmsc/core/bytes.hpp"
#include "dmsc/core/time.hpp"

namespace dmsc::sim {

struct Due {
  enum class Kind : std::uint32_t { packet, wake, action };
  Time at;
  std::uint64_t order = 0;   // of equal instants, the one made first
  std::uint32_t node = 0;
  std::uint32_t what = 0;    // packet: slot; wake: the node's life; action: slot
  Kind kind = Kind::wake;
  bool after(const Due& o) const { return at != o.at ? at > o.at : order > o.order; }
};

class Queue {
 public:
  struct Packet {
    LinkId link;
    Bytes datagram;
  };
  bool due(Time end) const { return !heap_.empty() && heap_.front().at <= end; }
  const Due& front() const { return heap_.front(); }
  Due pop() {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    Due due = heap_.back();
    heap_.pop_back();
    return due;
  }
  void push_wake(Time at, std::uint32_t node, std::uint32_t life) { push(at, node, life, Due::Kind::wake); }
  void push_packet(Time at, std::uint32_t node, LinkId link, Bytes datagram) {
    push(at, node, put(packets_, free_packets_, Packet{link, std::move(datagram)}), Due::Kind::packet);
  }
  void push_action(Time at, std::function<void()> action) {
    push(at, 0, put(actions_, free_actions_, std::move(action)), Due::Kind::action);
  }
  Packet take_packet(std::uint32_t slot) { return take(packets_, free_packets_, slot); }
  std::function<void()> take_action(std::uint32_t slot) { return take(actions_, free_actions_, slot); }

 private:
  static bool later(const Due& a, const Due& b) { return a.after(b); }
  void push(Time at, std::uint32_t node, std::uint32_t what, Due::Kind kind) {
    heap_.push_back({at, ++order_, node, what, kind});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  template <class T>
  static std::uint32_t put(std::vector<T>& slots, std::vector<std::uint32_t>& free, T value) {
    if (free.empty()) {
      slots.push_back(std::move(value));
      return static_cast<std::uint32_t>(slots.size() - 1);
    }
    std::uint32_t slot = free.back();
    free.pop_back();
    slots[slot] = std::move(value);
    return slot;
  }
  template <class T>
  static T take(std::vector<T>& slots, std::vector<std::uint32_t>& free, std::uint32_t slot) {
    free.push_back(slot);
    return std::exchange(slots[slot], T{});
  }

  std::vector<Due> heap_;
  std::vector<Packet> packets_;
  std::vector<std::function<void()>> actions_;
  std::vector<std::uint32_t> free_packets_, free_actions_;
  std::uint64_t order_ = 0;
};

}  // namespace dmsc::sim
