// Keepalives apart from what is urgent, by the kernel (docs/protocol.md, LS-V8).
#include "dmsc/node/keepalive_socket.hpp"

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <thread>

#include "dmsc/node/control_sockets.hpp"
#include "dmsc/runtime/clock.hpp"
#include "dmsc/wire/pdu.hpp"

using namespace dmsc;
using dataplane::SocketAddress;
using node::ControlSockets;
using node::KeepaliveSocket;

namespace {

Bytes pdu(wire::PduType type, std::uint8_t first_of_body) {
  Bytes out(96, 0);
  out[1] = static_cast<std::uint8_t>(type);
  out[wire::kPduHeaderBytes] = first_of_body;
  return out;
}

struct End {
  explicit End(const char* address) {
    auto made = dataplane::open_udp(*SocketAddress::parse(address, 0), {});
    REQUIRE(made.ok());
    fd = std::move(*made);
    local = *dataplane::local_address(fd.get());
  }
  void send(const Bytes& bytes, const SocketAddress& to) const {
    REQUIRE(::sendto(fd.get(), bytes.data(), bytes.size(), 0, to.data(), to.size()) ==
            static_cast<ssize_t>(bytes.size()));
  }
  std::size_t waiting() const {
    Bytes buffer(2048);
    std::size_t n = 0;
    while (::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT) >= 0) ++n;
    return n;
  }
  dataplane::UniqueFd fd;
  SocketAddress local;
};

}  // namespace

TEST_CASE("LS-V8 plain keepalives wait in a socket of their own, polls and answers and all else do not") {
  for (const char* address : {"127.0.0.1", "::1"}) {
    End main(address), peer(address);
    auto made = KeepaliveSocket::open(main.fd.get(), main.local, {});
    REQUIRE(made.ok());
    KeepaliveSocket& keepalives = **made;
    std::size_t seen = 0;
    auto read = [&] {
      seen = 0;
      return keepalives.read(runtime::now(), 100, [&](const SocketAddress& from, ByteView bytes, Duration) {
        CHECK(from == peer.local);
        CHECK(bytes.size() == 96);
        ++seen;
      });
    };
    peer.send(pdu(wire::PduType::keepalive, 0), main.local);
    CHECK(main.waiting() == 1);  // not sorted yet
    keepalives.sort(true);
    for (int i = 0; i < 40; ++i) peer.send(pdu(wire::PduType::keepalive, 0), main.local);
    peer.send(pdu(wire::PduType::keepalive, wire::kKeepalivePoll), main.local);
    peer.send(pdu(wire::PduType::keepalive, wire::kKeepaliveFinal), main.local);
    peer.send(pdu(wire::PduType::hello, 0), main.local);
    peer.send(Bytes{0, 2}, main.local);
    peer.send({}, main.local);
    CHECK(main.waiting() == 5);
    CHECK(read() == 40);
    CHECK(seen == 40);
    CHECK(read() == 0);
    keepalives.sort(false);
    peer.send(pdu(wire::PduType::keepalive, 0), main.local);
    CHECK(main.waiting() == 1);
    CHECK(read() == 0);
  }
}

TEST_CASE("LS-V8 a keepalive says how long it waited, by the kernel's clock") {
  End main("127.0.0.1"), peer("127.0.0.1");
  auto keepalives = KeepaliveSocket::open(main.fd.get(), main.local, {});
  REQUIRE(keepalives.ok());
  (*keepalives)->sort(true);
  Time before = runtime::now();
  peer.send(pdu(wire::PduType::keepalive, 0), main.local);
  Time after = runtime::now();
  std::this_thread::sleep_for(milliseconds(20));
  Time now = runtime::now();
  Duration waited{};
  (*keepalives)->read(now, 100, [&](const SocketAddress&, ByteView, Duration w) { waited = w; });
  CHECK(waited >= now - after);
  CHECK(waited <= runtime::now() - before);
}

TEST_CASE("an address in use stays an error, although the control socket lets its keepalives' in") {
  End main("127.0.0.1");
  auto keepalives = KeepaliveSocket::open(main.fd.get(), main.local, {});
  REQUIRE(keepalives.ok());
  CHECK_FALSE(dataplane::open_udp(main.local, {}).ok());
}

TEST_CASE("LS-V8 control sockets: keepalives wake nobody up unless the link is urgent or they are a flood") {
  boost::asio::io_context io;
  std::size_t received = 0;
  Duration longest{};
  ControlSockets sockets(io, {[&](LinkId link, ByteView, Duration waited) {
                                CHECK(link == LinkId{1});
                                ++received;
                                longest = std::max(longest, waited);
                              },
                              [] {}, [](LinkId, int) {}});
  End peer("127.0.0.1");
  SocketAddress local = *SocketAddress::parse("127.0.0.1", [] { return End("127.0.0.1").local.port(); }());
  REQUIRE(sockets.open(LinkId{1}, local, "").ok());
  sockets.set_remote(LinkId{1}, peer.local);
  peer.send(pdu(wire::PduType::keepalive, 0), local);
  io.poll();
  CHECK(sockets.wakeups() == 0);
  CHECK(received == 0);
  sockets.read_keepalives();
  CHECK(received == 1);
  peer.send(pdu(wire::PduType::keepalive, 0), local);
  peer.send(pdu(wire::PduType::hello, 0), local);  // what wakes the node brings the others along
  io.poll();
  CHECK(sockets.wakeups() == 1);
  CHECK(received == 3);
  sockets.set_urgent(LinkId{1}, true);
  peer.send(pdu(wire::PduType::keepalive, 0), local);
  io.poll();
  CHECK(sockets.wakeups() == 2);
  CHECK(received == 4);
  sockets.set_urgent(LinkId{1}, false);
  for (int i = 0; i < 600; ++i) peer.send(pdu(wire::PduType::keepalive, 0), local);
  std::this_thread::sleep_for(milliseconds(6));
  sockets.read_keepalives();
  CHECK(received >= 4 + 256);
  CHECK(longest > Duration::zero());
  std::uint64_t before = sockets.wakeups();
  peer.send(pdu(wire::PduType::keepalive, 0), local);
  io.poll();
  CHECK(sockets.wakeups() == before + 1);
  sockets.forget_floods();
  peer.send(pdu(wire::PduType::keepalive, 0), local);
  io.poll();
  CHECK(sockets.wakeups() == before + 1);
}
