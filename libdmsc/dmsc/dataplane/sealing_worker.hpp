// A worker whose packets to other gateways are sealed and whose sink gets opened ones: put between
// a gateway and a Worker, it needs to be known by neither (docs/protocol.md, "Sealing").
//
//   gateway ─originate─► seal, or wait for keys ─► Worker ═► network
//   gateway ◄─LocalSink─ open, or drop          ◄─ Worker ◄═
//                          │ handshakes, wishes, hints
//                          └► SealRequests ─ events ─► here
//
// Everything on the worker's thread unless said. Probes, traces, packets for this node itself and
// those with egress 0 are not sealed.
#pragma once
#include <deque>
#include <unordered_map>

#include "dmsc/dataplane/seal_association.hpp"
#include "dmsc/dataplane/worker.hpp"
#include "dmsc/runtime/log.hpp"

namespace dmsc::dataplane {

// What a worker asks of those who make the keys. Any thread; never blocks.
class SealRequests {
 public:
  virtual ~SealRequests() = default;
  virtual void want(NodeId peer, bool renew) = 0;
  virtual void frame(NodeId peer, Bytes payload) = 0;
  virtual void opened(NodeId peer, std::uint32_t association) = 0;
  virtual void unknown(NodeId peer, std::uint32_t association) = 0;
};

// What an egress takes that is not sealed.
enum class Unsealed : std::uint8_t {
  refuse,
  by_name,  // requests and one-way messages with egress 0, which cannot be sealed
  accept,   // anything; and a peer that does not seal is answered in clear
};

class SealingWorker final : public Worker, private LocalSink {
 public:
  static constexpr std::size_t kWaitingPackets = 64;  // per peer
  static constexpr std::size_t kMostPeers = 65536;
  static constexpr std::size_t kWaitingBytes = std::size_t{4} << 20;  // in all
  static constexpr Duration kAskAgain = milliseconds(250), kFailedFor = milliseconds(500);
  static constexpr Duration kClearFor = seconds(10);

  // `inner` and `requests` outlive it.
  SealingWorker(Worker& inner, SealRequests& requests, Unsealed unsealed);

  // ---- any thread -----------------------------------------------------------------------------
  // Takes an event of SealMachine over; `association`: of kind installed.
  void apply(SealEvent event, std::shared_ptr<SealAssociation> association);
  // Sends the payload of a handshake packet.
  void send_frame(NodeId peer, Bytes payload);

  // ---- Worker ---------------------------------------------------------------------------------
  forwarding::Verdict originate(std::span<std::uint8_t> datagram) override;
  forwarding::Verdict originate_train(Train train) override;
  void flush() override { inner_.flush(); }
  void send_error(const wire::ServicePacket& packet, wire::ErrorCode code,
                  std::string_view text) override;
  void set_sink(LocalSink* sink) override;
  void probe(const ProbeSpec& spec, Duration timeout,
             std::function<void(const ProbeResult&)> done) override {
    inner_.probe(spec, timeout, std::move(done));
  }
  std::uint64_t new_flow() override { return inner_.new_flow(); }
  void count_drop(forwarding::DropReason reason) override { inner_.count_drop(reason); }
  void watch_fd(int fd, std::uint32_t events, std::function<void(std::uint32_t)> ready) override {
    inner_.watch_fd(fd, events, std::move(ready));
  }
  void unwatch_fd(int fd) override { inner_.unwatch_fd(fd); }
  void post(std::function<void()> task) override { inner_.post(std::move(task)); }
  TimerId after(Duration delay, std::function<void()> task) override {
    return inner_.after(delay, std::move(task));
  }
  void cancel(TimerId timer) override { inner_.cancel(timer); }
  Time now() const override { return inner_.now(); }
  const forwarding::Fib& fib() const override { return inner_.fib(); }
  NodeId self() const override { return inner_.self(); }
  unsigned index() const override { return inner_.index(); }
  unsigned count() const override { return inner_.count(); }
  const WorkerCounters& counters() const override { return inner_.counters(); }
  std::uint64_t rounds() const override { return inner_.rounds(); }

 private:
  using AssociationPtr = std::shared_ptr<SealAssociation>;
  struct Peer {
    AssociationPtr sending;
    std::vector<AssociationPtr> known;  // opened under; a few
    std::deque<Bytes> waiting;
    std::optional<Time> asked, failed, clear;
    SealAssociation* find(std::uint32_t number) const;
  };

  // LocalSink, of the inner worker.
  void deliver(wire::ServicePacket& packet, LinkId from) override;
  void batch_over() override { sink_->batch_over(); }
  std::optional<ProbeHealth> probe_health(const wire::ServicePacket& probe) override;

  bool must_seal(const wire::ServicePacket& packet) const;
  forwarding::Verdict send(wire::ServicePacket& packet);
  forwarding::Verdict wait(Peer& peer, const wire::ServicePacket& packet);
  forwarding::Verdict refuse_ours(forwarding::DropReason reason);
  void on_event(const SealEvent& event, AssociationPtr association);
  void flush_waiting(NodeId id);
  std::size_t seal_train(Peer& peer, PathLabel label, Train train);
  void drop_waiting(Peer& peer);
  void confirm(NodeId id);
  bool open(wire::ServicePacket& packet);
  bool take_clear(wire::ServicePacket& packet);
  bool take_clear_error(wire::ServicePacket& packet);
  void refuse(const wire::ServicePacket& packet, forwarding::DropReason reason,
              wire::ErrorCode code, std::string_view text);

  Worker& inner_;
  SealRequests& requests_;
  Unsealed unsealed_;
  LocalSink* sink_ = nullptr;
  std::unordered_map<NodeId, Peer> peers_;
  std::size_t waiting_bytes_ = 0;
  Bytes scratch_;  // the sealed packet
  std::vector<std::span<std::uint8_t>> sealed_;  // a train's packets
  runtime::log::RateLimiter errors_;
};

}  // namespace dmsc::dataplane
