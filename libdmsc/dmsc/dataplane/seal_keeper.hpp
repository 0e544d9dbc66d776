// Makes the keys that SealingWorkers use: a thread of its own, because a handshake costs about a
// millisecond of signatures, which neither the control thread nor a worker has to give. It runs
// SealMachine with DTLS handshakes and hands what they yield to the workers.
#pragma once
#include <condition_variable>
#include <mutex>
#include <thread>

#include "dmsc/dataplane/dtls_handshake.hpp"
#include "dmsc/dataplane/sealing_worker.hpp"

namespace dmsc::dataplane {

// The gateways of the domain as this node's trust knows them.
struct SealPeers {
  struct Peer {
    crypto::PublicKey key{};
    DomainTime not_after;  // of its certificate
  };
  std::unordered_map<NodeId, Peer> gateways;
  DomainTime time;  // domain time at `taken`
  Time taken{};
};

struct SealSnapshot {
  struct Row : SealMachine::View {
    std::string algorithm;
    SealAssociation::Totals totals;
  };
  std::vector<Row> rows;
  SealMachineCounters counters;
  std::uint64_t strangers = 0;   // handshake packets of nodes that are no gateway known here
  std::uint64_t overflowed = 0;  // and those dropped because too many waited
};

class SealKeeper final : public SealRequests {
 public:
  static constexpr std::size_t kMostTasks = 4096;
  // Packets for a gateway whose identity has not come yet wait so long; for so many gateways at
  // once.
  static constexpr Duration kUnknownFor = seconds(2);
  static constexpr std::size_t kMostUnknown = 64;

  explicit SealKeeper(NodeId self);
  ~SealKeeper() override;  // stops
  // The error: identity that cannot be used. `workers` outlive the thread; index 0 sends.
  Status start(DtlsIdentity identity, std::vector<SealingWorker*> workers);
  void stop();  // ends the thread; workers' requests are ignored from now on

  // ---- any thread ---------------------------------------------------------------------------
  // A renewed certificate: for handshakes from now on. A bad one is logged and the old one stays.
  void set_identity(DtlsIdentity identity);
  // What is shared with gateways that are no longer in it, or have another key, is forgotten.
  void set_peers(SealPeers peers);
  // Calls `done` on the keeper's thread.
  void snapshot(std::function<void(SealSnapshot)> done);
  void want(NodeId peer, bool renew) override;
  void frame(NodeId peer, Bytes payload) override;
  void opened(NodeId peer, std::uint32_t association) override;
  void unknown(NodeId peer, std::uint32_t association) override;

 private:
  using Key = std::pair<NodeId, std::uint32_t>;
  SealConfig machine_config();
  void run();
  void post(std::function<void()> task, bool droppable = false);
  void take_peers(SealPeers peers);
  void on_want(NodeId peer, bool renew);
  void give_up_unknown(Time now);
  void fail(NodeId peer, std::string reason);
  std::optional<Time> deadline() const;
  Status check(NodeId peer, const trust::Certificate& certificate) const;
  void hand_out();
  void hand_out(SealEvent event);
  SealSnapshot look() const;

  NodeId self_;
  std::vector<SealingWorker*> workers_;

  // Of the thread.
  std::shared_ptr<DtlsContext> dtls_;
  SealPeers peers_;
  std::unique_ptr<SealMachine> machine_;
  std::map<Key, std::shared_ptr<SealAssociation>> associations_;
  std::map<NodeId, std::string> told_;  // the problem last logged
  std::map<NodeId, Time> unknown_;      // wanted, but no gateway known here; until when
  std::uint64_t strangers_ = 0;

  mutable std::mutex mutex_;  // guards the four below
  std::condition_variable wake_;
  std::vector<std::function<void()>> tasks_;
  std::uint64_t overflowed_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace dmsc::dataplane
