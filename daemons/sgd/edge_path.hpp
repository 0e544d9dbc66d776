// The data path of the edge without any I/O: IP packets of TUN devices in, service packets out, and
// back. Pure but for the PathIo it is given; one thread. docs/protocol.md, "L4 segments".
//
//   edge_path.cpp        dispatch, external traffic, ICMP, expiry
//   edge_path_out.cpp    client side: program -> name, replies, errors
//   edge_path_in.cpp     server side: service packet -> endpoint, answers
//   edge_path_train.cpp  both sides: a large TCP segment or a train of UDP datagrams in one go
//   edge_path_limit.cpp  rate limits of prefixes
//   edge_path_mtu.cpp    what paths carry, and what a program is told that sends more
//   edge_path_again.cpp  segments that programs send again
//   edge_path_restart.cpp  flows over a restart of either gateway
#pragma once
#include <map>
#include <memory>
#include <unordered_map>

#include "dmsc/forwarding/decision.hpp"
#include "dmsc/wire/service_header.hpp"
#include "sgd/edge_copies.hpp"
#include "sgd/edge_flow.hpp"
#include "sgd/edge_handover.hpp"
#include "sgd/edge_reassembly.hpp"
#include "sgd/edge_virtual.hpp"

namespace dmsc::sgd {

// Free bytes a caller leaves in front of an IP packet for the service header.
inline constexpr std::size_t kHeadroom = 1024;

class PathIo {
 public:
  virtual ~PathIo() = default;
  virtual forwarding::Verdict originate(std::span<std::uint8_t> datagram) = 0;
  // As Worker's: of one flow, not copied, with room around each.
  using Train = std::span<const std::span<std::uint8_t>>;
  virtual forwarding::Verdict originate_train(Train train) {
    forwarding::Verdict verdict;
    for (std::span<std::uint8_t> datagram : train) verdict = originate(datagram);
    return verdict;
  }
  // What originate_train() was given may be overwritten afterwards.
  virtual void flush() {}
  virtual void send_error(const wire::ServicePacket& packet, wire::ErrorCode code,
                          std::string_view text) = 0;
  // Writes one IP packet, given in two parts, into the TUN of `port`.
  virtual void write_tun(std::uint32_t port, ByteView head, ByteView body) = 0;
  // True if packets of this flow id, and the answers to them, meet this worker.
  virtual bool flow_is_ours(std::uint64_t flow) = 0;
  virtual std::optional<InstancePin> choose(const Name& destination, std::uint64_t flow) = 0;
  // The pinned instance is announced, whether its gateway can be reached just now or not.
  virtual bool alive(const Name& destination, const InstancePin& pin) = 0;
  virtual bool reachable(NodeId node) = 0;
  virtual PathLabel label(const Name& destination, const InstancePin& pin, std::uint64_t flow) = 0;
  virtual bool allowed(std::string_view source, NodeId ingress, const Name& destination) = 0;
  // True if a grant binds `source` to gateway `ingress`: only then it names the caller.
  virtual bool granted(std::string_view source, NodeId ingress) = 0;
  // Bytes of the largest service datagram, not sealed yet, on every path to `egress`.
  virtual std::size_t path_mtu(NodeId egress) = 0;
  // For rows that people read.
  virtual std::string address_text(std::uint32_t port, Ipv4 address) {
    (void)port;
    return to_string(address);
  }
  virtual Time now() = 0;
  virtual NodeId self() = 0;
};

// A gateway has started again: so long it has patience with routes and names that are not there yet, and
// so long with what it cannot place because of flows it has forgotten.
inline constexpr Duration kSettling = seconds(10), kForgetful = minutes(5);
// The flow of an error that is about all flows to the gateway it comes from.
inline constexpr std::uint64_t kNoFlow = 0;

// Ports: 0 is the host's TUN, 1 the one for external traffic, pods follow.
inline constexpr std::uint32_t kHostPort = 0, kExternalPort = 1, kFirstPodPort = 2;

struct PathPort {
  Ipv4 address;        // the pod's own; 0 for host and external
  Ipv4 gateway;        // we speak ICMP from here
  External external = External::refuse;
  std::uint32_t sender = 0;  // whose share of rate limits it takes: a device's two families are one
  Name source;         // granted name of its packets; empty = anonymous
  InstanceId source_instance;
  bool open = false;   // has a TUN now
  std::size_t flows = 0;
  double icmp_tokens = 0;
  Time icmp_filled;
};

// X(name): every counter of the path, in the order of the enumeration.
#define DMSC_EDGE_COUNTERS(X)                                                                     \
  X(tun_in) X(tun_out) X(service_in) X(service_out) X(external_out) X(external_in)                \
  X(malformed) X(not_ipv4) X(spoofed_source) X(ttl_expired) X(multicast) X(no_address)            \
  X(no_instance) X(not_allowed) X(flow_limit) X(too_big) X(send_failed) X(port_refused)           \
  X(external_refused) X(unknown_flow) X(wrong_peer) X(no_endpoint) X(port_down) X(bad_segment)    \
  X(repinned) X(icmp_sent) X(icmp_limited) X(rst_sent) X(error_in) X(hint_ignored)                \
  X(client_addresses_full) X(protocol_refused) X(source_not_granted) X(rate_limited)               \
  X(sent_again) X(sought) X(seek_limited) X(found) X(adopted) X(nudged) X(flows_asked) X(taken_over)
enum class Count : std::size_t {
#define DMSC_EDGE_ENUM(name) name,
  DMSC_EDGE_COUNTERS(DMSC_EDGE_ENUM)
#undef DMSC_EDGE_ENUM
  count_,
};

struct PathConfig {
  Ipv4Net name_range, client_range;
  std::size_t max_flows = 262144;
  crypto::Key16 key{};            // secret; the same after a restart gives the same flow ids
  Time restarted{};               // this gateway had flows before, of which it may know nothing; 0 = no
};

class EdgePath {
 public:
  // `io` and `names` (addresses of name_range) outlive it.
  EdgePath(PathConfig config, PathIo& io, VirtualAddresses& names);

  // ---- what it serves -----------------------------------------------------------------------------
  // Defines or changes a port; closing it (open = false) drops its flows.
  void set_port(std::uint32_t index, const PathPort& port);
  void set_source(std::uint32_t port, const Name& source, InstanceId instance);
  void set_endpoint(InstanceId instance, std::uint32_t port, Endpoint endpoint);
  void remove_endpoint(InstanceId instance);

  // ---- packets -------------------------------------------------------------------------------------
  // `buffer[at...]` is one IP packet read from the TUN of `port`; at >= kHeadroom. The buffer is
  // overwritten.
  void from_tun(std::uint32_t port, std::span<std::uint8_t> buffer, std::size_t at);
  // `packet` is one IP packet that the kernel left uncut, a TCP segment or a train of UDP datagrams: more than
  // `segment_bytes` of data, checksum not filled. Cuts and sends it if it belongs to a flow that is open (TCP:
  // established), in one go. False: not taken, to be cut and handed to from_tun().
  bool train_from_tun(std::uint32_t port, std::span<std::uint8_t> packet, std::size_t segment_bytes);
  // Kind `packet`, destined for this node.
  void from_network(wire::ServicePacket& packet);
  // An error for a flow; false if the flow is unknown.
  bool error_from_network(const wire::ServicePacket& packet);

  // Replaces all rate limits; those that stay as they are keep their state.
  void set_limits(const std::vector<RateLimit>& limits);
  bool limited() const { return !limits_.empty(); }
  // The same for a packet of a call of one of our programs, on its way into the network; acknowledgements pass.
  // Takes what has to wait; what is dropped is counted.
  FairShaper::Answer limit_message(Bytes& datagram);
  // Sends what limits held back and the time allows; returns when to call again, nullopt: nothing waits.
  std::optional<Time> release_limited();
  // Instances came or went somewhere: connections to those that went are reset, within a second or so
  // even if the table is full.
  void instances_changed();
  // Paths may be others now: what programs have sent again within the last second is sent once more (U20).
  void send_copies();
  // Looks at a slice of the tables and forgets what is idle. Call every 100 ms: each flow is met
  // about every ten seconds.
  void expire();

  // ---- over a restart (U19) ------------------------------------------------------------------------
  // All flows, for the next process; and those of the one before, with ports as numbered here. What
  // does not fit (bounds, a header that is none) is left out; returns how many were taken.
  std::vector<HandedFlow> hand_over() const;
  std::size_t take_over(std::vector<HandedFlow> flows);
  // Addresses of clients as servers see them, most recently used last.
  std::uint64_t clients_version() const { return clients_.version(); }
  std::vector<std::pair<Ipv4, std::string>> clients(std::size_t limit) const { return clients_.recent(limit); }
  void restore_client(const std::string& client, Ipv4 address) { clients_.restore(client, address, io_.now()); }

  std::size_t flows() const { return out_.size() + in_.size(); }
  // Adds counters, and of each direction the flows that are wanted: there may be very many.
  void snapshot(EdgeSnapshot& into, const FlowsWanted& wanted = {}) const;
  std::uint64_t counter(Count c) const { return counters_[static_cast<std::size_t>(c)]; }

 private:
  void snapshot_out(EdgeSnapshot& into, const FlowsWanted& wanted) const;
  void snapshot_in(EdgeSnapshot& into, const FlowsWanted& wanted) const;
  using OutTable = std::unordered_map<FlowKey, std::unique_ptr<OutFlow>, FlowHash>;
  using InKey = std::pair<NodeId, std::uint64_t>;
  using InTable = std::unordered_map<InKey, std::unique_ptr<InFlow>, FlowHash>;
  struct Target {
    std::uint32_t port = 0;
    Endpoint endpoint;
  };

  void count(Count c, std::uint64_t n = 1) { counters_[static_cast<std::size_t>(c)] += n; }
  PathPort* port(std::uint32_t index) {
    return index < ports_.size() && ports_[index].open ? &ports_[index] : nullptr;
  }
  void write_ip(std::uint32_t port, Ipv4 source, Ipv4 destination, std::uint8_t tos,
                std::uint8_t protocol, ByteView l4);
  bool icmp_allowed(PathPort& port);
  void answer_icmp(std::uint32_t port, const Ip4Packet& offending, std::uint8_t type,
                   std::uint8_t code, std::uint16_t mtu = 0);
  void answer_rst(std::uint32_t port, const Ip4Packet& offending);
  // Puts the flow's header in front of `l4` (kHeadroom bytes are free there) and sends it.
  forwarding::Verdict send(FlowState& flow, std::span<std::uint8_t> l4, std::uint8_t tos);

  // edge_path_train.cpp
  struct Cut {
    std::size_t header = 0, segment = 0, stride = 0, count = 0;  // bytes, and pieces
  };
  bool call_train(std::uint32_t port, const Ip4Packet& packet, const Segment& whole,
                  std::size_t segment_bytes);
  void note_call(OutFlow& flow, const Ip4Packet& packet, const Segment& whole);
  void cut_limited(OutFlow& flow, const Ip4Packet& packet, const Segment& whole, std::size_t most);
  bool answer_train(std::uint32_t port, const Ip4Packet& packet, const Segment& whole,
                    std::size_t segment_bytes);
  std::optional<forwarding::Verdict> send_train(FlowState& flow, const Ip4Packet& packet,
                                                const Segment& whole, std::size_t segment_bytes);
  std::span<std::uint8_t> train_piece(const FlowState& flow, const Ip4Packet& packet, const Segment& whole,
                                      const Cut& cut, std::size_t index);

  // dispatch
  void from_pod_or_host(std::uint32_t port, const Ip4Packet& packet);
  void to_external(std::uint32_t port, const Ip4Packet& packet);
  void from_external(const Ip4Packet& packet);
  bool source_ok(std::uint32_t port, const Ip4Packet& packet) const;

  // client side
  void call(std::uint32_t port, const Ip4Packet& packet);
  OutFlow* open_out(const FlowKey& key, const Ip4Packet& packet);
  bool pin(OutFlow& flow);
  void take(OutFlow& flow, const InstancePin& chosen);
  void sweep();
  FairShaper* limit_for(const Name& destination) const;
  std::uint32_t message_sender(std::string_view source) const;
  bool within_limit(OutFlow& flow, const Ip4Packet& packet);
  bool pin_elsewhere(OutFlow& flow);
  bool check(OutFlow& flow);
  bool lives(OutFlow& flow);
  void build_header(OutFlow& flow);
  void give_up(OutFlow& flow, const Ip4Packet& packet);
  void sent(OutFlow& flow, const forwarding::Verdict& verdict);
  void reply_from_network(wire::ServicePacket& packet);
  void tell_program(FlowState& flow, std::uint8_t code, std::uint16_t mtu = 0);
  std::uint32_t carries(const FlowState& flow, NodeId peer);
  bool take_hint(FlowState& flow, NodeId peer, const wire::ServicePacket* error);
  void too_big(FlowState& flow, NodeId peer);
  void reset_program(OutFlow& flow);
  void refused_by_egress(OutFlow& flow, wire::ErrorCode code);
  void hint(OutFlow& flow, wire::ErrorCode code, const wire::ServicePacket& error);
  void erase_out(OutTable::iterator it);

  // True if all of its data was sent before.
  bool note_sequence(FlowState& flow, const Segment& segment, std::size_t data);

  // edge_path_restart.cpp
  bool just_started(Duration at_most) const;
  void seek(OutFlow& flow, const Ip4Packet& packet);
  bool may_seek();
  bool found(OutFlow& flow, const wire::ServicePacket& packet);
  OutFlow* adopt(const wire::ServicePacket& packet);
  OutFlow* adopt_at(std::uint32_t port, Ipv4 service, const Name& name, const wire::ServicePacket& packet);
  void not_here(const wire::ServicePacket& packet);
  void ask_for_flows(Ipv4 client);
  void flows_wanted(NodeId egress);
  void nudge_some();
  void nudge(OutFlow& flow);
  bool take_over_out(HandedFlow& handed);
  bool take_over_in(HandedFlow& handed);

  // server side
  void request_from_network(wire::ServicePacket& packet);
  InFlow* open_in(wire::ServicePacket& packet, const Segment& segment);
  const Target* target_for(wire::ServicePacket& packet);
  void build_header(InFlow& flow, const wire::ServicePacket& packet);
  void refuse_port(wire::ServicePacket& packet, const Segment& segment);
  bool bind_client(InFlow& flow, const wire::ServicePacket& packet, std::uint16_t client_port);
  void answer(std::uint32_t port, const Ip4Packet& packet);
  void answered(InFlow& flow, const forwarding::Verdict& verdict);
  bool error_about_answer(const wire::ServicePacket& error);
  void answer_is_icmp(std::uint32_t port, const Ip4Packet& packet);
  void erase_in(InTable::iterator it);

  PathConfig config_;
  PathIo& io_;
  VirtualAddresses& names_;
  VirtualAddresses clients_;
  Reassembler reassembler_;
  std::vector<PathPort> ports_;
  std::unordered_map<InstanceId, Target> endpoints_;
  OutTable out_;
  std::unordered_map<std::uint64_t, OutFlow*> out_by_id_;
  InTable in_;
  std::unordered_map<FlowKey, InFlow*, FlowHash> in_by_tuple_;
  std::size_t out_cursor_ = 0, in_cursor_ = 0;
  std::unique_ptr<std::uint8_t[]> train_memory_;  // of packets until they are flushed
  std::size_t train_used_ = 0;
  std::vector<std::span<std::uint8_t>> train_;
  struct Limit {
    RateLimit rule;
    FairShaper shaper;
  };
  std::vector<std::unique_ptr<Limit>> limits_;  // the longest prefix first
  std::size_t sweep_cursor_ = 0, sweep_left_ = 0;  // buckets of out_
  std::size_t nudge_cursor_ = 0, nudge_left_ = 0;  // buckets of out_
  SegmentCopies copies_;
  Time seek_second_{};
  unsigned seeks_ = 0;                             // segments since then
  std::map<NodeId, Time> nudged_, asked_;          // egresses to nudge flows to; ingresses asked
  std::array<std::uint64_t, static_cast<std::size_t>(Count::count_)> counters_{};
};

// The service port's endpoint port, or 0 if the announcement does not map it.
std::uint16_t map_port(const Endpoint& endpoint, L4 protocol, std::uint16_t service_port);
// True if an instance with these names answers for `destination`.
bool serves(const Endpoint& endpoint, std::string_view destination);

}  // namespace dmsc::sgd
