#include "dmsc/measure/quality.hpp"

#include <algorithm>
#include <cmath>

namespace dmsc::measure {
namespace {

using Part = std::optional<double>;

// Sums `part(link)`; unknown as soon as one link does not know it.
template <class Get>
Part sum(std::span<const Quality> links, Get part) {
  double total = 0;
  for (const Quality& link : links) {
    Part value = part(link);
    if (!value) return std::nullopt;
    total += *value;
  }
  return total;
}

Part delay(const Quality& q) {
  return q.delay_us ? Part(static_cast<double>(*q.delay_us)) : Part();
}
Part jitter_squared(const Quality& q) {
  return q.jitter_us ? Part(std::pow(static_cast<double>(*q.jitter_us), 2)) : Part();
}
Part log_delivery(const Quality& q) {
  return q.loss_ppm ? Part(std::log1p(-std::min(*q.loss_ppm / 1e6, 0.999999))) : Part();
}

}  // namespace

Quality compose(std::span<const Quality> links) {
  Quality path;
  if (links.empty()) return path;
  if (Part v = sum(links, delay)) path.delay_us = static_cast<std::uint64_t>(*v);
  if (Part v = sum(links, jitter_squared)) {
    path.jitter_us = static_cast<std::uint64_t>(std::lround(std::sqrt(*v)));
  }
  if (Part v = sum(links, log_delivery)) {
    path.loss_ppm = static_cast<std::uint32_t>(std::lround(-std::expm1(*v) * 1e6));
  }
  for (const Quality& link : links) {
    if (!link.bandwidth_bps) continue;
    path.bandwidth_bps = path.bandwidth_bps ? std::min(*path.bandwidth_bps, *link.bandwidth_bps)
                                            : link.bandwidth_bps;
  }
  return path;
}

}  // namespace dmsc::measure
