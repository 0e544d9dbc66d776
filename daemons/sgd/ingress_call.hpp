// One open call; only for the sources of IngressCalls.
#pragma once
#include "sgd/ingress_calls.hpp"

namespace dmsc::sgd {

struct IngressCalls::Call {
  CallRequest request;
  std::uint32_t exchange = 0;
  std::uint64_t flow = 0;
  Time opened{}, deadline{}, wake{};
  std::optional<Time> first_sent;         // of this exchange
  bool pinned = false;
  Pin pin;
  std::vector<Pin> tried;
  std::unique_ptr<SegmentSender> sender;
  std::unique_ptr<Assembler> response;
  bool accepted = false;                  // the egress has acknowledged or answered something
  std::optional<Time> route_lost;         // since when the FIB does not hold what we need
  std::optional<Time> trouble_since;      // first transit error since the last progress
  std::string trouble;                    // the newest one's words
  Time last_heard{};
  unsigned unacked_segments = 0;          // of the response
  std::optional<Time> ack_at;
  Bytes ack_template;                     // a response segment's header, to build the late ack from
};

}  // namespace dmsc::sgd
