// SipHash-2-4 of many short messages at a time. One message is a chain of dependent steps that
// leaves most of the processor idle; eight of one length side by side take hardly longer than one.
#pragma once
#include <cstdint>
#include <span>

#include "dmsc/crypto/keys.hpp"

namespace dmsc::crypto {

// A message in two pieces, the first of which is a multiple of 8 bytes. Key and bytes are the
// caller's.
struct SipMessage {
  const Key16* key = nullptr;
  ByteView head, tail;
  std::uint64_t hash = 0;  // filled in
};

// hash = siphash24(key, head + tail) for each; the fewer changes of length, the faster.
void siphash24_many(std::span<SipMessage> messages);

}  // namespace dmsc::crypto
