#include "dmsc/runtime/metrics.hpp"

#include <prometheus/text_serializer.h>

namespace dmsc::runtime {

Metrics::Metrics() : registry_(std::make_shared<prometheus::Registry>()) {}

std::string Metrics::text() {
  for (const auto& refresh : refresh_) refresh();
  return prometheus::TextSerializer().Serialize(registry_->Collect());
}

}  // namespace dmsc::runtime
