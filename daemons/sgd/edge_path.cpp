#include "sgd/edge_path.hpp"

#include <algorithm>

namespace dmsc::sgd {
namespace {

constexpr double kIcmpPerSecond = 100, kIcmpBurst = 100;
constexpr std::size_t kSlices = 100;  // expire() meets everything in so many calls

constexpr std::string_view kCounterNames[] = {
#define DMSC_EDGE_NAME(name) #name,
    DMSC_EDGE_COUNTERS(DMSC_EDGE_NAME)
#undef DMSC_EDGE_NAME
};

// Visits the buckets of one slice and collects the keys of entries that `gone` says are over.
template <class Table, class Gone>
std::vector<typename Table::key_type> collect(const Table& table, std::size_t& cursor, Gone gone) {
  std::vector<typename Table::key_type> out;
  std::size_t buckets = table.bucket_count();
  std::size_t step = buckets / kSlices + 1;
  for (std::size_t i = 0; i < step; ++i) {
    if (cursor >= buckets) cursor = 0;
    for (auto it = table.begin(cursor); it != table.end(cursor); ++it) {
      if (gone(*it->second)) out.push_back(it->first);
    }
    ++cursor;
  }
  return out;
}

EdgeSnapshot::Flow flow_row(const FlowState& f, const char* direction, Time now) {
  EdgeSnapshot::Flow row;
  row.direction = direction;
  row.protocol = to_string(f.key.protocol);
  row.state = f.state();
  row.flow = f.id;
  row.packets_out = f.packets_out;
  row.packets_in = f.packets_in;
  row.idle_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(
      0, std::chrono::duration_cast<milliseconds>(now - f.last).count()));
  return row;
}

std::string endpoint_text(Ipv4 address, std::uint16_t port) {
  return to_string(address) + ":" + std::to_string(port);
}

}  // namespace

EdgePath::EdgePath(PathConfig config, PathIo& io, VirtualAddresses& names)
    : config_(config), io_(io), names_(names), clients_(config.client_range, {}, config.key),
      out_(0, FlowHash{config.key}), in_(0, FlowHash{config.key}),
      in_by_tuple_(0, FlowHash{config.key}) {}

void EdgePath::set_port(std::uint32_t index, const PathPort& settings) {
  if (index >= ports_.size()) ports_.resize(index + 1);
  PathPort& p = ports_[index];
  std::size_t flows = p.flows;
  Name source = p.source;
  InstanceId instance = p.source_instance;
  p = settings;
  p.flows = flows;
  if (p.source.empty()) p.source = source, p.source_instance = instance;
  p.icmp_tokens = kIcmpBurst;
  p.icmp_filled = io_.now();
  if (p.open) return;
  for (auto it = out_.begin(); it != out_.end();) {
    auto here = it++;
    if (here->first.port == index) erase_out(here);
  }
  for (auto it = in_.begin(); it != in_.end();) {
    auto here = it++;
    if (here->second->key.port == index) erase_in(here);
  }
}

void EdgePath::set_source(std::uint32_t index, const Name& source, InstanceId instance) {
  if (index >= ports_.size()) ports_.resize(index + 1);
  ports_[index].source = source;
  ports_[index].source_instance = instance;
}

void EdgePath::from_tun(std::uint32_t index, std::span<std::uint8_t> buffer, std::size_t at) {
  count(Count::tun_in);
  std::span<std::uint8_t> bytes = buffer.subspan(at);
  if (!port(index)) return count(Count::port_down);
  if (bytes.empty() || bytes[0] >> 4 != 4) return count(Count::not_ipv4);
  auto packet = parse_ip4(bytes);
  if (!packet) return count(Count::malformed);
  if (index == kExternalPort) return from_external(*packet);
  bool ours = config_.name_range.contains(packet->destination) ||
              config_.client_range.contains(packet->destination);
  if (!ours || !packet->is_fragment()) return from_pod_or_host(index, *packet);
  if (!source_ok(index, *packet)) return count(Count::spoofed_source);
  Bytes whole = reassembler_.add(index, *packet, io_.now(), kHeadroom);
  if (whole.empty()) return;
  packet = parse_ip4(std::span(whole).subspan(kHeadroom));
  if (packet) from_pod_or_host(index, *packet);
}

// RFC 2827: a pod speaks as itself. Answers of a loopback endpoint go to clients' addresses only.
bool EdgePath::source_ok(std::uint32_t index, const Ip4Packet& packet) const {
  if (index < kFirstPodPort) return true;
  if (packet.source == ports_[index].address) return true;
  return packet.source.is_loopback() && config_.client_range.contains(packet.destination);
}

void EdgePath::from_pod_or_host(std::uint32_t index, const Ip4Packet& packet) {
  if (packet.destination.is_multicast_or_broadcast()) return count(Count::multicast);
  if (!source_ok(index, packet)) return count(Count::spoofed_source);
  if (packet.ttl <= 1) {
    count(Count::ttl_expired);
    return answer_icmp(index, packet, icmp::kTimeExceeded, 0);
  }
  if (config_.client_range.contains(packet.destination)) return answer(index, packet);
  if (config_.name_range.contains(packet.destination)) return call(index, packet);
  to_external(index, packet);
}

void EdgePath::to_external(std::uint32_t index, const Ip4Packet& packet) {
  bool forward = index >= kFirstPodPort && ports_[index].external != External::refuse;
  if (forward && port(kExternalPort) && decrement_ttl(packet.header)) {
    count(Count::external_out);
    return io_.write_tun(kExternalPort, packet.header, packet.l4);
  }
  count(Count::external_refused);
  if (packet.protocol == kProtoTcp && !packet.is_fragment()) return answer_rst(index, packet);
  answer_icmp(index, packet, icmp::kUnreachable, icmp::kAdminProhibited);
}

void EdgePath::from_external(const Ip4Packet& packet) {
  for (std::uint32_t i = kFirstPodPort; i < ports_.size(); ++i) {
    const PathPort& p = ports_[i];
    if (p.address != packet.destination) continue;
    if (!p.open || p.external == External::refuse) break;
    if (!decrement_ttl(packet.header)) {
      count(Count::ttl_expired);
      return answer_icmp(kExternalPort, packet, icmp::kTimeExceeded, 0);
    }
    count(Count::external_in);
    return io_.write_tun(i, packet.header, packet.l4);
  }
  count(Count::external_refused);
  answer_icmp(kExternalPort, packet, icmp::kUnreachable, icmp::kHost);
}

void EdgePath::write_ip(std::uint32_t index, Ipv4 source, Ipv4 destination, std::uint8_t tos,
                        std::uint8_t protocol, ByteView l4) {
  Ip4Fields fields;
  fields.source = source;
  fields.destination = destination;
  fields.protocol = protocol;
  fields.tos = tos;
  count(Count::tun_out);
  io_.write_tun(index, make_ip4_header(fields, l4.size()), l4);
}

bool EdgePath::icmp_allowed(PathPort& p) {
  Time now = io_.now();
  p.icmp_tokens += std::chrono::duration<double>(now - p.icmp_filled).count() * kIcmpPerSecond;
  p.icmp_tokens = std::min(p.icmp_tokens, kIcmpBurst);
  p.icmp_filled = now;
  if (p.icmp_tokens < 1) {
    count(Count::icmp_limited);
    return false;
  }
  p.icmp_tokens -= 1;
  return true;
}

void EdgePath::answer_icmp(std::uint32_t index, const Ip4Packet& offending, std::uint8_t type,
                           std::uint8_t code, std::uint16_t mtu) {
  PathPort* p = port(index);
  if (p == nullptr || !may_answer_with_icmp(offending) || !icmp_allowed(*p)) return;
  count(Count::icmp_sent);
  io_.write_tun(index, make_icmp_error(offending, p->gateway, type, code, mtu), {});
}

void EdgePath::answer_rst(std::uint32_t index, const Ip4Packet& offending) {
  PathPort* p = port(index);
  auto rst = make_rst(offending.l4, offending.destination, offending.source);
  if (p == nullptr || !rst || !icmp_allowed(*p)) return;
  count(Count::rst_sent);
  write_ip(index, offending.destination, offending.source, 0, kProtoTcp, *rst);
}

forwarding::Verdict EdgePath::send(FlowState& flow, std::span<std::uint8_t> l4, std::uint8_t tos) {
  std::size_t header = flow.header.size();
  std::uint8_t* start = l4.data() - header;
  std::copy(flow.header.begin(), flow.header.end(), start);
  start[1] = static_cast<std::uint8_t>(start[1] | (flow.established ? wire::kFlagEstablished : 0));
  start[3] = tos;
  start[6] = static_cast<std::uint8_t>(l4.size() >> 8);
  start[7] = static_cast<std::uint8_t>(l4.size());
  ++flow.packets_out;
  flow.last = io_.now();
  count(Count::service_out);
  auto verdict = io_.originate({start, header + l4.size()});
  if (verdict.action == forwarding::Action::drop) count(Count::send_failed);
  return verdict;
}

void EdgePath::from_network(wire::ServicePacket& packet) {
  count(Count::service_in);
  if ((packet.flags() & wire::kFlagReply) != 0) return reply_from_network(packet);
  request_from_network(packet);
}

void EdgePath::expire() {
  Time now = io_.now();
  reassembler_.expire(now);
  auto old_out = collect(out_, out_cursor_, [&](OutFlow& f) {
    names_.touch(f.key.destination, now);
    if (f.connected() && !f.closing() && !lives(f)) reset_program(f);
    return now - f.last >= f.timeout();
  });
  for (const FlowKey& key : old_out) erase_out(out_.find(key));
  auto old_in = collect(in_, in_cursor_, [&](const InFlow& f) {
    clients_.touch(f.key.destination, now);
    return now - f.last >= f.timeout();
  });
  for (const InKey& key : old_in) erase_in(in_.find(key));
  sweep();
  nudge_some();
}

void EdgePath::snapshot(EdgeSnapshot& into, const FlowsWanted& wanted) const {
  snapshot_out(into, wanted);
  snapshot_in(into, wanted);
  for (std::size_t i = 0; i < counters_.size(); ++i) {
    into.counters[std::string(kCounterNames[i])] = counters_[i];
  }
  into.counters["flows_out"] = out_.size();
  into.counters["flows_in"] = in_.size();
  const Reassembler::Counters& r = reassembler_.counters();
  into.counters["reassembled"] = r.complete;
  into.counters["reassembly_dropped"] = r.expired + r.overlap + r.overflow + r.malformed;
}

void EdgePath::snapshot_out(EdgeSnapshot& into, const FlowsWanted& wanted) const {
  Time now = io_.now();
  std::size_t left = wanted.at_most;
  for (const auto& [key, f] : out_) {
    if (left == 0) return;
    if (!wanted.takes(f->destination.text())) continue;
    --left;
    auto row = flow_row(*f, "out", now);
    row.client = endpoint_text(key.source, key.source_port);
    row.destination = f->destination.text() + ":" + std::to_string(key.destination_port);
    row.source = names_of(*f).source;
    row.peer = f->pin.egress;
    row.instance = f->pin.instance;
    into.flows.push_back(std::move(row));
  }
}

void EdgePath::snapshot_in(EdgeSnapshot& into, const FlowsWanted& wanted) const {
  Time now = io_.now();
  std::size_t left = wanted.at_most;
  for (const auto& [key, f] : in_) {
    if (left == 0) return;
    if (!wanted.takes(names_of(*f).source)) continue;
    --left;
    auto row = flow_row(*f, "in", now);
    row.client = endpoint_text(f->key.destination, f->key.destination_port);
    row.server = io_.address_text(f->key.port, f->key.source) + ":" + std::to_string(f->key.source_port);
    const FlowNames names = names_of(*f);  // of an answer: the other way round
    row.destination = std::string(names.source) + ":" + std::to_string(f->service_port);
    row.source = names.destination;
    row.peer = f->peer;
    row.instance = f->instance;
    into.flows.push_back(std::move(row));
  }
}

}  // namespace dmsc::sgd
