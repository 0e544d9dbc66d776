#include "tests/sim/shared.hpp"

#include <cstring>

namespace dmsc::sim {
namespace {

std::uint64_t word(ByteView bytes) {
  std::uint64_t v = 0;
  std::memcpy(&v, bytes.data(), std::min<std::size_t>(8, bytes.size()));
  return v;
}

std::uint64_t checksum(ByteView bytes) {
  std::uint64_t sum = bytes.size();
  for (; !bytes.empty(); bytes = bytes.subspan(std::min<std::size_t>(8, bytes.size()))) {
    sum = (sum ^ word(bytes)) * 0x9e3779b97f4a7c15ULL;
    sum ^= sum >> 29;
  }
  return sum;
}

}  // namespace

crypto::Hash32 SharedWork::tag(const crypto::Key32& key, ByteView covered) {
  if (tags_ == Tags::real) return Primitives::tag(key, covered);
  crypto::Hash32 tag{};
  std::uint64_t sum = checksum(covered);
  std::memcpy(tag.data(), &sum, sizeof sum);
  return tag;
}

bool SharedWork::tag_good(const crypto::Key32& key, ByteView datagram) {
  if (tags_ == Tags::real) return Primitives::tag_good(key, datagram);
  if (datagram.size() < wire::kPduOverhead) return false;
  ByteView covered = datagram.first(datagram.size() - wire::kPduTrailerBytes);
  crypto::Hash32 expected = tag(key, covered);
  return std::memcmp(expected.data(), datagram.data() + covered.size(), expected.size()) == 0;
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
