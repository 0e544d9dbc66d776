// Flows of unmodified programs at a gateway: what is remembered per TCP connection or UDP exchange,
// on the client's side (OutFlow) and on the server's (InFlow). Plain data; edge_path*.cpp works on it.
#pragma once
#include <array>
#include <cstring>

#include "dmsc/crypto/keys.hpp"
#include "dmsc/name/name.hpp"
#include "dmsc/wire/service_header.hpp"
#include "sgd/edge.hpp"
#include "sgd/edge_limit.hpp"
#include "sgd/edge_packet.hpp"

namespace dmsc::sgd {

// A local 5-tuple at a port (TUN) of the gateway, as the program's kernel writes it.
struct FlowKey {
  std::uint32_t port = 0;
  L4 protocol = L4::tcp;
  Ipv4 source, destination;
  std::uint16_t source_port = 0, destination_port = 0;
  friend auto operator<=>(const FlowKey&, const FlowKey&) = default;

  std::array<std::uint8_t, 17> bytes() const {
    std::array<std::uint8_t, 17> b{};
    std::memcpy(&b[0], &port, 4);
    std::memcpy(&b[4], &source.value, 4);
    std::memcpy(&b[8], &destination.value, 4);
    std::memcpy(&b[12], &source_port, 2);
    std::memcpy(&b[14], &destination_port, 2);
    b[16] = static_cast<std::uint8_t>(protocol);
    return b;
  }
};

// Programs choose tuples and peers choose flow ids: both are hashed under a secret.
struct FlowHash {
  crypto::Key16 key{};
  std::size_t operator()(const FlowKey& k) const { return crypto::siphash24(key, k.bytes()); }
  std::size_t operator()(const std::pair<NodeId, std::uint64_t>& k) const {
    std::array<std::uint8_t, 12> b{};
    std::memcpy(&b[0], &k.first.value, 4);
    std::memcpy(&b[4], &k.second, 8);
    return crypto::siphash24(key, b);
  }
};

// What both sides keep. Timeouts follow RFC 5382 (TCP) and RFC 4787 (UDP).
struct FlowState {
  static constexpr Duration kTcpEstablished = minutes(124), kTcpOpening = seconds(60),
                            kTcpClosing = seconds(30), kUdpEstablished = minutes(5),
                            kUdpOpening = seconds(60);
  std::uint64_t id = 0;
  FlowKey key;                    // as packets come in from our TUN
  std::uint32_t next_sequence = 0;  // TCP: after the last byte our program sent
  Bytes header;                   // service header of every packet we send, payload length 0
  Time last;
  Time hint_ends;
  std::uint64_t packets_out = 0, packets_in = 0;
  std::uint16_t hint = 0;         // service datagram bytes as a router on the way said; until `hint_ends`
  std::uint16_t window = 0;       // TCP: as our program said it last
  bool established = false;       // both directions were seen
  bool fin_out = false, fin_in = false, reset = false;

  // There is state at both ends that lives and dies with the instance.
  bool connected() const { return established && key.protocol == L4::tcp; }
  bool closing() const { return reset || (fin_out && fin_in); }
  Duration timeout() const {
    if (key.protocol == L4::udp) return established ? kUdpEstablished : kUdpOpening;
    return closing() ? kTcpClosing : established ? kTcpEstablished : kTcpOpening;
  }
  void note_flags(std::uint8_t tcp_flags, bool outbound) {
    if ((tcp_flags & kTcpRst) != 0) reset = true;
    if ((tcp_flags & kTcpFin) != 0) (outbound ? fin_out : fin_in) = true;
  }
  // A new connection on the tuple of an old one.
  void reopen() { established = fin_out = fin_in = reset = false; }
  const char* state() const {
    return closing() ? "closing" : established ? "established" : "opening";
  }
};

// Client side: a program of ours called a name.
struct OutFlow : FlowState {
  Name destination;
  InstancePin pin;
  PathLabel label;
  bool seeking = false;           // where its connection lives is not known yet (U19)
  FairShaper* limit = nullptr;    // of the longest prefix with one
  Time away_since{};              // the egress cannot be reached; 0 = it can
  Time checked;                   // pin, label and mtu were looked at
  std::uint32_t mtu = 0;          // service datagram bytes, as last known
  std::uint32_t acknowledged = 0;  // for a RST to our program
};

// Server side: a program of ours is called. key.source is the endpoint, key.destination the local
// virtual address of the client.
struct InFlow : FlowState {
  NodeId peer;                    // ingress of the call
  InstanceId instance;
  std::uint16_t service_port = 0;
};

// The two names of a flow as they stand in its header: of every packet we send. Views into the flow.
struct FlowNames {
  std::string_view destination, source;
};
inline FlowNames names_of(FlowState& flow) {
  auto header = wire::ServicePacket::parse(flow.header);
  if (!header) return {};
  return {header->destination(), header->source()};
}

}  // namespace dmsc::sgd
