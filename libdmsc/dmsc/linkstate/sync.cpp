// Database synchronisation: the digest in hellos, and repair by key ranges that moves only what
// differs (docs/protocol.md, "Digest").
#include <algorithm>

#include "dmsc/linkstate/impl.hpp"

namespace dmsc::linkstate {
namespace {
constexpr std::uint32_t kListLimit = 8;  // as many are listed; more are split
constexpr std::uint32_t kSplit = 8;
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
  Lsdb::Sum sum = lsdb.range(lo, hi);
  return {lo, hi, false, sum.count, sum.sum, {}};
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
  l.repair_after = std::max(l.repair_after, now + kRepairFirst);  // one repair at a time
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
  if (theirs.count == 0) {  // they have nothing there: send all
    return lsdb.visit(theirs.lo, theirs.hi, [&](const Lsdb::Entry& entry) { push(l, entry); });
  }
  if (ours.count == 0) return answer.push_back(ours);  // they will send all
  if (ours.count > kListLimit) return split_range(ours, answer);
  wire::DigestRange list{ours.lo, ours.hi, true, 0, {}, {}};
  lsdb.visit(ours.lo, ours.hi, [&](const Lsdb::Entry& e) { list.refs.push_back(ref_of(e)); });
  answer.push_back(std::move(list));
}

// Parts of equal size here, each found by its rank.
void Engine::Impl::split_range(const wire::DigestRange& ours,
                               std::vector<wire::DigestRange>& answer) const {
  std::uint32_t first = lsdb.rank(ours.lo), step = (ours.count + kSplit - 1) / kSplit;
  std::uint64_t lo = ours.lo;
  for (std::uint32_t done = step; done < ours.count; done += step) {
    std::uint64_t next = lsdb.nth(first + done).key;
    answer.push_back(summary(lo, next - 1));
    lo = next;
  }
  answer.push_back(summary(lo, ours.hi));
}

// Their list against ours, both in key order: send what they lack or hold older, ask for the rest.
void Engine::Impl::answer_list(Time, Link& l, const wire::DigestRange& theirs,
                               std::vector<wire::LsaKey>& wanted) {
  std::map<std::uint64_t, wire::LsaRef> listed;
  for (const wire::LsaRef& ref : theirs.refs) listed[wire::key_number(ref.key)] = ref;
  lsdb.visit(theirs.lo, theirs.hi, [&](const Lsdb::Entry& entry) {
    auto found = listed.find(entry.key);
    if (found == listed.end()) return push(l, entry);
    const wire::LsaRef mine = ref_of(entry), &other = found->second;
    bool equal = mine == other;
    if (!equal && mine.version >= other.version) push(l, entry);
    if (equal || mine.version > other.version) listed.erase(found);
  });
  for (const auto& [key, ref] : listed) {
    bool inside = key >= theirs.lo && key <= theirs.hi;
    if (inside && !waiting.holds(l.config.id, ref)) wanted.push_back(ref.key);
  }
}

Status Engine::Impl::handle_request(Time, Link& l, ByteView body) {
  auto keys_wanted = wire::decode_request(body);
  if (!keys_wanted) return keys_wanted.error();
  for (const wire::LsaKey& key : *keys_wanted) {
    if (const Lsdb::Entry* entry = lsdb.find(wire::key_number(key))) push(l, *entry);
  }
  return Ok{};
}

}  // namespace dmsc::linkstate
