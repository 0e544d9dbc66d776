// The keys two gateways share, as the workers use them. Every worker has a part of its own:
// counters of what it seals, replay windows of what it opens; nothing is locked and, once a key is
// in use, nothing allocated. The flow id, which the seal covers, picks the opening worker (D2), so
// a copy of a packet meets the window that has seen it.
#pragma once
#include <atomic>
#include <memory>
#include <unordered_map>

#include "dmsc/dataplane/counters.hpp"
#include "dmsc/dataplane/seal_machine.hpp"
#include "dmsc/forwarding/seal.hpp"

namespace dmsc::dataplane {

class SealAssociation {
 public:
  // Packets under one key (RFC 9001, appendix B, for packets of up to 2^11 bytes).
  static constexpr std::uint64_t kMostPackets = std::uint64_t{1} << 28;
  static constexpr std::uint64_t kRenewAfter = kMostPackets / 2;
  // Forgeries under all keys together, by the weaker algorithm's bound.
  static constexpr std::uint64_t kMostForgeries = std::uint64_t{1} << 36;

  SealAssociation(NodeId peer, std::uint32_t number, const SealSecrets& secrets, unsigned workers);
  ~SealAssociation();
  SealAssociation(const SealAssociation&) = delete;
  SealAssociation& operator=(const SealAssociation&) = delete;

  NodeId peer() const { return peer_; }
  std::uint32_t number() const { return number_; }
  crypto::AeadAlgorithm algorithm() const { return secrets_.algorithm; }

  // ---- on the thread of `worker` --------------------------------------------------------------
  // Seals into `out`; the size, or 0: the packet is too large, or the key is used up (exhausted()).
  std::size_t seal(unsigned worker, Time now, const wire::ServicePacket& packet,
                   std::span<std::uint8_t> out);
  bool exhausted(unsigned worker, const wire::ServicePacket& packet) const;
  // True once per worker: half of a key is used up.
  bool renewal_due(unsigned worker);
  enum class Opened : std::uint8_t { good, replayed, bad };
  Opened open(unsigned worker, Time now, wire::ServicePacket& packet,
              const forwarding::SealStamp& stamp);
  // True for the first packet opened, whoever asks.
  bool first_open() { return !opened_any_.exchange(true, std::memory_order_relaxed); }

  // ---- any thread -----------------------------------------------------------------------------
  struct Totals {
    std::uint64_t sealed = 0, opened = 0, refused = 0;
    Time last_used{};
  };
  Totals totals() const;

 private:
  struct Outgoing {
    crypto::AeadSealer key;
    crypto::AeadNonce mask;
    std::uint64_t next = 0;
  };
  struct Incoming {
    crypto::AeadOpener key;
    crypto::AeadNonce mask;
    forwarding::SealWindow window;
  };
  struct alignas(64) Part {
    std::array<std::unique_ptr<Outgoing>, forwarding::kSealGroups> out;
    std::unordered_map<unsigned, std::unique_ptr<Incoming>> in;  // by sender's worker and group
    bool renewal_due = false, renewal_told = false;
    Counter sealed, opened, refused;
    std::atomic<std::int64_t> last_used{0};
  };
  Outgoing* outgoing(unsigned worker, unsigned group);
  std::unique_ptr<Incoming> make_incoming(const forwarding::SealKeyId& id) const;

  NodeId peer_;
  std::uint32_t number_;
  SealSecrets secrets_;
  std::vector<Part> parts_;
  std::atomic<bool> opened_any_{false};
};

}  // namespace dmsc::dataplane
