// The worker-thread side of messages: the programs' connections on message.sock, between them and
// the network the two halves of the message engine (docs/protocol.md, "Messages", "Pod socket").
// Lives on the home worker (worker 0); everything but the constructor and post-ing is called there.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <unordered_map>

#include "dmsc/dataplane/worker.hpp"
#include "dmsc/wire/pod_ipc.hpp"
#include "sgd/edge_limit.hpp"
#include "sgd/egress_calls.hpp"
#include "sgd/fib_routes.hpp"
#include "sgd/gateway_view.hpp"
#include "sgd/peer_identity.hpp"

namespace dmsc::sgd {

struct HubCounters {
  std::uint64_t connections = 0, rejected_connections = 0, protocol_errors = 0;
  std::uint64_t calls = 0, not_allowed = 0, requests_to_pods = 0, backlog_refusals = 0;
};

class MessageHub : private LocalServices {
 public:
  static constexpr std::size_t kMaxConnections = 4096;
  static constexpr std::size_t kMaxBacklogBytes = std::size_t{16} << 20;  // per connection

  // `home` and `identities` outlive the hub. `first_exchange` is random. `datagram_limit`: bytes of a
  // service packet as the hub makes it, on every path.
  MessageHub(dataplane::Worker& home, const IdentityResolver& identities,
             std::uint32_t first_exchange, std::size_t datagram_limit = 1400);
  ~MessageHub() override;  // after stop(), or when the worker no longer runs

  // Takes over a listening SEQPACKET socket.
  void start(int listen_fd);
  // Ends every connection. No packet may come afterwards.
  void stop();
  void set_view(GatewayViewPtr view);
  // What is asked for every segment of a call before it leaves; it may take what has to wait.
  using Limiter = std::function<FairShaper::Answer(Bytes& datagram)>;
  void set_limiter(Limiter limiter) { limiter_ = std::move(limiter); }
  // A request, response or acknowledgement, or an error. False: an error that is of no open call.
  bool deliver(wire::ServicePacket& packet);
  // Rows for `show calls`, and counters.
  nlohmann::json calls(std::size_t limit) const;
  nlohmann::json counters() const;
  // (lease, prefix) for which a program serves.
  std::set<std::pair<std::string, std::string>> bound() const;
  // Calls and bytes by announced prefix since the last time: what the gateway then probes.
  struct Use {
    std::uint64_t calls = 0, bytes = 0;
  };
  std::map<Name, Use> take_uses() { return std::exchange(uses_, {}); }
  // A flow of an unmodified program to a name.
  void note_use(std::string_view destination, std::uint64_t bytes);

 private:
  struct Connection;
  class Receiver;
  using ConnectionId = std::uint64_t;
  struct Running {       // a request at a program
    ConnectionId connection = 0;
  };

  // Connections.
  void accept_ready();
  void connection_ready(ConnectionId id, std::uint32_t events);
  void read_frames(ConnectionId id);
  bool read_datagram(ConnectionId id, ByteView datagram);  // false: it is closed
  void close(ConnectionId id, std::string_view why);
  bool send(Connection& connection, const wire::PodIpcMessage& message);
  void flush(Connection& connection);
  void flush_all();
  // Messages of programs.
  void on_message(Connection& connection, wire::PodIpcMessage& message);
  void on(Connection& connection, wire::PodHello& message);
  void on(Connection& connection, wire::PodBind& message);
  void on(Connection& connection, wire::PodUnbind& message);
  void on(Connection& connection, wire::PodCall& message);
  void on(Connection& connection, wire::PodResponse& message);
  void on(Connection& connection, wire::PodRefusal& message);
  void on(Connection& connection, wire::PodCancel& message);
  void refuse_call(Connection& connection, std::uint64_t id, wire::ErrorCode code,
                   std::string text);
  void start_call(Connection& connection, wire::PodCall& message, bool second_look);
  // Why this caller may not call, or nothing; fills the source of the call.
  std::optional<std::string> check_caller(const Connection& connection, const wire::PodCall& call,
                                          CallRequest& request) const;
  // The engine.
  bool take(wire::ServicePacket& packet);
  bool news_may_wait(const wire::ServicePacket& packet) const;
  Answer resolve(std::string_view destination, InstanceId wanted) override;
  Connection* server_of(const LocalInstance& instance);
  void pump();
  bool send_packets();
  void send_call_packet(Bytes& datagram);
  bool announced_at(std::string_view name, NodeId node) const;
  void hand_out_requests();
  void hand_out_outcomes();
  std::vector<wire::PodHop> hops(const std::vector<NodeId>& nodes) const;
  void arm_timer();

  dataplane::Worker& home_;
  const IdentityResolver& identities_;
  FibRoutes routes_;
  IngressCalls ingress_;
  EgressCalls egress_;
  GatewayViewPtr view_;
  int listen_fd_ = -1;
  ConnectionId next_connection_ = 1;
  std::map<ConnectionId, std::unique_ptr<Connection>> connections_;
  std::map<std::pair<std::string, std::string>, ConnectionId> bindings_;  // (lease, prefix)
  std::unordered_map<RequestHandle, Running> running_;
  std::unique_ptr<Receiver> receiver_;
  std::vector<ConnectionId> unflushed_;
  std::size_t next_any_ = 0;      // round robin for requests without an instance
  bool pumping_ = false, pump_again_ = false;
  dataplane::TimerId timer_ = 0;
  std::optional<Time> timer_at_;
  std::map<Name, Use> uses_;
  HubCounters counters_;
  Limiter limiter_;
};

}  // namespace dmsc::sgd
