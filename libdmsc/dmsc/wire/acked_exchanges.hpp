// The payload of an acknowledgement (docs/protocol.md, "Messages" 5): further exchanges between the same two
// gateways whose responses are held whole. { exchange id 32 | flow id 64 } each.
#pragma once
#include "dmsc/core/result.hpp"
#include "dmsc/core/bytes.hpp"

namespace dmsc::wire {

struct AckedExchange {
  std::uint32_t exchange = 0;
  std::uint64_t flow = 0;
  friend bool operator==(const AckedExchange&, const AckedExchange&) = default;
};

inline constexpr std::size_t kAckedExchangeBytes = 12;

void append_acked(Bytes& payload, const AckedExchange& exchange);
// Error (invalid): not a whole number of entries.
Result<std::vector<AckedExchange>> decode_acked(ByteView payload);

}  // namespace dmsc::wire
