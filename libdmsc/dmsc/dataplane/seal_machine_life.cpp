// Associations in use, the ends of handshakes and associations, and time.
#include "dmsc/dataplane/seal_machine.hpp"

#include <algorithm>

namespace dmsc::dataplane {

using Kind = SealEvent::Kind;

namespace {
constexpr std::size_t kMaxAssociations = 4;  // with one peer: beyond it the oldest goes
}  // namespace

void SealMachine::activate(NodeId id, Peer& peer, std::uint32_t number, Time now) {
  for (Association& a : peer.associations) {
    if (a.number == number) {
      a.sending = true;
      emit(Kind::activated, id, number);
    } else if (!a.retired) {
      ++counters_.rekeyed;
      retire(id, a, now);
    }
  }
  while (peer.associations.size() > kMaxAssociations) {
    remove(id, peer, peer.associations.front().number);
  }
}

// ---- ends ---------------------------------------------------------------------------------------

void SealMachine::retire(NodeId id, Association& a, Time now) {
  a.sending = false;
  a.retired = true;
  a.remove_at = now + kLinger;
  emit(Kind::retired, id, a.number);
}

void SealMachine::remove(NodeId id, Peer& peer, std::uint32_t number) {
  auto it = std::find_if(peer.associations.begin(), peer.associations.end(),
                         [number](const Association& a) { return a.number == number; });
  if (it == peer.associations.end()) return;
  peer.associations.erase(it);
  emit(Kind::removed, id, number);
}

void SealMachine::drop_attempt(NodeId id, Peer& peer) {
  if (!peer.attempt) return;
  const Attempt attempt = std::move(*peer.attempt);
  peer.attempt.reset();
  if (attempt.stage == Stage::unconfirmed) remove(id, peer, attempt.number);
}

void SealMachine::fail(Time now, NodeId id, Peer& peer, std::string reason) {
  ++counters_.failed;
  drop_attempt(id, peer);
  peer.problem = std::move(reason);
  peer.not_before = now + kRetryAfter;
  for (const Association& a : peer.associations) {
    if (a.sending) return;
  }
  emit(Kind::failed, id, 0);
  events_.back().reason = peer.problem;
}

void SealMachine::forget(NodeId id) {
  auto it = peers_.find(id);
  if (it == peers_.end()) return;
  for (const Association& a : it->second.associations) emit(Kind::removed, id, a.number);
  emit(Kind::failed, id, 0);
  events_.back().reason = "no longer a gateway of the domain";
  peers_.erase(it);
}

// ---- time ---------------------------------------------------------------------------------------

void SealMachine::tick(Time now) {
  for (auto& [id, peer] : peers_) {
    resend_or_give_up(now, id, peer);
    age(now, id, peer);
  }
}

void SealMachine::resend_or_give_up(Time now, NodeId id, Peer& peer) {
  if (!peer.attempt) return;
  Attempt& attempt = *peer.attempt;
  if (now >= attempt.ends) {
    return fail(now, id, peer,
                attempt.stage == Stage::asking ? "no answer to the handshake"
                                               : "the handshake did not come to its end");
  }
  if (now < attempt.resend_at) return;
  attempt.wait = std::min<Duration>(attempt.wait * 2, kResendMost);
  attempt.resend_at = now + attempt.wait;
  counters_.resent += attempt.flight.empty() ? 0 : 1;
  send_flight(id, attempt);
}

void SealMachine::age(Time now, NodeId id, Peer& peer) {
  std::vector<std::uint32_t> over;
  bool rekey = false;
  for (Association& a : peer.associations) {
    if (a.retired) {
      if (now >= a.remove_at) over.push_back(a.number);
      continue;
    }
    if (now >= a.retire_at) {
      retire(id, a, now);
    } else if (now >= a.rekey_at) {
      a.rekey_at = now + kRekeySlack;
      const bool used = now - config_.last_used(id, a.number) < kLife - kRekeyAfter;
      rekey = rekey || (a.sending && used);
    }
  }
  for (std::uint32_t number : over) remove(id, peer, number);
  if (rekey && !peer.attempt && now >= peer.not_before) start(now, id, peer);
}

std::optional<Time> SealMachine::deadline() const {
  std::optional<Time> out;
  auto take = [&out](Time at) { out = out ? std::min(*out, at) : at; };
  for (const auto& [id, peer] : peers_) {
    if (peer.attempt) take(std::min(peer.attempt->resend_at, peer.attempt->ends));
    for (const Association& a : peer.associations) {
      take(a.retired ? a.remove_at : std::min(a.rekey_at, a.retire_at));
    }
  }
  return out;
}

std::vector<SealMachine::View> SealMachine::views(Time now) const {
  static constexpr const char* kStages[] = {"asking", "shaking", "unconfirmed"};
  std::vector<View> out;
  for (const auto& [id, peer] : peers_) {
    View view;
    view.peer = id;
    view.associations = peer.associations.size();
    view.problem = peer.problem;
    view.state = peer.attempt           ? kStages[static_cast<std::size_t>(peer.attempt->stage)]
                 : peer.problem.empty() ? "idle"
                                        : "failed";
    for (const Association& a : peer.associations) {
      if (!a.sending) continue;
      view.state = "established";
      view.association = a.number;
      view.role = a.role;
      view.age = now - a.made;
    }
    out.push_back(std::move(view));
  }
  return out;
}

}  // namespace dmsc::dataplane
