// One network interface as a source and sink of whole layer-2 frames (packet(7) raw socket).
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace linkem {

struct PortCounters {
  std::uint64_t received = 0, sent = 0;
  std::uint64_t send_failed = 0;  // the interface is down, its MTU is smaller, or its queue is full
};

// Sees only frames that arrive, never those it sends (PACKET_IGNORE_OUTGOING). Single-threaded.
class Port {
 public:
  // Opens `interface`, which must exist. Throws std::system_error with the interface in its text.
  explicit Port(const std::string& interface);
  ~Port();
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  int fd() const { return fd_; }
  const std::string& interface() const { return interface_; }
  const PortCounters& counters() const { return counters_; }
  // Receives up to one batch without waiting and hands every frame to `take`, valid during the
  // call. Returns the number of frames; fewer than kBatch means that the socket is empty.
  template <class Take>
  int receive(Take&& take) {
    const int count = fill();
    for (int i = 0; i < count; ++i) take(frame(i));
    return count;
  }
  void send(std::span<const std::uint8_t> frame);
  static constexpr int kBatch = 32;
  static constexpr std::size_t kFrameBytes = 65'536 + 64;

 private:
  int fill();
  std::span<const std::uint8_t> frame(int i) const {
    return {buffers_.data() + static_cast<std::size_t>(i) * kFrameBytes, lengths_[i]};
  }
  std::string interface_;
  int fd_ = -1;
  PortCounters counters_;
  std::vector<std::uint8_t> buffers_;
  std::size_t lengths_[kBatch] = {};
};

}  // namespace linkem
