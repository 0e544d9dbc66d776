#include "sgd/edge_reassembly.hpp"

#include <algorithm>

namespace dmsc::sgd {

void Reassembler::drop(Pending::iterator at) {
  bytes_ -= at->second.bytes;
  pending_.erase(at);
}

void Reassembler::expire(Time now) {
  for (auto it = pending_.begin(); it != pending_.end();) {
    auto here = it++;
    if (now - here->second.started < kTimeout) continue;
    ++counters_.expired;
    drop(here);
  }
}

// False if the fragment overlaps another or contradicts the known end.
bool Reassembler::insert(Partial& partial, const Ip4Packet& fragment) {
  std::uint32_t begin = fragment.fragment_offset;
  std::size_t end = begin + fragment.l4.size();
  if (!fragment.more_fragments) {
    if (partial.total != 0 && partial.total != end) return false;
    partial.total = end;
  }
  if (partial.total != 0 && end > partial.total) return false;
  auto next = partial.pieces.lower_bound(begin);
  if (next != partial.pieces.end() && next->first < end) {
    // A plain duplicate is the network's doing and harmless.
    return next->first == begin && next->second.size() == fragment.l4.size() &&
           std::equal(next->second.begin(), next->second.end(), fragment.l4.begin());
  }
  if (next != partial.pieces.begin()) {
    auto before = std::prev(next);
    if (before->first + before->second.size() > begin) return false;
  }
  // All pieces must still lie below the end that has just become known.
  if (partial.total != 0 && !partial.pieces.empty()) {
    auto last = std::prev(partial.pieces.end());
    if (last->first + last->second.size() > partial.total) return false;
  }
  partial.pieces.emplace(begin, to_bytes(fragment.l4));
  partial.bytes += fragment.l4.size();
  bytes_ += fragment.l4.size();
  return true;
}

Bytes Reassembler::add(std::uint32_t port, const Ip4Packet& fragment, Time now,
                       std::size_t headroom) {
  bool odd_length = fragment.more_fragments && fragment.l4.size() % 8 != 0;
  if (fragment.l4.empty() || odd_length ||
      fragment.fragment_offset + fragment.l4.size() > 65535 - kIpHeaderBytes) {
    ++counters_.malformed;
    return {};
  }
  Key key{port, fragment.source, fragment.destination, fragment.protocol, fragment.id};
  auto it = pending_.find(key);
  if (it == pending_.end()) {
    if (pending_.size() >= kMaxDatagrams || bytes_ + fragment.l4.size() > kMaxBytes) {
      ++counters_.overflow;
      return {};
    }
    it = pending_.emplace(key, Partial{}).first;
    it->second.started = now;
  } else if (bytes_ + fragment.l4.size() > kMaxBytes) {
    ++counters_.overflow;
    drop(it);
    return {};
  }
  Partial& partial = it->second;
  if (fragment.fragment_offset == 0) {
    partial.tos = fragment.tos;
    partial.ttl = fragment.ttl;
  }
  if (!insert(partial, fragment)) {
    ++counters_.overlap;
    drop(it);
    return {};
  }
  if (partial.total == 0 || partial.bytes != partial.total) return {};
  Ip4Fields fields;
  fields.source = fragment.source;
  fields.destination = fragment.destination;
  fields.protocol = fragment.protocol;
  fields.ttl = partial.ttl;
  fields.tos = partial.tos;
  fields.id = fragment.id;
  fields.dont_fragment = false;
  Bytes out(headroom);
  auto header = make_ip4_header(fields, partial.total);
  out.insert(out.end(), header.begin(), header.end());
  for (const auto& [offset, piece] : partial.pieces) out.insert(out.end(), piece.begin(), piece.end());
  ++counters_.complete;
  drop(it);
  return out;
}

}  // namespace dmsc::sgd
