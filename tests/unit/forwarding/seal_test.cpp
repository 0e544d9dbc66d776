// Rules SE-1 to SE-4 of docs/protocol.md, "Sealing": what a seal covers, its bytes, its counters.
#include "dmsc/forwarding/seal.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace dmsc;
using namespace dmsc::forwarding;
using wire::HeaderTlv;

namespace {

constexpr auto kAes = crypto::AeadAlgorithm::aes_128_gcm;

crypto::Key32 secret() {
  crypto::Key32 out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(i);
  return out;
}

Bytes plain_packet(std::string_view payload = "hello") {
  wire::ServicePacketSpec spec;
  spec.flags = wire::kFlagIdempotent | wire::kFlagTrace;
  spec.traffic_class = 8;
  spec.protocol = wire::PayloadProtocol::message;
  spec.label = PathLabel{0x00100002};
  spec.exchange = 7;
  spec.flow = 0x1122334455667788ULL;
  spec.egress = NodeId{4};
  spec.ingress = NodeId{1};
  spec.destination = "B/4";
  spec.source = "A/1";
  spec.instance = InstanceId{9};
  spec.record_slots = 2;
  return *wire::build_service_packet(spec, as_bytes(payload));
}

struct Keys {
  explicit Keys(crypto::AeadAlgorithm algorithm, const SealKeyId& id)
      : derived(derive_seal_key(secret(), algorithm, id.worker, id.group)),
        sealer(*crypto::AeadSealer::create(algorithm, derived.key)),
        opener(*crypto::AeadOpener::create(algorithm, derived.key)) {}
  SealKey derived;
  crypto::AeadSealer sealer;
  crypto::AeadOpener opener;
};

const SealStamp kStamp{{0x12345, 3, 5}, 42};

Bytes sealed(Keys& keys, Bytes plain, const SealStamp& stamp = kStamp) {
  auto packet = wire::ServicePacket::parse(plain);
  Bytes out(plain.size() + kSealOverhead);
  REQUIRE(seal_packet(*packet, stamp, keys.derived.mask, keys.sealer, out) == out.size());
  return out;
}

bool opens(Keys& keys, Bytes& datagram) {
  auto packet = wire::ServicePacket::parse(datagram);
  if (!packet.ok()) return false;
  auto stamp = seal_stamp(*packet);
  return stamp && open_packet(*packet, *stamp, keys.derived.mask, keys.opener);
}

}  // namespace

TEST_CASE("SE-1 seal: a golden packet, and its payload back") {
  Keys keys(kAes, kStamp.key);
  CHECK(to_hex(keys.derived.key) == "cf2205b589068b0c51e04dc6d3924f73");
  CHECK(to_hex(keys.derived.mask) == "42eb7f56181e6c46148ade11");
  Bytes bytes = sealed(keys, plain_packet());
  CHECK(to_hex(bytes) ==
        "01382008150100150010000200000007112233445566778800000004000000010000000000000000"
        "0000000000000000090a123450c500000000002a0103422f340203412f31030200090a0800000000"
        "000000005b8a411819c8121aa898e5164d2776c1db540a81b7");
  auto packet = wire::ServicePacket::parse(bytes);
  REQUIRE(packet.ok());
  CHECK((packet->flags() & wire::kFlagSealed) != 0);
  auto stamp = seal_stamp(*packet);
  REQUIRE(stamp);
  CHECK(stamp->key == kStamp.key);
  CHECK(stamp->counter == kStamp.counter);
  REQUIRE(open_packet(*packet, *stamp, keys.derived.mask, keys.opener));
  CHECK(as_text(packet->payload()) == "hello");
  CHECK(packet->destination() == "B/4");
  CHECK(packet->source() == "A/1");
}

TEST_CASE("SE-1 seal: nothing of the payload is left in clear, an empty one is sealed too") {
  for (auto algorithm : {kAes, crypto::AeadAlgorithm::chacha20_poly1305}) {
    Keys keys(algorithm, kStamp.key);
    const std::string secret_text(64, 'S');
    Bytes bytes = sealed(keys, plain_packet(secret_text));
    CHECK(as_text(bytes).find("SSSS") == std::string_view::npos);
    CHECK(opens(keys, bytes));
    Bytes empty = sealed(keys, plain_packet(""));
    CHECK(empty.size() == plain_packet("").size() + kSealOverhead);
    CHECK(opens(keys, empty));
  }
}

TEST_CASE("SE-2 seal: what hops change may change, every other bit of the packet may not") {
  Keys keys(kAes, kStamp.key);
  const Bytes good = sealed(keys, plain_packet());
  const std::size_t header = std::size_t{good[4]} * 4;
  auto packet_bytes = good;
  auto record = wire::ServicePacket::parse(packet_bytes)->tlv(HeaderTlv::record);
  const std::size_t record_at = static_cast<std::size_t>(record->data() - packet_bytes.data());
  auto mutable_bit = [&](std::size_t byte, unsigned bit) {
    if (byte == 1) return bit < 4;                     // the four flags of transit
    if (byte == 2) return true;                        // hop limit
    if (byte >= 32 && byte < 48) return true;          // hop block
    return byte >= record_at && byte < record_at + 8;  // free record slots
  };
  for (std::size_t byte = 0; byte < good.size(); ++byte) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      Bytes bytes = good;
      bytes[byte] = static_cast<std::uint8_t>(bytes[byte] ^ 1U << bit);
      INFO("byte " << byte << " bit " << bit << ", header of " << header);
      CHECK(opens(keys, bytes) == mutable_bit(byte, bit));
    }
  }
}

TEST_CASE("SE-2 seal: a packet is not opened as another's, of another counter or direction") {
  Keys keys(kAes, kStamp.key);
  Bytes one = sealed(keys, plain_packet("one")),
        two = sealed(keys, plain_packet("two"), {kStamp.key, 43});
  Bytes mixed = one;
  std::copy(two.end() - 19, two.end(), mixed.end() - 19);  // the other's ciphertext and tag
  CHECK_FALSE(opens(keys, mixed));
  Keys other(kAes, {kStamp.key.association, 4, 5});
  Bytes copy = one;  // what was not opened is worthless
  CHECK_FALSE(opens(other, copy));
  Keys group(kAes, {kStamp.key.association, 3, 6});
  copy = one;
  CHECK_FALSE(opens(group, copy));
  CHECK(opens(keys, one));
}

TEST_CASE("SE-1 seal: what does not fit is not sealed") {
  Keys keys(kAes, kStamp.key);
  Bytes plain = plain_packet();
  auto packet = wire::ServicePacket::parse(plain);
  Bytes small(plain.size() + kSealOverhead - 1);
  CHECK(seal_packet(*packet, kStamp, keys.derived.mask, keys.sealer, small) == 0);
  Bytes large = plain_packet(std::string(0xffff, 'x')), room(70000);
  auto jumbo = wire::ServicePacket::parse(large);
  CHECK(seal_packet(*jumbo, kStamp, keys.derived.mask, keys.sealer, room) == 0);
  wire::ServicePacketSpec spec;
  const std::string name(255, 'n');
  const Bytes filler(255, 1);
  spec.destination = spec.source = name;
  spec.quote = spec.ack = filler;
  spec.egress = NodeId{4};
  while (spec.quote.size() > 1) {  // as long a header as there can be
    auto full = wire::build_service_packet(spec, {});
    if (full) break;
    spec.quote = spec.quote.first(spec.quote.size() - 1);
  }
  Bytes wide = *wire::build_service_packet(spec, {});
  auto fits = wire::ServicePacket::parse(wide);
  CHECK(fits->header_size() + kSealTlvBytes > wire::kServiceHeaderMax);
  CHECK(seal_packet(*fits, kStamp, keys.derived.mask, keys.sealer, room) == 0);
}

TEST_CASE("SE-3 seal: key ids are packed as 20, 6 and 6 bits; paths have groups") {
  for (const SealKeyId& id : {SealKeyId{0, 0, 0}, SealKeyId{0xfffff, 63, 63}, SealKeyId{1, 2, 3}}) {
    CHECK(decode_seal_key_id(encode(id)) == id);
  }
  CHECK(encode(SealKeyId{0x12345, 3, 5}) == 0x123450c5);
  CHECK(path_group(PathLabel{}) == 0);
  std::set<unsigned> groups;
  for (std::uint32_t label = 1; label < 1000; ++label) groups.insert(path_group(PathLabel{label}));
  CHECK(groups.size() == 63);
  CHECK(*groups.begin() == 1);
  CHECK(*groups.rbegin() == 63);
}

TEST_CASE("SE-3 seal: an error's quote tells which association it is about") {
  Keys keys(kAes, kStamp.key);
  Bytes bytes = sealed(keys, plain_packet());
  auto stamp = quoted_seal_stamp(ByteView(bytes).first(60));
  REQUIRE(stamp);
  CHECK(stamp->key == kStamp.key);
  CHECK_FALSE(quoted_seal_stamp(ByteView(bytes).first(59)));
  Bytes plain = plain_packet();
  CHECK_FALSE(quoted_seal_stamp(ByteView(plain).first(60)));
}

TEST_CASE("SE-4 window: each counter once, in any order, none 65,536 behind the highest") {
  SealWindow window;
  CHECK(window.accept(0));
  CHECK_FALSE(window.accept(0));
  CHECK(window.accept(100000));
  CHECK_FALSE(window.fresh(100000 - SealWindow::kSize));
  CHECK_FALSE(window.accept(100000 - SealWindow::kSize));
  CHECK(window.accept(100000 - SealWindow::kSize + 1));
  CHECK_FALSE(window.accept(100000 - SealWindow::kSize + 1));
  CHECK(window.accept((1ULL << 48) - 1));
  CHECK_FALSE(window.accept(100000));
  CHECK(window.accept((1ULL << 48) - 2));
}

TEST_CASE("SE-4 window: equals a set of what was seen, over jumps of every size") {
  SealWindow window;
  std::set<std::uint64_t> seen;
  std::uint64_t state = 1, highest = 0;
  for (int i = 0; i < 300000; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    const std::uint64_t r = state >> 33, spread = (state >> 13 & 1) != 0 ? 200 : 70000;
    std::uint64_t counter = highest + r % (spread / 20 + 1);
    if ((r & 0x1000) != 0) counter = highest - std::min(highest, r % spread);
    if (r % 5000 == 0) counter = highest + r % 300000;
    const bool old = counter < highest && highest - counter >= SealWindow::kSize;
    const bool want = !old && seen.count(counter) == 0;
    REQUIRE(window.fresh(counter) == want);
    REQUIRE(window.accept(counter) == want);
    seen.insert(counter);
    highest = std::max(highest, counter);
  }
}
