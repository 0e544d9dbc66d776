// Control PDU framing and the small bodies; updates, acknowledgements and digests are in
// pdu_flooding.cpp.
#include "dmsc/wire/pdu.hpp"

#include <endian.h>

#include <cstring>

#include "dmsc/wire/tlv.hpp"

namespace dmsc::wire {
namespace {

// Fields of fixed places, for what is sent and received all the time.
void put16(std::uint8_t* at, std::size_t v) {
  at[0] = static_cast<std::uint8_t>(v >> 8);
  at[1] = static_cast<std::uint8_t>(v);
}
void put32(std::uint8_t* at, std::uint32_t v) {
  v = htobe32(v);
  std::memcpy(at, &v, sizeof v);
}
void put64(std::uint8_t* at, std::uint64_t v) {
  v = htobe64(v);
  std::memcpy(at, &v, sizeof v);
}
std::uint16_t get16(const std::uint8_t* at) { return static_cast<std::uint16_t>(at[0] << 8 | at[1]); }
std::uint32_t get32(const std::uint8_t* at) {
  std::uint32_t v;
  std::memcpy(&v, at, sizeof v);
  return be32toh(v);
}
std::uint64_t get64(const std::uint8_t* at) {
  std::uint64_t v;
  std::memcpy(&v, at, sizeof v);
  return be64toh(v);
}

}  // namespace

const char* to_string(PduType type) {
  switch (type) {
    case PduType::hello: return "hello";
    case PduType::keepalive: return "keepalive";
    case PduType::update: return "update";
    case PduType::ack: return "ack";
    case PduType::digest: return "digest";
    case PduType::request: return "request";
    case PduType::mtu_probe: return "mtu-probe";
    case PduType::goodbye: return "goodbye";
    case PduType::announcement: return "announcement";
  }
  return "unknown";
}

Result<std::uint16_t> pdu_key_id(ByteView datagram) {
  if (datagram.size() < kPduOverhead) {
    return make_error(Errc::truncated, "control PDU: ", std::to_string(datagram.size()),
                      " bytes, at least ", std::to_string(kPduOverhead));
  }
  return static_cast<std::uint16_t>(datagram[4] << 8 | datagram[5]);
}

bool pdu_tag_good(ByteView datagram, const crypto::HmacKey& key) {
  if (datagram.size() < kPduOverhead) return false;
  ByteView covered = datagram.first(datagram.size() - kPduTrailerBytes);
  return crypto::equal(key.tag(covered), datagram.last(kPduTrailerBytes));
}

Result<OpenedPdu> open_pdu(ByteView datagram, const crypto::HmacKey& key) {
  if (auto id = pdu_key_id(datagram); !id) return id.error();
  if (!pdu_tag_good(datagram, key)) {
    return make_error(Errc::unauthenticated, "control PDU: its HMAC is wrong");
  }
  return parse_pdu(datagram);
}

Result<OpenedPdu> parse_pdu(ByteView datagram) {
  if (auto id = pdu_key_id(datagram); !id) return id.error();
  const std::uint8_t* at = datagram.data();
  std::uint8_t version = at[0], type = at[1];
  std::uint16_t length = get16(at + 2);
  if (version != kControlVersion) {
    return make_error(Errc::unsupported, "control PDU: version ", std::to_string(version));
  }
  if (length != datagram.size()) {
    return make_error(Errc::invalid, "control PDU: length field ", std::to_string(length),
                      " in a datagram of ", std::to_string(datagram.size()));
  }
  if (type < 1 || type > 9) {
    return make_error(Errc::unsupported, "control PDU: type ", std::to_string(type));
  }
  OpenedPdu pdu;
  pdu.header.type = static_cast<PduType>(type);
  pdu.header.key_id = get16(at + 4);  // and 16 bits reserved, ignored on receipt
  pdu.header.sender = NodeId{get32(at + 8)};
  pdu.header.link = get32(at + 12);
  pdu.header.session = SessionId{get64(at + 16)};
  pdu.header.counter = get64(at + 24);
  pdu.body = datagram.subspan(kPduHeaderBytes, datagram.size() - kPduOverhead);
  return pdu;
}

void frame_pdu(const PduHeader& header, ByteView body, Bytes& datagram) {
  datagram.resize(body.size() + kPduOverhead);
  std::uint8_t* at = datagram.data();
  at[0] = kControlVersion;
  at[1] = static_cast<std::uint8_t>(header.type);
  put16(at + 2, datagram.size());
  put16(at + 4, header.key_id);
  put16(at + 6, 0);
  put32(at + 8, header.sender.value);
  put32(at + 12, header.link);
  put64(at + 16, header.session.value);
  put64(at + 24, header.counter);
  std::copy(body.begin(), body.end(), at + kPduHeaderBytes);
}

Bytes seal_pdu(const PduHeader& header, ByteView body, const crypto::HmacKey& key) {
  Bytes datagram;
  frame_pdu(header, body, datagram);
  std::size_t covered = datagram.size() - kPduTrailerBytes;
  crypto::Hash32 tag = key.tag(ByteView(datagram).first(covered));
  std::copy(tag.begin(), tag.end(), datagram.begin() + static_cast<std::ptrdiff_t>(covered));
  return datagram;
}

namespace {

Error cut_short(std::string_view what) {
  return make_error(Errc::truncated, what, ": the body ends too early");
}

Error trailing(std::string_view what, const ByteReader& r) {
  return make_error(Errc::invalid, what, ": ", std::to_string(r.left()), " bytes too many");
}

}  // namespace

Bytes encode(const Hello& h) {
  ByteWriter w;
  w.u64(h.domain.value).u64(h.nonce).u64(h.echo_session.value).u64(h.echo_nonce);
  w.u8(static_cast<std::uint8_t>(h.state)).u8(h.flags).u8(h.multiplier).u8(h.worker_ports.size());
  w.u32(h.interval_us).u16(h.window).u16(h.data_mtu).u32(h.pending).u32(h.lsa_count);
  w.u128(h.digest).text8(h.name);
  for (std::uint16_t port : h.worker_ports) w.u16(port);
  return w.take();
}

Result<Hello> decode_hello(ByteView body) {
  ByteReader r(body);
  Hello h;
  h.domain = DomainId{r.u64()};
  h.nonce = r.u64();
  h.echo_session = SessionId{r.u64()};
  h.echo_nonce = r.u64();
  std::uint8_t state = r.u8();
  h.flags = r.u8();
  h.multiplier = r.u8();
  std::uint8_t ports = r.u8();
  h.interval_us = r.u32();
  h.window = r.u16();
  h.data_mtu = r.u16();
  h.pending = r.u32();
  h.lsa_count = r.u32();
  h.digest = r.u128();
  h.name = std::string(r.text8());
  for (int i = 0; i < ports && r.ok(); ++i) h.worker_ports.push_back(r.u16());
  if (!r.ok()) return cut_short("hello");
  if (state > 3) return make_error(Errc::invalid, "hello: state ", std::to_string(state));
  h.state = static_cast<HelloState>(state);
  if (h.name.empty()) return make_error(Errc::invalid, "hello: the sender's name is empty");
  if (h.multiplier == 0 || h.interval_us == 0) {
    return make_error(Errc::invalid, "hello: liveness interval or multiplier is zero");
  }
  TlvReader extensions(r.rest());  // none is defined yet: a later version's are skipped
  while (extensions.next()) {
  }
  if (!extensions.ok()) return with_context("hello", extensions.error());
  return h;
}

std::array<std::uint8_t, kKeepaliveBytes> encode(const Keepalive& k) {
  std::array<std::uint8_t, kKeepaliveBytes> out{};
  out[0] = k.flags;  // and 24 bits reserved
  put32(&out[4], k.sequence);
  put64(&out[8], k.sent);
  put64(&out[16], k.echo_sent);
  put64(&out[24], k.echo_received);
  return out;
}

Result<Keepalive> decode_keepalive(ByteView body) {
  if (body.size() < kKeepaliveBytes) return cut_short("keepalive");
  if (body.size() > kKeepaliveBytes) {
    return make_error(Errc::invalid, "keepalive: ", std::to_string(body.size() - kKeepaliveBytes),
                      " bytes too many");
  }
  const std::uint8_t* at = body.data();
  return Keepalive{at[0], get32(at + 4), get64(at + 8), get64(at + 16), get64(at + 24)};
}

Bytes encode(const MtuProbe& probe) {
  ByteWriter w;
  w.u8(probe.reply ? 1 : 0).u8(0).u16(probe.size).u32(probe.id);
  Bytes out = w.take();
  if (!probe.reply && probe.size > out.size() + kPduOverhead) out.resize(probe.size - kPduOverhead);
  return out;
}

Result<MtuProbe> decode_mtu_probe(ByteView body) {
  ByteReader r(body);
  MtuProbe probe;
  std::uint8_t kind = r.u8();
  r.u8();
  probe.size = r.u16();
  probe.id = r.u32();
  if (!r.ok()) return cut_short("mtu-probe");
  if (kind > 1) return make_error(Errc::invalid, "mtu-probe: kind ", std::to_string(kind));
  probe.reply = kind == 1;
  if (!probe.reply && body.size() + kPduOverhead != probe.size) {
    return make_error(Errc::invalid, "mtu-probe: says ", std::to_string(probe.size), " bytes, has ",
                      std::to_string(body.size() + kPduOverhead));
  }
  return probe;
}

Bytes encode(const Announcement& a) {
  ByteWriter w;
  w.u64(a.domain.value).u32(a.hold_ms).u16(a.port).u8(0).u8(a.address.size()).bytes(a.address);
  w.text8(a.name);
  return w.take();
}

Result<Announcement> decode_announcement(ByteView body) {
  ByteReader r(body);
  Announcement a;
  a.domain = DomainId{r.u64()};
  a.hold_ms = r.u32();
  a.port = r.u16();
  r.u8();  // reserved, ignored on receipt
  std::uint8_t size = r.u8();
  a.address = to_bytes(r.bytes(size));
  a.name = std::string(r.text8());
  if (!r.ok()) return cut_short("announcement");
  if (size != 4 && size != 16) {
    return make_error(Errc::invalid, "announcement: an address of ", std::to_string(size), " bytes");
  }
  if (a.port == 0) return make_error(Errc::invalid, "announcement: port 0");
  if (a.name.empty()) return make_error(Errc::invalid, "announcement: the sender's name is empty");
  TlvReader extensions(r.rest());  // none is defined yet: a later version's are skipped
  while (extensions.next()) {
  }
  if (!extensions.ok()) return with_context("announcement", extensions.error());
  return a;
}

Bytes encode(const Goodbye& goodbye) {
  ByteWriter w;
  w.text8(std::string_view(goodbye.reason).substr(0, 255));
  return w.take();
}

Result<Goodbye> decode_goodbye(ByteView body) {
  ByteReader r(body);
  Goodbye goodbye{std::string(r.text8())};
  if (!r.ok()) return cut_short("goodbye");
  if (!r.done()) return trailing("goodbye", r);
  return goodbye;
}

}  // namespace dmsc::wire
