// Control PDUs: the envelope (first byte 0) and every body by itself.
#include "dmsc/wire/pdu.hpp"

#include "harness.hpp"

using namespace dmsc;

namespace {

constexpr crypto::Key32 kKey{3};

void envelope(ByteView data) {
  (void)wire::pdu_key_id(data);
  (void)wire::open_pdu(data, kKey);
  // Behind a good HMAC too: the fuzzer cannot make one.
  Bytes sealed = to_bytes(data);
  crypto::Hash32 mac = crypto::hmac_sha256(kKey, sealed);
  sealed.insert(sealed.end(), mac.begin(), mac.end());
  Result<wire::OpenedPdu> opened = wire::open_pdu(sealed, kKey);
  if (!opened.ok()) return;
  const wire::PduHeader& h = opened->header;
  Bytes again = wire::seal_pdu(h, opened->body, kKey);
  Result<wire::OpenedPdu> twice = wire::open_pdu(again, kKey);
  fuzz::require(twice.ok() && again.size() == sealed.size(), "what was sealed opens");
  fuzz::require(twice->header.type == h.type && twice->header.sender == h.sender &&
                    twice->header.link == h.link && twice->header.session == h.session &&
                    twice->header.counter == h.counter && twice->header.key_id == h.key_id,
                "open(seal(x)) == x");
}

template <class T>
void keep_error(const Result<T>& decoded) {
  if (!decoded.ok()) fuzz::require(!decoded.error().message.empty(), "an error says what is wrong");
}

void acks(ByteView data) {
  auto decoded = wire::decode_acks(data);
  keep_error(decoded);
  if (decoded.ok()) {
    fuzz::require(wire::decode_acks(wire::encode_acks(*decoded)).value() == *decoded, "acks again");
  }
}

void request(ByteView data) {
  auto decoded = wire::decode_request(data);
  keep_error(decoded);
  if (decoded.ok()) {
    fuzz::require(wire::decode_request(wire::encode_request(*decoded)).value() == *decoded,
                  "requests again");
  }
}

}  // namespace

void fuzz::one_input(ByteView data) {
  if (data.empty()) return;
  ByteView rest = data.subspan(1);
  switch (data[0] % 10) {
    case 0:
      return envelope(rest);
    case 1:
      return round_trip(wire::decode_hello(rest), wire::decode_hello);
    case 2:
      return round_trip(wire::decode_keepalive(rest), wire::decode_keepalive);
    case 3:
      return keep_error(wire::decode_update(rest));
    case 4:
      return acks(rest);
    case 5:
      return round_trip(wire::decode_digest(rest), wire::decode_digest);
    case 6:
      return request(rest);
    case 7:
      return keep_error(wire::decode_mtu_probe(rest));
    case 8:
      return round_trip(wire::decode_announcement(rest), wire::decode_announcement);
    default:
      return round_trip(wire::decode_goodbye(rest), wire::decode_goodbye);
  }
}

void fuzz::seeds(SeedWriter& out) {
  wire::Hello hello;
  hello.domain = DomainId{42};
  hello.nonce = 1;
  hello.state = wire::HelloState::two_way;
  hello.worker_ports = {7402, 7403};
  hello.name = "sr-1";
  Bytes body = encode(hello);
  Bytes pdu = wire::seal_pdu({wire::PduType::hello, 1, NodeId{2}, 3, SessionId{4}, 5}, body, kKey);
  out(0, pdu);
  out(0, ByteView(pdu).first(pdu.size() - wire::kPduTrailerBytes));
  out(1, body);
  out(2, encode(wire::Keepalive{1, 2, 3, 4, 5}));
  crypto::SigningKey signer(crypto::Key32{5});
  wire::LsaPtr lsa =
      wire::make_lsa({NodeId{4}, wire::LsaType::node, 0}, {7, 1}, 3600, false, {}, signer).value();
  ByteWriter update;
  update.u32(3000).bytes(lsa->raw);
  out(3, update.view());
  out(4, wire::encode_acks({wire::ref_of(*lsa)}));
  wire::DigestRange sum, list;
  sum.hi = 99;
  sum.count = 4;
  list.lo = 100;
  list.listed = true;
  list.refs = {wire::ref_of(*lsa)};
  out(5, encode(std::vector<wire::DigestRange>{sum, list}));
  out(6, wire::encode_request({lsa->key}));
  out(7, encode(wire::MtuProbe{false, 9, 1400}));
  out(8, encode(wire::Announcement{DomainId{42}, 3500, {10, 0, 0, 1}, 7401, "sr-1"}));
  out(9, encode(wire::Goodbye{"shutting down"}));
}
