// Probes and traces through the data plane: what one asks and learns, and the layout of the answer's
// payload. Used by `ping`, `trace`, the gateways' instance probes and the links' own data-path check.
#pragma once
#include <string>
#include <vector>

#include "dmsc/core/time.hpp"
#include "dmsc/dataplane/local_sink.hpp"

namespace dmsc::dataplane {

struct ProbeSpec {
  std::string destination;        // a service name; may be empty if `egress` is set
  NodeId egress;                  // 0 = forwarded by name at every hop
  InstanceId instance;            // 0 = any at the egress
  PathLabel label;
  std::uint64_t flow = 0;         // 0 = chosen so that the answer returns to the same worker
  std::uint8_t hop_limit = wire::kDefaultHopLimit;
  std::uint8_t traffic_class = 0;
  bool trace = false;             // kind trace instead of probe
  std::uint8_t record_slots = 0;  // > 0: kFlagTrace, every hop of both ways writes itself
  std::uint16_t padding = 0;      // payload bytes, to fill links or measure the MTU
};

struct ProbeResult {
  enum class Outcome : std::uint8_t { answered, error, timeout, refused };
  Outcome outcome = Outcome::timeout;
  wire::ErrorCode error = wire::ErrorCode::internal;  // error: as the network said
  std::string detail;                                 // error, refused: in words
  NodeId responder;            // who answered or reported the error; 0 = nobody
  Duration round_trip{};       // answered: without the time spent at the responder; zero = unknown
  ProbeHealth health;
  std::vector<NodeId> path;         // recorded way there, source and responder included
  std::vector<NodeId> return_path;  // and back, the same
};

// Payload of an answer: health 8 | reserved 8 | load 16, then zeros up to the size of the probe's
// payload, so that both ways carry the same size.
inline constexpr std::size_t kProbeAnswerBytes = 4;
Bytes encode_probe_answer(const ProbeHealth& health, std::size_t size);
Result<ProbeHealth> decode_probe_answer(ByteView payload);

// Exchange ids of probes have this bit set, those of requests have it clear: so an answer or error
// finds its asker.
inline constexpr std::uint32_t kProbeExchangeBit = 0x80000000U;

// A link's own data-path check is a probe with this payload protocol and hop limit 1. It is answered
// on the link it came from and never forwarded.
inline constexpr wire::PayloadProtocol kLinkProbeProtocol = wire::PayloadProtocol::control;
inline constexpr Duration kLinkProbeInterval = seconds(1);
inline constexpr unsigned kLinkProbesLost = 3;  // in a row: the link's data path is dead

// Timestamps TLV: t1 sent by the source, t2 received and t3 sent by the responder (STAMP, RFC 8762),
// nanoseconds of each node's own monotonic clock; absent stamps are zero.
struct ProbeStamps {
  std::uint64_t t1 = 0, t2 = 0, t3 = 0;
};
Bytes encode(const ProbeStamps& stamps);
std::optional<ProbeStamps> decode_probe_stamps(ByteView tlv);

}  // namespace dmsc::dataplane
