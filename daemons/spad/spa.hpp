// The process around a Core: sockets for operators, readiness, signals.
#pragma once
#include "dmsc/runtime/daemon.hpp"
#include "spad/admin_service.hpp"
#include "spad/core.hpp"

namespace dmsc::spad {

class Spa final : public runtime::Service<Config> {
 public:
  static Result<std::unique_ptr<runtime::Service<Config>>> start(runtime::Daemon& daemon,
                                                                 Config config);
  Result<std::string> reload(Config config) override;
  void stop(runtime::StopReason reason, std::function<void()> done) override;

 private:
  Spa(runtime::Daemon& daemon, Config config);
  void changed(std::string_view topic);
  void export_metrics();
  runtime::Daemon& daemon_;
  Core core_;
  AdminService admin_;
};

}  // namespace dmsc::spad
