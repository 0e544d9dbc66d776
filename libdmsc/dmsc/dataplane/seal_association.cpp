#include "dmsc/dataplane/seal_association.hpp"

#include <algorithm>

namespace dmsc::dataplane {

using forwarding::SealKeyId;
using forwarding::SealStamp;

SealAssociation::SealAssociation(NodeId peer, std::uint32_t number, const SealSecrets& secrets,
                                 unsigned workers)
    : peer_(peer), number_(number), secrets_(secrets), parts_(workers) {}

SealAssociation::~SealAssociation() {
  crypto::wipe(secrets_.send);
  crypto::wipe(secrets_.receive);
}

SealAssociation::Outgoing* SealAssociation::outgoing(unsigned worker, unsigned group) {
  std::unique_ptr<Outgoing>& slot = parts_[worker].out[group];
  if (slot != nullptr) return slot.get();
  auto derived = forwarding::derive_seal_key(secrets_.send, secrets_.algorithm, worker, group);
  auto key = crypto::AeadSealer::create(secrets_.algorithm, derived.key);
  crypto::wipe(derived.key);
  if (!key) return nullptr;
  slot.reset(new Outgoing{std::move(*key), derived.mask, 0});
  return slot.get();
}

std::size_t SealAssociation::seal(unsigned worker, Time now, const wire::ServicePacket& packet,
                                  std::span<std::uint8_t> out) {
  const std::uint8_t group = forwarding::path_group(packet.label());
  Outgoing* key = outgoing(worker, group);
  if (key == nullptr || key->next >= kMostPackets) return 0;
  Part& part = parts_[worker];
  SealStamp stamp;
  stamp.key = {number_, static_cast<std::uint8_t>(worker), group};
  stamp.counter = key->next++;
  if (key->next >= kRenewAfter) part.renewal_due = true;
  const std::size_t size = forwarding::seal_packet(packet, stamp, key->mask, key->key, out);
  if (size == 0) return 0;
  part.sealed.add();
  part.last_used.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  return size;
}

bool SealAssociation::exhausted(unsigned worker, const wire::ServicePacket& packet) const {
  const auto& slot = parts_[worker].out[forwarding::path_group(packet.label())];
  return slot == nullptr || slot->next >= kMostPackets;
}

bool SealAssociation::renewal_due(unsigned worker) {
  Part& part = parts_[worker];
  return part.renewal_due && !std::exchange(part.renewal_told, true);
}

std::unique_ptr<SealAssociation::Incoming> SealAssociation::make_incoming(
    const SealKeyId& id) const {
  auto derived =
      forwarding::derive_seal_key(secrets_.receive, secrets_.algorithm, id.worker, id.group);
  auto key = crypto::AeadOpener::create(secrets_.algorithm, derived.key);
  crypto::wipe(derived.key);
  if (!key) return nullptr;
  return std::unique_ptr<Incoming>(new Incoming{std::move(*key), derived.mask, {}});
}

SealAssociation::Opened SealAssociation::open(unsigned worker, Time now,
                                              wire::ServicePacket& packet, const SealStamp& stamp) {
  Part& part = parts_[worker];
  const unsigned id = stamp.key.worker * forwarding::kSealGroups + stamp.key.group;
  auto known = part.in.find(id);
  // Kept only once a tag was good: key ids are anybody's to invent.
  std::unique_ptr<Incoming> fresh;
  if (known == part.in.end()) fresh = make_incoming(stamp.key);
  Incoming* key = known != part.in.end() ? known->second.get() : fresh.get();
  if (key == nullptr || part.refused.get() >= kMostForgeries) return Opened::bad;
  if (!key->window.fresh(stamp.counter)) {
    part.refused.add();
    return Opened::replayed;
  }
  if (!forwarding::open_packet(packet, stamp, key->mask, key->key)) {
    part.refused.add();
    return Opened::bad;
  }
  key->window.accept(stamp.counter);
  if (fresh != nullptr) part.in.emplace(id, std::move(fresh));
  part.opened.add();
  part.last_used.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  return Opened::good;
}

SealAssociation::Totals SealAssociation::totals() const {
  Totals out;
  std::int64_t last = 0;
  for (const Part& part : parts_) {
    out.sealed += part.sealed.get();
    out.opened += part.opened.get();
    out.refused += part.refused.get();
    last = std::max(last, part.last_used.load(std::memory_order_relaxed));
  }
  out.last_used = Time(Duration(last));
  return out;
}

}  // namespace dmsc::dataplane
