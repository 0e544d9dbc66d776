#include "dmsc/linkstate/admission.hpp"

#include <algorithm>
#include <utility>

namespace dmsc::linkstate {
namespace {

constexpr std::int64_t kToken = 1000;

NodeId origin_of(std::uint64_t key) { return NodeId{static_cast<std::uint32_t>(key >> 24)}; }

}  // namespace

void Admission::refill(Time now, Flow& f) const {
  std::int64_t full = std::int64_t{rate_.burst} * kToken;
  std::int64_t ms = std::chrono::duration_cast<milliseconds>(now - f.counted).count();
  if (ms <= 0) return;
  // A thousandth of a token per millisecond and LSA a second; beyond `full` nothing is gathered.
  std::int64_t enough = full / rate_.per_second + 1;
  f.tokens = std::min(full, f.tokens + std::min(ms, enough) * rate_.per_second);
  f.counted += milliseconds(ms);
}

Time Admission::full_at(const Flow& f) const {
  std::int64_t missing = std::int64_t{rate_.burst} * kToken - f.tokens;
  return f.counted + milliseconds(missing / rate_.per_second + 1);
}

void Admission::enlist(const FlowId& id, Flow& f, int kind) {
  if (f.ready[kind] || f.parked || f.keys[kind].empty()) return;
  f.ready[kind] = true;
  std::deque<NodeId>& origins = turns_[kind].origins[id.first];
  if (origins.empty()) turns_[kind].links.push_back(id.first);
  origins.push_back(id.second);
}

void Admission::add(Time now, LinkId from, std::uint64_t key, bool urgent) {
  tidy(now);
  if (!queued_.insert({from, key}).second) return;
  FlowId id{from, origin_of(key)};
  auto [it, fresh] = flows_.try_emplace(id);
  Flow& f = it->second;
  if (fresh) {
    f.tokens = std::int64_t{rate_.burst} * kToken;
    f.counted = now;
  }
  int kind = urgent ? 0 : 1;
  f.keys[kind].push(key);
  enlist(id, f, kind);
}

std::optional<Admission::Slot> Admission::pop(Time now) {
  while (!patience_.empty() && patience_.front().first <= now) {
    auto it = asked_.find(patience_.front().second);
    if (it != asked_.end() && it->second <= now) asked_.erase(it);
    patience_.pop_front();
  }
  if (asked_.size() >= kAsked) return std::nullopt;
  wake(now);
  for (int kind : {0, 1}) {
    if (auto slot = pop_from(now, kind)) return slot;
  }
  return std::nullopt;
}

std::optional<Admission::Slot> Admission::pop_from(Time now, int kind) {
  Turn& turn = turns_[kind];
  while (!turn.links.empty()) {
    LinkId link = turn.links.front();
    turn.links.pop_front();
    std::deque<NodeId>& origins = turn.origins[link];
    FlowId id{link, origins.front()};
    origins.pop_front();
    Flow& f = flows_.at(id);
    f.ready[kind] = false;
    refill(now, f);
    bool over = f.tokens < kToken;
    if (!over) {
      f.tokens -= kToken;
    } else if (!f.over_since) {
      f.over_since = now;
    }
    std::optional<Slot> slot;
    if (!over || !rate_.enforced) {
      slot = Slot{link, f.keys[kind].front()};
      f.keys[kind].pop();
      queued_.erase({link, slot->key});
      enlist(id, f, kind);
      if (f.keys[0].empty() && f.keys[1].empty()) {
        f.over_since.reset();
        if (!std::exchange(f.idling, true)) idle_.insert({full_at(f), id});
      }
    } else {
      f.parked = true;
      Time due = f.counted + milliseconds((kToken - f.tokens) / rate_.per_second + 1);
      parked_.insert({due, id});
    }
    // enlist() has put the link at the end of its turn if that flow was the only one.
    bool listed = !turn.links.empty() && turn.links.back() == link;
    if (origins.empty()) {
      turn.origins.erase(link);
    } else if (!listed) {
      turn.links.push_back(link);
    }
    if (slot) return slot;
  }
  return std::nullopt;
}

void Admission::wake(Time now) {
  while (!parked_.empty() && parked_.begin()->first <= now) {
    FlowId id = parked_.begin()->second;
    parked_.erase(parked_.begin());
    auto it = flows_.find(id);
    if (it == flows_.end()) continue;
    it->second.parked = false;
    for (int kind : {0, 1}) enlist(id, it->second, kind);
  }
}

// A flow with nothing queued and a full bucket is as good as none.
void Admission::tidy(Time now) {
  while (!idle_.empty() && idle_.begin()->first <= now) {
    FlowId id = idle_.begin()->second;
    idle_.erase(idle_.begin());
    auto it = flows_.find(id);
    if (it == flows_.end()) continue;
    Flow& f = it->second;
    f.idling = false;
    if (!f.keys[0].empty() || !f.keys[1].empty()) continue;
    refill(now, f);
    if (f.tokens >= std::int64_t{rate_.burst} * kToken) {
      flows_.erase(it);
    } else {
      f.idling = true;
      idle_.insert({full_at(f), id});
    }
  }
}

bool Admission::ask(Time now, std::uint64_t ticket) {
  if (!asked_.try_emplace(ticket, now + kPatience).second) return false;
  patience_.emplace_back(now + kPatience, ticket);
  return true;
}

void Admission::forget(LinkId from) {
  for (auto it = flows_.lower_bound({from, NodeId{0}});
       it != flows_.end() && it->first.first == from;) {
    for (int kind : {0, 1}) {
      it->second.keys[kind].visit([&](std::uint64_t key) { queued_.erase({from, key}); });
    }
    it = flows_.erase(it);
  }
  for (Turn& turn : turns_) {
    turn.origins.erase(from);
    turn.links.erase(std::remove(turn.links.begin(), turn.links.end(), from), turn.links.end());
  }
  for (auto* set : {&parked_, &idle_}) {
    for (auto it = set->begin(); it != set->end();) {
      it = it->second.first == from ? set->erase(it) : std::next(it);
    }
  }
}

std::optional<Time> Admission::next_deadline() const {
  if (asked_.size() >= kAsked) {  // nothing moves before an answer, or before one is given up
    if (queued_.empty() || patience_.empty()) return std::nullopt;
    return patience_.front().first;
  }
  if (parked_.empty()) return std::nullopt;
  return parked_.begin()->first;
}

std::optional<Time> Admission::over_rate_since(LinkId from, NodeId origin) const {
  auto it = flows_.find({from, origin});
  return it == flows_.end() ? std::nullopt : it->second.over_since;
}

}  // namespace dmsc::linkstate
