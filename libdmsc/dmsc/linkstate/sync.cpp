// Database synchronisation: the digest in hellos, and repair by key ranges that moves only what
// differs (docs/protocol.md, "Digest").
#include <algorithm>

#include "dmsc/linkstate/impl.hpp"

namespace dmsc::linkstate {
namespace {
constexpr std::size_t kListLimit = 24;  // fewer are listed; more are split
constexpr std::size_t kSplit = 16;
constexpr std::size_t kRangesPerDatagram = 32;
constexpr std::size_t kKeysPerDatagram = 128;
constexpr std::size_t kDatagramBytes = PathMtuSearch::kFloor - wire::kPduOverhead;

std::size_t encoded_bytes(const wire::DigestRange& range) {
  return range.listed ? wire::kRangeListOverhead + wire::kLsaRefBytes * range.refs.size()
                      : wire::kRangeSumBytes;
}
}  // namespace

void Engine::Impl::become_synchronised(Time now) {
  if (synchronised) return;
  synchronised = true;
  emit(Synchronised{});
  update_node_lsa(now, true);
}

void Engine::Impl::compare_digest(Time now, Link& l, const wire::Hello& hello) {
  if (hello.digest == lsdb.digest() && hello.lsa_count == lsdb.size()) {
    l.synchronised = true;
    l.mismatches = 0;
    l.repair_backoff = kRepairFirst;
    l.repair_after = now;
    return become_synchronised(now);
  }
  // While anything is on its way a difference means nothing.
  bool quiet = l.flood.pending() == 0 && hello.pending == 0;
  l.mismatches = quiet ? l.mismatches + 1 : 0;
  if (l.mismatches >= 2 && now >= l.repair_after) start_repair(now, l);
}

void Engine::Impl::start_repair(Time now, Link& l) {
  l.synchronised = false;
  l.mismatches = 0;
  l.repair_after = now + l.repair_backoff;
  l.repair_backoff = std::min(l.repair_backoff * 2, kRepairMost);
  ++counters.digest_repairs;
  send_ranges(l, {summary(0, wire::kMaxKeyNumber)});
}

wire::DigestRange Engine::Impl::summary(std::uint64_t lo, std::uint64_t hi) const {
  wire::DigestRange range{lo, hi, false, 0, {}, {}};
  const auto& entries = lsdb.entries();
  for (auto it = entries.lower_bound(lo); it != entries.end() && it->first <= hi; ++it) {
    ++range.count;
    range.sum += digest_item(*it->second.lsa);
  }
  return range;
}

void Engine::Impl::send_ranges(Link& l, const std::vector<wire::DigestRange>& ranges) {
  std::vector<wire::DigestRange> batch;
  std::size_t bytes = 0;
  for (const wire::DigestRange& range : ranges) {
    if (bytes + encoded_bytes(range) > kDatagramBytes || batch.size() >= kRangesPerDatagram) {
      transmit(l, wire::PduType::digest, wire::encode(batch));
      batch.clear();
      bytes = 0;
    }
    batch.push_back(range);
    bytes += encoded_bytes(range);
  }
  if (!batch.empty()) transmit(l, wire::PduType::digest, wire::encode(batch));
}

Status Engine::Impl::handle_digest(Time now, Link& l, ByteView body) {
  auto ranges = wire::decode_digest(body);
  if (!ranges) return ranges.error();
  std::vector<wire::DigestRange> answer;
  std::vector<wire::LsaKey> wanted;
  for (std::size_t i = 0; i < ranges->size(); ++i) {
    // In order and apart, so that one datagram costs one pass over the database at most.
    if (i > 0 && (*ranges)[i].lo <= (*ranges)[i - 1].hi) {
      return make_error(Errc::invalid, "digest: range ", std::to_string(i), " overlaps");
    }
    if ((*ranges)[i].listed) {
      answer_list(now, l, (*ranges)[i], wanted);
    } else {
      answer_sum(now, l, (*ranges)[i], answer);
    }
  }
  send_ranges(l, answer);
  for (std::size_t at = 0; at < wanted.size(); at += kKeysPerDatagram) {
    auto first = wanted.begin() + static_cast<std::ptrdiff_t>(at);
    std::vector<wire::LsaKey> part(first, first + static_cast<std::ptrdiff_t>(std::min(
                                                     kKeysPerDatagram, wanted.size() - at)));
    transmit(l, wire::PduType::request, wire::encode_request(part));
  }
  return Ok{};
}

void Engine::Impl::answer_sum(Time, Link& l, const wire::DigestRange& theirs,
                              std::vector<wire::DigestRange>& answer) {
  wire::DigestRange ours = summary(theirs.lo, theirs.hi);
  if (ours.count == theirs.count && ours.sum == theirs.sum) return;
  const auto& entries = lsdb.entries();
  auto it = entries.lower_bound(theirs.lo);
  if (theirs.count == 0) {  // they have nothing there: send all
    for (; it != entries.end() && it->first <= theirs.hi; ++it) push(l, *it->second.lsa);
    return;
  }
  if (ours.count == 0) return answer.push_back(ours);  // they will send all
  if (ours.count <= kListLimit) {
    ours.listed = true;
    for (; it != entries.end() && it->first <= theirs.hi; ++it) {
      ours.refs.push_back(wire::ref_of(*it->second.lsa));
    }
    ours.count = 0;
    ours.sum = {};
    return answer.push_back(std::move(ours));
  }
  std::size_t step = (ours.count + kSplit - 1) / kSplit, index = 0;
  wire::DigestRange part{theirs.lo, theirs.hi, false, 0, {}, {}};
  for (; it != entries.end() && it->first <= theirs.hi; ++it, ++index) {
    if (index != 0 && index % step == 0) {
      part.hi = it->first - 1;
      answer.push_back(part);
      part = {it->first, theirs.hi, false, 0, {}, {}};
    }
    ++part.count;
    part.sum += digest_item(*it->second.lsa);
  }
  answer.push_back(part);
}

// Their list against ours, both in key order: send what they lack or hold older, ask for the rest.
void Engine::Impl::answer_list(Time, Link& l, const wire::DigestRange& theirs,
                               std::vector<wire::LsaKey>& wanted) {
  std::map<std::uint64_t, wire::LsaRef> listed;
  for (const wire::LsaRef& ref : theirs.refs) listed[wire::key_number(ref.key)] = ref;
  const auto& entries = lsdb.entries();
  for (auto it = entries.lower_bound(theirs.lo); it != entries.end() && it->first <= theirs.hi;
       ++it) {
    auto found = listed.find(it->first);
    if (found == listed.end()) {
      push(l, *it->second.lsa);
      continue;
    }
    const wire::LsaRef mine = wire::ref_of(*it->second.lsa), &other = found->second;
    bool equal = mine == other;
    if (!equal && mine.version >= other.version) push(l, *it->second.lsa);
    if (equal || mine.version > other.version) listed.erase(found);
  }
  for (const auto& [key, ref] : listed) {
    bool inside = key >= theirs.lo && key <= theirs.hi;
    if (inside && !waiting.holds(l.config.id, ref)) wanted.push_back(ref.key);
  }
}

Status Engine::Impl::handle_request(Time, Link& l, ByteView body) {
  auto keys_wanted = wire::decode_request(body);
  if (!keys_wanted) return keys_wanted.error();
  for (const wire::LsaKey& key : *keys_wanted) {
    if (const Lsdb::Entry* entry = lsdb.find(wire::key_number(key))) push(l, *entry->lsa);
  }
  return Ok{};
}

}  // namespace dmsc::linkstate
