#include "dmsc/core/result.hpp"

namespace dmsc {

const char* to_string(Errc code) {
  switch (code) {
    case Errc::invalid: return "invalid";
    case Errc::truncated: return "truncated";
    case Errc::unsupported: return "unsupported";
    case Errc::not_found: return "not_found";
    case Errc::exists: return "exists";
    case Errc::denied: return "denied";
    case Errc::unauthenticated: return "unauthenticated";
    case Errc::expired: return "expired";
    case Errc::limit: return "limit";
    case Errc::unavailable: return "unavailable";
    case Errc::deadline: return "deadline";
    case Errc::conflict: return "conflict";
    case Errc::internal: return "internal";
  }
  return "unknown";
}

Error with_context(std::string_view context, Error error) {
  error.message = std::string(context) + ": " + error.message;
  return error;
}

}  // namespace dmsc
