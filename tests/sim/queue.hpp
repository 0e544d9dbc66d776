// The event queue: packets on their way, one wake-up per node, actions. Of what is due at one instant, what
// was made first comes first. Each kind has a structure of its own, because there are tens of packets on
// their way, a wake-up moves with every packet, and actions are few and all there from the start.
#pragma once
#include <algorithm>
#include <functional>
#include <vector>

#include "dmsc/core/bytes.hpp"
#include "dmsc/core/time.hpp"

namespace dmsc::sim {

// When, and of equal instants which was made first.
struct Moment {
  Time at = Time::max();
  std::uint64_t order = 0;
  bool before(const Moment& o) const { return at != o.at ? at < o.at : order < o.order; }
};

// Least first, four children to a node: flat enough that what is looked at lies side by side.
template <class Item>  // has a Moment `when`
class FlatHeap {
 public:
  bool empty() const { return items_.empty(); }
  const Item& front() const { return items_.front(); }
  void push(const Item& item) {
    std::size_t place = items_.size();
    items_.push_back(item);
    for (; place > 0 && item.when.before(items_[(place - 1) / 4].when); place = (place - 1) / 4) {
      items_[place] = items_[(place - 1) / 4];
    }
    items_[place] = item;
  }
  void pop() {
    Item last = items_.back();
    items_.pop_back();
    if (items_.empty()) return;
    std::size_t place = 0;
    for (std::size_t child = 1; child < items_.size(); child = 4 * place + 1) {
      std::size_t least = child, end = std::min(child + 4, items_.size());
      for (std::size_t other = child + 1; other < end; ++other) {
        if (items_[other].when.before(items_[least].when)) least = other;
      }
      if (!items_[least].when.before(last.when)) break;
      items_[place] = items_[least];
      place = least;
    }
    items_[place] = last;
  }

 private:
  std::vector<Item> items_;
};

// One moment per node, and which node's is first: a knock-out tournament, in which a change is played
// again from its leaf to the root.
class Wakes {
 public:
  void resize(std::size_t nodes) {
    if (nodes <= when_.size()) return;
    when_.resize(nodes);
    leaves_ = 1;
    while (leaves_ < nodes) leaves_ *= 2;
    winner_.assign(2 * leaves_, kNobody);
    for (std::size_t i = 0; i < nodes; ++i) winner_[leaves_ + i] = static_cast<std::uint32_t>(i);
    for (std::size_t i = leaves_; --i > 0;) play(i);
  }
  const Moment& of(std::size_t node) const { return when_[node]; }
  void set(std::size_t node, const Moment& when) {
    when_[node] = when;
    for (std::size_t i = (leaves_ + node) / 2; i > 0; i /= 2) play(i);
  }
  std::uint32_t first() const { return winner_.empty() ? kNobody : winner_[1]; }
  static constexpr std::uint32_t kNobody = ~0U;

 private:
  void play(std::size_t i) {
    std::uint32_t a = winner_[2 * i], b = winner_[2 * i + 1];
    bool second = b != kNobody && (a == kNobody || when_[b].before(when_[a]));
    winner_[i] = second ? b : a;
  }
  std::vector<Moment> when_;
  std::vector<std::uint32_t> winner_;  // the leaves from leaves_ on
  std::size_t leaves_ = 0;
};

class Queue {
 public:
  enum class Kind : std::uint32_t { none, packet, wake, action };
  struct Packet {
    std::uint32_t node = 0;
    LinkId link;
    Bytes datagram;
  };
  struct Next {
    Kind kind = Kind::none;
    Time at = Time::max();
    std::uint32_t node = 0;  // of a wake-up
  };
  // Call before the first wake-up of a node.
  void add_nodes(std::size_t nodes) { wakes_.resize(nodes); }

  Next next() const {
    Next out;
    Moment least;
    if (!packets_.empty()) {
      least = packets_.front().when;
      out = {Kind::packet, least.at};
    }
    std::uint32_t node = wakes_.first();
    if (node != Wakes::kNobody && wakes_.of(node).before(least)) {
      least = wakes_.of(node);
      out = {least.at == Time::max() ? Kind::none : Kind::wake, least.at, node};
    }
    if (!actions_.empty() && actions_.front().when.before(least)) {
      out = {Kind::action, actions_.front().when.at};
    }
    return out;
  }
  // The node's only wake-up; Time::max() = none. `anew`: one at the same instant is another one.
  void set_wake(std::size_t node, Time at, bool anew = false) {
    if (anew || at != wakes_.of(node).at) wakes_.set(node, {at, ++order_});
  }
  void push_packet(Time at, std::uint32_t node, LinkId link, Bytes datagram) {
    packets_.push({{at, ++order_}, packet_slots_.put(Packet{node, link, std::move(datagram)})});
  }
  void push_action(Time at, std::function<void()> action) {
    actions_.push({{at, ++order_}, action_slots_.put(std::move(action))});
  }
  Packet pop_packet() { return packet_slots_.take(pop(packets_)); }
  std::function<void()> pop_action() { return action_slots_.take(pop(actions_)); }

 private:
  struct Due {
    Moment when;
    std::uint32_t slot = 0;
  };
  template <class T>
  struct Slots {
    std::vector<T> held;
    std::vector<std::uint32_t> free;
    std::uint32_t put(T value) {
      if (free.empty()) {
        held.push_back(std::move(value));
        return static_cast<std::uint32_t>(held.size() - 1);
      }
      std::uint32_t slot = free.back();
      free.pop_back();
      held[slot] = std::move(value);
      return slot;
    }
    T take(std::uint32_t slot) {
      free.push_back(slot);
      return std::exchange(held[slot], T{});
    }
  };
  static std::uint32_t pop(FlatHeap<Due>& heap) {
    std::uint32_t slot = heap.front().slot;
    heap.pop();
    return slot;
  }

  FlatHeap<Due> packets_, actions_;
  Wakes wakes_;
  Slots<Packet> packet_slots_;
  Slots<std::function<void()>> action_slots_;
  std::uint64_t order_ = 0;
};

}  // namespace dmsc::sim
