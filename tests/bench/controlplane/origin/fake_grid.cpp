#include "fake_grid.hpp"

#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>

#include "dmsc/dataplane/udp_socket.hpp"
#include "dmsc/runtime/clock.hpp"
#include "dmsc/wire/pdu.hpp"

namespace dmsc::bench {
namespace {

constexpr LinkId kLink{1};
constexpr std::uint32_t kMetric = 10;
constexpr std::uint32_t kLifetime = 3600;

linkstate::EngineConfig config_of(const Domain& domain, NodeId self, const std::string& name) {
  node::NodeIdentity identity = domain.identity(self, name, "sr");
  linkstate::EngineConfig config{.signer = domain.key_of(self)};
  config.self = self;
  config.name = name;
  config.domain = identity.domain_id;
  config.session = SessionId{runtime::random_u64()};
  config.clock_seconds = 1;
  config.random_seed = runtime::random_u64();
  config.certificate = identity.certificate;
  config.keys = identity.link_keys;
  return config;
}

int open_socket(const dataplane::SocketAddress& local) {
  auto fd = dataplane::open_udp(local, {});
  if (!fd) {
    std::fprintf(stderr, "%s\n", fd.error().message.c_str());
    std::exit(1);
  }
  return fd->release();
}

// The type is the second byte of a PDU.
bool passes(ByteView datagram) {
  if (datagram.size() < wire::kPduOverhead) return false;
  auto type = static_cast<wire::PduType>(datagram[1]);
  return type == wire::PduType::hello || type == wire::PduType::keepalive;
}

wire::Adjacency adjacency(NodeId to, std::uint32_t link, std::uint32_t their_link) {
  wire::Adjacency out;
  out.neighbour = to;
  out.link = link;
  out.neighbour_link = their_link;
  out.metric = kMetric;
  out.flags = wire::kAdjacencyUsable;
  return out;
}

// Links by direction: 1 to the origin, 2 east, 3 west, 4 south, 5 north.
wire::NodeBody body_of(const FakeGrid& grid, std::uint32_t row, std::uint32_t column) {
  wire::NodeBody body;
  body.name = grid.name(row, column);
  if (row == 0 && column == 0) {
    body.adjacencies.push_back(adjacency(grid.origin, kLink.value, grid.origin_link));
  }
  if (column + 1 < grid.columns)
    body.adjacencies.push_back(adjacency(grid.node(row, column + 1), 2, 3));
  if (column > 0) body.adjacencies.push_back(adjacency(grid.node(row, column - 1), 3, 2));
  if (row + 1 < grid.rows) body.adjacencies.push_back(adjacency(grid.node(row + 1, column), 4, 5));
  if (row > 0) body.adjacencies.push_back(adjacency(grid.node(row - 1, column), 5, 4));
  return body;
}

}  // namespace

Corner::Corner(boost::asio::io_context& io, const Domain& domain, NodeId self,
               const std::string& name, const dataplane::SocketAddress& local,
               const dataplane::SocketAddress& remote)
    : remote_(remote),
      socket_(io, open_socket(local)),
      timer_(io),
      engine_(config_of(domain, self, name), runtime::now()) {
  linkstate::LinkConfig link{.id = kLink, .name = "to-origin"};
  engine_.add_link(runtime::now(), link);
  engine_.interface_state(runtime::now(), kLink, true);
  pump();
  wait();
}

void Corner::wait() {
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this](const boost::system::error_code& error) {
                       if (error) return;
                       receive();
                       wait();
                     });
}

void Corner::receive() {
  std::uint8_t buffer[9216];
  for (ssize_t n; (n = ::recv(socket_.native_handle(), buffer, sizeof buffer, MSG_DONTWAIT)) > 0;) {
    ByteView datagram(buffer, static_cast<std::size_t>(n));
    if (passes(datagram)) engine_.receive(runtime::now(), kLink, datagram);
  }
  pump();
}

void Corner::pump() {
  for (const linkstate::Output& output : engine_.poll()) {
    auto* transmit = std::get_if<linkstate::Transmit>(&output);
    if (transmit == nullptr || !passes(transmit->datagram)) continue;
    ::sendto(socket_.native_handle(), transmit->datagram.data(), transmit->datagram.size(),
             MSG_DONTWAIT, remote_.data(), remote_.size());
  }
  auto deadline = engine_.next_deadline();
  if (!deadline) return;
  timer_.expires_at(std::chrono::steady_clock::time_point(deadline->time_since_epoch()));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    engine_.tick(runtime::now());
    pump();
  });
}

std::vector<wire::LsaPtr> make_lsas(const FakeGrid& grid, const Domain& domain) {
  std::vector<wire::LsaPtr> out;
  for (std::uint32_t row = 0; row < grid.rows; ++row) {
    for (std::uint32_t column = 0; column < grid.columns; ++column) {
      NodeId self = grid.node(row, column);
      crypto::SigningKey key = domain.key_of(self);
      wire::IdentityBody identity{domain.certificate(self, grid.name(row, column), "sr"), {}};
      auto add = [&](wire::LsaType type, const Bytes& body) {
        auto lsa = wire::make_lsa({self, type, 0}, {2, 1}, kLifetime, false, body, key);
        if (lsa) out.push_back(*lsa);
      };
      add(wire::LsaType::identity, wire::encode(identity));
      add(wire::LsaType::node, wire::encode(body_of(grid, row, column)));
    }
  }
  return out;
}

}  // namespace dmsc::bench
