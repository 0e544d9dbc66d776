// The quality of a link, a path or an instance, and how links make a path.
#pragma once
#include <cstdint>
#include <optional>
#include <span>

namespace dmsc::measure {

// Every part is optional: silence means unknown, not bad (DESIGN section 9).
struct Quality {
  std::optional<std::uint64_t> delay_us;       // one way
  std::optional<std::uint64_t> jitter_us;
  std::optional<std::uint32_t> loss_ppm;
  std::optional<std::uint64_t> bandwidth_bps;  // available
  std::optional<bool> available;               // the target's own word

  friend bool operator==(const Quality&, const Quality&) = default;
};

// Quality of a path from that of its links in order: delays add, independent jitters add in squares,
// deliveries multiply, the least bandwidth counts. A part that any link does not know is unknown;
// bandwidth is the least that is known.
Quality compose(std::span<const Quality> links);

}  // namespace dmsc::measure
