// A node of one worker whose two neighbours are played by the test: node 1 sends to it over link 1,
// node 3 is where it forwards to over link 2. So every byte that arrives is the test's, and every
// packet can be counted.
#pragma once
#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <future>
#include <thread>

#include "dmsc/dataplane/data_plane.hpp"
#include "dmsc/dataplane/udp_socket.hpp"
#include "dmsc/forwarding/hop_auth.hpp"

namespace dmsc::dataplane {

inline constexpr DomainId kPlayDomain{77};
inline constexpr NodeId kPlayed{2}, kUpstream{1}, kDownstream{3};
inline constexpr crypto::Key32 kPlaySecret{9, 9, 9};
inline SessionId play_session(NodeId node) { return SessionId{1000 + node.value}; }

struct CountingSink : LocalSink {
  std::uint64_t delivered = 0;  // worker thread
  void deliver(wire::ServicePacket&, LinkId) override { ++delivered; }
  std::optional<ProbeHealth> probe_health(const wire::ServicePacket&) override {
    return ProbeHealth{};
  }
};

class HandPlayed {
 public:
  HandPlayed() {
    DataPlaneConfig config;
    config.self = kPlayed;
    config.domain = kPlayDomain;
    config.session = play_session(kPlayed);
    plane = std::move(DataPlane::create(config)).value();
    crypto::KeyChain keys;
    keys.add(1, kPlaySecret);
    keys.set_active(1);
    plane->set_keys(keys);
    upstream = link(1, kUpstream);
    downstream = link(2, kDownstream);
    forwarding::Fib& fib = plane->fib();
    fib.set_node(kUpstream, {{{1, kUpstream}}, std::nullopt, 10});
    fib.set_node(kPlayed, {{}, std::nullopt, 0});
    fib.set_node(kDownstream, {{{2, kDownstream}}, std::nullopt, 10});
    fib.set_prefix(
        {Name::parse("B/4").value(), false, {{kDownstream, InstanceId{1}, false, true, 1}}});
    fib.set_label({PathLabel{0x100001}, kDownstream, {2, kDownstream}});
    plane->start();
    on_worker([this](Worker& w) { w.set_sink(&sink); });
  }
  ~HandPlayed() { plane->stop(); }

  void on_worker(const std::function<void(Worker&)>& task) {
    std::promise<void> done;
    plane->workers()[0]->post([&] {
      task(*plane->workers()[0]);
      done.set_value();
    });
    done.get_future().wait();
  }
  // From node 1, as it is.
  void send(ByteView datagram) { send_from(upstream, datagram); }
  void send_from(const UniqueFd& fd, ByteView datagram) {
    REQUIRE(::sendto(fd.get(), datagram.data(), datagram.size(), 0, to_.data(), to_.size()) >= 0);
  }
  // Writes a good hop block with the next counter of node 1, and `worker` as its worker.
  void tag(Bytes& datagram, std::uint8_t worker = 0) { tag_with(datagram, ++counter, worker); }
  void tag_with(Bytes& datagram, std::uint64_t number, std::uint8_t worker = 0) {
    auto packet = wire::ServicePacket::parse_for_error(datagram);
    REQUIRE(packet.ok());
    forwarding::seal_hop(*packet, key_, 1, worker, number);
  }
  // Waits until `n` datagrams have arrived since the node started; false after ten seconds.
  bool arrived(std::uint64_t n) const {
    for (int i = 0; i < 10000 && plane->counters().received < n; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return plane->counters().received == n;
  }

  // D15; a link probe may be on its way for a moment.
  bool settled() const {
    for (int i = 0; i < 5000 && plane->counters().unaccounted() != 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return plane->counters().unaccounted() == 0;
  }

  std::unique_ptr<DataPlane> plane;
  CountingSink sink;
  UniqueFd upstream, downstream;
  std::uint64_t counter = 0;

 private:
  UniqueFd link(std::uint32_t id, NodeId node) {
    LinkSockets sockets;
    sockets.link = LinkId{id};
    sockets.name = "link-" + std::to_string(id);
    sockets.local = *SocketAddress::parse("127.0.0.1", 0);
    sockets.base_port = 0;
    auto ports = plane->open_link(sockets);
    REQUIRE(ports.ok());
    to_ = *SocketAddress::parse("127.0.0.1", ports->front());
    UdpOptions options;
    options.buffer_bytes = 4 << 20;
    auto fd = open_udp(*SocketAddress::parse("127.0.0.1", 0), options);
    REQUIRE(fd.ok());
    Neighbour neighbour;
    neighbour.link = LinkId{id};
    neighbour.node = node;
    neighbour.session = play_session(node);
    neighbour.address = *SocketAddress::parse("127.0.0.1", 0);
    neighbour.worker_ports = {local_address(fd->get())->port()};
    plane->set_neighbour(neighbour);
    return std::move(*fd);
  }

  SocketAddress to_;
  const crypto::Key16 key_ = forwarding::derive_hop_key(
      kPlaySecret, kPlayDomain, kUpstream, kPlayed, play_session(kUpstream), play_session(kPlayed));
};

}  // namespace dmsc::dataplane
