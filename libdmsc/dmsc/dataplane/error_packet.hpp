// Error packets (docs/protocol.md, D6): what a node says of a packet it cannot serve.
#pragma once
#include "dmsc/wire/service_header.hpp"

namespace dmsc::dataplane {

// The reply of kind error to `packet`, reported by `self`: code, text (cut to 200 bytes) and a
// quote of the fixed header, and of the seal of a sealed packet. Names and record are left out if
// they do not fit beside them. An error only if even that does not fit.
Result<Bytes> build_error_packet(const wire::ServicePacket& packet, NodeId self,
                                 wire::ErrorCode code, std::string_view text);

}  // namespace dmsc::dataplane
