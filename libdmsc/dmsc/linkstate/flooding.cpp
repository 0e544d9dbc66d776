// Reliable flooding: updates in and out, acknowledgements, verdicts (docs/protocol.md, "Flooding").
#include <algorithm>

#include "dmsc/linkstate/impl.hpp"

namespace dmsc::linkstate {
namespace {

// Topology, identities and trust overtake prefixes and grants, which mean nothing without them.
bool is_urgent(wire::LsaType type) {
  return type != wire::LsaType::prefix && type != wire::LsaType::grant;
}

std::size_t datagram_room(const Link& l) {
  std::size_t measured = std::min<std::size_t>(l.config.mtu, l.path_mtu.mtu());
  return std::max<std::size_t>(measured, PathMtuSearch::kFloor) - wire::kPduOverhead;
}

}  // namespace

Status Engine::Impl::handle_update(Time now, Link& l, ByteView body) {
  auto entries = wire::decode_update(body);
  if (!entries) return entries.error();
  for (const wire::UpdateEntry& entry : *entries) {
    auto lsa = primitives->decode_lsa(entry.raw);
    if (!lsa) return with_context("update", lsa.error());
    receive_lsa(now, &l, *lsa, std::min(entry.remaining, (*lsa)->lifetime));
    if (!l.up()) return Ok{};
  }
  return Ok{};
}

void Engine::Impl::receive_lsa(Time now, Link* from, const wire::LsaPtr& lsa,
                               std::uint32_t remaining) {
  ++counters.lsas_in;
  std::uint64_t key = wire::key_number(lsa->key);
  const Lsdb::Entry* entry = lsdb.find(key);
  int order = entry == nullptr ? 1 : compare_copies(*lsa, *entry);
  if (order == 0) {
    ++counters.lsas_duplicate;
    lsdb.extend(now, key, remaining);
    if (from == nullptr) return;
    from->flood.drop(key);  // the neighbour has it: an implied acknowledgement
    // And perhaps never heard ours; but of topology there are early copies.
    if (lsa->key.type != wire::LsaType::node) from->repeat_acks_until = now + kRepeatAcks;
    return acknowledge(now, *from, *lsa);
  }
  if (lsa->key.origin == config.self) return receive_own(now, from, lsa, remaining);
  if (order < 0) {
    ++counters.lsas_older;
    if (from == nullptr) return;
    acknowledge(now, *from, *lsa);
    return push(*from, *entry);
  }
  if (remaining < kMinRemaining) {
    if (from != nullptr) acknowledge(now, *from, *lsa);  // as good as gone
    return;
  }
  want_verdict(now, from, lsa, remaining);
}

void Engine::Impl::want_verdict(Time now, Link* from, const wire::LsaPtr& lsa,
                                std::uint32_t remaining) {
  std::uint64_t ticket = 0;
  LinkId id = from == nullptr ? LinkId{0} : from->config.id;
  WaitingTable::Added added = waiting.add(now, id, lsa, remaining, ticket);
  // Full: not acknowledged, so the neighbour sends it again. A bound delays, it never refuses.
  if (added == WaitingTable::Added::full) return;
  if (from != nullptr) acknowledge(now, *from, *lsa);
  admission.add(now, id, wire::key_number(lsa->key), is_urgent(lsa->key.type));
  judge_next(now);
}

// Hands out what is next to be judged, as far as the driver keeps up.
void Engine::Impl::judge_next(Time now) {
  while (auto slot = admission.pop(now)) {
    auto ticket = waiting.ticket_of(slot->from, slot->key);
    if (!ticket || !admission.ask(now, *ticket)) continue;  // settled meanwhile, or being judged
    ++counters.verify_wanted;
    emit(VerifyWanted{*ticket, waiting.items().at(*ticket).lsa});
  }
}

// A copy of an LSA of ours that we do not hold: left over from before a restart, or forged. Our own
// key tells which, without asking the driver.
void Engine::Impl::receive_own(Time now, Link* from, const wire::LsaPtr& lsa,
                               std::uint32_t remaining) {
  std::uint64_t key = wire::key_number(lsa->key);
  const Lsdb::Entry* entry = lsdb.find(key);
  if (from != nullptr) acknowledge(now, *from, *lsa);
  if (!crypto::verify(primitives->public_key(config.signer), lsa->signed_bytes(), lsa->signature())) {
    ++counters.verify_failed;
    if (from != nullptr) {
      charge(now, from->config.id, from->peer.node, "LSA in our name, not signed by us",
             wire::to_string(lsa->key.type));
    }
    return;
  }
  if (entry != nullptr && compare_copies(*lsa, *entry) < 0) {
    ++counters.lsas_older;
    if (from != nullptr) push(*from, *entry);
    return;
  }
  auto it = own.find(key);
  bool wanted = it != own.end() && it->second.wanted;
  if (lsa->purge && !wanted) {
    std::vector<LinkId> holders;
    if (from != nullptr) holders.push_back(from->config.id);
    if (remaining >= kMinRemaining) install(now, lsa, remaining, holders);
    return;
  }
  outbid(now, *lsa);
}

void Engine::Impl::verdict(Time now, std::uint64_t ticket, bool valid) {
  admission.answered(ticket);
  auto item = waiting.take(ticket);
  if (!item) return;
  std::uint64_t key = wire::key_number(item->lsa->key);
  const Lsdb::Entry* entry = lsdb.find(key);
  if (!valid) ++counters.verify_failed;
  if (item->recheck) {
    if (!valid && entry != nullptr && compare_copies(*item->lsa, *entry) == 0) remove(key);
    return;
  }
  if (!valid) {
    for (LinkId id : item->from) {
      const Link* l = link(id);
      charge(now, id, l == nullptr ? NodeId{} : l->peer.node, "LSA that does not verify",
             std::string(wire::to_string(item->lsa->key.type)) + " of node " +
                 std::to_string(item->lsa->key.origin.value));
    }
    return;
  }
  blame_rate(now, *item);
  if (!within_limits(now, *item->lsa)) return;
  auto waited = std::chrono::ceil<std::chrono::seconds>(now - item->received).count();
  if (item->remaining < waited + kMinRemaining) return;
  auto remaining = static_cast<std::uint32_t>(item->remaining - waited);
  if (entry == nullptr || compare_copies(*item->lsa, *entry) > 0) {
    return install(now, item->lsa, remaining, item->from);
  }
  for (LinkId id : item->from) {  // overtaken while it waited
    if (Link* l = link(id); l != nullptr && l->up()) push(*l, *entry);
  }
}

void Engine::Impl::install(Time now, const wire::LsaPtr& lsa, std::uint32_t remaining,
                           const std::vector<LinkId>& holders) {
  std::uint64_t key = wire::key_number(lsa->key);
  const Lsdb::Entry* entry = lsdb.find(key);
  bool held = entry != nullptr && !entry->purge;
  bool refreshed = held && !lsa->purge && lsdb.same_body(*entry, lsa->body());
  wire::LsaPtr buried = held && lsa->purge ? lsdb.load(*entry) : nullptr;
  lsdb.install(now, *lsa, remaining);
  entry = lsdb.find(key);
  waiting.settle(*lsa);
  ++counters.lsas_new;
  if (!lsa->purge) {
    emit(LsdbChanged{refreshed ? ChangeKind::refreshed : ChangeKind::installed, lsa});
  } else if (buried != nullptr) {
    emit(LsdbChanged{ChangeKind::removed, buried});
  }
  bool news = lsa->key.type == wire::LsaType::node && !refreshed;
  for (auto& [id, l] : links) {
    if (!l.up()) continue;
    if (std::find(holders.begin(), holders.end(), id) != holders.end()) {
      l.flood.drop(key);
    } else {
      push(l, *entry, news);
    }
  }
  if (lsa->purge) return;
  if (lsa->key.type == wire::LsaType::identity) retry(now, lsa->key.origin);
  if (lsa->key.type == wire::LsaType::domain_parameters) set_limits(now, *lsa);
  if (is_issuer_origin(lsa->key.origin)) retry(now, std::nullopt);
}

void Engine::Impl::remove(std::uint64_t key) {
  const Lsdb::Entry* entry = lsdb.find(key);
  if (entry == nullptr) return;
  if (!entry->purge) emit(LsdbChanged{ChangeKind::removed, lsdb.load(*entry)});
  for (auto& [id, l] : links) l.flood.drop(key);
  lsdb.erase(key);
}

// Asks again for LSAs that could not be judged: those of one origin, or all.
void Engine::Impl::retry(Time now, std::optional<NodeId> origin) {
  auto again = [&](std::uint64_t ticket) {
    const WaitingTable::Item& item = waiting.items().at(ticket);
    if (item.recheck) return;
    admission.answered(ticket);  // a verdict on its way was made without what is known now
    for (LinkId from : item.from) {
      admission.add(now, from, wire::key_number(item.lsa->key), is_urgent(item.lsa->key.type));
    }
  };
  if (origin) {
    for (std::uint64_t ticket : waiting.tickets_of(*origin)) again(ticket);
  } else {
    for (const auto& [ticket, item] : waiting.items()) again(ticket);
  }
  judge_next(now);
}

void Engine::Impl::push(Link& l, const Lsdb::Entry& entry, bool news) {
  touch(l);
  if (news) l.flood.set_round_trip(l.least_delay.value().value_or(Duration::zero()));
  l.flood.push(entry.key, hash_front(entry), is_urgent(wire::key_of(entry.key).type), news);
}

void Engine::Impl::acknowledge(Time now, Link& l, const wire::Lsa& lsa) {
  l.acks.push_back(wire::ref_of(lsa));
  if (!l.ack_due) l.ack_due = now + kAckDelay;
  if (lsa.key.type == wire::LsaType::node) l.ack_now = true;
  std::size_t batch = now < l.repeat_acks_until ? kAckBatch / 2 : kAckBatch;
  if (l.acks.size() >= batch) flush_acks(now, l);
}

// Where acknowledgements get lost each is sent twice, in two datagrams: one of 32 lost would cost 32
// retransmissions.
void Engine::Impl::flush_acks(Time now, Link& l) {
  l.ack_due.reset();
  if (l.acks.empty()) return;
  std::size_t fresh = l.acks.size();
  if (now < l.repeat_acks_until && fresh < kAckBatch) {
    std::size_t again = std::min(l.acked_before.size(), kAckBatch - fresh);
    l.acks.insert(l.acks.end(), l.acked_before.begin(),
                  l.acked_before.begin() + static_cast<std::ptrdiff_t>(again));
  }
  counters.acks_out += l.acks.size();
  transmit(l, wire::PduType::ack, wire::encode_acks(l.acks));
  l.acks.resize(fresh);
  l.acked_before = std::move(l.acks);
  l.acks.clear();
}

Status Engine::Impl::handle_ack(Time now, Link& l, ByteView body) {
  auto acks = wire::decode_acks(body);
  if (!acks) return acks.error();
  for (const wire::LsaRef& ref : *acks) {
    if (l.flood.acknowledged(now, ref)) ++counters.acks_in;
  }
  return Ok{};
}

// Sends what window and pacing allow, packed.
void Engine::Impl::pump(Time now, Link& l) {
  if (l.flood.pending() == 0) return;
  std::vector<std::uint64_t> batch;
  std::size_t bytes = 0;
  auto send = [&] {
    if (batch.empty()) return;
    ++counters.updates_out;
    transmit(l, wire::PduType::update, update_of(now, batch));
    l.flood.datagram_sent(now);
    batch.clear();
    bytes = 0;
  };
  while (auto key = l.flood.peek(now)) {
    const Lsdb::Entry* entry = lsdb.find(*key);
    if (entry == nullptr || Lsdb::remaining(*entry, now) < kMinRemaining) {
      l.flood.drop(*key);
      continue;
    }
    std::size_t more = wire::kUpdateEntryOverhead + entry->size;
    if (bytes + more > datagram_room(l)) {
      send();
      if (!l.flood.peek(now)) break;
    }
    batch.push_back(*key);
    bytes += more;
    if (l.flood.sent(now, *key, hash_front(*entry))) ++counters.retransmissions;
    ++counters.lsas_out;
  }
  send();
}

// The body of an update with these LSAs. Neighbours that lack the same are sent the same bytes, made
// once: only header and HMAC are each neighbour's own.
const Bytes& Engine::Impl::update_of(Time now, const std::vector<std::uint64_t>& lsas) {
  for (const UpdateBody& u : updates) {
    if (u.lsas == lsas && u.generation == lsdb.generation()) return u.bytes;
  }
  if (updates.size() >= kSharedUpdates) updates.pop_front();
  updates.push_back({lsas, lsdb.generation(), {}});
  Bytes& out = updates.back().bytes;
  for (std::uint64_t key : lsas) {
    const Lsdb::Entry& entry = *lsdb.find(key);
    ByteWriter remaining;
    remaining.u32(Lsdb::remaining(entry, now));
    out.insert(out.end(), remaining.view().begin(), remaining.view().end());
    lsdb.read(entry, out);
  }
  counters.lsas_encoded += lsas.size();
  return out;
}

void Engine::Impl::tick_flooding(Time now, Link& l) {
  l.flood.expire(now);
  if (l.ack_due && now >= *l.ack_due) flush_acks(now, l);
}

// Runs in poll(), after a batch of inputs: what they caused leaves together, packed.
void Engine::Impl::flush() {
  if (stopped) return;
  if (node_dirty) {
    rest_moved = true;
    originate_node(last_now);
  }
  for (std::size_t i = 0; i < touched_links.size(); ++i) {
    Link* l = touched_links[i];
    if (!std::exchange(l->to_pump, false)) continue;
    bool ack_now = std::exchange(l->ack_now, false);
    if (ack_now && l->up()) flush_acks(last_now, *l);
    if (l->up()) pump(last_now, *l);
    l->moved = true;  // sending moves deadlines
  }
  updates.clear();
}

}  // namespace dmsc::linkstate
