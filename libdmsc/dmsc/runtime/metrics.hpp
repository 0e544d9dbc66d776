// The daemon's Prometheus metrics. Names start with dmsc_; label values come from bounded sets
// (link names, drop reasons), never from packets or service names.
#pragma once
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace dmsc::runtime {

class Metrics {
 public:
  Metrics();
  // For families of counters, gauges and histograms (prometheus::BuildCounter() ...). Any thread.
  prometheus::Registry& registry() { return *registry_; }
  // Called before every exposition, to copy values kept elsewhere into gauges. One thread.
  void before_exposition(std::function<void()> refresh) { refresh_.push_back(std::move(refresh)); }
  // Text exposition format 0.0.4.
  std::string text();

 private:
  std::shared_ptr<prometheus::Registry> registry_;
  std::vector<std::function<void()>> refresh_;
};

}  // namespace dmsc::runtime
