// What the kernel does for the data plane.
#pragma once

namespace dmsc::dataplane {

// Each can be switched off at any time. One that a kernel or device lacks is done without.
struct Offloads {
  bool segment = true;  // UDP_SEGMENT: datagrams for one neighbour leave as trains
  bool receive = true;  // UDP_GRO: trains arrive whole
  friend bool operator==(const Offloads&, const Offloads&) = default;
};

}  // namespace dmsc::dataplane
