// Two gateways' data paths back to back in virtual time, for tests and soaks with very many flows: nothing is
// kept of what passes but counts.
#pragma once
#include <malloc.h>

#include <functional>

#include "sgd/edge_path.hpp"

namespace dmsc::sgd::rigs {

// Bytes that the program has allocated and not freed.
inline std::size_t bytes_in_use() { return ::mallinfo2().uordblks; }

class FlowGateway final : public PathIo {
 public:
  FlowGateway(std::uint32_t number, std::size_t max_flows)
      : id_{number},
        names_(*parse_ipv4_net("100.96.0.0/13"), *parse_ipv4("100.96.0.1"), crypto::Key16{1}),
        path_(PathConfig{*parse_ipv4_net("100.96.0.0/13"), *parse_ipv4_net("100.104.0.0/13"), max_flows,
                         crypto::Key16{static_cast<std::uint8_t>(number)}},
              *this, names_) {}

  EdgePath& path() { return path_; }
  VirtualAddresses& names() { return names_; }
  void meet(FlowGateway& other) { other_ = &other; }
  void set_pin(InstancePin pin) { pin_ = pin; }
  void set_time(Time now) { now_ = now; }
  // What is written into a TUN, until the call returns.
  std::function<void(std::uint32_t port, ByteView head, ByteView body)> on_tun;

  forwarding::Verdict originate(std::span<std::uint8_t> datagram) override {
    auto packet = wire::ServicePacket::parse(datagram);
    if (packet.ok() && other_ != nullptr) other_->path_.from_network(*packet);
    forwarding::Verdict verdict;
    verdict.action = forwarding::Action::forward;
    return verdict;
  }
  void send_error(const wire::ServicePacket&, wire::ErrorCode, std::string_view) override {}
  void write_tun(std::uint32_t port, ByteView head, ByteView body) override {
    if (on_tun) on_tun(port, head, body);
  }
  bool flow_is_ours(std::uint64_t) override { return true; }
  std::optional<InstancePin> choose(const Name&, std::uint64_t) override { return pin_; }
  bool alive(const Name&, const InstancePin&) override { return true; }
  bool reachable(NodeId) override { return true; }
  PathLabel label(const Name&, const InstancePin&, std::uint64_t) override { return {}; }
  bool allowed(std::string_view, NodeId, const Name&) override { return true; }
  bool granted(std::string_view, NodeId) override { return true; }
  std::size_t path_mtu(NodeId) override { return 1400; }
  Time now() override { return now_; }
  NodeId self() override { return id_; }

 private:
  NodeId id_;
  Time now_{};
  VirtualAddresses names_;
  EdgePath path_;
  FlowGateway* other_ = nullptr;
  std::optional<InstancePin> pin_;
};

// A pod at gateway 1 calls `name` at gateway 4: TCP connections, each opened and answered.
class FlowPair {
 public:
  FlowPair(std::size_t max_flows, const std::string& name, const std::string& source)
      : near(1, max_flows), far(4, max_flows) {
    near.meet(far);
    far.meet(near);
    for (FlowGateway* gateway : {&near, &far}) {
      PathPort port;
      port.address = gateway == &near ? kPod : kServer;
      port.open = true;
      gateway->path().set_port(kFirstPodPort, port);
    }
    near.set_pin({NodeId{4}, InstanceId{9}});
    near.path().set_source(kFirstPodPort, *Name::parse(source), InstanceId{3});
    service_ = *near.names().allocate(name, {});
    Endpoint endpoint;
    endpoint.address = kServer;
    endpoint.port = 80;
    far.path().set_endpoint(InstanceId{9}, kFirstPodPort, endpoint);
    far.on_tun = [this](std::uint32_t, ByteView head, ByteView body) {
      client_ = {ByteReader(head.subspan(12)).u32()};
      client_port_ = ByteReader(body).u16();
    };
  }
  void set_time(Time now) {
    near.set_time(now);
    far.set_time(now);
  }
  // A packet of the connection from `port` at `source` (several addresses: more than 65,536 of them), and one
  // back.
  void exchange(std::uint16_t port, std::uint8_t there, std::uint8_t back) {
    emit(near, kPod, service_, port, 80, there);
    emit(far, kServer, client_, 80, client_port_, back);
  }
  void expire() {
    near.path().expire();
    far.path().expire();
  }

  FlowGateway near, far;

 private:
  static constexpr Ipv4 kPod{0x64400102}, kServer{0x64400402};

  void emit(FlowGateway& at, Ipv4 from, Ipv4 to, std::uint16_t from_port, std::uint16_t to_port,
            std::uint8_t flags) {
    ByteWriter w(20);
    w.u16(from_port).u16(to_port).u32(1000).u32(1).u8(5 << 4).u8(flags).u16(65535).u16(0).u16(0);
    Bytes l4 = w.take();
    fill_segment_checksum(kProtoTcp, l4, from, to);
    Ip4Fields fields;
    fields.source = from;
    fields.destination = to;
    fields.protocol = kProtoTcp;
    auto header = make_ip4_header(fields, l4.size());
    std::fill(buffer_.begin(), buffer_.begin() + kHeadroom, std::uint8_t{0});
    std::copy(header.begin(), header.end(), buffer_.begin() + kHeadroom);
    std::copy(l4.begin(), l4.end(), buffer_.begin() + kHeadroom + kIpHeaderBytes);
    at.path().from_tun(kFirstPodPort, std::span(buffer_).first(kHeadroom + kIpHeaderBytes + l4.size()),
                       kHeadroom);
  }

  Ipv4 service_, client_;
  std::uint16_t client_port_ = 0;
  std::array<std::uint8_t, kHeadroom + 200> buffer_{};
};

}  // namespace dmsc::sgd::rigs
