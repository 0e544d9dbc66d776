// docs/protocol.md, "Pod socket".
#include <catch2/catch.hpp>

#include "dmsc/wire/pod_ipc.hpp"

using namespace dmsc;
using namespace dmsc::wire;

namespace {
std::vector<PodIpcMessage> samples() {
  return {PodHello{"dmsc-pod 0.1"},
          PodWelcome{NodeId{4}, "sg-1", "fig2.dmsc", "pod:pod-1"},
          PodBind{1, "lease-7", "B/4"},
          PodBound{1, 2, "no such lease"},
          PodUnbind{2, "B/4"},
          PodCall{3, 2000, kCallIdempotent | kCallTrace, "B/4", "A/1", {'h', 'i'}},
          PodReply{3, {NodeId{7}, "sg-4"}, InstanceId{9}, {{NodeId{4}, "sg-1"}, {NodeId{7}, ""}},
                   {{NodeId{7}, "sg-4"}}, {'y', 'o'}},
          PodFailure{3, ErrorCode::no_instance, NodeId{7}, "gone"},
          PodRequest{5, 1500, kCallIdempotent, NodeId{4}, "B/4", "B/4", "", {1, 2, 3}},
          PodResponse{5, {}},
          PodRefusal{5, "not today"},
          PodCancel{5}};
}

Result<std::optional<PodIpcMessage>> decode_one(const Bytes& frame) {
  PodFrameReader reader;
  return reader.feed(frame);
}
}  // namespace

TEST_CASE("Pod socket: every message survives encoding and decoding") {
  PodFrameReader reader;
  for (const PodIpcMessage& message : samples()) {
    auto frames = encode_pod_message(message);
    REQUIRE(frames);
    REQUIRE(frames->size() == 1);
    auto back = reader.feed(frames->front());
    REQUIRE(back);
    REQUIRE(*back);
    CHECK(**back == message);
  }
}

TEST_CASE("Pod socket: the call frame of golden bytes") {
  auto frames = encode_pod_message(PodCall{0x0102030405060708, 2000, 1, "B/4", "A/1", {'h', 'i'}});
  REQUIRE(frames);
  CHECK(to_hex(frames->front()) ==
        "01060000" "0102030405060708" "00000002" "000d" "000007d0" "01" "03422f34" "03412f31" "6869");
  frames = encode_pod_message(PodFailure{1, ErrorCode::deadline, NodeId{2}, "x"});
  CHECK(to_hex(frames->front()) ==
        "01080000" "0000000000000001" "00000000" "0009" "0007" "00000002" "000178");
}

TEST_CASE("Pod socket: a message over 64 KiB travels in frames with the more flag") {
  PodCall call{9, 1000, 0, "B/4", "", Bytes(kMaxMessageBytes)};
  for (std::size_t i = 0; i < call.payload.size(); ++i) call.payload[i] = std::uint8_t(i * 31);
  auto frames = encode_pod_message(call);
  REQUIRE(frames);
  CHECK(frames->size() == 17);
  PodFrameReader reader;
  for (std::size_t i = 0; i < frames->size(); ++i) {
    REQUIRE((*frames)[i].size() <= kPodFrameMax);
    auto r = reader.feed((*frames)[i]);
    REQUIRE(r);
    REQUIRE(r->has_value() == (i + 1 == frames->size()));
    if (*r) CHECK(std::get<PodCall>(**r) == call);
  }
  call.payload.push_back(0);
  CHECK_FALSE(encode_pod_message(call));
}

TEST_CASE("Pod socket: frames of two messages do not mix") {
  auto frames = encode_pod_message(PodResponse{9, Bytes(100000)});
  auto other = encode_pod_message(PodCancel{9});
  PodFrameReader reader;
  REQUIRE(reader.feed((*frames)[0]));
  CHECK_FALSE(reader.feed((*other)[0]));
  PodFrameReader second;
  CHECK_FALSE(second.feed((*frames)[1]));
}

TEST_CASE("Pod socket: messages that wait together travel in one datagram, long ones alone") {
  const std::vector<PodIpcMessage> sent = {
      PodCall{1, 1000, 0, "B/4", "", Bytes(100, 1)}, PodResponse{2, Bytes(20000, 2)}, PodCancel{3},
      PodResponse{4, Bytes(20000, 3)}, PodResponse{5, Bytes(100000, 4)}, PodCancel{6}, PodCancel{7}};
  PodFrameQueue queue;
  for (const PodIpcMessage& message : sent) REQUIRE(queue.push(message));
  CHECK_FALSE(queue.push(PodBind{1, std::string(256, 'x'), "B/4"}));
  PodFrameReader reader;
  std::vector<PodIpcMessage> got;
  std::vector<std::size_t> in_datagram;
  while (!queue.empty()) {
    ByteView left(queue.front());
    REQUIRE(left.size() <= kPodFrameMax);
    in_datagram.push_back(0);
    while (!left.empty()) {
      auto message = reader.next(left);
      REQUIRE(message);
      if (!*message) continue;
      got.push_back(std::move(**message));
      ++in_datagram.back();
    }
    queue.pop();
  }
  CHECK(got == sent);
  CHECK(in_datagram == std::vector<std::size_t>{3, 1, 0, 1, 2});
  CHECK(queue.bytes() == 0);
}

TEST_CASE("Pod socket: every truncation and every wrong byte is answered, never a crash") {
  for (const PodIpcMessage& message : samples()) {
    Bytes frame = encode_pod_message(message)->front();
    for (std::size_t n = 0; n < frame.size(); ++n) {
      auto r = decode_one(Bytes(frame.begin(), frame.begin() + long(n)));
      REQUIRE_FALSE(r);  // no prefix of a message is a message
    }
    for (std::size_t at = 0; at < frame.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        Bytes bad = frame;
        bad[at] ^= std::uint8_t(1 << bit);
        auto r = decode_one(bad);
        if (r && *r) CHECK_FALSE(**r == message);
      }
    }
    frame.push_back(0);
    CHECK_FALSE(decode_one(frame));
  }
}

TEST_CASE("Pod socket: a call needs a deadline, a destination and known flags") {
  for (PodCall bad : {PodCall{1, 0, 0, "B/4", "", {}}, PodCall{1, 5, 0, "", "", {}},
                      PodCall{1, 5, 0x80, "B/4", "", {}}}) {
    auto r = decode_one(encode_pod_message(bad)->front());
    REQUIRE_FALSE(r);
    CHECK(r.error().message.find("'call'") != std::string::npos);
  }
  CHECK_FALSE(encode_pod_message(PodBind{1, std::string(256, 'x'), "B/4"}));
}
