// What packets can change, as two numbers: replays and tests of refusal compare them.
#include "dmsc/linkstate/impl.hpp"

namespace dmsc::linkstate {
namespace {

std::uint64_t ns(Time t) { return static_cast<std::uint64_t>(t.time_since_epoch().count()); }

// Not what is in flight: the next packet for the link, refused or not, finds that the pacing lets more go.
void write_link(ByteWriter& w, const Link& l) {
  w.u32(l.config.id.value).u8(static_cast<std::uint8_t>(l.state)).u8(l.interface_up ? 1 : 0);
  w.u32(l.peer.node.value).u32(l.peer.link).u64(l.peer.session.value).u64(l.peer.nonce);
  w.u64(l.nonce).u64(l.last_hello).u64(ns(l.hello_heard)).u64(ns(l.up_since)).u64(l.flaps);
  l.replay.write(w);
  w.u64(static_cast<std::uint64_t>(l.interval.count())).u32(l.multiplier).u64(ns(l.last_heard));
  w.u32(l.heard_sequence).u64(l.echo_sent).u64(l.echo_received).u64(l.delay.samples());
  w.u8(l.poll_due ? 1 : 0).u64(l.flood.pending()).u64(l.acks.size());
  w.u16(l.path_mtu.mtu()).u8(l.synchronised ? 1 : 0).u32(l.mismatches).u64(ns(l.repair_after));
  w.u64(l.held_until ? ns(*l.held_until) : 0);
}

U128 digest_of(const ByteWriter& w) { return ByteReader(crypto::sha256(w.view())).u128(); }

}  // namespace

Fingerprint Engine::fingerprint() const {
  ByteWriter links, database;
  for (const auto& [id, l] : impl_->links) write_link(links, l);
  links.u64(impl_->waiting.items().size()).u64(impl_->admission.queued());
  database.u128(impl_->lsdb.digest()).u64(impl_->lsdb.size());
  auto expiry = impl_->lsdb.next_expiry();
  database.u64(expiry ? ns(*expiry) : 0).u64(impl_->epoch).u64(impl_->sequence);
  database.u64(impl_->own.size()).u8(impl_->synchronised ? 1 : 0).u8(impl_->overload ? 1 : 0);
  database.u64(impl_->prefixes.size()).u64(impl_->grants.size()).u64(impl_->limits.header.serial);
  return {digest_of(links), digest_of(database)};
}

}  // namespace dmsc::linkstate
