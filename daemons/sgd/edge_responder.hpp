// The DNS responder's sockets: UDP and TCP on one address of one namespace, driven by a worker's
// event loop. Answers from the zone; names outside it go to the upstream resolvers, or are refused.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "dmsc/dataplane/worker.hpp"
#include "sgd/edge_dns.hpp"
#include "sgd/edge_netns.hpp"

namespace dmsc::sgd {

struct DnsCounters {
  std::uint64_t queries = 0, answered = 0, errors = 0, refused = 0, forwarded = 0,
                upstream_failed = 0, dropped = 0;
};

// Asks upstream resolvers, one socket (so one random source port) per query. Worker thread.
class Forwarder {
 public:
  static constexpr std::size_t kMaxOutstanding = 256;
  static constexpr Duration kTimeout = seconds(2);  // per resolver
  using Reply = std::function<void(Bytes)>;

  Forwarder(std::vector<Ipv4> upstream, dataplane::Worker& worker, DnsCounters& counters);
  ~Forwarder();
  bool enabled() const { return !upstream_.empty(); }
  // Over the transport the client used. `reply` runs once: the answer under the client's id, or
  // SERVFAIL when every resolver has failed.
  void ask(const dns::Query& query, ByteView message, L4 transport, Reply reply);

 private:
  struct Exchange;
  void attempt(const std::shared_ptr<Exchange>& exchange);
  void readable(const std::shared_ptr<Exchange>& exchange);
  void writable(const std::shared_ptr<Exchange>& exchange);
  void received(const std::shared_ptr<Exchange>& exchange, ByteView message);
  void fail(const std::shared_ptr<Exchange>& exchange);
  void finish(const std::shared_ptr<Exchange>& exchange, Bytes answer);
  void disarm(Exchange& exchange);

  std::vector<Ipv4> upstream_;
  dataplane::Worker& worker_;
  DnsCounters& counters_;
  std::map<Exchange*, std::shared_ptr<Exchange>> outstanding_;
};

class Responder {
 public:
  static constexpr std::size_t kMaxConnections = 64;
  static constexpr Duration kIdle = seconds(10);  // RFC 7766 6.2.3

  // Sockets already bound in the right namespace, which has IPv6 or not; zone and forwarder outlive
  // this. Worker thread.
  Responder(Fd udp, Fd tcp, bool ipv6, dns::Zone& zone, Forwarder& forwarder,
            dataplane::Worker& worker, DnsCounters& counters);
  ~Responder();

 private:
  struct Connection;
  void udp_ready();
  void accept_ready();
  void connection_ready(const std::shared_ptr<Connection>& connection, std::uint32_t events);
  void parse(const std::shared_ptr<Connection>& connection);
  void send(Connection& connection, const Bytes& message);
  void flush(Connection& connection);
  void arm(const std::shared_ptr<Connection>& connection);
  void close(Connection& connection);
  void handle(ByteView message, L4 transport, Forwarder::Reply reply);

  Fd udp_, tcp_;
  bool ipv6_;
  dns::Zone& zone_;
  Forwarder& forwarder_;
  dataplane::Worker& worker_;
  DnsCounters& counters_;
  std::map<int, std::shared_ptr<Connection>> connections_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // late upstream answers look at it
};

}  // namespace dmsc::sgd
