// The one implementation of Worker. worker_loop.cpp: event loop; worker_receive.cpp and
// worker_send.cpp: packets; worker_probe.cpp: probes; all on the worker's thread unless said.
#pragma once
#include <sys/epoll.h>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "dmsc/dataplane/burst.hpp"
#include "dmsc/dataplane/busy_poll.hpp"
#include "dmsc/dataplane/data_socket.hpp"
#include "dmsc/dataplane/link_table.hpp"
#include "dmsc/dataplane/offloads.hpp"
#include "dmsc/dataplane/outbox.hpp"
#include "dmsc/dataplane/reclaimer.hpp"
#include "dmsc/dataplane/udp_socket.hpp"
#include "dmsc/dataplane/worker.hpp"
#include "dmsc/runtime/log.hpp"

namespace dmsc::dataplane {

// What all workers of a node share.
struct WorkerShared {
  NodeId self;
  unsigned workers = 1;
  bool hop_authentication = true;
  const forwarding::Fib* fib = nullptr;
  std::atomic<const LinkTable*> table{nullptr};
};

class WorkerImpl final : public Worker {
 public:
  static Result<std::unique_ptr<WorkerImpl>> create(WorkerShared& shared, unsigned index,
                                                    std::uint64_t seed);
  ~WorkerImpl() override;
  void start();  // control thread
  void stop();   // control thread; joins
  // The data socket of a socket group; takes the descriptor over. Any thread.
  void add_socket(unsigned sockets, UniqueFd fd);
  void remove_socket(unsigned sockets);
  // Likewise one connected to `peer`, for receiving only. What waits in it when it is removed is still received.
  void add_peer_socket(unsigned sockets, const SocketAddress& peer, UniqueFd fd);
  void remove_peer_socket(int fd);
  void set_offloads(const Offloads& offloads);
  void set_busy_poll(Duration longest);

  forwarding::Verdict originate(std::span<std::uint8_t> datagram) override;
  forwarding::Verdict originate_train(Train train) override;
  void flush() override { outbox_.flush(); }
  void send_error(const wire::ServicePacket& packet, wire::ErrorCode code,
                  std::string_view text) override;
  void probe(const ProbeSpec& spec, Duration timeout,
             std::function<void(const ProbeResult&)> done) override;
  std::uint64_t new_flow() override;
  void count_drop(forwarding::DropReason reason) override {
    counters_.drop(reason);
    counters_.drops_elsewhere.add();
  }
  void watch_fd(int fd, std::uint32_t events, std::function<void(std::uint32_t)> ready) override;
  void unwatch_fd(int fd) override;
  void post(std::function<void()> task) override;
  TimerId after(Duration delay, std::function<void()> task) override;
  void cancel(TimerId timer) override;
  Time now() const override { return now_; }
  const forwarding::Fib& fib() const override { return *shared_.fib; }
  NodeId self() const override { return shared_.self; }
  unsigned index() const override { return index_; }
  unsigned count() const override { return shared_.workers; }
  const WorkerCounters& counters() const override { return counters_; }
  std::uint64_t rounds() const override { return rounds_.load(std::memory_order_relaxed); }
  void set_sink(LocalSink* sink) override { sink_ = sink; }

 private:
  WorkerImpl(WorkerShared& shared, unsigned index, std::uint64_t seed);

  // worker_loop.cpp
  Status open();
  void run();
  void dispatch(int ready_count);
  void run_posted();
  void run_timers();
  int wait(std::span<epoll_event> events);
  int look(std::span<epoll_event> events, Duration budget);
  void watch(int fd, std::uint32_t events, std::function<void(std::uint32_t)> ready);
  int wait_ms() const;

  // worker_receive.cpp
  void receive_ready(DataSocket& socket);
  bool receive_some(DataSocket& socket);
  void receive_sources(const DataSocket& socket, unsigned first, unsigned end);
  void finish_batch();
  void receive_message(unsigned i, const LinkEntry* entry);
  void receive(std::span<std::uint8_t> datagram, const LinkEntry& entry);
  void process_burst();
  void authenticate_burst();
  bool accept(Arrival& arrival, bool good_tag);
  void count_in(const wire::ServicePacket& packet, const LinkEntry& entry);
  forwarding::DropReason check_fresh(const wire::ServicePacket& packet, const LinkEntry& entry);
  forwarding::DropReason authenticate(const wire::ServicePacket& packet, const LinkEntry& entry);
  void refuse_unparsed(std::span<std::uint8_t> datagram, const LinkEntry& entry, const Error& error);
  void act(wire::ServicePacket& packet, const forwarding::Verdict& verdict, LinkId from);
  void deliver(wire::ServicePacket& packet, LinkId from);
  void drop(const wire::ServicePacket& packet, forwarding::DropReason reason, std::string_view text);

  // worker_send.cpp
  forwarding::DropReason transmit(wire::ServicePacket& packet, const LinkEntry& entry, bool copy);
  forwarding::Verdict originate_packet(wire::ServicePacket& packet);
  int socket_of(unsigned sockets) const;
  bool error_allowed(NodeId source);

  // worker_probe.cpp
  struct OpenProbe {
    std::uint64_t flow = 0;
    std::uint64_t sent_ns = 0;
    TimerId timer = 0;
    std::function<void(const ProbeResult&)> done;
  };
  wire::ServicePacketSpec probe_packet(const ProbeSpec& spec, std::uint32_t exchange);
  void answer_probe(const wire::ServicePacket& packet);
  bool take_reply(const wire::ServicePacket& packet);
  void finish_probe(std::uint32_t exchange, const ProbeResult& result);
  void link_probe_round();
  void send_link_probe(const LinkEntry& entry);
  void receive_link_probe(wire::ServicePacket& packet, const LinkEntry& entry);
  std::uint64_t random();

  WorkerShared& shared_;
  const unsigned index_;
  std::uint64_t random_state_;
  Time now_{};
  const LinkTable* table_ = nullptr;
  LocalSink* sink_ = nullptr;
  WorkerCounters counters_;
  std::atomic<std::uint64_t> rounds_{0};

  UniqueFd epoll_, wake_;
  struct Watch {
    std::function<void(std::uint32_t)> ready;
  };
  std::unordered_map<int, std::shared_ptr<Watch>> watches_;
  std::map<std::pair<Time, TimerId>, std::function<void()>> timers_;
  std::unordered_map<TimerId, Time> timer_times_;
  TimerId next_timer_ = 1;
  BusyPoll busy_;
  bool serves_programs_ = false;  // a gateway's worker: somebody waits for what it does

  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
  std::atomic<bool> any_posted_{false};  // so that a round without tasks takes no lock
  std::atomic<bool> stop_{false};
  std::thread thread_;

  std::vector<UniqueFd> sockets_;  // by socket group
  std::unordered_map<int, UniqueFd> peer_sockets_;
  Outbox outbox_;
  std::unique_ptr<class ReceiveBatch> batch_;
  Burst burst_;
  unsigned receive_turns_ = 1;

  std::unordered_map<std::uint32_t, OpenProbe> open_probes_;
  runtime::log::RateLimiter errors_;
  std::vector<runtime::log::RateLimiter> errors_by_source_;
};

}  // namespace dmsc::dataplane
