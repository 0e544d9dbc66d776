// Frames of the pod socket: a connection's datagrams, each with a 16-bit length in front.
#include "dmsc/wire/pod_ipc.hpp"

#include "harness.hpp"

using namespace dmsc;

namespace {

// What was understood is encoded and understood again.
void again(const wire::PodIpcMessage& message) {
  Result<std::vector<Bytes>> frames = wire::encode_pod_message(message);
  if (!frames.ok()) return;
  wire::PodFrameReader other;
  std::optional<wire::PodIpcMessage> twice;
  for (const Bytes& f : *frames) twice = other.feed(f).value();
  fuzz::require(twice.has_value() && *twice == message, "decode(encode(x)) == x");
}

}  // namespace

void fuzz::one_input(ByteView data) {
  wire::PodFrameReader reader;
  ByteReader in(data);
  while (in.left() > 0) {
    ByteView datagram = in.bytes16();
    if (!in.ok()) return;
    do {
      const std::size_t before = datagram.size();
      Result<std::optional<wire::PodIpcMessage>> message = reader.next(datagram);
      if (!message.ok()) {
        require(!message.error().message.empty(), "an error says what is wrong");
        return;
      }
      require(datagram.size() < before, "a frame is taken away");
      if (message->has_value()) again(**message);
    } while (!datagram.empty());
  }
}

void fuzz::seeds(SeedWriter& out) {
  wire::PodCall call;
  call.id = 7;
  call.deadline_ms = 2000;
  call.destination = "B/4";
  call.source = "A/1";
  call.payload = to_bytes(as_bytes("hello"));
  wire::PodReply reply;
  reply.id = 7;
  reply.egress = {NodeId{4}, "sg-4"};
  reply.path = {{NodeId{1}, "sg-1"}, {NodeId{4}, ""}};
  reply.payload = Bytes(3000, 1);
  wire::PodFailure failure;
  failure.id = 7;
  failure.text = "no route";
  wire::PodRequest request;
  request.id = 8;
  request.deadline_ms = 5;
  request.prefix = request.destination = "B/4";
  for (const wire::PodIpcMessage& message :
       {wire::PodIpcMessage(call), wire::PodIpcMessage(reply), wire::PodIpcMessage(failure),
        wire::PodIpcMessage(request), wire::PodIpcMessage(wire::PodCancel{7})}) {
    ByteWriter whole;
    std::vector<Bytes> frames = wire::encode_pod_message(message).value();
    for (const Bytes& frame : frames) {
      if (frame.size() <= 0xffff) whole.bytes16(frame);
    }
    out(whole.view());
  }
}
