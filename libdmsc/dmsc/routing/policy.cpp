#include "dmsc/routing/policy.hpp"

namespace dmsc::routing {

const char* kind_of(const PolicyContent& content) {
  switch (content.index()) {
    case 0: return "weights";
    case 1: return "bias";
    default: return "path";
  }
}

}  // namespace dmsc::routing
