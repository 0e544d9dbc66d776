// Bodies of updates, acknowledgements, digest ranges and requests.
#include "dmsc/wire/pdu.hpp"

namespace dmsc::wire {
namespace {

Error cut_short(std::string_view what, std::size_t index) {
  return make_error(Errc::truncated, what, ": entry ", std::to_string(index), " ends too early");
}

void write_ref(ByteWriter& w, const LsaRef& ref) {
  w.u64(key_number(ref.key)).u64(ref.version.epoch).u64(ref.version.sequence).u64(ref.hash);
}

LsaRef read_ref(ByteReader& r) {
  LsaRef ref;
  ref.key = key_of(r.u64() & kMaxKeyNumber);
  ref.version.epoch = r.u64();
  ref.version.sequence = r.u64();
  ref.hash = r.u64();
  return ref;
}

constexpr std::uint8_t kKindSum = 0, kKindList = 1;

Result<DigestRange> read_range(ByteReader& r, std::size_t index) {
  DigestRange range;
  std::uint64_t lo = r.u64(), hi = r.u64();
  std::uint64_t kind = lo >> 56;
  range.lo = lo & kMaxKeyNumber;
  range.hi = hi & kMaxKeyNumber;
  if (kind > kKindList) {
    return make_error(Errc::invalid, "digest: entry ", std::to_string(index), " is of kind ",
                      std::to_string(kind));
  }
  range.listed = kind == kKindList;
  if (range.listed) {
    std::uint16_t count = r.u16();
    if (r.left() / kLsaRefBytes < count) return cut_short("digest", index);
    for (int i = 0; i < count; ++i) range.refs.push_back(read_ref(r));
  } else {
    range.count = r.u32();
    range.sum = r.u128();
  }
  if (!r.ok()) return cut_short("digest", index);
  if (range.lo > range.hi) {
    return make_error(Errc::invalid, "digest: range ", std::to_string(index), " is backwards");
  }
  return range;
}

}  // namespace

LsaRef ref_of(const Lsa& lsa) {
  ByteReader r(lsa.hash);
  return {lsa.key, lsa.version, r.u64()};
}

Result<std::vector<UpdateEntry>> decode_update(ByteView body) {
  std::vector<UpdateEntry> entries;
  ByteReader r(body);
  while (r.left() != 0) {
    UpdateEntry entry;
    entry.remaining = r.u32();
    if (!r.ok()) return cut_short("update", entries.size());
    auto length = lsa_length(body.subspan(r.position()));
    if (!length) {
      return with_context("update entry " + std::to_string(entries.size()), length.error());
    }
    entry.raw = r.bytes(*length);
    entries.push_back(entry);
  }
  return entries;
}

Bytes encode_acks(const std::vector<LsaRef>& acks) {
  ByteWriter w;
  for (const LsaRef& ref : acks) write_ref(w, ref);
  return w.take();
}

Result<std::vector<LsaRef>> decode_acks(ByteView body) {
  std::vector<LsaRef> acks;
  if (body.size() % kLsaRefBytes != 0) return cut_short("ack", body.size() / kLsaRefBytes);
  acks.reserve(body.size() / kLsaRefBytes);
  ByteReader r(body);
  while (r.left() != 0) acks.push_back(read_ref(r));
  return acks;
}

Bytes encode(const std::vector<DigestRange>& ranges) {
  ByteWriter w;
  for (const DigestRange& range : ranges) {
    std::uint64_t kind = range.listed ? kKindList : kKindSum;
    w.u64(range.lo | kind << 56).u64(range.hi);
    if (range.listed) {
      w.u16(range.refs.size());
      for (const LsaRef& ref : range.refs) write_ref(w, ref);
    } else {
      w.u32(range.count).u128(range.sum);
    }
  }
  return w.take();
}

Result<std::vector<DigestRange>> decode_digest(ByteView body) {
  std::vector<DigestRange> ranges;
  ByteReader r(body);
  while (r.left() != 0) {
    auto range = read_range(r, ranges.size());
    if (!range) return range.error();
    ranges.push_back(std::move(range).value());
  }
  return ranges;
}

Bytes encode_request(const std::vector<LsaKey>& keys) {
  ByteWriter w;
  for (const LsaKey& key : keys) w.u64(key_number(key));
  return w.take();
}

Result<std::vector<LsaKey>> decode_request(ByteView body) {
  std::vector<LsaKey> keys;
  if (body.size() % 8 != 0) return cut_short("request", body.size() / 8);
  keys.reserve(body.size() / 8);
  ByteReader r(body);
  while (r.left() != 0) keys.push_back(key_of(r.u64() & kMaxKeyNumber));
  return keys;
}

}  // namespace dmsc::wire
