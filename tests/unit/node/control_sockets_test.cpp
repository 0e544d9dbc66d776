// The sockets of the control plane as the other end sees them.
#include <netinet/ip.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <cstring>
#include <poll.h>

#include "dmsc/dataplane/udp_socket.hpp"
#include "dmsc/node/control_sockets.hpp"

using namespace dmsc;
using namespace dmsc::node;

namespace {

SocketAddress address(const char* text) { return *SocketAddress::parse(text, 0); }

// The other end of a link: a plain socket that asks the kernel how each datagram was marked.
struct Peer {
  dataplane::UniqueFd fd;
  SocketAddress at;
  explicit Peer(const char* host)
      : fd(std::move(*dataplane::open_udp(address(host), {}))), at(*dataplane::local_address(fd.get())) {
    int on = 1;
    bool v4 = at.family() == AF_INET;
    REQUIRE(setsockopt(fd.get(), v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_RECVTOS : IPV6_RECVTCLASS, &on,
                       sizeof on) == 0);
  }
  struct Got {
    std::string text;
    SocketAddress from;
    int marking = -1;
  };
  Got receive() const {
    pollfd ready{fd.get(), POLLIN, 0};
    REQUIRE(::poll(&ready, 1, 10000) == 1);
    char data[64], control[64];
    sockaddr_storage from{};
    iovec part{data, sizeof data};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t n = ::recvmsg(fd.get(), &message, 0);
    REQUIRE(n >= 0);
    Got out{std::string(data, static_cast<std::size_t>(n)),
            SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&from), message.msg_namelen)};
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      // IPv4 says it in a byte, IPv6 in an int.
      if (c->cmsg_type == IP_TOS && c->cmsg_level == IPPROTO_IP) out.marking = *CMSG_DATA(c);
      if (c->cmsg_type == IPV6_TCLASS && c->cmsg_level == IPPROTO_IPV6) {
        std::memcpy(&out.marking, CMSG_DATA(c), sizeof out.marking);
      }
    }
    return out;
  }
  void send(const SocketAddress& to, const std::string& text) const {
    REQUIRE(::sendto(fd.get(), text.data(), text.size(), 0, to.data(), to.size()) >= 0);
  }
};

struct Sockets {
  boost::asio::io_context io;
  std::vector<std::pair<std::uint32_t, std::string>> heard;
  ControlSockets control{io, {[this](LinkId link, ByteView bytes, Duration) {
                                heard.emplace_back(link.value, std::string(as_text(bytes)));
                              },
                              [] {}, [](LinkId, int) {}}};
  // Until so many datagrams were taken in, known or not.
  void run_until(std::size_t known, std::uint64_t unknown) {
    for (int i = 0; i < 1000 && (heard.size() < known || control.unknown_sources() < unknown); ++i) {
      io.run_for(std::chrono::milliseconds(10));
      io.restart();
    }
    REQUIRE(heard.size() == known);
    REQUIRE(control.unknown_sources() == unknown);
  }
};

constexpr int kCs6 = 48 << 2;  // RFC 2474, RFC 4594: network control

}  // namespace

TEST_CASE("N1 control packets leave from their socket with DSCP CS6") {
  for (const char* host : {"127.0.0.1", "::1"}) {
    Peer peer(host);
    SocketAddress local = *dataplane::local_address(dataplane::open_udp(address(host), {})->get());
    Sockets node;
    REQUIRE(node.control.open(LinkId{1}, local, ""));
    node.control.set_remote(LinkId{1}, peer.at);
    node.control.send(LinkId{1}, as_bytes("hello"));
    Peer::Got got = peer.receive();
    CHECK(got.text == "hello");
    CHECK(got.from == local);
    CHECK(got.marking == kCs6);
  }
}

TEST_CASE("N1 control packets are never fragmented, and news of the path's MTU is not believed") {
  auto v4 = dataplane::open_udp(address("127.0.0.1"), {});
  auto v6 = dataplane::open_udp(address("::1"), {});
  int value = -1;
  socklen_t size = sizeof value;
  REQUIRE(getsockopt(v4->get(), IPPROTO_IP, IP_MTU_DISCOVER, &value, &size) == 0);
  CHECK(value == IP_PMTUDISC_PROBE);
  REQUIRE(getsockopt(v6->get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, &value, &size) == 0);
  CHECK(value == IPV6_PMTUDISC_PROBE);
}

TEST_CASE("N1 the source address and port say which link a datagram belongs to") {
  Peer first("127.0.0.1"), second("127.0.0.1"), stranger("127.0.0.1");
  SocketAddress local = *dataplane::local_address(dataplane::open_udp(address("127.0.0.1"), {})->get());
  Sockets node;
  REQUIRE(node.control.open(LinkId{1}, local, ""));
  REQUIRE(node.control.open(LinkId{2}, local, ""));  // one socket per local address
  node.control.set_remote(LinkId{1}, first.at);
  node.control.set_remote(LinkId{2}, second.at);
  second.send(local, "from the second");
  node.run_until(1, 0);
  first.send(local, "from the first");
  node.run_until(2, 0);
  stranger.send(local, "from nobody");
  node.run_until(2, 1);
  CHECK(node.heard[0] == std::make_pair(2U, std::string("from the second")));
  CHECK(node.heard[1] == std::make_pair(1U, std::string("from the first")));
}

TEST_CASE("LS-V4 control sockets: a closed port is told of its link, and costs the others nothing") {
  for (const char* host : {"127.0.0.1", "::1"}) {
    boost::asio::io_context io;
    std::vector<LinkId> unreachable;
    std::vector<std::string> heard;
    ControlSockets::Hooks hooks;
    hooks.receive = [&](LinkId, ByteView bytes, Duration) { heard.emplace_back(as_text(bytes)); };
    hooks.batch_done = [] {};
    hooks.send_failed = [](LinkId, int) {};
    hooks.unreachable = [&](LinkId link) { unreachable.push_back(link); };
    ControlSockets sockets(io, std::move(hooks));
    SocketAddress local = address(host);
    {
      dataplane::UniqueFd free = std::move(*dataplane::open_udp(local, {}));
      local = *dataplane::local_address(free.get());
    }
    SocketAddress closed;
    {
      Peer gone(host);
      closed = gone.at;
    }
    Peer alive(host);
    REQUIRE(sockets.open(LinkId{1}, local, ""));
    REQUIRE(sockets.open(LinkId{2}, local, ""));
    sockets.set_remote(LinkId{1}, closed);
    sockets.set_remote(LinkId{2}, alive.at);
    sockets.send(LinkId{1}, as_bytes("nobody"));
    sockets.send(LinkId{2}, as_bytes("still sent"));  // though the socket has an error to tell
    CHECK(alive.receive().text == "still sent");
    REQUIRE(::sendto(alive.fd.get(), "back", 4, 0, local.data(), local.size()) == 4);
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while ((unreachable.empty() || heard.empty()) && std::chrono::steady_clock::now() < end) {
      io.run_one_for(std::chrono::milliseconds(20));
      sockets.read_keepalives();
    }
    CHECK(unreachable == std::vector<LinkId>{LinkId{1}});
    CHECK(heard == std::vector<std::string>{"back"});
  }
}

TEST_CASE("N1 control sockets: the kernel's own queues serve control first") {
  for (const char* host : {"127.0.0.1", "::1"}) {
    dataplane::UdpOptions options;
    options.high_priority = true;
    auto fd = dataplane::open_udp(address(host), options);
    REQUIRE(fd);
    int priority = 0;
    socklen_t size = sizeof priority;
    REQUIRE(getsockopt(fd->get(), SOL_SOCKET, SO_PRIORITY, &priority, &size) == 0);
    CHECK(priority == 6);  // TC_PRIO_INTERACTIVE: the first band of pfifo_fast
  }
}
