// The edge: how programs that know nothing of DMSC reach names and serve them (DESIGN section 7,
// "Unmodified programs", "Listeners", "Pod mode"; docs/protocol.md, "L4 segments").
//
//   program ─► kernel TCP/UDP ─► TUN ─► EdgePath ─► Worker::originate ═► network ═► LocalSink
//   (virtual address from DNS)          name, pin                                    │
//   server  ◄─ kernel TCP/UDP ◄─ TUN ◄─ EdgePath ◄───────────── Edge::deliver ◄──────┘
//
// One Edge per gateway, driven by one worker (its home, worker 0): TUN devices, DNS sockets, flow
// tables and virtual addresses belong to that thread and have no locks. Listeners splice on threads
// of their own. Nothing here runs on the control thread but what is marked so.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dmsc/core/ids.hpp"
#include "dmsc/core/result.hpp"
#include "dmsc/core/time.hpp"
#include "dmsc/name/name.hpp"
#include "dmsc/wire/service_port.hpp"
#include "sgd/edge_address.hpp"
#include "sgd/edge_limit.hpp"
#include "sgd/edge_ipv6.hpp"
#include "sgd/tun_offloads.hpp"

namespace dmsc::dataplane {
class Worker;
}
namespace dmsc::wire {
class ServicePacket;
}

namespace dmsc::sgd {

// What happens to a pod's traffic that is not for a service (draft 4.2-3; R39).
enum class External : std::uint8_t { refuse, masquerade, pass };
const char* to_string(External external);
Result<External> parse_external(std::string_view text);

// One entry of `pods.namespaces`: a network namespace whose default route is our TUN.
struct PodNamespace {
  std::string name;                  // identity "pod:NAME"
  std::string netns;                 // path, e.g. /run/netns/pod-1; may appear and vanish at run time
  std::string tun = "dmsc0";
  Ipv4Net address;                   // the pod's own address with its prefix, e.g. 100.64.1.2/30
  External external = External::refuse;
};

// One entry of `listeners`: a local port bound to a name.
struct ListenerConfig {
  ServerAddress where;
  Name name;
  std::uint16_t port = 0;            // service port at the name
  L4 protocol = L4::tcp;
  std::string pod;                   // listens inside this pod's namespace; empty = sgd's own
};

// From config/sgd.yaml: pods, host_mode, names, listeners.
struct EdgeConfig {
  std::string state_dir;             // keeps `virtual-addresses`; empty = not kept
  std::vector<PodNamespace> pods;
  std::string external_tun = "dmscx0";  // host side of traffic that is masqueraded or passed
  bool host_enabled = false;         // host_mode.enabled; listeners in sgd's own namespace need it
  std::string host_tun = "dmsc0";
  std::string zone = "svc.dmsc";
  // 100.96.0.0/12, lower half: names; upper half: clients seen by our servers. Length 8 to 28.
  Ipv4Net virtual_range{Ipv4{0x64600000}, 12};
  // Virtual addresses of programs that speak IPv6: this prefix in front of the others. Absent: none.
  std::optional<Prefix6> virtual_prefix6;
  Ipv4 dns;                          // the responder's address, inside the lower half
  seconds ttl{5};
  std::vector<Ipv4> upstream;        // resolvers for names outside the zone; empty = REFUSED
  std::vector<ListenerConfig> listeners;
  std::vector<RateLimit> limits;     // of what our pods send
  std::size_t max_flows = 262144;    // per gateway, each direction
  TunOffloads offloads;
};

// Where an instance of this gateway listens.
struct Endpoint {
  Ipv4 address;                      // 127.0.0.1, or an address the pod (or host) owns
  std::optional<Ipv6> address6;      // instead of it: ::1, or another one the pod owns
  std::uint16_t port = 0;            // used when `ports` is empty: service port = endpoint port = this
  struct PortMap {
    std::uint16_t service = 0;
    std::uint16_t endpoint = 0;
    L4 protocol = L4::tcp;
  };
  std::vector<PortMap> ports;        // identity for `port` if empty; every other port is refused
  std::string pod;                   // name in pods.namespaces; empty = sgd's own namespace
  std::vector<Name> names;           // names this instance answers for: its prefix and its pools
  bool covering = false;             // also names below them
};

struct InstancePin {
  NodeId egress;
  InstanceId instance;
};

// What the gateway tells the edge. All are called on the home worker's thread; none may block.
struct EdgeHooks {
  // Picks an instance for a new flow to `destination`; nullopt = no instance. Default: longest match
  // in the worker's FIB and forwarding::choose_instance.
  std::function<std::optional<InstancePin>(const Name& destination, std::uint64_t flow)> choose;
  // True while the pinned instance is announced for `destination`. Default: as the FIB says.
  std::function<bool(const Name& destination, const InstancePin& pin)> alive;
  // The explicit path a policy gives the flow now, 0 = SPF. Default: 0. Asked again every 200 ms.
  std::function<PathLabel(const Name& destination, const InstancePin& pin, std::uint64_t flow)> label;
  // May `source` (empty = anonymous) at `ingress` call `destination`? Default: yes.
  std::function<bool(std::string_view source, NodeId ingress, const Name& destination)> allowed;
  // Does a grant bind the name `source` to gateway `ingress`? Default: as the FIB says.
  std::function<bool(std::string_view source, NodeId ingress)> granted;
  // Largest service datagram (service header and payload, in bytes) on every path to `egress`.
  // Default: 1400, as node::LinkSettings::mtu.
  std::function<std::size_t(NodeId egress)> path_mtu;
};

// Rows for `show pods|flows|counters`.
// Which flows to show: up to so many of each direction, to a name or one below it (none: any).
struct FlowsWanted {
  std::size_t at_most = 0;
  std::string name;

  [[nodiscard]] bool takes(std::string_view destination) const {
    if (name.empty()) return true;
    return destination.substr(0, name.size()) == name &&
           (destination.size() == name.size() || destination[name.size()] == '/');
  }
};

struct EdgeSnapshot {
  struct Pod {
    std::string name, netns, tun, address, external, state, reason;  // state: up, waiting, failed
  };
  struct Flow {
    std::string direction;           // "out" = a program of ours calls, "in" = a server of ours
    std::string protocol, client, destination, server, source, state;
    std::uint64_t flow = 0;
    NodeId peer;
    InstanceId instance;
    std::uint64_t packets_out = 0, packets_in = 0, idle_ms = 0;
  };
  struct Address {
    std::string address, name;
  };
  struct Listener {
    std::string listen, name, protocol, state;
    std::uint64_t accepted = 0, active = 0;
  };
  std::vector<Pod> pods;
  std::vector<Flow> flows;
  std::vector<Address> addresses;
  std::vector<Listener> listeners;
  std::map<std::string, std::uint64_t> counters;
};

class Edge {
 public:
  // `home` is worker 0 and outlives this. Nothing is opened before start().
  Edge(EdgeConfig config, dataplane::Worker& home, EdgeHooks hooks);
  // Stops; needs no running worker. Call stop() first while the worker runs.
  ~Edge();
  Edge(const Edge&) = delete;
  Edge& operator=(const Edge&) = delete;

  // Opens TUN devices, DNS sockets and listeners. A pod namespace that is not there yet is waited
  // for; what can never work (no CAP_NET_ADMIN, bad range) is the error. Control thread.
  Status start();
  // Closes everything, saves virtual addresses, ends the threads; returns when the worker has let
  // go. Control thread, while the worker still runs.
  void stop();

  // ---- any thread; take effect in the order of the calls -----------------------------------------
  // A local instance can be delivered to. Error: unknown pod, or an endpoint in the host without
  // host mode, or one at an IPv6 address without names.virtual_prefix6. Replaces an earlier endpoint of the
  // instance.
  Status set_endpoint(InstanceId instance, Endpoint endpoint);
  void remove_endpoint(InstanceId instance);
  // The granted name packets of that pod carry as source ("" = programs of the host), with the
  // instance that announced it; an empty name = anonymous.
  void set_source(const std::string& pod, Name source, InstanceId instance);
  // The RIB as DNS sees it: the prefix is known (has at least one instance) or gone.
  void set_prefix(const Name& prefix, bool covering);
  void remove_prefix(const Name& prefix);
  // The service ports told of a known prefix, for SRV; forgotten with it.
  void set_ports(const Name& prefix, std::vector<wire::ServicePort> ports);
  void set_limits(std::vector<RateLimit> limits);
  void set_offloads(TunOffloads offloads);
  // Somewhere a link or a node came or went (U20).
  void routes_changed();
  // Of a segment of a call, before it leaves: pass, or it waits (and is taken), or it exceeds the limit of its
  // name (rule U15). On the home worker's thread.
  FairShaper::Answer limit_message(Bytes& datagram);
  // Calls `done` on the worker's thread, which forwards nothing while it copies: ask for few flows.
  void snapshot(FlowsWanted flows, std::function<void(EdgeSnapshot)> done);
  // Where programs in that pod ("" = host) find the resolver, for /etc/resolv.conf.
  Ipv4 resolver() const;

  // ---- worker threads ---------------------------------------------------------------------------
  // A packet for this node of kind `packet`, or an error for one. False: not the edge's, untouched
  // (an error whose flow the edge does not know). Any worker; other than the home it is copied over.
  // `stays`: the packet's memory stays as it is until batch_over().
  bool deliver(wire::ServicePacket& packet, dataplane::Worker& on, bool stays = false);
  void batch_over(dataplane::Worker& on);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace dmsc::sgd
