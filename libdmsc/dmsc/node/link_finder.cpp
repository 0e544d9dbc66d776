#include "dmsc/node/link_finder.hpp"

#include <arpa/inet.h>

#include <array>

#include "dmsc/node/multicast_socket.hpp"
#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/log.hpp"

namespace dmsc::node {
namespace {

namespace log = runtime::log;
using dataplane::SocketAddress;

constexpr int kPatience = 3;  // seconds without an address, until that is told
constexpr int kDatagramsPerTurn = 32;  // then timers and other sockets get their turn

// As announcements have it: 4 or 16 bytes. A scope is the receiver's own affair.
Bytes address_bytes(const SocketAddress& address) {
  auto bytes = [](const auto& in) {
    const auto* begin = reinterpret_cast<const std::uint8_t*>(&in);
    return Bytes(begin, begin + sizeof in);
  };
  if (address.family() == AF_INET) {
    return bytes(reinterpret_cast<const sockaddr_in*>(address.data())->sin_addr);
  }
  if (address.family() == AF_INET6) {
    return bytes(reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_addr);
  }
  return {};
}

// fe80::/10: an address of one link, and so written with its interface.
bool is_link_local(const Bytes& address) {
  return address.size() == 16 && address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}

}  // namespace

std::string address_text(const linkstate::UnicastEndpoint& endpoint) {
  char text[INET6_ADDRSTRLEN] = "";
  int family = endpoint.address.size() == 4 ? AF_INET : AF_INET6;
  if (endpoint.address.size() != 4 && endpoint.address.size() != 16) return "";
  return ::inet_ntop(family, endpoint.address.data(), text, sizeof text) != nullptr ? text : "";
}

LinkFinder::LinkFinder(boost::asio::io_context& io, FinderSettings settings,
                       linkstate::DiscoveryConfig config, std::function<void()> changed)
    : settings_(std::move(settings)),
      discovery_(std::move(config), runtime::now()),
      changed_(std::move(changed)),
      descriptor_(io),
      timer_(io) {}

LinkFinder::~LinkFinder() {
  boost::system::error_code ignored;
  descriptor_.close(ignored);
}

void LinkFinder::interface_changed(const InterfaceState* state) {
  InterfaceState next = state != nullptr ? *state : InterfaceState{};
  bool gone = !next.up || (local_.valid() && next.index != interface_.index);
  interface_ = next;
  if (gone) close("interface down");
  refresh();
}

// This end's, unset if the interface does not have it (yet).
SocketAddress LinkFinder::wanted_address() const {
  if (settings_.local.empty()) {
    SocketAddress first = interface_address(settings_.interface, settings_.ipv6);
    return first.valid() ? first.with_port(settings_.local_port) : first;
  }
  auto given = SocketAddress::parse(settings_.local, settings_.local_port);
  if (given && is_link_local(address_bytes(*given))) {
    std::string bare = settings_.local.substr(0, settings_.local.find('%'));
    given = SocketAddress::parse(bare + "%" + settings_.interface, settings_.local_port);
  }
  return given ? *given : SocketAddress();
}

void LinkFinder::refresh() {
  if (!interface_.up) return;
  SocketAddress address = wanted_address();
  waited_ = address.valid() ? 0 : waited_ + 1;
  if (waited_ == kPatience) {
    complain("discovery on " + settings_.interface + ": it has no " +
             (settings_.ipv6 ? "IPv6 link-local" : "IPv4") + " address");
  }
  if (local_.valid() && !(address == local_)) close("the interface's address changed");
  if (!local_.valid() && address.valid()) open(address);
}

void LinkFinder::complain(const std::string& reason) {
  if (complaint_ != reason) log::warning("discovery-waits", {{"reason", reason}});
  complaint_ = reason;
}

std::string LinkFinder::remote_text(const linkstate::UnicastEndpoint& endpoint) const {
  std::string text = address_text(endpoint);
  return is_link_local(endpoint.address) ? text + "%" + settings_.interface : text;
}

std::string LinkFinder::endpoint_text(const linkstate::UnicastEndpoint& endpoint) const {
  std::string text = remote_text(endpoint), port = ":" + std::to_string(endpoint.port);
  return endpoint.address.size() == 16 ? "[" + text + "]" + port : text + port;
}

void LinkFinder::open(const SocketAddress& local) {
  auto fd = open_multicast(settings_.interface, interface_.index, local);
  if (!fd) return complain(fd.error().message);
  complaint_.clear();
  descriptor_.assign(fd->release());
  local_ = local;
  log::info("discovery-on", {{"interface", settings_.interface}, {"local", local.text()}});
  discovery_.interface_up(runtime::now(), {address_bytes(local), local.port()});
  wait();
  pump();
}

void LinkFinder::close(const std::string& reason) {
  if (!local_.valid()) return;
  local_ = {};
  boost::system::error_code ignored;
  descriptor_.close(ignored);
  discovery_.interface_down(runtime::now(), reason);
  pump();
}

void LinkFinder::wait() {
  descriptor_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                         [this, alive = std::weak_ptr<bool>(alive_)](
                             const boost::system::error_code& error) {
                           if (error || alive.expired()) return;  // closed, or this is gone
                           read();
                           if (descriptor_.is_open()) wait();
                         });
}

void LinkFinder::read() {
  std::array<std::uint8_t, 2048> buffer;
  for (int i = 0; i < kDatagramsPerTurn; ++i) {
    auto got = receive_multicast(descriptor_.native_handle(), buffer.data(), buffer.size());
    if (!got) break;
    discovery_.receive(runtime::now(), address_bytes(got->source), got->hops,
                       ByteView(buffer.data(), got->size));
  }
  pump();
}

void LinkFinder::adjacency(NodeId node, bool up) {
  discovery_.adjacency(runtime::now(), node, up);
  pump();
}

void LinkFinder::pump() {
  discovery_.tick(runtime::now());
  bool changed = false;
  for (const linkstate::DiscoveryOutput& output : discovery_.poll()) {
    if (const auto* send = std::get_if<linkstate::SendAnnouncement>(&output)) {
      if (descriptor_.is_open()) send_multicast(descriptor_.native_handle(), interface_.index, local_, send->datagram);
    } else if (const auto* found = std::get_if<linkstate::NeighbourFound>(&output)) {
      log_found(found->name, found->at);
      changed = true;
    } else if (const auto* lost = std::get_if<linkstate::NeighbourLost>(&output)) {
      log::info("neighbour-gone", {{"interface", settings_.interface}, {"node", lost->node.value},
                                   {"reason", lost->reason}});
      changed = true;
    } else if (const auto* refused = std::get_if<linkstate::AnnouncementRefused>(&output)) {
      log::warning("announcement-refused", {{"interface", settings_.interface}, {"what", refused->what}});
    }
  }
  auto due = discovery_.next_deadline();
  if (!due) {
    timer_.cancel();
  } else {
    timer_.expires_at(std::chrono::steady_clock::time_point(due->time_since_epoch()));
    timer_.async_wait([this, alive = std::weak_ptr<bool>(alive_)](
                          const boost::system::error_code& error) {
      if (!error && !alive.expired()) pump();
    });
  }
  if (changed) changed_();
}

void LinkFinder::log_found(const std::string& name, const linkstate::UnicastEndpoint& at) const {
  log::info("neighbour-found", {{"interface", settings_.interface}, {"neighbour", name},
                                {"address", endpoint_text(at)}});
}

}  // namespace dmsc::node
