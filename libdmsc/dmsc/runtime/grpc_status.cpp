#include "dmsc/runtime/grpc_status.hpp"

#include <array>

namespace dmsc::runtime {
namespace {

struct Pair {
  Errc code;
  grpc::StatusCode status;
};

// From a status back to a code the first match counts.
constexpr std::array kPairs{
    Pair{Errc::invalid, grpc::StatusCode::INVALID_ARGUMENT},
    Pair{Errc::truncated, grpc::StatusCode::INVALID_ARGUMENT},
    Pair{Errc::unsupported, grpc::StatusCode::UNIMPLEMENTED},
    Pair{Errc::not_found, grpc::StatusCode::NOT_FOUND},
    Pair{Errc::exists, grpc::StatusCode::ALREADY_EXISTS},
    Pair{Errc::denied, grpc::StatusCode::PERMISSION_DENIED},
    Pair{Errc::unauthenticated, grpc::StatusCode::UNAUTHENTICATED},
    Pair{Errc::conflict, grpc::StatusCode::FAILED_PRECONDITION},
    Pair{Errc::expired, grpc::StatusCode::FAILED_PRECONDITION},
    Pair{Errc::limit, grpc::StatusCode::RESOURCE_EXHAUSTED},
    Pair{Errc::unavailable, grpc::StatusCode::UNAVAILABLE},
    Pair{Errc::deadline, grpc::StatusCode::DEADLINE_EXCEEDED},
    Pair{Errc::deadline, grpc::StatusCode::CANCELLED},
    Pair{Errc::internal, grpc::StatusCode::INTERNAL},
};

}  // namespace

grpc::Status to_grpc(const Error& error) {
  for (const Pair& p : kPairs) {
    if (p.code == error.code) return {p.status, error.message};
  }
  return {grpc::StatusCode::INTERNAL, error.message};
}

Error from_grpc(const grpc::Status& status) {
  for (const Pair& p : kPairs) {
    if (p.status == status.error_code()) return {p.code, status.error_message()};
  }
  return {Errc::internal, status.error_message()};
}

}  // namespace dmsc::runtime
