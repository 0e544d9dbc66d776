#include "sgd/edge_copies.hpp"

#include <algorithm>

namespace dmsc::sgd {

void SegmentCopies::keep(Time now, std::uint64_t flow, NodeId peer, std::uint8_t tos, ByteView segment) {
  if (segment.size() > kMostBytes) return;
  if (!copies_) copies_ = std::make_unique<std::array<Copy, kMost>>();
  auto end = copies_->begin() + static_cast<std::ptrdiff_t>(used_);
  auto place = std::find_if(copies_->begin(), end, [&](const Copy& c) {
    return c.flow == flow && c.peer == peer;
  });
  if (place == end) {
    place = copies_->begin() + static_cast<std::ptrdiff_t>(next_);
    next_ = (next_ + 1) % kMost;
    used_ = std::min(used_ + 1, kMost);
  }
  place->flow = flow;
  place->peer = peer;
  place->at = now;
  place->tos = tos;
  place->sent = 0;
  place->segment.assign(segment.begin(), segment.end());
}

void SegmentCopies::for_each(Time now, const std::function<void(const Copy&)>& send) {
  for (std::size_t i = 0; i < used_; ++i) {
    Copy& copy = (*copies_)[i];
    if (now >= copy.at + kYoung || copy.sent >= kMostSent) continue;
    ++copy.sent;
    send(copy);
  }
}

}  // namespace dmsc::sgd
