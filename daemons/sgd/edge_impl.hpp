// Inside of class Edge. Which thread owns what is said per member; there is one lock, for what the
// keeper shares with callers of start() and set_endpoint().
//
//   home worker   TUN reads, EdgePath, DNS zone and responders, virtual addresses
//   keeper        opens and watches namespaces, starts listeners, saves addresses; may block
//   listeners     one thread per namespace that has some (edge_listener.hpp)
#pragma once
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "dmsc/dataplane/worker.hpp"
#include "sgd/edge.hpp"
#include "sgd/edge_listener.hpp"
#include "sgd/edge_netlink.hpp"
#include "sgd/edge_offload.hpp"
#include "sgd/edge_path.hpp"
#include "sgd/edge_responder.hpp"
#include "sgd/edge_state.hpp"

namespace dmsc::sgd {

// A namespace made ready by the keeper, on its way to the worker.
struct OpenedPort {
  Fd tun, dns_udp, dns_tcp;  // the DNS sockets are absent for the external port
  Fd dns6_udp, dns6_tcp;     // with IPv6
  bool ipv6 = false;         // the device has an IPv6 address
};

struct Edge::Impl final : PathIo, std::enable_shared_from_this<Edge::Impl> {
  Impl(EdgeConfig c, dataplane::Worker& w, EdgeHooks h);

  // ---- set once -------------------------------------------------------------------------------
  EdgeConfig config;
  dataplane::Worker& home;
  EdgeHooks hooks;
  EdgeState disk;        // what is kept in state_dir
  SavedAddresses saved;  // as found at the start
  bool any_external = false;

  // ---- home worker ------------------------------------------------------------------------------
  VirtualAddresses names;
  dns::Directory directory;
  dns::Zone zone;
  std::optional<Addresses6> addresses6;       // with names.virtual_prefix6
  std::map<InstanceId, Ipv4> servers6;        // what stands for the address of those that speak IPv6
  DnsCounters dns_counters;
  std::unique_ptr<Forwarder> forwarder;
  EdgePath path;
  struct Port {
    Fd tun;
    std::unique_ptr<Responder> responder, responder6;
    Joiner joiner;   // TCP and UDP on their way into the TUN
    Joiner joiner6;  // of IPv6, as IPv4 (edge_ipv6.hpp)
    bool flush_due = false, flush6_due = false;  // listed in unflushed
    bool ipv6 = false;
    TunOffloads offloads;  // in force
    std::string state = "waiting", reason;
  };
  std::vector<Port> ports;               // by index, as in EdgePath
  std::vector<std::uint32_t> unflushed;  // ports and twins whose joiner holds something
  std::vector<iovec> parts6;             // of the frame being written
  bool flush_posted = false;
  bool packet_stays = false;  // what is delivered now stays in memory until the batch is over
  Bytes buffer;               // one frame with headroom and vnet header
  Segmenter segmenter{kHeadroom};
  std::uint64_t tun_write_failed = 0, ipv6_ignored = 0, ipv6_malformed = 0;
  std::uint64_t tun_tso_in = 0, tun_tso_out = 0, tun_uso_in = 0, tun_uso_out = 0;  // whole ones
  dataplane::TimerId tick_timer = 0, limit_timer = 0, copies_timer = 0;
  unsigned ticks = 0;
  std::vector<Ipv4> kept;  // addresses of listeners: never reused
  bool running = false;
  TunOffloads offloads;  // wanted

  void set_offloads(TunOffloads wanted);
  void switch_offloads(std::uint32_t index);
  void count_joined(const Joiner& joiner);
  static bool joinable(const Port& port, ByteView ip_header);
  void install(std::uint32_t index, std::shared_ptr<OpenedPort> opened);
  void uninstall(std::uint32_t index, const std::string& state, const std::string& reason);
  void tun_ready(std::uint32_t index, std::uint32_t events);
  void tun_gone(std::uint32_t index);
  void flush_joined(std::uint32_t index);
  void flush_all_joined();
  void flush_at_end_of_round();
  void write_frame(std::uint32_t index, ByteView vnet, ByteView head, ByteView body);
  // edge_io6.cpp. A device has a second port at the path for IPv6, so that flows of the two are
  // apart.
  std::uint32_t twin(std::uint32_t index) const {
    return index + static_cast<std::uint32_t>(ports.size());
  }
  Status set_endpoint6(InstanceId instance, std::uint32_t port, Endpoint endpoint);  // any thread
  void release_endpoint6(InstanceId instance);
  std::string address_text(std::uint32_t index, Ipv4 address) override;
  PathPort twin_settings(std::uint32_t index, bool open) const;
  std::optional<std::size_t> take6(std::span<std::uint8_t> frame, VnetHeader& header);
  void write_tun6(std::uint32_t index, ByteView head, ByteView body);
  void flush6(std::uint32_t index);
  void release_limited();
  void routes_changed();
  void tick();
  void close_all();
  EdgeSnapshot rows(const FlowsWanted& flows) const;
  PathPort port_settings(std::uint32_t index, bool open) const;

  // PathIo
  forwarding::Verdict originate(std::span<std::uint8_t> datagram) override;
  forwarding::Verdict originate_train(Train train) override { return home.originate_train(train); }
  void flush() override { home.flush(); }
  void send_error(const wire::ServicePacket& packet, wire::ErrorCode code,
                  std::string_view text) override;
  void write_tun(std::uint32_t port, ByteView head, ByteView body) override;
  bool flow_is_ours(std::uint64_t flow) override;
  std::optional<InstancePin> choose(const Name& destination, std::uint64_t flow) override;
  bool alive(const Name& destination, const InstancePin& pin) override;
  bool reachable(NodeId node) override;
  PathLabel label(const Name& destination, const InstancePin& pin, std::uint64_t flow) override;
  bool allowed(std::string_view source, NodeId ingress, const Name& destination) override;
  bool granted(std::string_view source, NodeId ingress) override;
  std::size_t path_mtu(NodeId egress) override;
  Time now() override { return home.now(); }
  NodeId self() override { return home.self(); }

  // ---- keeper -----------------------------------------------------------------------------------
  struct Kept {
    std::uint32_t index = 0;
    std::pair<std::uint64_t, std::uint64_t> identity{0, 0};  // of the open namespace; 0 = not open
    std::string problem;                                     // as last logged
    std::unique_ptr<ListenerThread> listeners;
  };
  std::vector<Kept> pods;  // by config.pods
  Kept host;
  std::optional<Masquerade> masquerade;
  static constexpr std::uint64_t kUnsaved = ~std::uint64_t{0};
  std::uint64_t saved_version = kUnsaved, saved_clients = 0;  // as on disk
  std::thread keeper;
  bool started = false;
  std::vector<std::shared_ptr<ListenerStatus>> listener_status;  // by config.listeners

  Status check_config() const;
  Status start();
  void stop();
  void keep();  // the keeper's loop
  void keep_pod(std::size_t pod);
  void save();
  void save_clients();
  std::vector<std::string> port_names() const;
  Status open_host();
  Status open_external();
  Status start_listeners(const std::string& pod, const std::string& netns, Kept& kept);
  Result<std::shared_ptr<OpenedPort>> open_pod(const PodNamespace& pod) const;
  // Runs `task` on the worker and waits; false if the worker did not get to it in five seconds.
  bool on_worker(std::function<void()> task);

  std::mutex mutex;  // guards the three below
  std::condition_variable wake;
  bool stopping = false;
  std::set<std::uint32_t> broken;  // ports whose TUN the worker found dead

  std::optional<std::uint32_t> port_of(const std::string& pod) const;  // "" = host; config only
};

// The halves of names.virtual_range.
Ipv4Net lower_half(const Ipv4Net& range);
Ipv4Net upper_half(const Ipv4Net& range);

}  // namespace dmsc::sgd
