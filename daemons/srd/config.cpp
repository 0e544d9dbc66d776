#include "srd/config.hpp"

namespace dmsc::srd {

Config read_config(const runtime::ConfigNode& root) {
  return runtime::read_router_config(root, "srd");
}

}  // namespace dmsc::srd
