// The caller's side of messages: every call a pod of this gateway has open. Sans-I/O: one worker
// thread hands in instants, packets and what the FIB says; packets and outcomes come out.
//
// A call is sent to one pinned instance and retransmitted there until it is answered or its deadline
// passes. It is sent elsewhere ("re-pinned") only
//   - if it is idempotent, at most kMaxTries times and within a budget over all calls, or
//   - if the first copy provably was not delivered: sent once, never acknowledged, and an error came
//     back or its egress left the FIB,
// so no call that is not idempotent can run twice (DESIGN sections 6 and 7).
//
// When it ends early: the egress itself says no: at once. The FIB does not hold the name or the
// egress: after kRouteGrace, which spans a reconvergence. A router in transit keeps saying it cannot
// forward, although the FIB holds the route: after kTransitGrace; such errors cannot be sealed and are
// only hints.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>

#include "sgd/message_types.hpp"
#include "sgd/segment_sender.hpp"

namespace dmsc::sgd {

// What the forwarding table says; read on the thread that drives the calls.
class CallRoutes {
 public:
  virtual ~CallRoutes() = default;
  struct Choice {
    bool found = false;
    Pin pin;
    wire::ErrorCode code = wire::ErrorCode::no_route;  // not found: why
  };
  // An instance for a new flow to `name`, none of `avoid`.
  virtual Choice choose(std::string_view name, std::uint64_t flow,
                        const std::vector<Pin>& avoid) = 0;
  // The name matches something (calls forwarded by name).
  virtual bool matches(std::string_view name) = 0;
  // The egress can be reached at all (this node itself: true).
  virtual bool reachable(NodeId egress) = 0;
  // A flow to the pin begins or ends: the load that choose() weighs.
  virtual void flow_opened(const Pin& pin) = 0;
  virtual void flow_closed(const Pin& pin) = 0;
};

struct CallRequest {
  std::uint64_t owner = 0;  // opaque to the engine, returned in the outcome
  std::uint64_t id = 0;
  std::string destination;
  std::string source;       // empty = anonymous
  InstanceId source_instance;
  Bytes payload;            // at most wire::kMaxMessageBytes
  Duration deadline{};
  bool idempotent = false, trace = false, by_name = false;
};

struct CallOutcome {
  std::uint64_t owner = 0, id = 0;
  bool ok = false;
  Bytes payload;
  wire::ErrorCode code = wire::ErrorCode::internal;
  std::string text;
  NodeId reporter;          // who said no; 0 = this gateway
  Pin pin;                  // the last instance tried
  unsigned tries = 0;
  Duration took{};
  std::vector<NodeId> path, return_path;  // traced calls
};

struct IngressCounters {
  std::uint64_t started = 0, answered = 0, failed = 0, cancelled = 0;
  std::uint64_t packets = 0, retransmissions = 0, repinned = 0;
  std::uint64_t acks_in = 0, acks_out = 0, errors_in = 0, strays = 0, malformed = 0;
};

struct IngressConfig {
  NodeId self;
  std::uint32_t first_exchange = 0;               // random
  std::function<std::uint64_t()> new_flow;        // unpredictable; packets of it meet this thread
  std::size_t datagram_limit = 1400;              // bytes of service packet, header included
  std::size_t max_open = 65536;
  std::size_t max_open_bytes = std::size_t{256} << 20;
};

class IngressCalls {
 public:
  static constexpr Duration kRouteGrace = milliseconds(80);
  static constexpr Duration kTransitGrace = milliseconds(300);
  static constexpr Duration kCheckInterval = milliseconds(40);   // of the FIB, per open call
  static constexpr Duration kNudgeInterval = milliseconds(500);  // accepted, no answer yet
  static constexpr Duration kMaxDeadline = minutes(5);
  static constexpr unsigned kMaxTries = 3;
  // Acknowledgements of responses of one segment wait for each other: the program has its answer, and
  // alone each would cost both gateways as much as the response did. Not for many: the call that meets them waits.
  static constexpr Duration kLateAck = milliseconds(5);
  static constexpr std::size_t kMostLateAcks = 16;

  IngressCalls(IngressConfig config, CallRoutes& routes);
  ~IngressCalls();

  // Opens a call; its outcome comes out of take_outcomes(), also when it fails at once. Deadlines over
  // kMaxDeadline are cut to it.
  void start(Time now, CallRequest request);
  // The caller no longer wants it: no outcome follows.
  void cancel(Time now, std::uint64_t owner, std::uint64_t id);
  void cancel_owner(Time now, std::uint64_t owner);
  // True if the packet's exchange and flow are those of an open call.
  bool is_open(const wire::ServicePacket& packet) const;
  // A response, an acknowledgement or an error that ended at this node.
  void receive(Time now, wire::ServicePacket& packet);
  // A packet of this call did not leave this node.
  void dropped_here(Time now, std::uint32_t exchange, wire::ErrorCode code, std::string_view why);
  void tick(Time now);  // at or after deadline()
  std::optional<Time> deadline() const;

  std::vector<Bytes> take_packets();
  std::vector<CallOutcome> take_outcomes();

  struct View {
    std::uint32_t exchange = 0;
    std::string destination, source;
    Pin pin;
    unsigned tries = 0;
    bool accepted = false;
    Duration age{}, left{};
    std::size_t bytes = 0;
  };
  std::vector<View> views(Time now, std::size_t limit) const;
  std::size_t open_count() const { return open_.size(); }
  const IngressCounters& counters() const { return counters_; }

 private:
  struct Call;
  struct LateAcks {    // for one egress
    Bytes response;    // the first one's header, to build the packet from
    std::uint32_t total = 0;
    Bytes others;      // the payload: further exchanges
  };
  using CallMap = std::unordered_map<std::uint32_t, std::unique_ptr<Call>>;

  void service(Time now, Call& call);           // may end and destroy the call
  bool route_ok(Time now, Call& call);          // false: ended, or waiting for a route
  bool pin_call(Time now, Call& call);
  bool may_repin(const Call& call) const;
  bool repin(Time now, Call& call);             // true if it goes on elsewhere
  void fail_or_repin(Time now, Call& call, wire::ErrorCode code, NodeId reporter, std::string text);
  void on_response(Time now, Call& call, wire::ServicePacket& packet);
  void on_ack(Time now, Call& call, const wire::ServicePacket& packet);
  void on_error(Time now, Call& call, const wire::ServicePacket& packet);
  void transit_trouble(Time now, Call& call, wire::ErrorCode code, NodeId reporter,
                       std::string_view text);
  void send_segment(Time now, Call& call, std::uint32_t offset, std::uint32_t size);
  void send_ack(const wire::ServicePacket& response, const wire::ByteRanges& held, ByteView others = {});
  void send_late_ack(Time now, const wire::ServicePacket& response, std::uint32_t total);
  void flush_late_acks();
  void send_due_ack(Time now, Call& call);
  void fail(Time now, Call& call, wire::ErrorCode code, NodeId reporter, std::string text);
  void finish(Time now, Call& call, CallOutcome outcome);
  void erase(Call& call);
  void reschedule(Time now, Call& call);
  std::uint32_t fresh_exchange();

  IngressConfig config_;
  CallRoutes& routes_;
  CallMap open_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint32_t> by_owner_;
  std::set<std::pair<Time, std::uint32_t>> timers_;
  std::map<NodeId, RoundTrip> round_trips_;
  std::uint32_t next_exchange_;
  std::size_t open_bytes_ = 0;
  double retry_budget_ = 10;  // retries of idempotent calls still allowed
  std::vector<Bytes> packets_;
  std::map<NodeId, LateAcks> late_acks_;
  std::size_t late_count_ = 0;
  Time late_acks_at_{};
  std::vector<CallOutcome> outcomes_;
  IngressCounters counters_;
};

}  // namespace dmsc::sgd
