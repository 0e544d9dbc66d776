// The serving side of messages: requests that ended at this gateway. Sans-I/O like IngressCalls.
//
// One entry per (ingress, exchange, flow), from the first segment until the request's deadline plus
// kMemorySlack, is what makes a call run at most once: any later copy of a segment only makes the
// entry repeat what it has (an acknowledgement, the stored reply, the stored refusal).
//
//   receiving ─ all segments held ─► running ─ respond() ─► answered ─ acknowledged ─► SettledCalls
//       └────────────── bounds, no instance, deadline ──────────► refused
//
// A gateway that restarts forgets its entries and keeps its instances (U18). So a segment that is not
// the first tells how long ago its exchange began: if that was before this gateway's start, the call may
// have run, is answered `no_instance`, and does not run again.
#pragma once
#include <memory>
#include <set>
#include <unordered_map>

#include "sgd/message_types.hpp"
#include "sgd/segment_sender.hpp"
#include "sgd/settled_calls.hpp"

namespace dmsc::sgd {

// Which of this gateway's instances serve messages.
class LocalServices {
 public:
  virtual ~LocalServices() = default;
  struct Answer {
    bool found = false;
    InstanceId instance;
    wire::ErrorCode code = wire::ErrorCode::no_instance;  // not found: why
    std::string text;
  };
  // `wanted` 0 = any instance that serves `destination`.
  virtual Answer resolve(std::string_view destination, InstanceId wanted) = 0;
};

using RequestHandle = std::uint64_t;  // never 0, never used twice

struct IncomingRequest {
  RequestHandle handle = 0;
  InstanceId instance;
  NodeId ingress;
  std::string destination, source;
  bool idempotent = false, traced = false;
  Duration left{};  // of the caller's deadline
  Bytes payload;
};

struct EgressCounters {
  std::uint64_t requests = 0, delivered = 0, answered = 0, refused = 0, expired = 0;
  std::uint64_t duplicates = 0;       // copies that the at-most-once memory swallowed
  std::uint64_t packets = 0, retransmissions = 0, acks_in = 0, acks_out = 0;
  std::uint64_t malformed = 0, over_bounds = 0, late_answers = 0, strays = 0;
};

struct EgressConfig {
  NodeId self;
  Time started{};                     // what was sent before may have run already; 0 = nothing was
  std::size_t datagram_limit = 1400;
  // Bounds per ingress gateway: bytes of half-received requests and stored replies, entries, and
  // calls remembered of which the ingress holds the reply.
  std::size_t peer_bytes = std::size_t{32} << 20;
  std::size_t peer_entries = 131072, peer_settled = std::size_t{1} << 20;
  std::size_t total_bytes = std::size_t{256} << 20;
};

class EgressCalls {
 public:
  static constexpr Duration kMemorySlack = seconds(1);
  static constexpr Duration kDefaultLife = seconds(30);  // requests without a deadline TLV
  static constexpr Duration kMaxLife = minutes(5);
  static constexpr std::size_t kMostSettled = std::size_t{1} << 22;  // of all ingresses

  EgressCalls(EgressConfig config, LocalServices& services);
  ~EgressCalls();

  // A request segment, or an acknowledgement of a response, that ended at this node.
  void receive(Time now, wire::ServicePacket& packet);
  // The program's answer. False if nobody waits for it any more.
  bool respond(Time now, RequestHandle handle, Bytes payload);
  bool refuse(Time now, RequestHandle handle, wire::ErrorCode code, std::string_view text);
  void tick(Time now);
  std::optional<Time> deadline() const;

  std::vector<Bytes> take_packets();
  std::vector<IncomingRequest> take_requests();
  // Requests delivered before whose deadline has passed: the program may stop.
  std::vector<RequestHandle> take_cancelled();

  struct View {
    NodeId ingress;
    std::uint32_t exchange = 0;
    InstanceId instance;
    const char* state = "";
    Duration age{}, left{};
    std::size_t bytes = 0;
  };
  std::vector<View> views(Time now, std::size_t limit) const;
  std::size_t entry_count() const { return entries_.size() + settled_.size(); }
  const EgressCounters& counters() const { return counters_; }

 private:
  struct Key {
    NodeId ingress;
    std::uint32_t exchange = 0;
    std::uint64_t flow = 0;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      // The flow id is drawn at random by its gateway.
      return static_cast<std::size_t>(key.flow ^ key.exchange * 0x9E3779B97F4A7C15ULL);
    }
  };
  enum class State : std::uint8_t { receiving, running, answered, refused };
  struct Entry;
  struct Peer {
    RoundTrip rtt;
    std::size_t bytes = 0, entries = 0, settled = 0;
  };

  Entry* open(Time now, const Key& key, const wire::ServicePacket& packet,
              const wire::Segment& segment);
  void on_segment(Time now, Entry& entry, const wire::ServicePacket& packet,
                  const wire::Segment& segment);
  void on_acks(Time now, const wire::ServicePacket& packet);
  Entry* acknowledged(const Key& key);
  void on_ack(Time now, Entry& entry, const wire::ServicePacket& packet);
  void settle(Time now, Entry& entry);   // erases it
  void forget_settled(Time now, std::size_t most);
  bool may_have_run(Time now, const wire::ServicePacket& packet) const;
  bool has_room(const Peer& peer, std::size_t bytes) const;
  void erase(Entry& entry);
  void repeat(Time now, Entry& entry);
  void deliver(Time now, Entry& entry);
  void send_ack(Entry& entry);
  void send_response(Time now, Entry& entry);
  void send_refusal(Entry& entry);
  void reject(const wire::ServicePacket& packet, wire::ErrorCode code, std::string_view text);
  void service(Time now, Entry& entry);  // may erase the entry
  void reschedule(Time now, Entry& entry);
  void charge(Entry& entry, std::size_t bytes);  // sets what the entry holds
  Entry* by_handle(RequestHandle handle);
  void push(const wire::ServicePacketSpec& spec, ByteView payload);

  EgressConfig config_;
  LocalServices& services_;
  std::unordered_map<Key, std::unique_ptr<Entry>, KeyHash> entries_;
  std::unordered_map<RequestHandle, Entry*> handles_;  // running ones
  std::unordered_map<NodeId, Peer> peers_;
  std::set<std::pair<Time, Entry*>> timers_;
  SettledCalls<Key, KeyHash> settled_;
  RequestHandle next_handle_ = 1;
  std::size_t total_bytes_ = 0;
  std::vector<Bytes> packets_;
  std::vector<IncomingRequest> requests_;
  std::vector<RequestHandle> cancelled_;
  EgressCounters counters_;
};

}  // namespace dmsc::sgd
