#include "tests/sim/shared.hpp"

#include <cstring>

namespace dmsc::sim {
namespace {

std::uint64_t word(ByteView bytes) {
  std::uint64_t v = 0;
  std::memcpy(&v, bytes.data(), std::min<std::size_t>(8, bytes.size()));
  return v;
}

// Four sums side by side: a processor adds them at the same time.
std::uint64_t checksum(ByteView bytes) {
  auto mixed = [](std::uint64_t sum, std::uint64_t w) {
    sum = (sum ^ w) * 0x9e3779b97f4a7c15ULL;
    return sum ^ sum >> 29;
  };
  std::uint64_t a = bytes.size(), b = 1, c = 2, d = 3;
  for (; bytes.size() >= 32; bytes = bytes.subspan(32)) {
    std::uint64_t words[4];
    std::memcpy(words, bytes.data(), sizeof words);
    a = mixed(a, words[0]);
    b = mixed(b, words[1]);
    c = mixed(c, words[2]);
    d = mixed(d, words[3]);
  }
  for (; !bytes.empty(); bytes = bytes.subspan(std::min<std::size_t>(8, bytes.size()))) {
    a = mixed(a, word(bytes));
  }
  return mixed(mixed(a, b), mixed(c, d));
}

}  // namespace

crypto::Hash32 SharedWork::tag(const crypto::HmacKey& key, ByteView covered) {
  if (tags_ == Tags::real) return Primitives::tag(key, covered);
  crypto::Hash32 tag{};
  std::uint64_t sum = checksum(covered);
  std::memcpy(tag.data(), &sum, sizeof sum);
  return tag;
}

bool SharedWork::tag_good(const crypto::HmacKey& key, ByteView datagram) {
  if (tags_ == Tags::real) return Primitives::tag_good(key, datagram);
  if (datagram.size() < wire::kPduOverhead) return false;
  ByteView covered = datagram.first(datagram.size() - wire::kPduTrailerBytes);
  std::uint64_t found[4];
  std::memcpy(found, datagram.data() + covered.size(), sizeof found);
  return found[0] == checksum(covered) && (found[1] | found[2] | found[3]) == 0;
}

Result<wire::LsaPtr> SharedWork::decode_lsa(ByteView raw) {
  std::uint64_t key = raw.size() < 8 ? 0 : word(raw.last(8));
  auto [from, to] = lsas_.equal_range(key);
  for (; from != to; ++from) {
    const Bytes& held = from->second->raw;
    if (std::equal(held.begin(), held.end(), raw.begin(), raw.end())) return from->second;
  }
  auto lsa = wire::decode_lsa(raw);
  if (!lsa) return lsa.error();
  lsas_.emplace(key, *lsa);
  if (lsas_.size() >= forget_at_) forget_unused();
  return lsa;
}

void SharedWork::forget_unused() {
  for (auto it = lsas_.begin(); it != lsas_.end();) {
    it = it->second.use_count() == 1 ? lsas_.erase(it) : std::next(it);
  }
  forget_at_ = std::max<std::size_t>(1 << 14, lsas_.size() * 2);
}

}  // namespace dmsc::sim
