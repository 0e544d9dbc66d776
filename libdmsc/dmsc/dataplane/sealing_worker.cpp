#include "dmsc/dataplane/sealing_worker.hpp"

#include <algorithm>

#include "dmsc/dataplane/error_packet.hpp"
#include "dmsc/dataplane/outbox.hpp"

namespace dmsc::dataplane {

using forwarding::Action;
using forwarding::DropReason;
using forwarding::Verdict;
using wire::ErrorCode;
using wire::HeaderTlv;
using wire::PacketKind;
using wire::PayloadProtocol;
using wire::ServicePacket;
using Kind = SealEvent::Kind;

namespace {

bool probing(const ServicePacket& packet) {
  return packet.kind() == PacketKind::probe || packet.kind() == PacketKind::trace;
}

bool is_handshake(const ServicePacket& packet) {
  return packet.kind() == PacketKind::one_way &&
         packet.payload_protocol() == PayloadProtocol::handshake;
}

wire::ServicePacketSpec handshake_spec(Worker& from, NodeId to) {
  wire::ServicePacketSpec spec;
  spec.kind = PacketKind::one_way;
  spec.protocol = PayloadProtocol::handshake;
  spec.flow = from.new_flow();
  spec.egress = to;
  spec.ingress = from.self();
  return spec;
}

// What an error packet says, and what it says it of.
struct Reported {
  ErrorCode code = ErrorCode::internal;
  NodeId egress;  // of the packet quoted; 0 = nothing is
  bool handshake = false;
  std::optional<forwarding::SealStamp> seal;
};

Reported reported(const ServicePacket& packet) {
  Reported out;
  out.code =
      static_cast<ErrorCode>(ByteReader(packet.tlv(HeaderTlv::error).value_or(ByteView{})).u16());
  ByteView quote = packet.tlv(HeaderTlv::quote).value_or(ByteView{});
  if (quote.size() < wire::kServiceFixedBytes) return out;
  out.handshake = quote[5] == static_cast<std::uint8_t>(PayloadProtocol::handshake);
  out.egress = NodeId{ByteReader(quote.subspan(24)).u32()};
  out.seal = forwarding::quoted_seal_stamp(quote);
  return out;
}

}  // namespace

SealAssociation* SealingWorker::Peer::find(std::uint32_t number) const {
  for (const AssociationPtr& a : known) {
    if (a->number() == number) return a.get();
  }
  return nullptr;
}

SealingWorker::SealingWorker(Worker& inner, SealRequests& requests, Unsealed unsealed)
    : inner_(inner),
      requests_(requests),
      unsealed_(unsealed),
      scratch_(kMaxDatagram + forwarding::kSealOverhead),
      errors_(milliseconds(1), 500) {}

void SealingWorker::set_sink(LocalSink* sink) {
  sink_ = sink;
  inner_.set_sink(sink != nullptr ? this : nullptr);
}

std::optional<ProbeHealth> SealingWorker::probe_health(const ServicePacket& probe) {
  return sink_->probe_health(probe);
}

// ---- out ----------------------------------------------------------------------------------------

bool SealingWorker::must_seal(const ServicePacket& packet) const {
  return !probing(packet) && packet.egress() && packet.egress() != inner_.self();
}

Verdict SealingWorker::originate(std::span<std::uint8_t> datagram) {
  auto packet = ServicePacket::parse(datagram);
  if (!packet || !must_seal(*packet)) return inner_.originate(datagram);
  return send(*packet);
}

// Sealed where they stand.
Verdict SealingWorker::originate_train(Train train) {
  static_assert(kTrainHeadroom >= forwarding::kSealTlvBytes &&
                kTrainTailroom >= crypto::kAeadTagBytes);
  auto first = ServicePacket::parse(train.front());
  if (!first || !must_seal(*first)) return inner_.originate_train(train);
  auto found = peers_.find(first->egress());
  if (found == peers_.end()) return Worker::originate_train(train);
  Peer& peer = found->second;
  if (peer.clear && inner_.now() < *peer.clear) return inner_.originate_train(train);
  if (peer.sending == nullptr) return Worker::originate_train(train);  // they wait for keys
  forwarding::take_path(inner_.fib(), *first);
  const std::size_t done = seal_train(peer, first->label(), train);
  if (peer.sending->renewal_due(inner_.index())) requests_.want(first->egress(), true);
  Verdict verdict;
  if (done > 0) verdict = inner_.originate_train(sealed_);
  if (done < train.size()) verdict = Worker::originate_train(train.subspan(done));
  return verdict;
}

// How many of them; the next one is refused by its size, or the key is used up.
std::size_t SealingWorker::seal_train(Peer& peer, PathLabel label, Train train) {
  sealed_.clear();
  for (std::span<std::uint8_t> datagram : train) {
    auto packet = ServicePacket::parse(datagram);
    if (!packet) break;
    packet->set_label(label);
    std::span<std::uint8_t> room(datagram.data() - forwarding::kSealTlvBytes,
                                 datagram.size() + forwarding::kSealOverhead);
    std::size_t size = peer.sending->seal(inner_.index(), inner_.now(), *packet, room);
    if (size == 0) break;
    sealed_.push_back(room.first(size));
  }
  return sealed_.size();
}

Verdict SealingWorker::refuse_ours(DropReason reason) {
  inner_.count_drop(reason);
  Verdict verdict;
  verdict.reason = reason;
  return verdict;
}

Verdict SealingWorker::send(ServicePacket& packet) {
  if (peers_.size() >= kMostPeers && peers_.count(packet.egress()) == 0) {
    return refuse_ours(DropReason::no_association);
  }
  Peer& peer = peers_[packet.egress()];
  if (peer.clear && inner_.now() < *peer.clear) return inner_.originate(packet.datagram());
  if (peer.sending == nullptr) return wait(peer, packet);
  forwarding::take_path(inner_.fib(), packet);  // the seal covers the label
  const unsigned worker = inner_.index();
  std::size_t size = peer.sending->seal(worker, inner_.now(), packet, scratch_);
  if (peer.sending->renewal_due(worker)) requests_.want(packet.egress(), true);
  if (size > 0) return inner_.originate(std::span(scratch_).first(size));
  if (peer.sending->exhausted(worker, packet)) return wait(peer, packet);
  return refuse_ours(DropReason::too_big);
}

Verdict SealingWorker::wait(Peer& peer, const ServicePacket& packet) {
  const Time now = inner_.now();
  const std::size_t size = packet.datagram().size();
  const bool hopeless = peer.failed && now - *peer.failed < kFailedFor;
  if (hopeless || peer.waiting.size() >= kWaitingPackets || waiting_bytes_ + size > kWaitingBytes) {
    return refuse_ours(DropReason::no_association);
  }
  peer.waiting.push_back(to_bytes(packet.datagram()));
  waiting_bytes_ += size;
  if (!peer.asked || now - *peer.asked >= kAskAgain) {
    peer.asked = now;
    requests_.want(packet.egress(), peer.sending != nullptr);
  }
  Verdict accepted;
  accepted.action = Action::forward;
  return accepted;
}

void SealingWorker::flush_waiting(NodeId id) {
  Peer& peer = peers_[id];
  std::deque<Bytes> waiting = std::move(peer.waiting);
  peer.waiting.clear();
  for (Bytes& datagram : waiting) {
    waiting_bytes_ -= datagram.size();
    originate(datagram);
  }
}

void SealingWorker::drop_waiting(Peer& peer) {
  for (const Bytes& datagram : peer.waiting) {
    waiting_bytes_ -= datagram.size();
    inner_.count_drop(DropReason::no_association);
  }
  peer.waiting.clear();
}

// An error about a sealed packet is sealed as well: only then is it more than a hint to its reader.
void SealingWorker::send_error(const ServicePacket& packet, ErrorCode code, std::string_view text) {
  if (packet.kind() == PacketKind::error || !packet.ingress()) return;
  const bool sealed = (packet.flags() & wire::kFlagSealed) != 0;
  if (!sealed) return inner_.send_error(packet, code, text);
  if (!errors_.allow(inner_.now())) return;
  auto error = build_error_packet(packet, inner_.self(), code, text);
  if (error) originate(*error);
}

void SealingWorker::send_frame(NodeId peer, Bytes payload) {
  inner_.post([this, peer, payload = std::move(payload)] {
    auto packet = wire::build_service_packet(handshake_spec(inner_, peer), payload);
    if (packet) inner_.originate(*packet);  // lost ones are sent again
  });
}

// The responder waits for something sealed; it has no payload and ends at the other gateway's
// worker.
void SealingWorker::confirm(NodeId id) {
  if (auto packet = wire::build_service_packet(handshake_spec(inner_, id), {})) originate(*packet);
}

// ---- keys ---------------------------------------------------------------------------------------

void SealingWorker::apply(SealEvent event, std::shared_ptr<SealAssociation> association) {
  inner_.post([this, event = std::move(event), association = std::move(association)] {
    on_event(event, association);
  });
}

void SealingWorker::on_event(const SealEvent& event, AssociationPtr association) {
  Peer& peer = peers_[event.peer];
  auto known = std::find_if(peer.known.begin(), peer.known.end(), [&](const AssociationPtr& a) {
    return a->number() == event.association;
  });
  switch (event.kind) {
    case Kind::installed:
      peer.known.push_back(std::move(association));
      return;
    case Kind::activated:
      if (known == peer.known.end()) return;
      peer.sending = *known;
      peer.failed.reset();
      peer.asked.reset();
      return flush_waiting(event.peer);
    case Kind::confirm:
      if (inner_.index() == 0) confirm(event.peer);
      return;
    case Kind::removed:
      if (known != peer.known.end()) peer.known.erase(known);
      [[fallthrough]];
    case Kind::retired:
      if (peer.sending && peer.sending->number() == event.association) peer.sending.reset();
      return;
    case Kind::failed:
      peer.failed = inner_.now();
      peer.asked.reset();
      return drop_waiting(peer);
  }
}

// ---- in -----------------------------------------------------------------------------------------

void SealingWorker::deliver(ServicePacket& packet, LinkId from) {
  if (!from || probing(packet)) return sink_->deliver(packet, from);  // our own, or answered to all
  const bool sealed = packet.tlv(HeaderTlv::seal).has_value();
  if (sealed != ((packet.flags() & wire::kFlagSealed) != 0)) {
    return refuse(packet, DropReason::malformed, ErrorCode::malformed, "seal and flag disagree");
  }
  if (!sealed && is_handshake(packet)) {
    return requests_.frame(packet.ingress(), to_bytes(packet.payload()));
  }
  if (sealed ? !open(packet) : !take_clear(packet)) return;
  if (is_handshake(packet)) return;  // a confirmation: being opened was its purpose
  sink_->deliver(packet, from);
}

bool SealingWorker::open(ServicePacket& packet) {
  const forwarding::SealStamp stamp = *forwarding::seal_stamp(packet);
  auto it = peers_.find(packet.ingress());
  SealAssociation* association =
      it == peers_.end() ? nullptr : it->second.find(stamp.key.association);
  if (association == nullptr) {
    refuse(packet, DropReason::unknown_seal, ErrorCode::unknown_key, "no such association here");
    return false;
  }
  switch (association->open(inner_.index(), inner_.now(), packet, stamp)) {
    case SealAssociation::Opened::good:
      break;
    case SealAssociation::Opened::replayed:
      inner_.count_drop(DropReason::seal_replay);
      return false;
    case SealAssociation::Opened::bad:
      inner_.count_drop(DropReason::bad_seal);
      return false;
  }
  if (association->first_open()) requests_.opened(packet.ingress(), association->number());
  return true;
}

bool SealingWorker::take_clear(ServicePacket& packet) {
  if (packet.kind() == PacketKind::error) return take_clear_error(packet);
  const bool by_name = !packet.egress() && (packet.kind() == PacketKind::request ||
                                            packet.kind() == PacketKind::one_way);
  if (unsealed_ == Unsealed::accept || (unsealed_ == Unsealed::by_name && by_name)) {
    packet.forget_source();  // who sent this nobody knows
    return true;
  }
  refuse(packet, DropReason::unsealed, ErrorCode::not_allowed,
         "this gateway takes sealed payload only");
  return false;
}

// Anybody on the way can make these: hints. False: they end here.
bool SealingWorker::take_clear_error(ServicePacket& packet) {
  const Reported report = reported(packet);
  if (report.code == ErrorCode::unknown_key && report.seal && report.egress) {
    requests_.unknown(report.egress, report.seal->key.association);
    return false;
  }
  if (report.handshake) {
    if (report.code == ErrorCode::unsupported && unsealed_ == Unsealed::accept) {
      auto it = peers_.find(report.egress);
      if (it == peers_.end() || it->second.sending) return false;
      it->second.clear = inner_.now() + kClearFor;
      flush_waiting(report.egress);
    }
    return false;
  }
  // A gateway we share keys with would have sealed it: who reports it is not known.
  auto it = peers_.find(packet.ingress());
  if (it != peers_.end() && it->second.sending) packet.set_ingress(NodeId{});
  return true;
}

void SealingWorker::refuse(const ServicePacket& packet, DropReason reason, ErrorCode code,
                           std::string_view text) {
  inner_.count_drop(reason);
  inner_.send_error(packet, code, text);
}

}  // namespace dmsc::dataplane
