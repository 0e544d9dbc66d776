// Reassembly of IPv4 fragments that programs send to virtual addresses (RFC 791, RFC 5722's answer
// to overlaps: the whole datagram is dropped). Bounded in datagrams, bytes and time.
#pragma once
#include <compare>
#include <map>
#include <vector>

#include "dmsc/core/time.hpp"
#include "sgd/edge_packet.hpp"

namespace dmsc::sgd {

class Reassembler {
 public:
  static constexpr std::size_t kMaxDatagrams = 256;
  static constexpr std::size_t kMaxBytes = 4 << 20;   // of fragments held
  static constexpr Duration kTimeout = seconds(15);   // RFC 1122 asks for at most 120 s

  struct Counters {
    std::uint64_t complete = 0, expired = 0, overlap = 0, overflow = 0, malformed = 0;
  };

  // Takes one fragment of `port`. When it completes a datagram, returns the whole IP packet with a
  // fresh header and `headroom` free bytes in front; else an empty vector.
  Bytes add(std::uint32_t port, const Ip4Packet& fragment, Time now, std::size_t headroom);
  // Forgets datagrams older than kTimeout.
  void expire(Time now);
  std::size_t pending() const { return pending_.size(); }
  const Counters& counters() const { return counters_; }

 private:
  struct Key {
    std::uint32_t port;
    Ipv4 source, destination;
    std::uint8_t protocol;
    std::uint16_t id;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Partial {
    std::map<std::uint32_t, Bytes> pieces;  // by offset
    std::size_t bytes = 0;
    std::size_t total = 0;                  // 0 until the last fragment is here
    std::uint8_t tos = 0, ttl = 0;
    Time started;
  };
  using Pending = std::map<Key, Partial>;

  void drop(Pending::iterator at);
  bool insert(Partial& partial, const Ip4Packet& fragment);

  Pending pending_;
  std::size_t bytes_ = 0;
  Counters counters_;
};

}  // namespace dmsc::sgd
