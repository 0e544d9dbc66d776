// scscd as the daemon skeleton runs it.
#pragma once
#include <memory>

#include "dmsc/runtime/daemon.hpp"
#include "scscd/config.hpp"

namespace dmsc::scscd {

// Enrols if needed (blocks until an SPA answers), opens the history and starts the center.
Result<std::unique_ptr<runtime::Service<Config>>> start_service(runtime::Daemon& daemon,
                                                                Config config);

}  // namespace dmsc::scscd
