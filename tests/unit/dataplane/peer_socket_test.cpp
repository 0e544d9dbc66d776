// Connected sockets: one for each port of a neighbour, beside the shared one.
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "dmsc/dataplane/data_socket.hpp"
#include "dmsc/dataplane/peer_sockets.hpp"
#include "tests/unit/dataplane/hand_played.hpp"

using namespace dmsc;
using namespace dmsc::dataplane;
using forwarding::DropReason;

namespace {

std::uint64_t drops(const HandPlayed& node, DropReason reason) {
  return node.plane->counters().drops[static_cast<std::size_t>(reason)];
}

Bytes packet(HandPlayed& node) {
  wire::ServicePacketSpec spec;
  spec.kind = wire::PacketKind::packet;
  spec.ingress = kUpstream;
  spec.destination = "B/4";
  spec.egress = kDownstream;
  Bytes out = wire::build_service_packet(spec, Bytes(100, 'x')).value();
  node.tag(out);
  return out;
}

// Whom each of the link's sockets is connected to; those connected to nobody are left out.
std::vector<SocketAddress> connected(const HandPlayed& node, std::uint32_t link) {
  std::vector<SocketAddress> out;
  for (int fd : node.plane->sockets(LinkId{link})) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
    out.push_back(SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&peer), size));
  }
  return out;
}

// Past the time in which what a new socket holds may be anybody's.
void settle() { std::this_thread::sleep_for(std::chrono::nanoseconds(2 * DataSocket::kSettling)); }

UniqueFd any_socket() { return std::move(open_udp(*SocketAddress::parse("127.0.0.1", 0), {})).value(); }

Neighbour upstream_at(const UniqueFd& fd) {
  Neighbour neighbour;
  neighbour.link = LinkId{1};
  neighbour.node = kUpstream;
  neighbour.session = play_session(kUpstream);
  neighbour.address = *SocketAddress::parse("127.0.0.1", 0);
  neighbour.worker_ports = {local_address(fd.get())->port()};
  return neighbour;
}

}  // namespace

TEST_CASE("D16 data socket: what a connected one holds from before is anybody's until it is surely gone") {
  const Time start{seconds(5)};
  const auto peer = *SocketAddress::parse("10.0.0.1", 7402);
  DataSocket shared(3, 0);
  shared.received(10, true, start + seconds(1));
  CHECK_FALSE(shared.only_peer());

  DataSocket socket(4, 0, peer, start);
  socket.received(10, true, start + DataSocket::kSettling / 2);  // the kernel may still be queueing
  CHECK_FALSE(socket.only_peer());
  socket.received(64, false, start + DataSocket::kSettling);
  CHECK_FALSE(socket.only_peer());
  SECTION("an empty queue") { socket.received(3, true, start + DataSocket::kSettling); }
  SECTION("more than a queue holds") {
    for (unsigned n = 64; n < DataSocket::kQueued; n += 64) {
      CHECK_FALSE(socket.only_peer());
      socket.received(64, false, start + DataSocket::kSettling);
    }
  }
  CHECK(socket.only_peer());
}

TEST_CASE("D16 peer socket: the neighbour's packets come by a socket of their own, a stranger's do not pass") {
  HandPlayed node;
  REQUIRE(connected(node, 1) == std::vector{*local_address(node.upstream.get())});
  REQUIRE(connected(node, 2) == std::vector{*local_address(node.downstream.get())});
  UniqueFd stranger = any_socket();
  for (int round = 0; round < 3; ++round) {  // asked for the source, and then not
    std::uint64_t before = node.plane->counters().received, strange = drops(node, DropReason::not_neighbour);
    for (int i = 0; i < 20; ++i) {
      node.send(packet(node));
      node.send_from(stranger, packet(node));
    }
    REQUIRE(node.arrived(before + 40));
    REQUIRE(node.settled());
    CHECK(drops(node, DropReason::not_neighbour) == strange + 20);
    CHECK(node.plane->counters().packets_in == before / 2 + 20);
    settle();
  }
  node.plane->clear_neighbour(LinkId{1});
  std::uint64_t before = node.plane->counters().received;
  node.send(packet(node));
  REQUIRE(node.arrived(before + 1));
  CHECK(drops(node, DropReason::not_neighbour) == before / 2 + 1);
}

TEST_CASE("D16 peer socket: it follows the neighbour's address, and nothing that waits is lost") {
  HandPlayed node;
  settle();
  UniqueFd moved = any_socket();
  std::promise<void> held, go_on;
  node.plane->workers()[0]->post([&] {
    held.set_value();
    go_on.get_future().wait();
  });
  held.get_future().wait();
  for (int i = 0; i < 100; ++i) node.send(packet(node));       // to the connected socket
  for (int i = 0; i < 100; ++i) node.send_from(moved, packet(node));  // to the shared one
  node.plane->set_neighbour(upstream_at(moved));
  CHECK(connected(node, 1) == std::vector{*local_address(moved.get())});
  for (int i = 0; i < 100; ++i) node.send_from(moved, packet(node));  // to the new one
  go_on.set_value();
  REQUIRE(node.arrived(300));
  REQUIRE(node.settled());
  CHECK(drops(node, DropReason::not_neighbour) == 100);  // the old address is nobody's now
  CHECK(node.plane->counters().packets_in == 200);
  node.plane->close_link(LinkId{1});
  node.on_worker([](Worker&) {});
  CHECK(node.plane->sockets(LinkId{1}).empty());
}

TEST_CASE("D16 peer socket: an error that ICMP told it costs no packet") {
  HandPlayed node;
  settle();
  const SocketAddress address = *local_address(node.upstream.get());
  wire::ServicePacketSpec spec;
  spec.kind = wire::PacketKind::packet;
  spec.egress = kUpstream;
  spec.ingress = kDownstream;
  spec.destination = "B/4";
  Bytes back = wire::build_service_packet(spec, Bytes(10, 'x')).value();
  std::uint64_t sent = node.plane->counters().packets_out;
  node.upstream.reset();
  for (int i = 0; i < 10; ++i) {  // each meets a closed port; the kernel tells the connected socket
    node.on_worker([&](Worker& w) { CHECK(w.originate(back).action == forwarding::Action::forward); });
  }
  REQUIRE(node.settled());
  CHECK(node.plane->counters().packets_out == sent + 10);
  CHECK(drops(node, DropReason::link_down) == 0);
  node.upstream = std::move(open_udp(address, {})).value();
  std::uint64_t before = node.plane->counters().received;
  for (int i = 0; i < 200; ++i) node.send(packet(node));
  REQUIRE(node.arrived(before + 200));
  CHECK(node.plane->counters().packets_in == before + 200);
}

TEST_CASE("D16 peer socket: beside the shared one, over IPv4 and IPv6, it gets what its peer sends and nothing else") {
  for (const char* local : {"127.0.0.1", "::1"}) {
    const auto any = *SocketAddress::parse(local, 0);
    UniqueFd shared = std::move(open_udp(any, {})).value();
    UniqueFd peer = std::move(open_udp(any, {})).value(), other = std::move(open_udp(any, {})).value();
    const SocketAddress to = *local_address(shared.get());
    auto second = open_beside(shared.get(), *local_address(peer.get()), {});
    REQUIRE(second.ok());
    auto third = open_beside(shared.get(), *local_address(other.get()), {});
    REQUIRE(third.ok());
    UniqueFd stranger = std::move(open_udp(any, {})).value();
    auto send = [&](const UniqueFd& from, char what) {
      REQUIRE(::sendto(from.get(), &what, 1, 0, to.data(), to.size()) == 1);
    };
    auto got = [](const UniqueFd& at) {
      std::string out;
      for (char c; ::recv(at.get(), &c, 1, 0) == 1;) out += c;
      return out;
    };
    for (int i = 0; i < 3; ++i) send(peer, 'p'), send(other, 'o'), send(stranger, 's');
    CHECK(got(*second) == "ppp");
    CHECK(got(*third) == "ooo");
    CHECK(got(shared) == "sss");
    CHECK_FALSE(open_udp(to, {}).ok());  // the port is still nobody else's
    second->reset();
    send(peer, 'p');
    CHECK(got(shared) == "p");
  }
}

TEST_CASE("D16 peer socket: neighbours beyond the bound are received by the shared socket") {
  HandPlayed node;
  std::vector<UniqueFd> others;
  std::size_t sockets = connected(node, 1).size() + connected(node, 2).size();
  for (std::uint32_t link = 3; link < 3 + 2 * PeerSockets::kMost; ++link) {
    LinkSockets local;
    local.link = LinkId{link};
    local.local = *SocketAddress::parse("127.0.0.1", 0);
    REQUIRE(node.plane->open_link(local).ok());
    others.push_back(any_socket());
    Neighbour neighbour = upstream_at(others.back());
    neighbour.link = LinkId{link};
    neighbour.node = NodeId{100 + link};
    neighbour.session = play_session(NodeId{100 + link});
    node.plane->set_neighbour(neighbour);
    sockets += connected(node, link).size();
  }
  CHECK(sockets == PeerSockets::kMost);
  std::uint64_t n = 0;
  for (const UniqueFd& fd : others) {
    node.send_from(fd, packet(node));
    REQUIRE(node.arrived(++n));
  }
  CHECK(drops(node, DropReason::not_neighbour) == 0);
  CHECK(drops(node, DropReason::bad_tag) == n);  // known as neighbours; the test has none of their keys
}
