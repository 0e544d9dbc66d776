// Rules SE-5 and SE-6 of docs/protocol.md, "Sealing": frames of the handshake, and the seal TLV.
#include "dmsc/wire/handshake.hpp"

#include <catch2/catch.hpp>

#include "dmsc/wire/service_header.hpp"

using namespace dmsc;
using namespace dmsc::wire;

namespace {

HandshakeCookie cookie() {
  HandshakeCookie out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(0xa0 + i);
  return out;
}

}  // namespace

TEST_CASE("SE-5 handshake: golden frames of every type, there and back") {
  const Bytes record{0x16, 0xfe, 0xfd};
  const HandshakeFrame frames[] = {{HandshakeType::hello, 0x12346, {}, {}},
                                   {HandshakeType::cookie, 0x12346, cookie(), {}},
                                   {HandshakeType::dtls, 0xfffff, cookie(), record}};
  const char* golden[] = {"000100000001234600000000000000000000000000000000",
                          "0002000000012346a0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
                          "00030000000fffffa0a1a2a3a4a5a6a7a8a9aaabacadaeaf16fefd"};
  for (std::size_t i = 0; i < 3; ++i) {
    Bytes bytes = encode_handshake(frames[i]);
    CHECK(to_hex(bytes) == golden[i]);
    auto back = decode_handshake(bytes);
    REQUIRE(back.ok());
    CHECK(back->type == frames[i].type);
    CHECK(back->association == frames[i].association);
    CHECK(back->cookie == frames[i].cookie);
    CHECK(to_bytes(back->datagram) == to_bytes(frames[i].datagram));
  }
  CHECK(encode_handshake(frames[0]).size() == encode_handshake(frames[1]).size());
}

TEST_CASE("SE-5 handshake: what is not a frame is refused by name") {
  auto code = [](const std::string& hex) {
    auto frame = decode_handshake(from_hex(hex));
    REQUIRE_FALSE(frame.ok());
    CHECK(frame.error().message.find("handshake frame") == 0);
    return frame.error().code;
  };
  const std::string rest(32, '0');
  CHECK(code("") == Errc::truncated);
  CHECK(code("00010000000123460000") == Errc::truncated);
  CHECK(code("0101000000012346" + rest) == Errc::unsupported);  // version
  CHECK(code("0000000000012346" + rest) == Errc::unsupported);  // type
  CHECK(code("0004000000012346" + rest) == Errc::unsupported);
  CHECK(code("0001000100012346" + rest) == Errc::invalid);  // reserved
  CHECK(code("0001000000112346" + rest) == Errc::invalid);  // association
  CHECK(code("0001000000012346" + rest + "16") == Errc::invalid);
  CHECK(code("0003000000012346" + rest) == Errc::invalid);  // nothing carried
  CHECK(code("0003000000012346" + rest + std::string(2 * 1201, '1')) == Errc::invalid);
}

TEST_CASE("SE-6 service header: a packet loses its tail, its source and its reporter in place") {
  ServicePacketSpec spec;
  spec.source = "A/1";
  spec.destination = "B/4";
  spec.egress = NodeId{4};
  spec.ingress = NodeId{1};
  Bytes bytes = *build_service_packet(spec, as_bytes("payload and tag"));
  auto packet = ServicePacket::parse(bytes);
  REQUIRE(packet.ok());
  packet->drop_tail(8);
  CHECK(as_text(packet->payload()) == "payload");
  packet->forget_source();
  CHECK(packet->source().empty());
  packet->set_ingress(NodeId{});
  auto again = ServicePacket::parse(packet->datagram());
  REQUIRE(again.ok());
  CHECK(again->source().empty());
  CHECK(again->destination() == "B/4");
  CHECK(as_text(again->payload()) == "payload");
  CHECK_FALSE(again->ingress());
  packet->drop_tail(100);
  CHECK(packet->payload().empty());
}
