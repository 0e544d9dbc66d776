// A TCP segment of up to 64 KiB as the kernel hands it out (TSO), or a train of UDP datagrams (USO): one look-up of
// the flow, one service header and one TCP or UDP header, then for each piece a copy, what differs, and the checksum.
#include <algorithm>

#include "dmsc/dataplane/worker.hpp"
#include "sgd/edge_offload.hpp"
#include "sgd/edge_path.hpp"

namespace dmsc::sgd {
namespace {

constexpr std::size_t kTrainMemory = std::size_t{1} << 20;

void put(std::uint8_t* at, std::uint32_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i) at[i] = static_cast<std::uint8_t>(value >> 8 * (bytes - 1 - i));
}

// Of a connection nobody has answered the first packets may yet go to another instance.
bool takes_train(const FlowState& flow) {
  return flow.key.protocol == L4::udp || flow.connected();
}

// The data from `from` on, as much as fits, behind a header of its own.
void write_piece(std::span<std::uint8_t> l4, const Ip4Packet& packet, const Segment& whole,
                 std::size_t from) {
  const std::size_t size = l4.size() - whole.header_bytes, data = packet.l4.size() - whole.header_bytes;
  std::copy_n(packet.l4.data(), whole.header_bytes, l4.data());
  std::copy_n(packet.l4.data() + whole.header_bytes + from, size, l4.data() + whole.header_bytes);
  fit_piece(l4, whole, from, from + size == data);
  fill_segment_checksum(packet.protocol, l4, {}, {});
}

}  // namespace

bool EdgePath::train_from_tun(std::uint32_t index, std::span<std::uint8_t> bytes,
                              std::size_t segment_bytes) {
  if (index == kExternalPort || segment_bytes == 0 || !port(index)) return false;
  auto packet = parse_ip4(bytes);
  if (!packet || packet->is_fragment() || packet->ttl <= 1 || !source_ok(index, *packet)) return false;
  auto whole = parse_segment(packet->protocol, packet->l4);
  if (!whole || (whole->tcp_flags & (kTcpSyn | kTcpRst)) != 0) return false;
  if (packet->l4.size() <= whole->header_bytes) return false;
  if (config_.client_range.contains(packet->destination)) {
    return answer_train(index, *packet, *whole, segment_bytes);
  }
  return config_.name_range.contains(packet->destination) &&
         call_train(index, *packet, *whole, segment_bytes);
}

bool EdgePath::call_train(std::uint32_t index, const Ip4Packet& packet, const Segment& whole,
                          std::size_t segment_bytes) {
  auto it = out_.find({index, whole.protocol, packet.source, packet.destination, whole.source_port,
                       whole.destination_port});
  if (it == out_.end() || !takes_train(*it->second) || it->second->limit != nullptr) return false;
  OutFlow& flow = *it->second;
  if (!check(flow)) {
    give_up(flow, packet);
    return true;
  }
  if (flow.header.size() + whole.header_bytes + segment_bytes > flow.mtu) return false;
  auto verdict = send_train(flow, packet, whole, segment_bytes);
  if (!verdict) return false;
  note_call(flow, packet, whole);
  sent(flow, *verdict);
  return true;
}

void EdgePath::note_call(OutFlow& flow, const Ip4Packet& packet, const Segment& whole) {
  flow.note_flags(whole.tcp_flags, true);
  std::size_t length = packet.l4.size() - whole.header_bytes + ((whole.tcp_flags & kTcpFin) != 0 ? 1 : 0);
  note_sequence(flow, whole, length);
  flow.acknowledged = whole.acknowledgement;
  flow.window = whole.window;
}

// One piece at a time: each waits for its limit, or is dropped, as if the program had sent it so.
void EdgePath::cut_limited(OutFlow& flow, const Ip4Packet& packet, const Segment& whole, std::size_t most) {
  if (!flow.connected() || (whole.tcp_flags & (kTcpSyn | kTcpRst)) != 0) return;
  const std::size_t data = packet.l4.size() - whole.header_bytes;
  note_call(flow, packet, whole);
  for (std::size_t from = 0; from < data; from += most) {
    Bytes buffer(kHeadroom + whole.header_bytes + std::min(most, data - from));
    Ip4Packet piece = packet;
    piece.l4 = std::span(buffer).subspan(kHeadroom);
    write_piece(piece.l4, packet, whole, from);
    if (within_limit(flow, piece)) sent(flow, send(flow, piece.l4, packet.tos));
  }
}

bool EdgePath::answer_train(std::uint32_t index, const Ip4Packet& packet, const Segment& whole,
                            std::size_t segment_bytes) {
  auto it = in_by_tuple_.find({index, whole.protocol, packet.source, packet.destination,
                               whole.source_port, whole.destination_port});
  if (it == in_by_tuple_.end() || !takes_train(*it->second)) return false;
  InFlow& flow = *it->second;
  if (flow.header.size() + whole.header_bytes + segment_bytes > carries(flow, flow.peer)) return false;
  flow.established = true;
  put(packet.l4.data(), flow.service_port, 2);  // the checksum is made anew
  auto verdict = send_train(flow, packet, whole, segment_bytes);
  if (!verdict) {
    put(packet.l4.data(), whole.source_port, 2);
    return false;
  }
  flow.note_flags(whole.tcp_flags, true);
  note_sequence(flow, whole, packet.l4.size() - whole.header_bytes);
  answered(flow, *verdict);
  return true;
}

// nullopt: too many pieces.
std::optional<forwarding::Verdict> EdgePath::send_train(FlowState& flow, const Ip4Packet& packet,
                                                        const Segment& whole, std::size_t segment_bytes) {
  using dataplane::Worker;
  const std::size_t data = packet.l4.size() - whole.header_bytes;
  Cut cut;
  cut.header = flow.header.size();
  cut.segment = segment_bytes;
  cut.stride = Worker::kTrainHeadroom + cut.header + whole.header_bytes + segment_bytes +
               Worker::kTrainTailroom;
  cut.count = (data + segment_bytes - 1) / segment_bytes;
  if (cut.header == 0 || cut.count * cut.stride > kTrainMemory) return std::nullopt;
  if (!train_memory_) train_memory_.reset(new std::uint8_t[kTrainMemory]);
  if (train_used_ + cut.count * cut.stride > kTrainMemory) {
    io_.flush();
    train_used_ = 0;
  }
  train_.clear();
  for (std::size_t i = 0; i < cut.count; ++i) train_.push_back(train_piece(flow, packet, whole, cut, i));
  train_used_ += cut.count * cut.stride;
  flow.packets_out += cut.count;
  flow.last = io_.now();
  count(Count::tun_in, cut.count);
  count(Count::service_out, cut.count);
  auto verdict = io_.originate_train(train_);
  if (verdict.action == forwarding::Action::drop) count(Count::send_failed, cut.count);
  return verdict;
}

std::span<std::uint8_t> EdgePath::train_piece(const FlowState& flow, const Ip4Packet& packet,
                                              const Segment& whole, const Cut& cut, std::size_t index) {
  const std::size_t from = index * cut.segment, data = packet.l4.size() - whole.header_bytes;
  const std::size_t size = std::min(cut.segment, data - from), l4_size = whole.header_bytes + size;
  std::uint8_t* start = train_memory_.get() + train_used_ + index * cut.stride +
                        dataplane::Worker::kTrainHeadroom;
  std::copy(flow.header.begin(), flow.header.end(), start);
  start[1] = static_cast<std::uint8_t>(start[1] | (flow.established ? wire::kFlagEstablished : 0));
  start[3] = packet.tos;
  put(start + 6, static_cast<std::uint32_t>(l4_size), 2);
  write_piece({start + cut.header, l4_size}, packet, whole, from);
  return {start, cut.header + l4_size};
}

}  // namespace dmsc::sgd
