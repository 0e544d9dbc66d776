// The call Follow of service Inspect. Included only by inspect_*.cpp.
#pragma once
#include <grpcpp/support/server_callback.h>

#include <memory>

#include "dmsc/runtime/inspect_core.hpp"
#include "dmsc/v1/inspect.pb.h"

namespace dmsc::runtime {

// Any thread. gRPC owns the reactor until it is done.
grpc::ServerWriteReactor<v1::FollowRowsReply>* start_follow(std::shared_ptr<InspectServer::Core> core,
                                                        const v1::FollowRowsRequest& request);

}  // namespace dmsc::runtime
