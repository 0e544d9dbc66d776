// A grid of routers that exist only as LSAs behind the origin: how a large database is put into a
// real node. The corner answers hellos and keepalives, so that the origin has an adjacency with it;
// nothing else it says or hears passes.
#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "dmsc/dataplane/socket_address.hpp"
#include "dmsc/linkstate/engine.hpp"
#include "domain.hpp"

namespace dmsc::bench {

class Corner {
 public:
  // `local`: where it listens; `remote`: where the origin does.
  Corner(boost::asio::io_context& io, const Domain& domain, NodeId self, const std::string& name,
         const dataplane::SocketAddress& local, const dataplane::SocketAddress& remote);

 private:
  void wait();
  void receive();
  void pump();

  dataplane::SocketAddress remote_;
  boost::asio::posix::stream_descriptor socket_;
  boost::asio::steady_timer timer_;
  linkstate::Engine engine_;
};

struct FakeGrid {
  std::uint32_t rows = 0, columns = 0;
  NodeId first{1001};             // of the corner; the others follow row by row
  NodeId origin;                  // the corner's real neighbour
  std::uint32_t origin_link = 0;  // its id of the link to the corner
  NodeId node(std::uint32_t row, std::uint32_t column) const {
    return NodeId{first.value + row * columns + column};
  }
  std::string name(std::uint32_t row, std::uint32_t column) const {
    return "f" + std::to_string(row) + "x" + std::to_string(column);
  }
};

// Identity and Node LSA of every router of the grid.
std::vector<wire::LsaPtr> make_lsas(const FakeGrid& grid, const Domain& domain);

}  // namespace dmsc::bench
