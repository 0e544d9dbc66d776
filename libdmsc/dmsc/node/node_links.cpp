#include <algorithm>
#include <boost/asio/ip/udp.hpp>

#include "dmsc/node/node_impl.hpp"
#include "dmsc/runtime/log.hpp"

namespace dmsc::node {
namespace {

namespace log = runtime::log;
using boost::asio::ip::udp;

constexpr Duration kResolveInterval = seconds(30);  // of a name, while its neighbour is away
constexpr Duration kResolveRetry = seconds(5);      // after a failure

}  // namespace

LinkRecord* NodeImpl::find_link(LinkId id) {
  auto it = links_.find(id);
  return it == links_.end() ? nullptr : &it->second;
}

linkstate::LinkConfig NodeImpl::engine_link(const LinkRecord& link) const {
  linkstate::LinkConfig config;
  config.id = link.id;
  config.name = link.settings.name;
  config.peer_name = link.settings.peer;
  config.liveness = link.settings.liveness;
  config.metric = link.settings.metric;
  config.capacity_bps = link.settings.capacity_bps;
  config.mtu = link.settings.mtu;
  config.data.worker_ports = link.data_ports;
  config.data.mtu = link.settings.mtu;
  return config;
}

Status NodeImpl::add_link(const LinkSettings& settings, const std::string& finder, NodeId found) {
  LinkRecord link;
  link.finder = finder;
  link.found = found;
  while (links_.count(LinkId{link.id.value}) != 0 || !link.id) link.id = LinkId{link.id.value + 1};
  link.settings = settings;
  auto local = SocketAddress::parse(settings.local, settings.local_port);
  if (!local) return with_context("link " + settings.name + ": local", local.error());
  link.local = *local;
  auto opened = open_link(link);
  if (!opened) return opened;
  LinkRecord& kept = links_[link.id] = std::move(link);
  log::info("link-added", {{"link", settings.name}, {"id", kept.id.value},
                           {"local", kept.local.text()}, {"remote", settings.remote}});
  engine_.add_link(now(), engine_link(kept));
  restore_drain(kept);
  if (!settings.interface.empty()) apply_interface(kept, watcher_.find(settings.interface));
  resolve(kept);
  return Ok{};
}

Status NodeImpl::open_link(LinkRecord& link) {
  auto control = control_.open(link.id, link.local, link.settings.interface);
  if (!control) return with_context("link " + link.settings.name, control.error());
  dataplane::LinkSockets sockets;
  sockets.link = link.id;
  sockets.name = link.settings.name;
  sockets.local = link.local;
  sockets.interface = link.settings.interface;
  sockets.base_port = static_cast<std::uint16_t>(link.local.port() + 1);
  auto ports = plane_->open_link(sockets);
  if (!ports) {
    control_.close(link.id);
    return ports.error();
  }
  link.data_ports = *ports;
  for (int fd : plane_->sockets(link.id)) data_errors_.add(fd, link.local.family());
  return Ok{};
}

void NodeImpl::close_link(LinkRecord& link) {
  engine_.remove_link(now(), link.id);
  pump();  // the good-bye needs the socket
  resolvers_.erase(link.id);
  control_.close(link.id);
  plane_->close_link(link.id);
}

void NodeImpl::resolve(LinkRecord& link) {
  auto numeric = SocketAddress::parse(link.settings.remote, link.settings.remote_port);
  if (numeric) return remote_found(link.id, numeric->with_port(link.settings.remote_port));
  if (link.resolving) return;
  link.resolving = true;
  link.resolve_again = now() + kResolveInterval;
  auto& resolver = resolvers_[link.id];
  if (!resolver) resolver = std::make_shared<udp::resolver>(io_);
  auto protocol = link.local.family() == AF_INET ? udp::v4() : udp::v6();
  resolver->async_resolve(
      protocol, link.settings.remote, std::to_string(link.settings.remote_port),
      [this, id = link.id, alive = std::weak_ptr<bool>(alive_)](
          const boost::system::error_code& error, const udp::resolver::results_type& results) {
        if (alive.expired() || error == boost::asio::error::operation_aborted) return;
        LinkRecord* found = find_link(id);
        if (found == nullptr) return;
        found->resolving = false;
        if (error || results.empty()) {
          log::warning("neighbour-unresolved", {{"link", found->settings.name},
                                                {"name", found->settings.remote},
                                                {"error", error.message()}});
          found->resolve_again = now() + kResolveRetry;
          return;
        }
        auto endpoint = results.begin()->endpoint();
        remote_found(id, SocketAddress::from_sockaddr(
                             endpoint.data(), static_cast<socklen_t>(endpoint.size())));
      });
}

void NodeImpl::remote_found(LinkId id, const SocketAddress& remote) {
  if (control_.remote(id) == remote) return;
  LinkRecord* link = find_link(id);
  if (link == nullptr) return;
  log::info("neighbour-address", {{"link", link->settings.name}, {"remote", remote.text()}});
  control_.set_remote(id, remote);
}

void NodeImpl::interface_changed(const std::string& name, const InterfaceState& state) {
  for (auto& [id, link] : links_) {
    if (link.settings.interface == name) apply_interface(link, &state);
  }
  for (auto& [key, finder] : finders_) {
    if (finder->settings().interface == name) finder->interface_changed(&state);
  }
  pump();
}

void NodeImpl::apply_interface(LinkRecord& link, const InterfaceState* state) {
  bool up = state != nullptr && state->up;
  log::info("interface", {{"link", link.settings.name}, {"interface", link.settings.interface},
                          {"up", up}});
  if (state != nullptr && state->index != 0) {
    // A socket stays bound to the interface that was there: a new one of the name needs a new socket.
    bool replaced = link.interface_index != 0 && state->index != link.interface_index;
    link.interface_index = state->index;
    if (replaced) {
      control_.close(link.id);
      plane_->close_link(link.id);
      link.open = false;
      reopen(link);
    }
  }
  engine_.interface_state(now(), link.id, up);
}

// Under traffic its datagrams use up what ICMP errors a kernel sends, and control datagrams get none.
void NodeImpl::data_unreachable(const SocketAddress& whom) {
  std::vector<LinkId> links;
  for (const auto& [id, link] : links_) {
    const auto& ports = link.data.worker_ports;
    bool its = link.adjacent && link.data.address.with_port(whom.port()) == whom &&
               std::find(ports.begin(), ports.end(), whom.port()) != ports.end();
    if (its) links.push_back(id);
  }
  for (LinkId link : links) hint(link);
}

// ICMP is forgeable: so many hints as this are followed, and each costs three polls.
void NodeImpl::hint(LinkId id) {
  constexpr Duration kGap = milliseconds(20);
  LinkRecord* link = find_link(id);
  if (link == nullptr || !link->adjacent || now() < link->hinted + kGap) return;
  link->hinted = now();
  engine_.link_hint(now(), id);
  pump();
}

// The address may come later than the interface: tried again every second.
void NodeImpl::reopen(LinkRecord& link) {
  auto opened = open_link(link);
  if (!opened) {
    log::warning("link-reopen-waits", {{"reason", opened.error()}});
    return;
  }
  link.open = true;
  log::info("link-reopened", {{"link", link.settings.name}});
  engine_.change_link(now(), engine_link(link));
  resolve(link);
}

}  // namespace dmsc::node
