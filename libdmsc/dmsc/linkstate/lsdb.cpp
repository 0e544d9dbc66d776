#include "dmsc/linkstate/lsdb.hpp"

#include <algorithm>

namespace dmsc::linkstate {
namespace {

constexpr std::size_t kFlagsAt = 28;  // in an LSA's header
constexpr std::size_t kHeap = 16;     // what an allocation takes beside its bytes, rounding included

std::uint64_t mixed(std::uint64_t v) {  // SplitMix64's finaliser
  v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ULL;
  v = (v ^ v >> 27) * 0x94d049bb133111ebULL;
  return v ^ v >> 31;
}

Bytes dictionary_of(ByteView sample) {
  Bytes out(48);  // zeros: adjacencies are mostly small numbers
  out.insert(out.end(), sample.begin(), sample.end());
  return out;
}

int compare(const wire::LsaVersion& va, bool pa, U128 ia, const wire::LsaVersion& vb, bool pb,
            U128 ib) {
  if (va != vb) return va < vb ? -1 : 1;
  if (pa != pb) return pa ? 1 : -1;
  if (ia == ib) return 0;
  return ia < ib ? -1 : 1;
}

std::uint32_t whole_seconds(Time t) {
  auto s = std::chrono::duration_cast<std::chrono::seconds>(t.time_since_epoch()).count();
  return static_cast<std::uint32_t>(std::max<std::int64_t>(s, 0));
}

}  // namespace

U128 digest_item(const wire::Lsa& lsa) { return ByteReader(lsa.hash).u128(); }

// 128 bits of the hash decide: copies that agree in them are taken for the same.
int compare_copies(const wire::Lsa& a, const wire::Lsa& b) {
  return compare(a.version, a.purge, digest_item(a), b.version, b.purge, digest_item(b));
}

int compare_copies(const wire::Lsa& a, const Lsdb::Entry& b) {
  return compare(a.version, a.purge, digest_item(a), b.version, b.purge, b.item);
}

Lsdb::Lsdb(std::uint64_t secret, ByteView sample)
    : packer_(dictionary_of(sample)), secret_(secret | 1) {
  chunks_.push_back(std::make_unique<Entry[]>(kChunk));
}

const Lsdb::Entry* Lsdb::find(std::uint64_t key) const {
  Slot slot = slot_of(key);
  return slot == 0 ? nullptr : &at(slot);
}

void Lsdb::install(Time now, const wire::Lsa& lsa, std::uint32_t remaining) {
  ++generation_;
  std::uint64_t key = wire::key_number(lsa.key);
  Slot slot = slot_of(key);
  bool fresh = slot == 0;
  if (fresh) slot = allocate();
  Entry& e = at(slot);
  if (!fresh) release(e);
  e.key = key;
  e.version = lsa.version;
  e.item = digest_item(lsa);
  e.lifetime = lsa.lifetime;
  e.purge = lsa.purge;
  e.expires = now + seconds(std::min(remaining, lsa.lifetime));
  e.first_seen = whole_seconds(now);
  store(e, lsa);
  if (!fresh) return repair(root_, key);
  e.priority = static_cast<std::uint32_t>(mixed(key * secret_ + secret_));
  e.left = e.right = 0;
  pull(slot);
  root_ = insert(root_, slot);
  index_add(slot);
}

void Lsdb::extend(Time now, std::uint64_t key, std::uint32_t remaining) {
  Slot slot = slot_of(key);
  if (slot == 0) return;
  Entry& e = at(slot);
  Time cap = Time{} + seconds(e.first_seen) + seconds(e.lifetime);
  Time expires = std::min(cap, now + seconds(remaining));
  if (expires <= e.expires) return;
  ++generation_;
  e.expires = expires;
  repair(root_, key);
}

void Lsdb::erase(std::uint64_t key) {
  Slot slot = slot_of(key);
  if (slot == 0) return;
  ++generation_;
  index_remove(key);
  root_ = remove(root_, key);
  Entry& e = at(slot);
  release(e);
  e = Entry{};
  e.left = free_;
  free_ = slot;
}

std::optional<std::uint64_t> Lsdb::expired(Time now) const {
  Slot t = root_;
  while (t != 0 && at(t).soonest <= now) {
    const Entry& e = at(t);
    if (e.left != 0 && at(e.left).soonest <= now) {
      t = e.left;
    } else if (e.expires <= now) {
      return e.key;
    } else {
      t = e.right;
    }
  }
  return std::nullopt;
}

std::optional<Time> Lsdb::next_expiry() const {
  if (root_ == 0) return std::nullopt;
  return at(root_).soonest;
}

std::uint32_t Lsdb::remaining(const Entry& entry, Time now) {
  if (entry.expires <= now) return 0;
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(entry.expires - now).count());
}

// ---- bytes --------------------------------------------------------------------------------------

void Lsdb::store(Entry& e, const wire::Lsa& lsa) {
  ByteView body = lsa.body(), signature = ByteView(lsa.raw).last(wire::kLsaSignatureBytes);
  Bytes packed = packer_.pack(body);
  e.packed = !packed.empty();
  if (e.packed) body = packed;
  e.size = static_cast<std::uint16_t>(lsa.raw.size());
  e.flags = static_cast<std::uint16_t>(lsa.raw[kFlagsAt] << 8 | lsa.raw[kFlagsAt + 1]);
  e.stored = static_cast<std::uint16_t>(body.size() + signature.size());
  e.data = std::make_unique<std::uint8_t[]>(e.stored);
  std::copy(body.begin(), body.end(), e.data.get());
  std::copy(signature.begin(), signature.end(), e.data.get() + body.size());
  wire_bytes_ += e.size;
  data_bytes_ += e.stored;
}

void Lsdb::release(Entry& e) {
  wire_bytes_ -= e.size;
  data_bytes_ -= e.stored;
  e.data.reset();
}

void Lsdb::read(const Entry& e, Bytes& out) const {
  std::size_t body = e.size - wire::kLsaHeaderBytes - wire::kLsaSignatureBytes;
  wire::LsaKey key = wire::key_of(e.key);
  ByteWriter header;
  header.u8(0).u8(static_cast<std::uint8_t>(key.type)).u16(key.fragment).u32(key.origin.value);
  header.u64(e.version.epoch).u64(e.version.sequence).u32(e.lifetime).u16(e.flags).u16(body);
  out.reserve(out.size() + e.size);
  out.insert(out.end(), header.view().begin(), header.view().end());
  ByteView data(e.data.get(), e.stored);
  std::size_t kept = e.stored - wire::kLsaSignatureBytes;
  if (e.packed) {
    packer_.unpack(data.first(kept), body, out);
    data = data.subspan(kept);
  }
  out.insert(out.end(), data.begin(), data.end());
}

wire::LsaPtr Lsdb::load(const Entry& entry) const {
  Bytes raw;
  read(entry, raw);
  auto lsa = wire::decode_lsa(raw);
  return lsa ? *lsa : nullptr;  // it was decoded before it came here
}

bool Lsdb::same_body(const Entry& entry, ByteView body) const {
  if (entry.size != body.size() + wire::kLsaHeaderBytes + wire::kLsaSignatureBytes) return false;
  Bytes raw;
  read(entry, raw);
  return std::equal(body.begin(), body.end(), raw.begin() + wire::kLsaHeaderBytes);
}

std::uint32_t Lsdb::held_bytes(const Entry& entry) {
  return static_cast<std::uint32_t>(sizeof(Entry) + entry.stored + kHeap + 2 * sizeof(Slot));
}

Lsdb::Memory Lsdb::memory() const {
  std::size_t held = data_bytes_ + size() * kHeap + index_.capacity() * sizeof(Slot) +
                     chunks_.size() * (kChunk * sizeof(Entry) + kHeap) + sizeof(LsaPacker);
  return {size(), wire_bytes_, held};
}

// ---- slots and the index by key -----------------------------------------------------------------

Lsdb::Slot Lsdb::allocate() {
  if (free_ != 0) {
    Slot slot = free_;
    free_ = at(slot).left;
    return slot;
  }
  if (used_ % kChunk == 0) chunks_.push_back(std::make_unique<Entry[]>(kChunk));
  return used_++;
}

std::size_t Lsdb::home(std::uint64_t key) const {
  return mixed(key ^ secret_) & (index_.size() - 1);
}

Lsdb::Slot Lsdb::slot_of(std::uint64_t key) const {
  if (index_.empty()) return 0;
  std::size_t i = home(key);
  for (; index_[i] != 0; i = (i + 1) & (index_.size() - 1)) {
    if (at(index_[i]).key == key) return index_[i];
  }
  return 0;
}

void Lsdb::index_add(Slot slot) {
  if (size() * 4 > index_.size() * 3) {
    std::vector<Slot> old = std::move(index_);
    index_.assign(std::max<std::size_t>(64, old.size() * 2), 0);
    for (Slot s : old) {
      if (s != 0 && s != slot) index_add(s);
    }
  }
  std::size_t i = home(at(slot).key);
  while (index_[i] != 0) i = (i + 1) & (index_.size() - 1);
  index_[i] = slot;
}

void Lsdb::index_remove(std::uint64_t key) {
  std::size_t mask = index_.size() - 1, gap = home(key);
  while (at(index_[gap]).key != key) gap = (gap + 1) & mask;
  for (std::size_t i = (gap + 1) & mask; index_[i] != 0; i = (i + 1) & mask) {
    // An entry whose home is at or before the gap moves into it.
    if (((i - home(at(index_[i]).key)) & mask) < ((i - gap) & mask)) continue;
    index_[gap] = index_[i];
    gap = i;
  }
  index_[gap] = 0;
}

// ---- the tree -----------------------------------------------------------------------------------

void Lsdb::pull(Slot t) {
  ++steps_;
  Entry& e = at(t);
  e.count = 1;
  e.sum = e.item;
  e.soonest = e.expires;
  for (Slot child : {e.left, e.right}) {
    if (child == 0) continue;
    const Entry& c = at(child);
    e.count += c.count;
    e.sum += c.sum;
    e.soonest = std::min(e.soonest, c.soonest);
  }
}

Lsdb::Slot Lsdb::insert(Slot t, Slot fresh) {
  if (t == 0) return fresh;
  Entry &top = at(t), &e = at(fresh);
  if (e.priority > top.priority) {
    split(t, e.key, e.left, e.right);
    pull(fresh);
    return fresh;
  }
  Slot& side = e.key < top.key ? top.left : top.right;
  side = insert(side, fresh);
  pull(t);
  return t;
}

void Lsdb::split(Slot t, std::uint64_t key, Slot& less, Slot& rest) {
  if (t == 0) {
    less = rest = 0;
    return;
  }
  Entry& e = at(t);
  if (e.key < key) {
    less = t;
    split(e.right, key, e.right, rest);
  } else {
    rest = t;
    split(e.left, key, less, e.left);
  }
  pull(t);
}

Lsdb::Slot Lsdb::merge(Slot a, Slot b) {
  if (a == 0 || b == 0) return a + b;
  bool a_on_top = at(a).priority > at(b).priority;
  Slot top = a_on_top ? a : b;
  if (a_on_top) {
    at(a).right = merge(at(a).right, b);
  } else {
    at(b).left = merge(a, at(b).left);
  }
  pull(top);
  return top;
}

Lsdb::Slot Lsdb::remove(Slot t, std::uint64_t key) {
  Entry& e = at(t);
  if (e.key == key) return merge(e.left, e.right);
  Slot& side = key < e.key ? e.left : e.right;
  side = remove(side, key);
  pull(t);
  return t;
}

void Lsdb::repair(Slot t, std::uint64_t key) {
  const Entry& e = at(t);
  if (e.key != key) repair(key < e.key ? e.left : e.right, key);
  pull(t);
}

Lsdb::Sum Lsdb::below(std::uint64_t key) const {
  Sum out;
  for (Slot t = root_; t != 0;) {
    ++steps_;
    const Entry& e = at(t);
    if (e.key >= key) {
      t = e.left;
      continue;
    }
    out.count += at(e.left).count + 1;
    out.sum += at(e.left).sum;
    out.sum += e.item;
    t = e.right;
  }
  return out;
}

Lsdb::Sum Lsdb::range(std::uint64_t lo, std::uint64_t hi) const {
  Sum upper = below(hi + 1), lower = below(lo);
  upper.count -= lower.count;
  upper.sum -= lower.sum;
  return upper;
}

const Lsdb::Entry& Lsdb::nth(std::uint32_t rank) const {
  for (Slot t = root_;;) {
    ++steps_;
    const Entry& e = at(t);
    std::uint32_t before = at(e.left).count;
    if (rank == before) return e;
    t = rank < before ? e.left : e.right;
    if (rank > before) rank -= before + 1;
  }
}

}  // namespace dmsc::linkstate
