// What TUN devices and we leave uncut and unjoined to each other.
#pragma once

namespace dmsc::sgd {

// Each can be switched off at any time; what the kernel lacks is done without.
struct TunOffloads {
  bool tcp = true;  // large TCP segments, in and out (TSO and its reverse)
  bool udp = true;  // trains of UDP datagrams, in and out (USO; Linux 6.2)
  friend bool operator==(const TunOffloads&, const TunOffloads&) = default;
};

}  // namespace dmsc::sgd
