// srd as the daemon skeleton runs it: a router node and nothing else.
#pragma once
#include <memory>

#include "dmsc/runtime/daemon.hpp"
#include "srd/config.hpp"

namespace dmsc::srd {

// Enrols if needed (blocks until an SPA answers), binds all sockets and starts the workers.
Result<std::unique_ptr<runtime::Service<Config>>> start_service(runtime::Daemon& daemon,
                                                                Config config);

}  // namespace dmsc::srd
