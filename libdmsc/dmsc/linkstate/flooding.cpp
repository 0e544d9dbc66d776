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
  return std::max<std::size_t>(l.config.mtu, PathMtuSearch::kFloor) - wire::kPduOverhead;
}

bool same_content(const wire::Lsa& a, const wire::Lsa& b) {
  ByteView x = a.body(), y = b.body();
  return std::equal(x.begin(), x.end(), y.begin(), y.end());
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
  int order = entry == nullptr ? 1 : compare_copies(*lsa, *entry->lsa);
  if (order == 0) {
    ++counters.lsas_duplicate;
    lsdb.extend(now, key, remaining);
    if (from == nullptr) return;
    from->flood.drop(key);  // the neighbour has it: an implied acknowledgement
    return acknowledge(now, *from, *lsa);
  }
  if (lsa->key.origin == config.self) return receive_own(now, from, lsa, remaining);
  if (order < 0) {
    ++counters.lsas_older;
    if (from == nullptr) return;
    acknowledge(now, *from, *lsa);
    return push(*from, *entry->lsa);
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
  if (added == WaitingTable::Added::created) {
    ++counters.verify_wanted;
    emit(VerifyWanted{ticket, lsa});
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
  if (entry != nullptr && compare_copies(*lsa, *entry->lsa) < 0) {
    ++counters.lsas_older;
    if (from != nullptr) push(*from, *entry->lsa);
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
  auto item = waiting.take(ticket);
  if (!item) return;
  std::uint64_t key = wire::key_number(item->lsa->key);
  const Lsdb::Entry* entry = lsdb.find(key);
  if (!valid) ++counters.verify_failed;
  if (item->recheck) {
    if (!valid && entry != nullptr && entry->lsa->hash == item->lsa->hash) remove(key);
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
  auto waited = std::chrono::ceil<std::chrono::seconds>(now - item->received).count();
  if (item->remaining < waited + kMinRemaining) return;
  auto remaining = static_cast<std::uint32_t>(item->remaining - waited);
  if (entry == nullptr || compare_copies(*item->lsa, *entry->lsa) > 0) {
    return install(now, item->lsa, remaining, item->from);
  }
  for (LinkId id : item->from) {  // overtaken while it waited
    if (Link* l = link(id); l != nullptr && l->up()) push(*l, *entry->lsa);
  }
}

void Engine::Impl::install(Time now, const wire::LsaPtr& lsa, std::uint32_t remaining,
                           const std::vector<LinkId>& holders) {
  std::uint64_t key = wire::key_number(lsa->key);
  const Lsdb::Entry* entry = lsdb.find(key);
  wire::LsaPtr old = entry == nullptr || entry->lsa->purge ? nullptr : entry->lsa;
  lsdb.install(now, lsa, remaining);
  waiting.settle(*lsa);
  ++counters.lsas_new;
  if (!lsa->purge) {
    bool refreshed = old != nullptr && same_content(*old, *lsa);
    emit(LsdbChanged{refreshed ? ChangeKind::refreshed : ChangeKind::installed, lsa});
  } else if (old != nullptr) {
    emit(LsdbChanged{ChangeKind::removed, old});
  }
  for (auto& [id, l] : links) {
    if (!l.up()) continue;
    if (std::find(holders.begin(), holders.end(), id) != holders.end()) {
      l.flood.drop(key);
    } else {
      push(l, *lsa);
    }
  }
  if (lsa->purge) return;
  if (lsa->key.type == wire::LsaType::identity) retry(now, lsa->key.origin);
  if (is_issuer_origin(lsa->key.origin)) retry(now, std::nullopt);
}

void Engine::Impl::remove(std::uint64_t key) {
  const Lsdb::Entry* entry = lsdb.find(key);
  if (entry == nullptr) return;
  if (!entry->lsa->purge) emit(LsdbChanged{ChangeKind::removed, entry->lsa});
  for (auto& [id, l] : links) l.flood.drop(key);
  lsdb.erase(key);
}

// Asks again for LSAs that could not be judged: those of one origin, or all.
void Engine::Impl::retry(Time, std::optional<NodeId> origin) {
  for (const auto& [ticket, item] : waiting.items()) {
    if (origin && item.lsa->key.origin != *origin) continue;
    ++counters.verify_wanted;
    emit(VerifyWanted{ticket, item.lsa});
  }
}

void Engine::Impl::push(Link& l, const wire::Lsa& lsa) {
  touch(l);
  l.flood.push(wire::key_number(lsa.key), hash_front(lsa), is_urgent(lsa.key.type));
}

void Engine::Impl::acknowledge(Time now, Link& l, const wire::Lsa& lsa) {
  l.acks.push_back(wire::ref_of(lsa));
  if (!l.ack_due) l.ack_due = now + kAckDelay;
  if (l.acks.size() >= kAckBatch) flush_acks(l);
}

void Engine::Impl::flush_acks(Link& l) {
  l.ack_due.reset();
  if (l.acks.empty()) return;
  counters.acks_out += l.acks.size();
  transmit(l, wire::PduType::ack, wire::encode_acks(l.acks));
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

// Sends what window and pacing allow, packed; each LSA's bytes are those it was received or made with.
void Engine::Impl::pump(Time now, Link& l) {
  ByteWriter body;
  auto send = [&] {
    if (body.size() == 0) return;
    transmit(l, wire::PduType::update, body.view());
    l.flood.datagram_sent(now);
    body = {};
  };
  while (auto key = l.flood.peek(now)) {
    const Lsdb::Entry* entry = lsdb.find(*key);
    std::uint32_t remaining = entry == nullptr ? 0 : Lsdb::remaining(*entry, now);
    if (remaining < kMinRemaining) {
      l.flood.drop(*key);
      continue;
    }
    const Bytes& raw = entry->lsa->raw;
    if (body.size() + wire::kUpdateEntryOverhead + raw.size() > datagram_room(l)) {
      send();
      if (!l.flood.peek(now)) break;
    }
    body.u32(remaining).bytes(raw);
    l.flood.sent(now, *key, hash_front(*entry->lsa));
    ++counters.lsas_out;
  }
  send();
}

void Engine::Impl::tick_flooding(Time now, Link& l) {
  counters.retransmissions += l.flood.expire(now);
  if (l.ack_due && now >= *l.ack_due) flush_acks(l);
}

// Runs in poll(), after a batch of inputs: what they caused leaves together, packed.
void Engine::Impl::flush() {
  if (stopped) return;
  if (node_dirty) originate_node(last_now);
  for (LinkId id : std::exchange(links_to_pump, {})) {
    auto it = links.find(id);
    if (it == links.end()) continue;
    it->second.to_pump = false;
    if (it->second.up()) pump(last_now, it->second);
    if (!std::exchange(it->second.touched, true)) touched_links.push_back(id);  // sending moves deadlines
  }
}

}  // namespace dmsc::linkstate
