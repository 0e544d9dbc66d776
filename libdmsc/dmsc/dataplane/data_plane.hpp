// The data plane of one node: its workers, its FIB, and per link what the workers must know of the
// neighbour there. Owned and called by the control thread; workers read published snapshots.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dmsc/core/result.hpp"
#include "dmsc/crypto/key_chain.hpp"
#include "dmsc/dataplane/offloads.hpp"
#include "dmsc/dataplane/socket_address.hpp"
#include "dmsc/dataplane/worker.hpp"

namespace dmsc::dataplane {

struct DataPlaneConfig {
  NodeId self;
  DomainId domain;
  SessionId session;          // this start's, part of every hop key
  unsigned workers = 1;       // 1 .. 64
  crypto::Key16 fib_key{};    // random per process
  std::uint64_t random_seed = 0;  // flow and exchange ids of probes
  Offloads offloads;
  Duration busy_poll = microseconds(50);  // rule U28; at most BusyPoll::kLongest, 0 = never
  bool hop_authentication = true;  // only a benchmark goes without; no daemon can
};

// Where a link's data sockets are bound: `local` with port base_port + worker index. If such a port
// is taken the kernel chooses; neighbours learn the ports in the hello.
struct LinkSockets {
  LinkId link;
  std::string name;           // for logs and counters
  SocketAddress local;             // address; the port is not used
  std::string interface;      // SO_BINDTODEVICE when not empty and permitted
  std::uint16_t base_port = 7402;
};

// The far end of a link, known once the adjacency is up.
struct Neighbour {
  LinkId link;
  NodeId node;
  SessionId session;
  SocketAddress address;                         // its data address; the port is not used
  std::vector<std::uint16_t> worker_ports;  // not empty
  std::uint16_t mtu = 1400;                 // largest datagram both ends carry
};

// State of a link's data path, from one probe a second through it.
struct PathState {
  bool usable = true;          // false after kLinkProbesLost probes in a row went unanswered
  Duration round_trip{};       // smoothed; zero = unknown
  std::uint64_t sent = 0, answered = 0;
};

struct LinkStats {
  LinkId link;
  LinkCounterValues counters;  // summed over the workers
  PathState path;
};

class DataPlane {
 public:
  // Makes the workers; their threads start with start().
  static Result<std::unique_ptr<DataPlane>> create(DataPlaneConfig config);
  virtual ~DataPlane() = default;  // stops the threads

  virtual void start() = 0;
  // Ends and joins the worker threads; sinks are no longer called afterwards. Safe to repeat.
  virtual void stop() = 0;

  // The FIB, for its one writer: the control thread.
  virtual forwarding::Fib& fib() = 0;
  virtual const std::vector<Worker*>& workers() const = 0;

  // Takes effect in every worker's next round.
  virtual void set_offloads(const Offloads& offloads) = 0;
  virtual void set_busy_poll(Duration longest) = 0;

  // Binds the sockets of a link and returns the port of each worker. The error names link, address
  // and cause.
  virtual Result<std::vector<std::uint16_t>> open_link(const LinkSockets& link) = 0;
  virtual void close_link(LinkId link) = 0;
  // The sockets of an open link, for what concerns them and not their datagrams; the workers' to close. They change
  // with set_neighbour().
  virtual std::vector<int> sockets(LinkId link) const = 0;
  // Keys of every id in the chain, both directions, are derived for every neighbour.
  virtual void set_keys(const crypto::KeyChain& keys) = 0;
  // Publishes the far end of a link: from now on its packets are accepted and the FIB's next hops over
  // this link are sent to it. Counters and replay windows go on if node and session are the same.
  virtual void set_neighbour(const Neighbour& neighbour) = 0;
  // The adjacency is lost: nothing is accepted from it or sent to it any more.
  virtual void clear_neighbour(LinkId link) = 0;

  virtual std::vector<LinkStats> link_stats() const = 0;
  virtual CounterValues counters() const = 0;  // of all workers
};

}  // namespace dmsc::dataplane
