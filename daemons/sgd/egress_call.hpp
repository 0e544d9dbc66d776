// One exchange at its egress; only for the sources of EgressCalls.
#pragma once
#include "sgd/egress_calls.hpp"

namespace dmsc::sgd {

struct EgressCalls::Entry {
  Key key;
  State state = State::receiving;
  RequestHandle handle = 0;
  Time opened{}, answer_until{}, forget_at{}, wake{};
  InstanceId instance;
  Bytes request_header;        // of the first segment: names, record and class of the reply
  std::unique_ptr<Assembler> request;
  Bytes reply;                 // answered: the stored reply
  std::unique_ptr<SegmentSender> sender;
  wire::ErrorCode refusal = wire::ErrorCode::internal;
  std::string refusal_text;
  unsigned unacked_segments = 0;
  std::optional<Time> ack_at;
  std::size_t charged = 0;
};

}  // namespace dmsc::sgd
