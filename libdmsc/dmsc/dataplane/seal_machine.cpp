// Handshakes: how they begin and what frames do to them. Their ends and time:
// seal_machine_life.cpp.
#include "dmsc/dataplane/seal_machine.hpp"

#include <algorithm>

namespace dmsc::dataplane {

using wire::encode_handshake;
using wire::HandshakeFrame;
using wire::HandshakeType;
using Kind = SealEvent::Kind;

void SealMachine::emit(Kind kind, NodeId peer, std::uint32_t number) {
  SealEvent event;
  event.kind = kind;
  event.peer = peer;
  event.association = number;
  events_.push_back(std::move(event));
}

SealMachine::Association* SealMachine::find(Peer& peer, std::uint32_t number) {
  for (Association& a : peer.associations) {
    if (a.number == number) return &a;
  }
  return nullptr;
}

// The lowest bit says who began, so that two that begin at once choose different numbers.
bool SealMachine::ours(NodeId peer, std::uint32_t number) const {
  return (number & 1) == (config_.self < peer ? 0U : 1U);
}

std::uint32_t SealMachine::fresh_number(NodeId peer) {
  std::uint32_t number = config_.first_association + 2 * used_numbers_++;
  number = (number & ~1U) | (config_.self < peer ? 0U : 1U);
  return number & wire::kMaxAssociation;
}

wire::HandshakeCookie SealMachine::cookie_for(NodeId peer, std::uint32_t number,
                                              std::int64_t bucket) const {
  ByteWriter input;
  input.u32(peer.value).u32(number).u64(static_cast<std::uint64_t>(bucket));
  crypto::Hash32 mac = crypto::hmac_sha256(config_.cookie_secret, input.view());
  wire::HandshakeCookie cookie{};
  std::copy_n(mac.begin(), cookie.size(), cookie.begin());
  return cookie;
}

bool SealMachine::good_cookie(Time now, NodeId peer, const HandshakeFrame& frame) const {
  const std::int64_t bucket = now.time_since_epoch() / kCookieBucket;
  for (std::int64_t b : {bucket, bucket - 1}) {
    if (crypto::equal(cookie_for(peer, frame.association, b), frame.cookie)) return true;
  }
  return false;
}

// ---- beginning ----------------------------------------------------------------------------------

void SealMachine::want(Time now, NodeId id, bool renew) {
  Peer& peer = peers_[id];
  if (peer.attempt) return;
  const bool has = std::any_of(peer.associations.begin(), peer.associations.end(),
                               [](const Association& a) { return a.sending; });
  if (has && !renew) return;  // made while the wish was on its way
  if (now < peer.not_before) {
    if (!has) {
      emit(Kind::failed, id, 0);
      events_.back().reason = peer.problem;
    }
    return;
  }
  start(now, id, peer);
}

void SealMachine::unknown(Time now, NodeId id, std::uint32_t number) {
  auto it = peers_.find(id);
  if (it == peers_.end() || it->second.attempt) return;
  const Association* a = find(it->second, number);
  if (a == nullptr || !a->sending || now < it->second.not_before) return;
  ++counters_.unknown_key_hints;
  it->second.not_before = now + kRetryAfter;  // forged ones cost a handshake a second at most
  start(now, id, it->second);
}

void SealMachine::start(Time now, NodeId id, Peer& peer) {
  ++counters_.started;
  Attempt& attempt = peer.attempt.emplace();
  attempt.role = SealRole::initiator;
  attempt.number = fresh_number(id);
  attempt.ends = now + kAttemptLife;
  set_flight(now, id, attempt, {encode_handshake({HandshakeType::hello, attempt.number, {}, {}})});
}

void SealMachine::set_flight(Time now, NodeId id, Attempt& attempt, std::vector<Bytes> frames) {
  attempt.flight = std::move(frames);
  attempt.wait = kResendFirst;
  attempt.resend_at = now + attempt.wait;
  send_flight(id, attempt);
}

void SealMachine::send_flight(NodeId id, const Attempt& attempt) {
  for (const Bytes& frame : attempt.flight) frames_.push_back({id, frame});
}

// ---- frames -------------------------------------------------------------------------------------

void SealMachine::receive(Time now, NodeId id, ByteView payload) {
  auto frame = wire::decode_handshake(payload);
  if (!frame) {
    ++counters_.malformed;
    return;
  }
  if (frame->type == HandshakeType::hello) return on_hello(now, id, *frame);
  if (frame->type == HandshakeType::dtls) return on_dtls(now, id, *frame);
  auto it = peers_.find(id);
  if (it != peers_.end()) on_cookie(now, id, it->second, *frame);
}

// Nothing is remembered of who asks for a cookie.
void SealMachine::on_hello(Time now, NodeId id, const HandshakeFrame& frame) {
  if (ours(id, frame.association)) {
    ++counters_.malformed;
    return;
  }
  auto it = peers_.find(id);
  if (it != peers_.end() && it->second.attempt && it->second.attempt->role == SealRole::initiator &&
      wins_glare(id)) {
    ++counters_.glare_won;
    return;
  }
  HandshakeFrame answer;
  answer.type = HandshakeType::cookie;
  answer.association = frame.association;
  answer.cookie = cookie_for(id, frame.association, now.time_since_epoch() / kCookieBucket);
  frames_.push_back({id, encode_handshake(answer)});
}

void SealMachine::on_cookie(Time now, NodeId id, Peer& peer, const HandshakeFrame& frame) {
  if (!peer.attempt || peer.attempt->stage != Stage::asking ||
      peer.attempt->role != SealRole::initiator || peer.attempt->number != frame.association) {
    return;
  }
  Attempt& attempt = *peer.attempt;
  attempt.cookie = frame.cookie;
  attempt.stage = Stage::shaking;
  attempt.shake = config_.shake(SealRole::initiator, id, attempt.number);
  advance(now, id, peer, {});
}

void SealMachine::on_dtls(Time now, NodeId id, const HandshakeFrame& frame) {
  auto it = peers_.find(id);
  if (it != peers_.end()) {
    Peer& peer = it->second;
    const bool current = peer.attempt && peer.attempt->number == frame.association;
    if (current && peer.attempt->stage != Stage::asking) {
      return advance(now, id, peer, frame.datagram);
    }
    if (const Association* a = find(peer, frame.association); a != nullptr && !current) {
      // The responder sends its last flight again: our confirmation was lost.
      if (a->role == SealRole::initiator && a->sending) emit(Kind::confirm, id, a->number);
      return;
    }
  }
  if (ours(id, frame.association)) return;  // of an attempt of ours that is over
  if (respond(now, id, frame)) advance(now, id, peers_[id], frame.datagram);
}

bool SealMachine::respond(Time now, NodeId id, const HandshakeFrame& frame) {
  if (!good_cookie(now, id, frame)) {
    ++counters_.bad_cookie;
    return false;
  }
  Peer& peer = peers_[id];
  if (peer.attempt && peer.attempt->role == SealRole::initiator) {
    if (wins_glare(id)) {
      ++counters_.glare_won;
      return false;
    }
    ++counters_.glare_lost;
  }
  drop_attempt(id, peer);
  ++counters_.answered;
  Attempt& attempt = peer.attempt.emplace();
  attempt.role = SealRole::responder;
  attempt.stage = Stage::shaking;
  attempt.number = frame.association;
  attempt.ends = now + kAttemptLife;
  attempt.wait = kResendFirst;
  attempt.resend_at = now + attempt.wait;
  attempt.shake = config_.shake(SealRole::responder, id, attempt.number);
  return true;
}

void SealMachine::advance(Time now, NodeId id, Peer& peer, ByteView datagram) {
  Attempt& attempt = *peer.attempt;
  if (attempt.stage == Stage::unconfirmed) {
    send_flight(id, attempt);  // the initiator has not got our last flight
    ++counters_.resent;
    return;
  }
  if (attempt.shake == nullptr) return fail(now, id, peer, "no identity to shake hands with");
  std::vector<Bytes> out;
  Status status = attempt.shake->advance(datagram, out);
  std::vector<Bytes> frames;
  HandshakeFrame frame;
  frame.type = HandshakeType::dtls;
  frame.association = attempt.number;
  if (attempt.role == SealRole::initiator) frame.cookie = attempt.cookie;
  for (const Bytes& bytes : out) {
    frame.datagram = bytes;
    frames.push_back(encode_handshake(frame));
  }
  if (!frames.empty()) set_flight(now, id, attempt, std::move(frames));
  if (!status) return fail(now, id, peer, status.error().message);
  if (attempt.shake->done()) finish(now, id, peer);
}

void SealMachine::finish(Time now, NodeId id, Peer& peer) {
  Attempt& attempt = *peer.attempt;
  ++counters_.established;
  peer.problem.clear();
  remove(id, peer, attempt.number);  // of before a restart of the peer
  Association a;
  a.number = attempt.number;
  a.role = attempt.role;
  a.made = now;
  a.rekey_at = now + kRekeyAfter + (config_.self < id ? Duration(0) : kRekeySlack);
  a.retire_at = now + kLife;
  peer.associations.push_back(a);
  emit(Kind::installed, id, a.number);
  events_.back().secrets = attempt.shake->secrets();
  attempt.shake.reset();
  if (attempt.role == SealRole::responder) {
    attempt.stage = Stage::unconfirmed;
    return;
  }
  peer.attempt.reset();
  activate(id, peer, a.number, now);
  emit(Kind::confirm, id, a.number);
}

void SealMachine::opened(Time now, NodeId id, std::uint32_t number) {
  auto it = peers_.find(id);
  if (it == peers_.end()) return;
  Peer& peer = it->second;
  if (!peer.attempt || peer.attempt->stage != Stage::unconfirmed ||
      peer.attempt->number != number) {
    return;
  }
  peer.attempt.reset();
  activate(id, peer, number, now);
}

}  // namespace dmsc::dataplane
