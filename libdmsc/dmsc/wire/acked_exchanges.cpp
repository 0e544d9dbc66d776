#include "dmsc/wire/acked_exchanges.hpp"

namespace dmsc::wire {

void append_acked(Bytes& payload, const AckedExchange& exchange) {
  ByteWriter writer;
  writer.u32(exchange.exchange).u64(exchange.flow);
  const Bytes entry = writer.take();
  payload.insert(payload.end(), entry.begin(), entry.end());
}

Result<std::vector<AckedExchange>> decode_acked(ByteView payload) {
  if (payload.size() % kAckedExchangeBytes != 0) {
    return make_error(Errc::invalid, "acknowledgement: ", std::to_string(payload.size()),
                      " bytes of exchanges, expected 12 n");
  }
  std::vector<AckedExchange> out(payload.size() / kAckedExchangeBytes);
  ByteReader reader(payload);
  for (AckedExchange& entry : out) {
    entry.exchange = reader.u32();
    entry.flow = reader.u64();
  }
  return out;
}

}  // namespace dmsc::wire
