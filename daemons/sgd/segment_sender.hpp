// Sends one message as segments until the far side has said that it holds all of it: selective
// retransmission by measured round trip, with a congestion window so that a megabyte does not leave
// as one burst. Sans-I/O: instants come in, segments to send come out. Used for requests by
// IngressCalls and for responses by EgressCalls.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "dmsc/core/time.hpp"
#include "dmsc/wire/message.hpp"

namespace dmsc::sgd {

// Round-trip estimate towards one node (RFC 6298 section 2, with a floor that leaves room for the
// receiver's delayed acknowledgement and a ceiling that finds a repaired path quickly).
class RoundTrip {
 public:
  static constexpr Duration kInitialTimeout = milliseconds(80);
  static constexpr Duration kMinTimeout = milliseconds(50);
  static constexpr Duration kMaxTimeout = milliseconds(250);
  void sample(Duration rtt);
  Duration timeout() const;
  Duration smoothed() const { return smoothed_; }  // zero = no sample yet
  // What is not acknowledged after this, while later segments are, was lost.
  Duration round_trip_limit() const { return smoothed_ * 5 / 4 + variation_ * 2; }

 private:
  Duration smoothed_{}, variation_{};
};

class SegmentSender {
 public:
  // `total` bytes in segments of `segment_bytes`; an empty message is one empty segment.
  SegmentSender(std::size_t total, std::size_t segment_bytes);

  // Hands every segment that is due to `emit(offset, size)`, in order: new ones within the window,
  // and those taken as lost.
  void poll(Time now, const RoundTrip& rtt,
            const std::function<void(std::uint32_t, std::uint32_t)>& emit);
  // What the receiver holds. Feeds `rtt` from segments that were sent once (Karn's rule).
  void acknowledge(Time now, const wire::ByteRanges& held, RoundTrip& rtt);
  void acknowledge_all(Time now, RoundTrip& rtt);
  // Sends the last segment once more at the next poll: asks a receiver that holds everything whether
  // it is still there.
  void nudge();

  bool done() const { return acked_count_ == segments_.size(); }
  // True once any segment has been sent twice: then a copy may still be under way or delivered.
  bool retransmitted() const { return retransmitted_; }
  std::size_t segment_count() const { return segments_.size(); }
  bool sent_any() const { return next_ > 0; }
  std::optional<Time> deadline() const;  // when poll() has something to do; nullopt = after an ack
  std::uint64_t retransmissions() const { return retransmissions_; }

 private:
  static constexpr unsigned kInitialWindow = 32, kMinWindow = 8, kMaxWindow = 256;
  static constexpr unsigned kReorderSegments = 3;  // as TCP's duplicate threshold
  struct Segment {
    Time sent{};
    std::uint8_t sends = 0;
    bool acked = false, lost = false;
  };
  std::uint32_t size_of(std::size_t index) const;
  void send(Time now, std::size_t index,
            const std::function<void(std::uint32_t, std::uint32_t)>& emit);
  void mark_acked(Time now, std::size_t index, RoundTrip& rtt);
  void find_losses(Time now, std::size_t highest, const RoundTrip& rtt);
  void expire(Time now);

  std::size_t total_, segment_bytes_;
  std::vector<Segment> segments_;
  std::size_t next_ = 0;           // first never sent
  std::size_t acked_count_ = 0;
  std::size_t in_flight_ = 0;
  unsigned window_ = kInitialWindow;
  unsigned backoff_ = 0;
  Time timeout_at_{};              // retransmission timer; valid while in_flight_ > 0
  Time last_cut_{};
  bool retransmitted_ = false, ever_cut_ = false;
  std::uint64_t retransmissions_ = 0;
  std::size_t lost_count_ = 0;
};

}  // namespace dmsc::sgd
