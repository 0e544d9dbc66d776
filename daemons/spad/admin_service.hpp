// gRPC service RegistryAdmin on admin.sock (proto/dmsc/v1/registry.proto): what `spactl` edits.
#pragma once
#include <dmsc/v1/registry.grpc.pb.h>

#include "spad/edits.hpp"

namespace dmsc::spad {

class Core;

class AdminService final : public v1::RegistryAdmin::CallbackService {
 public:
  explicit AdminService(Core& core) : core_(core) {}
  using Context = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;
  Reactor* AddNode(Context*, const v1::NodeSpec*, v1::JoinToken*) override;
  Reactor* NewToken(Context*, const v1::NodeName*, v1::JoinToken*) override;
  Reactor* RemoveNode(Context*, const v1::NodeName*, v1::RegistryDone*) override;
  Reactor* SetPrefix(Context*, const v1::PrefixRule*, v1::RegistryDone*) override;
  Reactor* RemovePrefix(Context*, const v1::PrefixRuleName*, v1::RegistryDone*) override;
  Reactor* Revoke(Context*, const v1::RevokeRequest*, v1::RegistryDone*) override;
  Reactor* RotateLinkKey(Context*, const v1::RotateRequest*, v1::RegistryDone*) override;
  Reactor* Load(Context*, const v1::LoadRequest*, v1::RegistryDone*) override;

 private:
  grpc::Status give_token(const std::string& name, v1::JoinToken* reply);
  Result<Changes> revoke(const v1::RevokeRequest& request, Moment at);
  Core& core_;
};

}  // namespace dmsc::spad
