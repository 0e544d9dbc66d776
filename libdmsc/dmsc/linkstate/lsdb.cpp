#include "dmsc/linkstate/lsdb.hpp"

#include <algorithm>

namespace dmsc::linkstate {

int compare_copies(const wire::Lsa& a, const wire::Lsa& b) {
  if (a.version != b.version) return a.version < b.version ? -1 : 1;
  if (a.purge != b.purge) return a.purge ? 1 : -1;
  if (a.hash == b.hash) return 0;
  return a.hash < b.hash ? -1 : 1;
}

std::uint64_t hash_front(const wire::Lsa& lsa) { return ByteReader(lsa.hash).u64(); }

U128 digest_item(const wire::Lsa& lsa) { return ByteReader(lsa.hash).u128(); }

const Lsdb::Entry* Lsdb::find(std::uint64_t key) const {
  auto it = entries_.find(key);
  return it == entries_.end() ? nullptr : &it->second;
}

void Lsdb::install(Time now, const wire::LsaPtr& lsa, std::uint32_t remaining) {
  std::uint64_t key = wire::key_number(lsa->key);
  erase(key);
  Time expires = now + seconds(std::min(remaining, lsa->lifetime));
  entries_[key] = {lsa, now, expires};
  expiry_.insert({expires, key});
  digest_ += digest_item(*lsa);
}

void Lsdb::extend(Time now, std::uint64_t key, std::uint32_t remaining) {
  auto it = entries_.find(key);
  if (it == entries_.end()) return;
  Entry& entry = it->second;
  Time cap = entry.first_seen + seconds(entry.lsa->lifetime);
  Time expires = std::min(cap, now + seconds(remaining));
  if (expires <= entry.expires) return;
  expiry_.erase({entry.expires, key});
  expiry_.insert({expires, key});
  entry.expires = expires;
}

void Lsdb::erase(std::uint64_t key) {
  auto it = entries_.find(key);
  if (it == entries_.end()) return;
  digest_ -= digest_item(*it->second.lsa);
  expiry_.erase({it->second.expires, key});
  entries_.erase(it);
}

std::optional<std::uint64_t> Lsdb::expired(Time now) const {
  if (expiry_.empty() || expiry_.begin()->first > now) return std::nullopt;
  return expiry_.begin()->second;
}

std::optional<Time> Lsdb::next_expiry() const {
  if (expiry_.empty()) return std::nullopt;
  return expiry_.begin()->first;
}

std::uint32_t Lsdb::remaining(const Entry& entry, Time now) {
  if (entry.expires <= now) return 0;
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(entry.expires - now).count());
}

}  // namespace dmsc::linkstate
