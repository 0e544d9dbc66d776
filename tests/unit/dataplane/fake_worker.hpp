// A Worker without sockets: what it originates is kept for the test to carry; tasks run when asked
// to.
#pragma once
#include <map>
#include <mutex>

#include "dmsc/dataplane/worker.hpp"
#include "dmsc/runtime/clock.hpp"

namespace dmsc::dataplane::fakes {

class FakeWorker final : public Worker {
 public:
  explicit FakeWorker(std::uint32_t node, unsigned index = 0, unsigned count = 1)
      : self_(node), index_(index), count_(count) {}

  std::vector<Bytes> sent;                                // to other nodes
  std::vector<std::pair<Bytes, wire::ErrorCode>> errors;  // about which packet, which code
  std::map<forwarding::DropReason, int> dropped;
  LocalSink* sink = nullptr;
  Time clock{seconds(100)};

  // A datagram from the network, over link 1.
  void receive(Bytes datagram) {
    auto packet = wire::ServicePacket::parse(datagram);
    if (packet.ok() && sink != nullptr) sink->deliver(*packet, LinkId{1});
  }
  std::vector<Bytes> take_sent() { return std::exchange(sent, {}); }
  void run() {
    for (;;) {
      std::vector<std::function<void()>> tasks;
      {
        std::lock_guard lock(mutex_);
        tasks.swap(tasks_);
      }
      if (tasks.empty()) return;
      for (auto& task : tasks) task();
    }
  }

  forwarding::Verdict originate(std::span<std::uint8_t> datagram) override {
    auto packet = wire::ServicePacket::parse(datagram);
    forwarding::Verdict verdict;
    verdict.reason = forwarding::DropReason::malformed;
    if (!packet.ok()) return verdict;
    if (packet->egress() == self_ && sink != nullptr) {
      verdict.action = forwarding::Action::deliver;
      sink->deliver(*packet, LinkId{});
      return verdict;
    }
    sent.push_back(to_bytes(datagram));
    verdict.action = forwarding::Action::forward;
    return verdict;
  }
  void send_error(const wire::ServicePacket& packet, wire::ErrorCode code,
                  std::string_view) override {
    errors.emplace_back(to_bytes(packet.datagram()), code);
  }
  void post(std::function<void()> task) override {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  std::uint64_t new_flow() override { return ++flow_; }
  void count_drop(forwarding::DropReason reason) override { ++dropped[reason]; }
  void set_sink(LocalSink* s) override { sink = s; }
  Time now() const override { return clock; }
  const forwarding::Fib& fib() const override { return fib_; }
  NodeId self() const override { return self_; }
  unsigned index() const override { return index_; }
  unsigned count() const override { return count_; }
  const WorkerCounters& counters() const override { return counters_; }
  std::uint64_t rounds() const override { return 0; }
  void probe(const ProbeSpec&, Duration, std::function<void(const ProbeResult&)>) override {}
  void watch_fd(int, std::uint32_t, std::function<void(std::uint32_t)>) override {}
  void unwatch_fd(int) override {}
  TimerId after(Duration, std::function<void()>) override { return 1; }
  void cancel(TimerId) override {}

 private:
  NodeId self_;
  unsigned index_, count_;
  std::uint64_t flow_ = 0;
  forwarding::ImmediateReclaimer reclaimer_;
  forwarding::Fib fib_{crypto::Key16{}, reclaimer_};
  WorkerCounters counters_;
  std::mutex mutex_;
  std::vector<std::function<void()>> tasks_;
};

// Keeps what reaches the gateway.
struct KeepingSink : LocalSink {
  struct Got {
    wire::PacketKind kind{};
    NodeId ingress;
    std::string payload, source;
    bool sealed = false;
    std::optional<wire::ErrorCode> error;
    Bytes datagram;
  };
  std::vector<Got> got;
  void deliver(wire::ServicePacket& packet, LinkId) override {
    Got g;
    g.kind = packet.kind();
    g.ingress = packet.ingress();
    g.payload = as_text(packet.payload());
    g.source = packet.source();
    g.sealed = (packet.flags() & wire::kFlagSealed) != 0;
    if (auto tlv = packet.tlv(wire::HeaderTlv::error)) {
      g.error = static_cast<wire::ErrorCode>(ByteReader(*tlv).u16());
    }
    g.datagram = to_bytes(packet.datagram());
    got.push_back(std::move(g));
  }
  std::optional<ProbeHealth> probe_health(const wire::ServicePacket&) override {
    return ProbeHealth{};
  }
};

}  // namespace dmsc::dataplane::fakes
