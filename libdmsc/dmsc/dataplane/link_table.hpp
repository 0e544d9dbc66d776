// What workers know of the neighbours: an immutable table, published by the control thread, read
// under QSBR. Only WorkerLink changes after publication, each by the one worker it belongs to.
#pragma once
#include <array>
#include <atomic>
#include <memory>
#include <unordered_map>
#include <vector>

#include "dmsc/dataplane/counters.hpp"
#include "dmsc/dataplane/socket_address.hpp"
#include "dmsc/forwarding/hop_auth.hpp"
#include "dmsc/forwarding/name_hash.hpp"

namespace dmsc::dataplane {

// Of one link and one worker. Lives as long as the neighbour's session, so that neither the counter
// nor the replay windows restart while the keys are the same.
struct alignas(64) WorkerLink {
  std::uint64_t next_counter = 1;
  std::vector<forwarding::ReplayWindow> windows;  // by the sender's worker
  LinkCounters counters;
};

// The data path's state as the probing worker (number 0) finds it; read by the control thread.
struct PathProbe {
  std::atomic<bool> usable{true};
  std::atomic<std::int64_t> round_trip_ns{0};
  Counter sent, answered;
  std::atomic<bool> restart{false};  // a new adjacency: forget what was lost before
  // Worker 0 only:
  std::uint32_t open_exchange = 0;  // 0 = nothing unanswered
  std::uint32_t next_exchange = 1;
  unsigned lost_in_row = 0;
  std::uint64_t heard = 0;          // packets of the neighbour when the last probe left
  std::uint64_t sent_at_ns = 0;
};

struct LinkState {
  LinkState(unsigned workers, std::size_t peer_workers) : per_worker(workers) {
    for (auto& w : per_worker) w.windows.resize(peer_workers);
  }
  std::vector<WorkerLink> per_worker;
  PathProbe path;
};

struct HopKeys {
  std::uint8_t id = 0;
  crypto::Key16 send{}, receive{};
};

struct LinkEntry {
  LinkId link;
  NodeId node;
  SessionId session;
  unsigned sockets = 0;                  // index of the socket group; the same for every worker
  std::vector<SocketAddress> addresses;  // by the neighbour's worker
  std::size_t mtu = 1400;
  std::vector<HopKeys> keys;
  std::size_t active = 0;                // index into keys
  std::shared_ptr<LinkState> state;

  const HopKeys* key(std::uint8_t id) const {
    for (const HopKeys& k : keys) {
      if (k.id == id) return &k;
    }
    return nullptr;
  }
};

// A neighbour's worker as a socket group sees it.
struct Source {
  unsigned sockets = 0;
  SocketAddress address;
  friend bool operator==(const Source&, const Source&) = default;
};
struct SourceHash {
  std::size_t operator()(const Source& s) const {
    std::uint64_t number = std::uint64_t{s.sockets} << 16 | s.address.port();
    for (std::uint64_t word : s.address.words()) number = forwarding::mix(number ^ word);
    return number;
  }
};

struct LinkTable {
  std::vector<std::unique_ptr<const LinkEntry>> by_link;        // index = link id; null = no neighbour
  std::unordered_map<Source, const LinkEntry*, SourceHash> by_source;

  const LinkEntry* find(std::uint32_t link) const {
    return link < by_link.size() ? by_link[link].get() : nullptr;
  }
  // The neighbour that sends from `from` to this socket group.
  const LinkEntry* find_source(unsigned sockets, const SocketAddress& from) const {
    auto it = by_source.find({sockets, from});
    return it != by_source.end() ? it->second : nullptr;
  }
};

}  // namespace dmsc::dataplane
