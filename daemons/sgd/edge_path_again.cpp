// Segments that programs send again, on both sides (docs/protocol.md, U20).
#include "sgd/edge_path.hpp"

namespace dmsc::sgd {

bool EdgePath::note_sequence(FlowState& flow, const Segment& segment, std::size_t data) {
  const std::uint32_t end = segment.sequence + static_cast<std::uint32_t>(data);
  const bool first = !flow.established || flow.next_sequence == 0;
  if (!first && static_cast<std::int32_t>(end - flow.next_sequence) <= 0) return data > 0;
  flow.next_sequence = end;
  return false;
}

void EdgePath::send_copies() {
  copies_.for_each(io_.now(), [this](const SegmentCopies::Copy& copy) {
    FlowState* flow = nullptr;
    if (copy.peer) {
      auto it = in_.find({copy.peer, copy.flow});
      if (it != in_.end()) flow = it->second.get();
    } else if (auto it = out_by_id_.find(copy.flow); it != out_by_id_.end()) {
      flow = it->second;
    }
    if (flow == nullptr || !flow->connected() || flow->closing()) return;
    Bytes buffer(kHeadroom);
    buffer.insert(buffer.end(), copy.segment.begin(), copy.segment.end());
    count(Count::sent_again);
    send(*flow, std::span(buffer).subspan(kHeadroom), copy.tos);
  });
}

}  // namespace dmsc::sgd
