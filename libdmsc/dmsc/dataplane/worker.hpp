// One forwarding thread. It owns a UDP socket on every link, an epoll set, timers and a queue of
// posted tasks; it reads the FIB and the neighbour table without locks (QSBR) and never touches
// control state. Everything is called on its own thread unless a comment says otherwise.
//
//   data sockets ─► parse ─► neighbour? ─► hop tag ─► replay window ─► decide() ─┬─► send
//   originate()  ─► parse ───────────────────────────────────────────► decide() ─┼─► LocalSink
//   timers, posted tasks, watched descriptors (a gateway's TUN, pod sockets)     └─► drop + error
#pragma once
#include <functional>
#include <memory>
#include <span>

#include "dmsc/core/time.hpp"
#include "dmsc/dataplane/counters.hpp"
#include "dmsc/dataplane/local_sink.hpp"
#include "dmsc/dataplane/probe.hpp"
#include "dmsc/forwarding/fib.hpp"

namespace dmsc::dataplane {

using TimerId = std::uint64_t;  // 0 is never used

// Which of `workers` workers serves a flow: every node computes it alike, so that all packets of a
// flow meet one worker, on the way out and back.
unsigned worker_of_flow(std::uint64_t flow, unsigned workers);

class Worker {
 public:
  virtual ~Worker() = default;

  // ---- packets ------------------------------------------------------------------------------
  // Sends a packet of this node's own (a complete service packet as build_service_packet() makes it;
  // `datagram` may be reused after the call). A packet whose egress is this node is delivered to the
  // sink during the call. No error packet is made for a drop: the verdict is the answer. A wrong
  // packet is dropped as malformed.
  virtual forwarding::Verdict originate(std::span<std::uint8_t> datagram) = 0;
  // Sends packets of one flow to one egress, whose headers differ in their payload's length at most, with
  // one decision for all; as originate() else. Nothing is copied: the memory stays as it is until flush()
  // or the end of the loop's round, and kTrainHeadroom bytes in front of and kTrainTailroom behind each
  // packet may be overwritten. The verdict is the worst of all.
  static constexpr std::size_t kTrainHeadroom = 64, kTrainTailroom = 32;
  using Train = std::span<const std::span<std::uint8_t>>;
  virtual forwarding::Verdict originate_train(Train train) {
    forwarding::Verdict worst;
    for (std::size_t i = 0; i < train.size(); ++i) {
      forwarding::Verdict verdict = originate(train[i]);
      if (i == 0 || verdict.action == forwarding::Action::drop) worst = verdict;
    }
    return worst;
  }
  // Sends what waits for the end of the round now.
  virtual void flush() {}
  // Sends an error packet (rate-limited, never for an error packet) to the source of `packet`, as a
  // sink does that cannot serve it. `text` is for people. No effect without an ingress to send it to.
  virtual void send_error(const wire::ServicePacket& packet, wire::ErrorCode code,
                          std::string_view text) = 0;
  // Sends one probe and calls `done` once, here, at the answer, an error or the timeout.
  virtual void probe(const ProbeSpec& spec, Duration timeout,
                     std::function<void(const ProbeResult&)> done) = 0;
  // An unpredictable flow id whose packets, and the answers to them, meet this worker.
  virtual std::uint64_t new_flow() = 0;
  // Counts a drop decided by a sink.
  virtual void count_drop(forwarding::DropReason reason) = 0;

  // ---- event loop -----------------------------------------------------------------------------
  // Calls `ready(events)` whenever epoll reports `epoll_events` (level triggered unless EPOLLET is in
  // it). The caller owns `fd`, and unwatches it before closing. Watching again replaces.
  virtual void watch_fd(int fd, std::uint32_t epoll_events,
                        std::function<void(std::uint32_t)> ready) = 0;
  virtual void unwatch_fd(int fd) = 0;
  // Runs `task` on the worker's thread, in order of posting. Any thread; never blocks. After stop()
  // tasks are destroyed unrun.
  virtual void post(std::function<void()> task) = 0;
  // Runs `task` once, not before `delay` from now().
  virtual TimerId after(Duration delay, std::function<void()> task) = 0;
  virtual void cancel(TimerId timer) = 0;  // unknown or fired: no effect

  // ---- what it knows --------------------------------------------------------------------------
  // The instant this round of the loop began.
  virtual Time now() const = 0;
  virtual const forwarding::Fib& fib() const = 0;  // pointers from it hold until the task returns
  virtual NodeId self() const = 0;
  virtual unsigned index() const = 0;               // 0 .. count() - 1
  virtual unsigned count() const = 0;               // workers of this node
  virtual const WorkerCounters& counters() const = 0;  // any thread
  // Rounds of the loop so far: at least one a second while it lives (watchdog). Any thread.
  virtual std::uint64_t rounds() const = 0;

  // Where local packets go from now on; nullptr = none. The sink outlives its use: clear it with a
  // posted task before destroying it.
  virtual void set_sink(LocalSink* sink) = 0;
};

}  // namespace dmsc::dataplane
