// From a received datagram to a verdict.
#include <algorithm>

#include "dmsc/dataplane/receive_batch.hpp"
#include "dmsc/dataplane/worker_impl.hpp"

namespace dmsc::dataplane {

using forwarding::Action;
using forwarding::DropReason;
using wire::PacketKind;
using wire::ServicePacket;

unsigned worker_of_flow(std::uint64_t flow, unsigned workers) {
  if (workers <= 1) return 0;
  // A mix of its own, so that the choice is independent of the equal-cost choice.
  std::uint64_t z = flow * 0xd6e8feb86659fd93ULL;
  z ^= z >> 32;
  z *= 0xd6e8feb86659fd93ULL;
  return static_cast<unsigned>((z >> 32) % workers);
}

// A bounded share per round: timers and other sockets get their turn under flood.
void WorkerImpl::receive_ready(DataSocket& socket) {
  for (unsigned turn = 0; turn < receive_turns_; ++turn) {
    if (batch_->spent()) finish_batch();
    if (!receive_some(socket)) return;
  }
}

// One receive call; false if nothing is left to receive.
bool WorkerImpl::receive_some(DataSocket& socket) {
  const bool sources = !socket.only_peer();
  const ReceiveBatch::Received got = batch_->receive(socket.fd(), sources);
  const unsigned end = got.first + got.count;
  if (sources) {
    receive_sources(socket, got.first, end);
    socket.received(got.count, got.drained, now_);
  } else {
    const LinkEntry* entry =
        table_ != nullptr ? table_->find_source(socket.sockets(), socket.peer()) : nullptr;
    for (unsigned i = got.first; i < end; ++i) receive_message(i, entry);
  }
  return got.full;
}

void WorkerImpl::receive_sources(const DataSocket& socket, unsigned first, unsigned end) {
  const LinkEntry* entry = nullptr;
  for (unsigned i = first; i < end; ++i) {
    if (i == first || !batch_->same_source(i, i - 1)) {
      entry = table_ != nullptr ? table_->find_source(socket.sockets(), batch_->from(i)) : nullptr;
    }
    receive_message(i, entry);
  }
}

// What this round's sockets had goes on together, in its order; then the buffers are free again.
void WorkerImpl::finish_batch() {
  if (batch_->empty()) return;
  process_burst();
  if (sink_ != nullptr) sink_->batch_over();
  outbox_.flush();
  batch_->reuse();
}

void WorkerImpl::receive_message(unsigned i, const LinkEntry* entry) {
  std::span<std::uint8_t> message = batch_->message(i);
  std::size_t segment = batch_->segment(i);
  std::size_t datagrams = segment == 0 ? 1 : (message.size() + segment - 1) / segment;
  counters_.received.add(datagrams);
  if (entry == nullptr) return counters_.drop(DropReason::not_neighbour, datagrams);
  if (batch_->truncated(i) || segment > kMaxDatagram) {
    return counters_.drop(DropReason::too_big, datagrams);
  }
  if (datagrams > 1) counters_.trains_in.add();
  for (std::size_t at = 0; at < message.size(); at += segment) {
    if (at + 2 * segment < message.size()) __builtin_prefetch(&message[at + 2 * segment]);
    receive(message.subspan(at, std::min(segment, message.size() - at)), *entry);
  }
  if (message.empty()) receive(message, *entry);
}

void WorkerImpl::receive(std::span<std::uint8_t> datagram, const LinkEntry& entry) {
  auto packet = ServicePacket::parse(datagram);
  if (!packet) return refuse_unparsed(datagram, entry, packet.error());
  burst_.arrivals[burst_.count++] = {*packet, &entry};
  if (burst_.full()) process_burst();
}

// Tags, look-ups and new tags of all arrivals at a time: each step's waits for memory and long chains of
// arithmetic overlap with those of the others.
void WorkerImpl::process_burst() {
  if (burst_.count == 0) return;
  authenticate_burst();
  std::array<ServicePacket*, forwarding::kDecideAtOnce> packets;
  std::array<forwarding::Verdict, forwarding::kDecideAtOnce> verdicts;
  for (std::size_t i = 0; i < burst_.count; ++i) packets[i] = &burst_.arrivals[i].packet;
  forwarding::decide_batch(*shared_.fib, shared_.self, {packets.data(), burst_.count},
                           {verdicts.data(), burst_.count});
  for (std::size_t i = 0; i < burst_.count; ++i) {
    act(burst_.arrivals[i].packet, verdicts[i], burst_.arrivals[i].entry->link);
  }
  burst_.count = 0;
}

// Keeps the arrivals that are good, in their order; link probes end here.
void WorkerImpl::authenticate_burst() {
  std::array<forwarding::HopCheck, forwarding::kDecideAtOnce> checks;
  std::size_t known = 0, kept = 0;
  for (std::size_t i = 0; i < burst_.count; ++i) {
    Arrival& arrival = burst_.arrivals[i];
    if (shared_.hop_authentication) {
      const HopKeys* key = arrival.entry->key(arrival.packet.hop_key_id());
      if (key == nullptr) {
        counters_.drop(DropReason::bad_key);
        continue;
      }
      checks[known] = {arrival.packet.datagram().data(), &key->receive};
    }
    if (known != i) burst_.arrivals[known] = arrival;
    ++known;
  }
  if (shared_.hop_authentication) forwarding::check_tags({checks.data(), known});
  for (std::size_t i = 0; i < known; ++i) {
    if (accept(burst_.arrivals[i], checks[i].good) && kept++ != i) {
      burst_.arrivals[kept - 1] = burst_.arrivals[i];
    }
  }
  burst_.count = kept;
}

// True if the packet goes on to the decision.
bool WorkerImpl::accept(Arrival& arrival, bool good_tag) {
  const LinkEntry& entry = *arrival.entry;
  ServicePacket& packet = arrival.packet;
  if (shared_.hop_authentication) {
    DropReason reason = good_tag ? check_fresh(packet, entry) : DropReason::bad_tag;
    if (reason != DropReason::none) return counters_.drop(reason), false;
  }
  count_in(packet, entry);
  if (packet.kind() != PacketKind::probe || packet.payload_protocol() != kLinkProbeProtocol) {
    return true;
  }
  receive_link_probe(packet, entry);
  return false;
}

void WorkerImpl::count_in(const ServicePacket& packet, const LinkEntry& entry) {
  counters_.packets_in.add();
  counters_.bytes_in.add(packet.datagram().size());
  LinkCounters& link = entry.state->per_worker[index_].counters;
  link.packets_in.add();
  link.bytes_in.add(packet.datagram().size());
}

// Of a packet whose tag is good. The windows are per receiving worker, so a copy replayed to another worker's
// port must not pass.
DropReason WorkerImpl::check_fresh(const ServicePacket& packet, const LinkEntry& entry) {
  WorkerLink& link = entry.state->per_worker[index_];
  if (packet.hop_worker() >= link.windows.size() ||
      (shared_.workers > 1 && worker_of_flow(packet.flow(), shared_.workers) != index_) ||
      !link.windows[packet.hop_worker()].accept(packet.hop_counter())) {
    return DropReason::replay;
  }
  return DropReason::none;
}

// Of one packet alone.
DropReason WorkerImpl::authenticate(const ServicePacket& packet, const LinkEntry& entry) {
  if (!shared_.hop_authentication) return DropReason::none;
  const HopKeys* key = entry.key(packet.hop_key_id());
  if (key == nullptr) return DropReason::bad_key;
  if (!forwarding::check_hop(packet, key->receive)) return DropReason::bad_tag;
  return check_fresh(packet, entry);
}

void WorkerImpl::refuse_unparsed(std::span<std::uint8_t> datagram, const LinkEntry& entry,
                                 const Error& error) {
  if (error.code == Errc::unsupported) {
    auto packet = ServicePacket::parse_for_error(datagram);
    if (packet.ok()) {
      DropReason reason = authenticate(*packet, entry);
      if (reason != DropReason::none) return counters_.drop(reason);
      count_in(*packet, entry);
      return drop(*packet, DropReason::unknown_tlv, error.message);
    }
  }
  counters_.drop(DropReason::malformed);
}

void WorkerImpl::act(ServicePacket& packet, const forwarding::Verdict& verdict, LinkId from) {
  if (verdict.by_name) counters_.by_name.add();
  if (verdict.by_label) counters_.by_label.add();
  if (verdict.repaired) counters_.repaired.add();
  switch (verdict.action) {
    case Action::deliver:
      return deliver(packet, from);
    case Action::drop:
      return drop(packet, verdict.reason, forwarding::to_string(verdict.reason));
    case Action::forward: {
      const LinkEntry* entry = table_->find(verdict.next_hop.link);
      DropReason reason = DropReason::link_down;
      if (entry != nullptr) reason = transmit(packet, *entry, false);
      if (reason == DropReason::too_big) {
        return drop(packet, reason, std::to_string(entry->mtu) + " bytes pass");
      }
      if (reason != DropReason::none) {
        return drop(packet, reason, forwarding::to_string(reason));
      }
      counters_.forwarded.add();
    }
  }
}

void WorkerImpl::deliver(ServicePacket& packet, LinkId from) {
  bool reply = (packet.flags() & wire::kFlagReply) != 0;
  bool probing = packet.kind() == PacketKind::probe || packet.kind() == PacketKind::trace;
  if (probing && !reply) return answer_probe(packet);
  if ((probing || packet.kind() == PacketKind::error) && take_reply(packet)) {
    return counters_.ended.add();
  }
  if (sink_ != nullptr) {
    counters_.delivered.add();
    sink_->deliver(packet, from);
    return;
  }
  if (reply || packet.kind() == PacketKind::error) return counters_.drop(DropReason::no_instance);
  drop(packet, DropReason::no_instance, "this node has no pods");
}

void WorkerImpl::drop(const ServicePacket& packet, DropReason reason, std::string_view text) {
  counters_.drop(reason);
  if (auto code = forwarding::error_for(reason)) send_error(packet, *code, text);
}

}  // namespace dmsc::dataplane
