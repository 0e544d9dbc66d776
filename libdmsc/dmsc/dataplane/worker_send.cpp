// From a packet to the wire: hop block, queueing, own packets, error packets.
#include <algorithm>

#include "dmsc/dataplane/error_packet.hpp"
#include "dmsc/dataplane/worker_impl.hpp"

namespace dmsc::dataplane {

using forwarding::Action;
using forwarding::DropReason;
using forwarding::Verdict;
using wire::PacketKind;
using wire::ServicePacket;

namespace {

Verdict refused(DropReason reason) {
  Verdict verdict;
  verdict.reason = reason;
  return verdict;
}

}  // namespace

int WorkerImpl::socket_of(unsigned sockets) const {
  return sockets < sockets_.size() ? sockets_[sockets].get() : -1;
}

DropReason WorkerImpl::transmit(ServicePacket& packet, const LinkEntry& entry, bool copy) {
  int fd = socket_of(entry.sockets);
  if (fd < 0 || entry.keys.empty()) return DropReason::link_down;
  if (packet.datagram().size() > std::min(entry.mtu, kMaxDatagram)) return DropReason::too_big;
  WorkerLink& link = entry.state->per_worker[index_];
  const HopKeys& key = entry.keys[entry.active];
  packet.set_hop_block(key.id, static_cast<std::uint8_t>(index_), link.next_counter++, 0);
  auto peers = static_cast<unsigned>(entry.addresses.size());
  unsigned peer = peers > 1 ? worker_of_flow(packet.flow(), peers) : 0;
  outbox_.push(fd, entry.addresses[peer], packet.datagram(), copy, link.counters,
               shared_.hop_authentication ? &key.send : nullptr);
  return DropReason::none;
}

Verdict WorkerImpl::originate(std::span<std::uint8_t> datagram) {
  auto packet = ServicePacket::parse(datagram);
  if (!packet) {
    counters_.originated.add();
    counters_.drop(DropReason::malformed);
    return refused(DropReason::malformed);
  }
  return originate_packet(*packet);
}

// The first packet is decided on as a probe of the others; what that changes in the fixed part of its
// header, in front of and behind the payload's length, is changed in theirs.
Verdict WorkerImpl::originate_train(Train train) {
  constexpr std::size_t kLengthAt = 6, kBehindLength = 8, kHopBlockAt = 32;
  auto first = ServicePacket::parse(train.front());
  const bool alike = first.ok() && first->egress() && first->egress() != shared_.self &&
                     (first->flags() & wire::kFlagTrace) == 0;
  if (!alike || table_ == nullptr) return Worker::originate_train(train);
  Verdict verdict = forwarding::decide(*shared_.fib, shared_.self, *first, true);
  const LinkEntry* entry =
      verdict.action == Action::forward ? table_->find(verdict.next_hop.link) : nullptr;
  DropReason reason = verdict.action == Action::drop ? verdict.reason : DropReason::link_down;
  DropReason worst = DropReason::none;
  counters_.originated.add(train.size());
  if (verdict.by_label) counters_.by_label.add(train.size());
  if (verdict.repaired) counters_.repaired.add(train.size());
  for (std::span<std::uint8_t> datagram : train) {
    std::copy_n(train.front().begin(), kLengthAt, datagram.begin());
    std::copy(train.front().begin() + kBehindLength, train.front().begin() + kHopBlockAt,
              datagram.begin() + kBehindLength);
    auto packet = ServicePacket::parse(datagram);
    if (!packet) {
      reason = DropReason::malformed;
    } else if (entry != nullptr) {
      reason = transmit(*packet, *entry, false);
    }
    if (reason == DropReason::none) continue;
    counters_.drop(reason);
    worst = reason;
  }
  return worst == DropReason::none ? verdict : refused(worst);
}

Verdict WorkerImpl::originate_packet(ServicePacket& packet) {
  counters_.originated.add();
  Verdict verdict = forwarding::decide(*shared_.fib, shared_.self, packet, true);
  if (verdict.by_name) counters_.by_name.add();
  if (verdict.by_label) counters_.by_label.add();
  if (verdict.repaired) counters_.repaired.add();
  if (verdict.action == Action::deliver) {
    deliver(packet, LinkId{});
    return verdict;
  }
  if (verdict.action == Action::forward) {
    const LinkEntry* entry = table_ != nullptr ? table_->find(verdict.next_hop.link) : nullptr;
    DropReason reason = entry != nullptr ? transmit(packet, *entry, true) : DropReason::link_down;
    if (reason == DropReason::none) return verdict;
    verdict = refused(reason);
  }
  counters_.drop(verdict.reason);
  return verdict;
}

bool WorkerImpl::error_allowed(NodeId source) {
  auto& of_source = errors_by_source_[source.value % errors_by_source_.size()];
  if (of_source.allow(now_) && errors_.allow(now_)) return true;
  counters_.errors_suppressed.add();
  return false;
}

void WorkerImpl::send_error(const ServicePacket& packet, wire::ErrorCode code,
                            std::string_view text) {
  if (packet.kind() == PacketKind::error || !packet.ingress()) return;
  if (!error_allowed(packet.ingress())) return;
  auto error = build_error_packet(packet, shared_.self, code, text);
  if (!error) return;
  auto view = ServicePacket::parse(*error);
  if (!view) return;
  counters_.errors_sent.add();
  originate_packet(*view);
}

}  // namespace dmsc::dataplane
