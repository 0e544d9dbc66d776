// In which order, and how fast, LSAs are judged (docs/protocol.md, "Limits"): topology and trust first; then
// neighbour by neighbour, origin by origin, one LSA each, so that who says much delays nobody but
// himself; and of one origin from one neighbour no more than a rate after a burst. Nothing is ever refused
// here: what is over the rate waits in its slot, where a newer copy replaces it.
//
//   add ──► flow (neighbour, origin) ──► ready, in turn ──pop──► asked ──answered──► gone
//                    ▲         no token │
//                    └──── token ◄── parked
#pragma once
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "dmsc/core/ids.hpp"
#include "dmsc/core/time.hpp"

namespace dmsc::linkstate {

class Admission {
 public:
  // Judged at the same time at most; an answer that does not come (the verdict is "unknown") is
  // no longer waited for after kPatience.
  static constexpr std::size_t kAsked = 128;
  static constexpr Duration kPatience = milliseconds(20);

  struct Rate {
    std::uint32_t per_second = 1000, burst = 10000;
    bool enforced = true;  // false: over the rate is only noted
  };
  void set_rate(const Rate& rate) { rate_ = rate; }

  // The slot (neighbour, key) holds an LSA to be judged. Nothing happens if it is queued already.
  void add(Time now, LinkId from, std::uint64_t key, bool urgent);
  struct Slot {
    LinkId from;
    std::uint64_t key = 0;
  };
  // The slot whose turn it is; nullopt if none is ready or enough are asked.
  std::optional<Slot> pop(Time now);
  // `ticket` has been handed to the driver; false if it has been already and is not answered yet.
  bool ask(Time now, std::uint64_t ticket);
  void answered(std::uint64_t ticket) { asked_.erase(ticket); }
  void forget(LinkId from);
  // When pop() may have something again without an input.
  std::optional<Time> next_deadline() const;

  // Since when LSAs of this origin from this neighbour have been over the rate without pause.
  std::optional<Time> over_rate_since(LinkId from, NodeId origin) const;
  std::size_t queued() const { return queued_.size(); }
  std::size_t flows() const { return flows_.size(); }

 private:
  using FlowId = std::pair<LinkId, NodeId>;
  // A queue that is small while it is short: there may be thousands.
  class Keys {
   public:
    bool empty() const { return keys_.empty(); }
    std::uint64_t front() const { return keys_[head_]; }
    void push(std::uint64_t key) { keys_.push_back(key); }
    void pop() {
      if (++head_ * 2 < keys_.size()) return;
      keys_.erase(keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
    }
    template <class Use>
    void visit(Use use) const {
      for (std::size_t i = head_; i < keys_.size(); ++i) use(keys_[i]);
    }

   private:
    std::vector<std::uint64_t> keys_;
    std::size_t head_ = 0;
  };
  struct Flow {
    Keys keys[2];                       // urgent, normal
    bool ready[2] = {false, false};     // in its turn of that class
    std::int64_t tokens = 0;            // thousandths of an LSA
    Time counted;
    std::optional<Time> over_since;
    bool parked = false, idling = false;
  };
  struct Turn {                         // one class
    std::deque<LinkId> links;
    std::map<LinkId, std::deque<NodeId>> origins;
  };
  void refill(Time now, Flow& flow) const;
  void enlist(const FlowId& id, Flow& flow, int kind);
  std::optional<Slot> pop_from(Time now, int kind);
  void wake(Time now);
  void tidy(Time now);
  Time full_at(const Flow& flow) const;

  Rate rate_;
  std::map<FlowId, Flow> flows_;
  Turn turns_[2];
  std::set<std::pair<LinkId, std::uint64_t>> queued_;
  std::set<std::pair<Time, FlowId>> parked_, idle_;
  std::map<std::uint64_t, Time> asked_;            // ticket -> when it is given up
  std::deque<std::pair<Time, std::uint64_t>> patience_;
};

}  // namespace dmsc::linkstate
