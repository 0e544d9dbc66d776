// Control PDU codecs: docs/protocol.md, "Control PDUs" (rules P1-P9) and "Authentication".
#include "dmsc/wire/pdu.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;
using namespace dmsc::wire;

namespace {

crypto::Key32 key_bytes(std::uint8_t fill) {
  crypto::Key32 key;
  key.fill(fill);
  return key;
}

Hello sample_hello() {
  Hello h;
  h.domain = DomainId{42};
  h.nonce = 1;
  h.echo_session = SessionId{2};
  h.echo_nonce = 3;
  h.state = HelloState::two_way;
  h.flags = kHelloStarting;
  h.window = 512;
  h.pending = 4;
  h.lsa_count = 5;
  h.digest = {6, 7};
  h.data_mtu = 1400;
  h.worker_ports = {7402, 7403};
  h.name = "sr-1";
  return h;
}

// Every shorter body must be an error; the codec must never read past its end.
template <class Decode>
void refuses_truncations(const Bytes& body, Decode decode, std::size_t step = 1) {
  for (std::size_t n = 0; n < body.size(); ++n) {
    if (n % step == 0 && step != 1) continue;
    CHECK_FALSE(decode(ByteView(body).first(n)).ok());
  }
}

}  // namespace

TEST_CASE("LS-P1 a PDU carries header, body and HMAC") {
  PduHeader header{PduType::ack, 3, NodeId{9}, 4, SessionId{77}, 1000};
  Bytes datagram = seal_pdu(header, as_bytes("body"), key_bytes(1));
  CHECK(pdu_key_id(datagram).value() == 3);
  auto opened = open_pdu(datagram, key_bytes(1));
  REQUIRE(opened.ok());
  CHECK(opened->header.type == PduType::ack);
  CHECK(opened->header.sender == NodeId{9});
  CHECK(opened->header.link == 4);
  CHECK(opened->header.session == SessionId{77});
  CHECK(opened->header.counter == 1000);
  CHECK(as_text(opened->body) == "body");
}

TEST_CASE("LS-P2 any flipped bit fails the HMAC before anything else is looked at") {
  Bytes datagram = seal_pdu({PduType::hello, 1, NodeId{9}, 4, SessionId{77}, 1}, as_bytes("x"),
                            key_bytes(1));
  for (std::size_t bit = 0; bit < datagram.size() * 8; ++bit) {
    Bytes bad = datagram;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    CHECK(open_pdu(bad, key_bytes(1)).error().code == Errc::unauthenticated);
  }
  CHECK(open_pdu(datagram, key_bytes(2)).error().code == Errc::unauthenticated);
  CHECK(open_pdu(ByteView(datagram).first(63), key_bytes(1)).error().code == Errc::truncated);
}

TEST_CASE("LS-P3 an authentic PDU of another version, type or length is refused") {
  auto resealed = [](std::size_t at, std::uint8_t value) {
    Bytes d = seal_pdu({PduType::hello, 1, NodeId{9}, 4, SessionId{77}, 1}, {}, key_bytes(1));
    d.resize(d.size() - kPduTrailerBytes);
    d[at] = value;
    auto mac = crypto::hmac_sha256(key_bytes(1), d);
    d.insert(d.end(), mac.begin(), mac.end());
    return open_pdu(d, key_bytes(1));
  };
  CHECK(resealed(0, 0).ok());
  CHECK(resealed(0, 1).error().code == Errc::unsupported);
  CHECK(resealed(1, 0).error().code == Errc::unsupported);
  CHECK(resealed(1, 10).error().code == Errc::unsupported);
  CHECK(resealed(3, 65).error().code == Errc::invalid);
}

TEST_CASE("LS-P4 hello: all fields, later extensions skipped, nonsense refused") {
  Bytes body = encode(sample_hello());
  CHECK(decode_hello(body).value() == sample_hello());
  refuses_truncations(body, decode_hello);
  ByteWriter extension;
  extension.bytes(body).u16(300).bytes16(as_bytes("new"));
  CHECK(decode_hello(extension.view()).value() == sample_hello());
  ByteWriter broken;
  broken.bytes(body).u16(300).u16(9);
  CHECK_FALSE(decode_hello(broken.view()).ok());
  Hello bad = sample_hello();
  bad.interval_us = 0;
  CHECK_FALSE(decode_hello(encode(bad)).ok());
  bad = sample_hello();
  bad.name.clear();
  CHECK_FALSE(decode_hello(encode(bad)).ok());
  body[32] = 4;  // state
  CHECK(decode_hello(body).error().message == "hello: state 4");
}

TEST_CASE("LS-P5 keepalive: 32 bytes with sequence and timestamps") {
  Keepalive k{kKeepalivePoll, 5, 6, 7, 8};
  CHECK(encode(k).size() == 32);
  CHECK(decode_keepalive(encode(k)).value() == k);
  refuses_truncations(to_bytes(encode(k)), decode_keepalive);
  Bytes longer = to_bytes(encode(k));
  longer.push_back(0);
  CHECK_FALSE(decode_keepalive(longer).ok());
}

TEST_CASE("LS-P6 update: remaining lifetime and LSA, packed") {
  auto lsa = make_lsa({NodeId{1}, LsaType::node, 0}, {1, 1}, 60, false, {},
                      crypto::SigningKey(key_bytes(3)));
  REQUIRE(lsa.ok());
  ByteWriter w;
  w.u32(59).bytes((*lsa)->raw).u32(58).bytes((*lsa)->raw);
  auto entries = decode_update(w.view());
  REQUIRE(entries.ok());
  REQUIRE(entries->size() == 2);
  CHECK((*entries)[1].remaining == 58);
  CHECK(to_bytes((*entries)[0].raw) == (*lsa)->raw);
  std::size_t one = 4 + (*lsa)->raw.size();
  for (std::size_t n = 1; n < w.size(); ++n) {
    if (n != one) CHECK_FALSE(decode_update(w.view().first(n)).ok());
  }
}

TEST_CASE("LS-P7 ack: 32 bytes per LSA copy") {
  std::vector<LsaRef> acks{{{NodeId{1}, LsaType::grant, 9}, {2, 3}, 4},
                           {{issuer_origin(1), LsaType::revocation, 0}, {5, 6}, ~0ULL}};
  Bytes body = encode_acks(acks);
  CHECK(body.size() == 2 * kLsaRefBytes);
  CHECK(decode_acks(body).value() == acks);
  refuses_truncations(body, decode_acks, kLsaRefBytes);
}

TEST_CASE("LS-P8 digest: sums and lists over key ranges; request: keys") {
  LsaRef ref{{NodeId{3}, LsaType::prefix, 2}, {1, 2}, 3};
  std::vector<DigestRange> ranges{{0, 99, false, 7, {1, 2}, {}}, {100, kMaxKeyNumber, true, 0, {}, {ref}}};
  Bytes body = encode(ranges);
  CHECK(body.size() == kRangeSumBytes + kRangeListOverhead + kLsaRefBytes);
  CHECK(decode_digest(body).value() == ranges);
  for (std::size_t n = 1; n < body.size(); ++n) {
    if (n != kRangeSumBytes) CHECK_FALSE(decode_digest(ByteView(body).first(n)).ok());
  }
  std::vector<DigestRange> backwards{{5, 4, false, 0, {}, {}}};
  CHECK_FALSE(decode_digest(encode(backwards)).ok());
  std::vector<LsaKey> keys{ref.key, {issuer_origin(0), LsaType::authority, 4095}};
  CHECK(decode_request(encode_request(keys)).value() == keys);
  refuses_truncations(encode_request(keys), decode_request, 8);
}

TEST_CASE("LS-P8 key numbers keep the order of keys") {
  LsaKey a{NodeId{1}, LsaType::prefix, 4095}, b{NodeId{1}, LsaType::identity, 0},
      c{issuer_origin(0), LsaType::authority, 1};
  CHECK(key_number(a) < key_number(b));
  CHECK(key_number(b) < key_number(c));
  CHECK(key_of(key_number(c)) == c);
}

TEST_CASE("LS-P9 mtu probe is padded to its size; goodbye carries a reason") {
  MtuProbe probe{false, 7, 1400};
  CHECK(encode(probe).size() + kPduOverhead == 1400);
  CHECK(decode_mtu_probe(encode(probe)).value() == probe);
  Bytes cut = encode(probe);
  cut.pop_back();
  CHECK_FALSE(decode_mtu_probe(cut).ok());
  MtuProbe reply{true, 7, 1400};
  CHECK(encode(reply).size() == 8);
  CHECK(decode_mtu_probe(encode(reply)).value() == reply);
  Goodbye goodbye{"shutting down"};
  CHECK(decode_goodbye(encode(goodbye)).value() == goodbye);
  refuses_truncations(encode(goodbye), decode_goodbye);
}
