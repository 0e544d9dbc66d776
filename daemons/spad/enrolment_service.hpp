// gRPC service Enrolment (proto/dmsc/v1/enrolment.proto). The writer's; a replica names the writer.
#pragma once
#include <dmsc/v1/enrolment.grpc.pb.h>

#include "dmsc/runtime/log.hpp"
#include "spad/registrar.hpp"

namespace dmsc::spad {

class Core;

class EnrolmentService final : public v1::Enrolment::CallbackService {
 public:
  explicit EnrolmentService(Core& core) : core_(core) {}
  grpc::ServerUnaryReactor* Enrol(grpc::CallbackServerContext* context,
                                  const v1::EnrolRequest* request, v1::EnrolReply* reply) override;
  grpc::ServerUnaryReactor* Renew(grpc::CallbackServerContext* context,
                                  const v1::RenewRequest* request, v1::EnrolReply* reply) override;

 private:
  grpc::Status answer(Result<Registrar::Certified> certified, v1::EnrolReply* reply);
  Core& core_;
  runtime::log::RateLimiter refusals_{seconds(1), 10};  // anybody may call
};

}  // namespace dmsc::spad
