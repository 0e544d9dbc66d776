// Errors of the rooms as gRPC statuses and back.
#pragma once
#include <grpcpp/support/status.h>

#include "dmsc/core/result.hpp"

namespace dmsc::runtime {

grpc::Status to_grpc(const Error& error);
// `status` is not OK.
Error from_grpc(const grpc::Status& status);

}  // namespace dmsc::runtime
