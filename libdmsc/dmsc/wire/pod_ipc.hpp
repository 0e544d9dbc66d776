// The frames between a pod's program and its gateway on the SEQPACKET Unix socket `message.sock`
// (docs/protocol.md, "Pod socket"). Big-endian. A message is one frame, or several of at most
// 64 KiB each, sent one after the other with nothing of another message between them. A datagram of
// the socket holds one frame, or several messages of one frame each, one behind the other.
//
//   0  version 8 (1) | type 8 | flags 16: 0x1 more frames follow, 0x2 continues the one before
//   4  id 64                          chosen by the side that asks, repeated in the answer
//  first frame only:
//  12  payload length of the whole message 32
//  16  fields, with a 16-bit length in front
//      payload (as long as said above, or in a part of a message all that is left)
//
// Who the program is comes from the socket's peer credentials, never from a field.
#pragma once
#include <deque>
#include <optional>
#include <variant>
#include <vector>

#include "dmsc/wire/message.hpp"

namespace dmsc::wire {

inline constexpr std::uint8_t kPodIpcVersion = 1;
inline constexpr std::size_t kPodFrameMax = 65536;

enum class PodFrameType : std::uint8_t {
  hello = 1, welcome = 2, bind = 3, bound = 4, unbind = 5, call = 6, reply = 7, failure = 8,
  request = 9, response = 10, refusal = 11, cancel = 12,
};
inline constexpr std::uint16_t kPodFrameMore = 1;
inline constexpr std::uint16_t kPodFrameContinued = 2;

// Call and request flags.
inline constexpr std::uint8_t kCallIdempotent = 1;  // may be tried at another instance
inline constexpr std::uint8_t kCallTrace = 2;       // the reply lists the nodes passed
inline constexpr std::uint8_t kCallByName = 4;      // egress 0: every hop matches the name
inline constexpr std::uint8_t kCallFlags = 7;

struct PodHello {            // program -> gateway, first
  std::string client;        // program and version, for logs
  friend bool operator==(const PodHello&, const PodHello&) = default;
};
struct PodWelcome {          // gateway -> program, the answer to hello
  NodeId node;
  std::string gateway, domain, identity;
  friend bool operator==(const PodWelcome&, const PodWelcome&) = default;
};
struct PodBind {             // this socket serves a prefix announced under the lease
  std::uint64_t id = 0;
  std::string lease, prefix;
  friend bool operator==(const PodBind&, const PodBind&) = default;
};
struct PodBound {            // answer to bind; code 0 = ok
  std::uint64_t id = 0;
  std::uint16_t code = 0;
  std::string text;
  friend bool operator==(const PodBound&, const PodBound&) = default;
};
struct PodUnbind {
  std::uint64_t id = 0;
  std::string prefix;
  friend bool operator==(const PodUnbind&, const PodUnbind&) = default;
};
struct PodCall {             // program -> gateway
  std::uint64_t id = 0;
  std::uint32_t deadline_ms = 0;  // >= 1
  std::uint8_t flags = 0;
  std::string destination;
  std::string source;        // one of the caller's granted names, or empty: the gateway chooses
  Bytes payload;
  friend bool operator==(const PodCall&, const PodCall&) = default;
};
struct PodHop {
  NodeId node;
  std::string name;          // empty if the gateway does not know it
  friend bool operator==(const PodHop&, const PodHop&) = default;
};
struct PodReply {            // gateway -> program: the answer of a call
  std::uint64_t id = 0;
  PodHop egress;             // the node that served it, and its instance there
  InstanceId instance;
  std::vector<PodHop> path, return_path;  // calls with kCallTrace, in the order of travel
  Bytes payload;
  friend bool operator==(const PodReply&, const PodReply&) = default;
};
struct PodFailure {          // gateway -> program: a call that got no answer
  std::uint64_t id = 0;
  ErrorCode code = ErrorCode::internal;
  NodeId reporter;           // who said so; 0 = the caller's own gateway
  std::string text;
  friend bool operator==(const PodFailure&, const PodFailure&) = default;
};
struct PodRequest {          // gateway -> serving program
  std::uint64_t id = 0;
  std::uint32_t deadline_ms = 0;  // left
  std::uint8_t flags = 0;
  NodeId ingress;
  std::string prefix;        // the bound prefix that matched
  std::string destination, source;  // source: empty = anonymous
  Bytes payload;
  friend bool operator==(const PodRequest&, const PodRequest&) = default;
};
struct PodResponse {         // serving program -> gateway
  std::uint64_t id = 0;
  Bytes payload;
  friend bool operator==(const PodResponse&, const PodResponse&) = default;
};
struct PodRefusal {          // serving program -> gateway: the caller gets pod_refused
  std::uint64_t id = 0;
  std::string text;
  friend bool operator==(const PodRefusal&, const PodRefusal&) = default;
};
struct PodCancel {           // either way: the answer is no longer wanted
  std::uint64_t id = 0;
  friend bool operator==(const PodCancel&, const PodCancel&) = default;
};
using PodIpcMessage = std::variant<PodHello, PodWelcome, PodBind, PodBound, PodUnbind, PodCall, PodReply,
                                   PodFailure, PodRequest, PodResponse, PodRefusal, PodCancel>;

// The frames of one message, in order. Errors (limit): a payload over kMaxMessageBytes, a name or
// text over 255 bytes where the layout has 8 bits for its length, over 60,000 bytes of text else.
Result<std::vector<Bytes>> encode_pod_message(const PodIpcMessage& message);

// Frames on their way to the socket. Messages that wait together travel together: a system call
// costs as much as all else that is done for a small one.
class PodFrameQueue {
 public:
  static constexpr std::size_t kJoinedMax = 32768;  // of a datagram with several messages
  Status push(const PodIpcMessage& message);        // errors as encode_pod_message()
  bool empty() const { return frames_.empty(); }
  const Bytes& front() const { return frames_.front(); }  // the next datagram
  void pop();
  void clear();
  void append(PodFrameQueue&& later);  // behind what is here
  std::size_t bytes() const { return bytes_; }

 private:
  std::deque<Bytes> frames_;
  std::size_t bytes_ = 0;
  bool open_ = false;  // the last datagram may be added to
};

// Puts messages together from frames as they come from the socket. After an error the connection
// has lost its framing: close it.
class PodFrameReader {
 public:
  // The message this frame completes, nullopt while more is to come, or an error that names the
  // type and field.
  Result<std::optional<PodIpcMessage>> feed(ByteView frame);
  // The same for a datagram, of which it takes the first frame away: call until it is empty.
  Result<std::optional<PodIpcMessage>> next(ByteView& datagram);

 private:
  struct Partial {
    PodFrameType type = PodFrameType::hello;
    std::uint64_t id = 0;
    std::uint32_t total = 0;
    Bytes fields, payload;
  };
  Status begin(PodFrameType type, std::uint64_t id, std::uint16_t flags, ByteReader& reader);
  Result<std::optional<PodIpcMessage>> finish_if_complete(bool more);
  std::optional<Partial> partial_;
};

}  // namespace dmsc::wire
