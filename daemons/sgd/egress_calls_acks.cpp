// Acknowledgements of responses, and what is left of an exchange after them.
#include "dmsc/wire/acked_exchanges.hpp"
#include "sgd/egress_call.hpp"

namespace dmsc::sgd {

using wire::HeaderTlv;

// Of the packet's own exchange by its TLV; and of those in its payload, held whole.
void EgressCalls::on_acks(Time now, const wire::ServicePacket& packet) {
  if (Entry* entry = acknowledged({packet.ingress(), packet.exchange(), packet.flow()})) {
    on_ack(now, *entry, packet);
  }
  auto others = wire::decode_acked(packet.payload());
  if (!others) {
    ++counters_.malformed;
    return;
  }
  for (const wire::AckedExchange& other : *others) {
    Entry* entry = acknowledged({packet.ingress(), other.exchange, other.flow});
    if (entry != nullptr && entry->state == State::answered) settle(now, *entry);
  }
}

// Counts one; nullptr: nothing waits for it.
EgressCalls::Entry* EgressCalls::acknowledged(const Key& key) {
  auto it = entries_.find(key);
  const bool known = it != entries_.end() || settled_.contains(key);
  ++(known ? counters_.acks_in : counters_.strays);
  return it != entries_.end() ? it->second.get() : nullptr;
}

void EgressCalls::on_ack(Time now, Entry& entry, const wire::ServicePacket& packet) {
  if (entry.state != State::answered) return;
  auto value = packet.tlv(HeaderTlv::ack);
  auto held = value ? wire::decode_ack(*value) : Result<wire::ByteRanges>(Error{});
  if (!held) {
    ++counters_.malformed;
    return;
  }
  Peer& peer = peers_[entry.key.ingress];
  if (held->complete(static_cast<std::uint32_t>(entry.reply.size()))) {
    // The acknowledgement of a single segment may have waited for others (docs: "Messages" 5).
    if (entry.sender->segment_count() > 1) entry.sender->acknowledge_all(now, peer.rtt);
    return settle(now, entry);
  }
  entry.sender->acknowledge(now, *held, peer.rtt);
  service(now, entry);
}

void EgressCalls::settle(Time now, Entry& entry) {
  settled_.add(entry.key, entry.forget_at);
  ++peers_[entry.key.ingress].settled;
  erase(entry);
  forget_settled(now, 4);  // a little each time: no long pause when many are due
}

void EgressCalls::forget_settled(Time now, std::size_t most) {
  settled_.expire(now, most, [this](const Key& key) { --peers_[key.ingress].settled; });
}

}  // namespace dmsc::sgd
