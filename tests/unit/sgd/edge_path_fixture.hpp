// Two gateways' data paths back to back, without a network or a TUN device: what one originates the
// other receives; what they write into a TUN is kept.
#pragma once
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "sgd/edge_path.hpp"

namespace dmsc::sgd::test {

inline Ipv4 ip(const char* text) { return *parse_ipv4(text); }

struct Written {
  std::uint32_t port;
  Bytes bytes;
};

struct Gateway : PathIo {
  NodeId id;
  Gateway* other = nullptr;
  std::map<std::string, InstancePin> services;   // what choose() finds
  std::set<NodeId> away;                         // known to be out of reach
  std::set<NodeId> cut_off;                      // originate() to these is dropped: no route
  std::map<NodeId, NodeId> detour;               // choose() knows after the first drop
  bool learnt = false, alive_now = true, allow = true, connected = true;
  std::set<std::string> ungranted;               // sources no grant binds to their ingress
  std::size_t mtu = 1400;
  PathLabel label_now;
  Time clock{};
  std::vector<Written> tun;
  std::vector<Bytes> sent;                       // service datagrams as originated
  std::uint8_t mark = 0;                         // flags a router would set
  VirtualAddresses names{*parse_ipv4_net("100.96.0.0/13"), ip("100.96.0.1"), crypto::Key16{1}};
  EdgePath path;

  // `restarted`: there was a gateway with this number before, up to that moment.
  explicit Gateway(std::uint32_t number, Time restarted = {})
      : id{number},
        clock(restarted),
        path({*parse_ipv4_net("100.96.0.0/13"), *parse_ipv4_net("100.104.0.0/13"), 4096,
              crypto::Key16{static_cast<std::uint8_t>(number)}, restarted},
             *this, names) {}

  forwarding::Verdict originate(std::span<std::uint8_t> datagram) override {
    sent.push_back(to_bytes(datagram));
    auto packet = wire::ServicePacket::parse(datagram);
    REQUIRE(packet.ok());
    if (!connected || cut_off.count(packet->egress()) != 0) {
      learnt = true;
      return {forwarding::Action::drop, forwarding::DropReason::no_route, {}};
    }
    Gateway& to = packet->egress() == id ? *this : *other;
    REQUIRE(packet->egress() == to.id);
    packet->set_flags(packet->flags() | mark);
    to.receive(*packet);
    return {forwarding::Action::forward, {}, {}};
  }
  void receive(wire::ServicePacket& packet) {
    if (packet.kind() == wire::PacketKind::error) {
      path.error_from_network(packet);
    } else {
      path.from_network(packet);
    }
  }
  void send_error(const wire::ServicePacket& packet, wire::ErrorCode code,
                  std::string_view text) override {
    auto spec = wire::reply_spec(packet, wire::PacketKind::error);
    spec.ingress = id;
    spec.protocol = wire::PayloadProtocol::none;
    spec.error = std::pair{code, text};
    Bytes bytes = *wire::build_service_packet(spec, {});
    originate(bytes);
  }
  void write_tun(std::uint32_t port, ByteView head, ByteView body) override {
    Bytes bytes = to_bytes(head);
    bytes.insert(bytes.end(), body.begin(), body.end());
    tun.push_back({port, std::move(bytes)});
  }
  bool flow_is_ours(std::uint64_t) override { return true; }
  std::vector<InstancePin> pool;                 // choose() draws from these by flow, if there are any
  std::optional<InstancePin> choose(const Name& name, std::uint64_t flow) override {
    if (!pool.empty()) return pool[(flow ^ flow >> 17) % pool.size()];
    auto it = services.find(name.text());
    if (it == services.end()) return std::nullopt;
    InstancePin pin = it->second;
    if (learnt && detour.count(pin.egress) != 0) pin.egress = detour[pin.egress];
    return pin;
  }
  bool alive(const Name&, const InstancePin&) override { return alive_now; }
  bool reachable(NodeId node) override { return away.count(node) == 0; }
  PathLabel label(const Name&, const InstancePin&, std::uint64_t) override { return label_now; }
  bool allowed(std::string_view, NodeId, const Name&) override { return allow; }
  bool granted(std::string_view source, NodeId) override { return ungranted.count(std::string(source)) == 0; }
  std::size_t path_mtu(NodeId) override { return mtu; }
  Time now() override { return clock; }
  NodeId self() override { return id; }

  // A pod (or the host) emits a packet.
  void emit(std::uint32_t port, ByteView packet) {
    Bytes buffer(kHeadroom);
    buffer.insert(buffer.end(), packet.begin(), packet.end());
    path.from_tun(port, buffer, kHeadroom);
  }
  // The last packet written, parsed. It must be the only one since the last call.
  Ip4Packet only(std::uint32_t port) {
    REQUIRE(tun.size() == 1);
    CHECK(tun[0].port == port);
    held = std::move(tun[0].bytes);
    tun.clear();
    auto packet = parse_ip4(held);
    REQUIRE(packet);
    return *packet;
  }
  Bytes held;
};

inline Bytes make_packet(Ipv4 from, Ipv4 to, std::uint8_t protocol, Bytes l4,
                         std::uint8_t ttl = 64, std::uint8_t tos = 0) {
  if (protocol != kProtoIcmp) fill_segment_checksum(protocol, l4, from, to);
  Ip4Fields fields;
  fields.source = from;
  fields.destination = to;
  fields.protocol = protocol;
  fields.ttl = ttl;
  fields.tos = tos;
  auto header = make_ip4_header(fields, l4.size());
  Bytes out(header.begin(), header.end());
  out.insert(out.end(), l4.begin(), l4.end());
  return out;
}

inline Bytes tcp(std::uint16_t from, std::uint16_t to, std::uint8_t flags, std::uint32_t seq = 1000,
                 std::uint32_t ack = 0, std::size_t data = 0, std::uint16_t mss = 0) {
  ByteWriter w;
  w.u16(from).u16(to).u32(seq).u32(ack).u8(mss ? 6 << 4 : 5 << 4).u8(flags);
  w.u16(65535).u16(0).u16(0);
  if (mss) w.u8(2).u8(4).u16(mss);
  Bytes out = w.take();
  for (std::size_t i = 0; i < data; ++i) out.push_back(static_cast<std::uint8_t>('a' + i % 26));
  return out;
}

inline Bytes udp(std::uint16_t from, std::uint16_t to, std::string_view text) {
  return ByteWriter().u16(from).u16(to).u16(8 + text.size()).u16(0).bytes(as_bytes(text)).take();
}

// Pod 1 (port 2 of gateway 1, 100.64.1.2) calls B/4: instance 9 at gateway 4, in pod 4 (port 2 there),
// service port 8080 at 127.0.0.1:80.
struct Pair {
  Gateway a{1}, b{4};
  const Ipv4 pod = ip("100.64.1.2"), loopback = ip("127.0.0.1");
  Ipv4 service;
  Endpoint endpoint;

  Pair() {
    a.other = &b;
    b.other = &a;
    endpoint.address = loopback;
    endpoint.names = {*Name::parse("B/4"), *Name::parse("B")};
    endpoint.ports = {{8080, 80, L4::tcp}, {53, 5353, L4::udp}};
    make_client(a);
    make_server(b);
  }
  // What gateway 1 and gateway 4 are; again for another life of them.
  void make_client(Gateway& g) {
    PathPort p;
    p.sender = 2;
    p.address = pod;
    p.gateway = ip("100.64.1.1");
    p.open = true;
    g.path.set_port(2, p);
    g.services["B/4"] = {NodeId{4}, InstanceId{9}};
    service = *g.names.allocate("B/4", {});
    g.path.set_source(2, *Name::parse("A/1"), InstanceId{3});
  }
  void make_server(Gateway& g) {
    PathPort p;
    p.address = ip("100.64.4.2");
    p.gateway = ip("100.64.4.1");
    p.open = true;
    g.path.set_port(2, p);
    g.path.set_endpoint(InstanceId{9}, 2, endpoint);
  }
  void call(const Bytes& l4, std::uint8_t protocol = kProtoTcp, std::uint8_t ttl = 64,
            std::uint8_t tos = 0) {
    a.emit(2, make_packet(pod, service, protocol, l4, ttl, tos));
  }
  // Opens a connection from port 40000; returns the client's address at gateway 4.
  Ipv4 connect() {
    call(tcp(40000, 8080, kTcpSyn, 1000, 0, 0, 1460));
    Ipv4 client = b.only(2).source;
    b.emit(2, make_packet(loopback, client, kProtoTcp,
                          tcp(80, 40000, kTcpSyn | kTcpAck, 5000, 1001, 0, 1460)));
    a.only(2);
    return client;
  }
};

}  // namespace dmsc::sgd::test
