// Own LSAs: versions, damping, refresh, purge, and outbidding what is left from before a restart
// (docs/protocol.md, "Origination", "Ageing", "Restart").
#include <algorithm>

#include "dmsc/linkstate/impl.hpp"

namespace dmsc::linkstate {

void Engine::Impl::schedule(std::uint64_t key, const Own& o) {
  Time due = o.next ? std::min(o.next_due, o.refresh_due) : o.refresh_due;
  auto [it, fresh] = own_due_of.try_emplace(key, due);
  if (!fresh) {
    own_due.erase({it->second, key});
    it->second = due;
  }
  own_due.insert({due, key});
}

// Bad news leaves at once. Good news too, unless this very LSA has changed a few times just now.
void Engine::Impl::want(Time now, const wire::LsaKey& lsa_key, Bytes body, bool bad_news) {
  std::uint64_t key = wire::key_number(lsa_key);
  Own& o = own[key];
  if (o.wanted && o.out && body == o.body) {
    if (o.next) {
      o.next.reset();
      schedule(key, o);
    }
    return;
  }
  Time earliest = o.throttle.earliest(now);
  if (bad_news || earliest <= now) {
    o.wanted = true;
    o.body = std::move(body);
    o.next.reset();
    return originate(now, key, o);
  }
  o.wanted = true;
  o.next = std::move(body);
  o.next_due = earliest;
  schedule(key, o);
}

// With the next version; the record keeps the signature, so that a replay needs no key.
Result<wire::LsaPtr> Engine::Impl::sign_lsa(const wire::LsaKey& key, std::uint32_t lifetime, bool purge,
                                            ByteView body) {
  return wire::make_lsa(key, {epoch, ++sequence}, lifetime, purge, body, [this](ByteView message) {
    crypto::Signature signature = primitives->sign(config.signer, message);
    recorder.signature(signature);
    return signature;
  });
}

void Engine::Impl::originate(Time now, std::uint64_t key, Own& o) {
  o.throttle.charge(now);
  Duration life = seconds(own_lifetime());
  o.refresh_due = now + random.between(life * 45 / 100, life * 55 / 100);
  auto lsa = sign_lsa(wire::key_of(key), own_lifetime(), false, o.body);
  if (!lsa) {
    charge(now, LinkId{0}, config.self, "own LSA cannot be made", lsa.error().message);
    return schedule(key, o);
  }
  ++counters.originated;
  o.out = true;
  install(now, *lsa, own_lifetime(), {});
  schedule(key, o);
}

void Engine::Impl::unwant(Time now, const wire::LsaKey& lsa_key) {
  std::uint64_t key = wire::key_number(lsa_key);
  auto it = own.find(key);
  if (it == own.end() || !it->second.wanted) return;
  // The entry stays until the tombstone is gone: its throttle damps what comes and goes.
  it->second.wanted = it->second.out = false;
  it->second.next.reset();
  unschedule(key);
  purge(now, key);
}

void Engine::Impl::unschedule(std::uint64_t key) {
  auto due = own_due_of.find(key);
  if (due == own_due_of.end()) return;
  own_due.erase({due->second, key});
  own_due_of.erase(due);
}

void Engine::Impl::forget_own(std::map<std::uint64_t, Own>::iterator it) {
  unschedule(it->first);
  own.erase(it);
}

// A tombstone lives as long as what it buries could: the signed lifetime of the purged copy.
void Engine::Impl::purge(Time now, std::uint64_t key) {
  const Lsdb::Entry* entry = lsdb.find(key);
  std::uint32_t lifetime = own_lifetime();
  if (entry != nullptr) lifetime = std::max(lifetime, entry->lifetime);
  lifetime = std::min(lifetime, limits.max_lsa_lifetime);  // nobody holds what lives longer
  auto lsa = sign_lsa(wire::key_of(key), lifetime, true, {});
  if (!lsa) return;
  ++counters.purged;
  install(now, *lsa, lifetime, {});
}

// `met` carries our valid signature and is newer than what we hold: this node spoke before it was
// restarted. Rise above it and say again what holds, or purge what holds no more.
void Engine::Impl::outbid(Time now, const wire::Lsa& met) {
  if (met.version.epoch == ~0ULL) return;  // cannot be outbid; no sane clock ever made it
  if (met.version.epoch >= epoch) {
    epoch = met.version.epoch + 1;
    emit(Epoch{epoch});
  }
  std::uint64_t key = wire::key_number(met.key);
  auto it = own.find(key);
  if (it != own.end() && it->second.wanted) {
    if (it->second.next) it->second.body = *std::exchange(it->second.next, std::nullopt);
    return originate(now, key, it->second);
  }
  std::uint32_t lifetime = std::min(std::max(config.lsa_lifetime, met.lifetime), limits.max_lsa_lifetime);
  auto lsa = sign_lsa(met.key, lifetime, true, {});
  if (!lsa) return;
  ++counters.purged;
  install(now, *lsa, (*lsa)->lifetime, {});
}

void Engine::Impl::tick_origination(Time now) {
  while (!own_due.empty() && own_due.begin()->first <= now) {
    std::uint64_t key = own_due.begin()->second;
    Own& o = own.at(key);
    if (o.next && now >= o.next_due) {
      o.body = *std::exchange(o.next, std::nullopt);
    }
    originate(now, key, o);  // the pending change, or the refresh
  }
}

}  // namespace dmsc::linkstate
