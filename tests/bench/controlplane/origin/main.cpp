// controlplane_origin: a node under a bench's control, in a domain of its own making.
//   identity NAME ID ROLE STATE_DIR      writes an identity for a daemon
//   run NAME LOCAL REMOTE PEER INTERFACE is node NAME (id 1, a gateway), linked to PEER; reads
//   commands:
//     prefixes N PER_GRANT [first]       announces N prefixes; `first`: the grants a second earlier
//     grid ROWS COLUMNS                  floods the LSAs of a grid of routers that do not exist
//   and prints one JSON object for each: {"at_us": the instant on the monotonic clock, ...}
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <iostream>
#include <sstream>

#include "dmsc/node/node.hpp"
#include "dmsc/runtime/clock.hpp"
#include "fake_grid.hpp"

namespace dmsc::bench {
namespace {

constexpr NodeId kSelf{1};
constexpr const char* kCornerAddress = "127.0.0.2";
constexpr const char* kOwnAddress = "127.0.0.1";
constexpr std::uint16_t kPort = 7401;
constexpr std::size_t kInjectAhead = 2000;
constexpr std::uint32_t kCornerLink = 2;  // the second link of the origin

void say(const nlohmann::json& value) { std::cout << value.dump() << std::endl; }

std::int64_t now_us() { return runtime::now().time_since_epoch() / microseconds(1); }

class Origin {
 public:
  Origin(boost::asio::io_context& io, std::unique_ptr<node::Node> node)
      : io_(io), node_(std::move(node)), input_(io, ::dup(0)), timer_(io) {
    read();
  }

 private:
  void read() {
    boost::asio::async_read_until(input_, buffer_, '\n',
                                  [this](const boost::system::error_code& error, std::size_t) {
                                    if (error) return io_.stop();
                                    std::istream lines(&buffer_);
                                    std::string line;
                                    std::getline(lines, line);
                                    command(line);
                                    read();
                                  });
  }

  void command(const std::string& line) {
    std::istringstream words(line);
    std::string verb, when;
    std::uint32_t first = 0, second = 0;
    words >> verb >> first >> second >> when;
    if (verb == "prefixes" && first > 0 && second > 0)
      return announce(first, second, when == "first");
    if (verb == "grid" && first > 0 && second > 0) return grow(first, second);
    say({{"error", "unknown command: " + line}});
  }

  void announce(std::uint32_t count, std::uint32_t per_grant, bool grants_first) {
    std::vector<Bytes> grants;
    std::vector<wire::PrefixEntry> entries;
    for (std::uint32_t i = 0; i < count; ++i) {
      std::string subtree = "p/" + std::to_string(i / per_grant);
      if (i % per_grant == 0)
        grants.push_back(domain_.grant(kSelf, *Name::parse(subtree), ++serial_));
      wire::PrefixEntry entry;
      entry.name = *Name::parse(subtree + "/" + std::to_string(i % per_grant));
      entry.instances.push_back({InstanceId{1}});
      entries.push_back(std::move(entry));
    }
    node_->set_grants(grants);
    timer_.expires_after(grants_first ? seconds(1) : seconds(0));
    timer_.async_wait(
        [this, entries = std::move(entries)](const boost::system::error_code&) mutable {
          std::int64_t at = now_us();
          node_->set_prefixes(std::move(entries));
          say({{"at_us", at}, {"took_us", now_us() - at}});
        });
  }

  void grow(std::uint32_t rows, std::uint32_t columns) {
    FakeGrid grid{rows, columns};
    grid.origin = kSelf;
    grid.origin_link = kCornerLink;
    lsas_ = make_lsas(grid, domain_);
    corner_ = std::make_unique<Corner>(io_, domain_, grid.first, grid.name(0, 0),
                                       *dataplane::SocketAddress::parse(kCornerAddress, kPort),
                                       *dataplane::SocketAddress::parse(kOwnAddress, kPort));
    say({{"at_us", now_us()}, {"lsas", lsas_.size()}});
    inject();
  }

  // Never far ahead of the verdicts: what waits for one does so in a bounded table, and what finds it full
  // is lost.
  void inject() {
    linkstate::Engine& engine = node_->engine();
    while (injected_ < lsas_.size() && injected_ < engine.lsa_count() + kInjectAhead) {
      engine.inject(node_->now(), lsas_[injected_++]);
    }
    if (injected_ == lsas_.size()) return;
    timer_.expires_after(milliseconds(20));
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) inject();
    });
  }

  boost::asio::io_context& io_;
  Domain domain_;
  std::unique_ptr<node::Node> node_;
  boost::asio::posix::stream_descriptor input_;
  boost::asio::streambuf buffer_;
  boost::asio::steady_timer timer_;
  std::uint64_t serial_ = 0;
  std::unique_ptr<Corner> corner_;
  std::vector<wire::LsaPtr> lsas_;
  std::size_t injected_ = 0;
};

int fail(const Error& error) {
  std::cerr << "controlplane_origin: " << error.message << std::endl;
  return 1;
}

int run(const std::vector<std::string>& arguments) {
  node::NodeSettings settings;
  node::LinkSettings link;
  link.name = "to-" + arguments[3];
  link.peer = arguments[3];
  link.interface = arguments[4];
  link.local = arguments[1];
  link.remote = arguments[2];
  settings.links.push_back(link);
  node::LinkSettings corner;
  corner.name = "to-corner";
  corner.local = kOwnAddress;
  corner.remote = kCornerAddress;
  settings.links.push_back(corner);
  boost::asio::io_context io{1};
  auto made = node::Node::create(io, settings, Domain().identity(kSelf, arguments[0], "sg"));
  if (!made) return fail(made.error());
  auto started = (*made)->start();
  if (!started) return fail(started.error());
  Origin origin(io, std::move(*made));
  io.run();
  return 0;
}

}  // namespace
}  // namespace dmsc::bench

int main(int argc, char** argv) {
  using namespace dmsc;
  crypto::init();
  std::vector<std::string> arguments(argv + 1, argv + argc);
  std::string verb = arguments.empty() ? "" : arguments.front();
  if (verb == "identity" && arguments.size() == 5) {
    auto id = static_cast<std::uint32_t>(std::stoul(arguments[2]));
    auto saved = bench::Domain().save(NodeId{id}, arguments[1], arguments[3], arguments[4]);
    return saved ? 0 : bench::fail(saved.error());
  }
  if (verb == "run" && arguments.size() == 6) {
    return bench::run({arguments.begin() + 1, arguments.end()});
  }
  std::cerr << "usage: controlplane_origin identity NAME ID ROLE STATE_DIR\n"
               "       controlplane_origin run NAME LOCAL REMOTE PEER INTERFACE\n";
  return 2;
}
