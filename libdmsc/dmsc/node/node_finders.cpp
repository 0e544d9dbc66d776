#include <boost/asio/post.hpp>

#include "dmsc/node/node_impl.hpp"
#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/log.hpp"

// Links to neighbours that were found by multicast (docs/protocol.md, "Discovery"). A finder says who is
// there; here the links are made to be just that.
namespace dmsc::node {

namespace log = runtime::log;

namespace {

// Is the link still what the finder would make it?
bool leads_to(const LinkFinder& finder, const LinkRecord& link) {
  auto it = finder.neighbours().find(link.found);
  return it != finder.neighbours().end() && link.local == finder.local() &&
         finder.remote_text(it->second.at) == link.settings.remote &&
         it->second.at.port == link.settings.remote_port;
}

}  // namespace

void NodeImpl::start_finders(const std::vector<FinderSettings>& wanted) {
  for (auto it = finders_.begin(); it != finders_.end();) {
    bool keep = false;
    for (const FinderSettings& f : wanted) keep = keep || change_finder(*it->second, f);
    std::string name = it->first;
    it = keep ? std::next(it) : finders_.erase(it);
    if (!keep) sync_found(name);
  }
  for (const FinderSettings& f : wanted) {
    if (finders_.count(f.name) == 0) start_finder(f);
  }
}

// Metric, capacity and liveness change without dropping anybody; false if another finder is needed.
bool NodeImpl::change_finder(LinkFinder& finder, const FinderSettings& wanted) {
  FinderSettings now_wanted = wanted;
  now_wanted.link = finder.settings().link;
  if (!(now_wanted == finder.settings()) || wanted.link.mtu != now_wanted.link.mtu) return false;
  if (wanted == finder.settings()) return true;
  finder.set_link(wanted.link);
  for (auto& [id, link] : links_) {
    if (link.finder != wanted.name) continue;
    link.settings.metric = wanted.link.metric;
    link.settings.capacity_bps = wanted.link.capacity_bps;
    link.settings.liveness = wanted.link.liveness;
    engine_.change_link(now(), engine_link(link));
    log::info("link-changed", {{"link", link.settings.name}});
  }
  return true;
}

void NodeImpl::start_finder(const FinderSettings& settings) {
  linkstate::DiscoveryConfig config;
  config.self = identity_.id;
  config.name = identity_.name;
  config.domain = identity_.domain_id;
  config.session = session_;
  config.keys = keys_;
  config.random_seed = runtime::random_u64();
  config.max_neighbours = settings.max_neighbours;
  // Posted: the finder may speak while the engine's outputs are handed out.
  auto changed = [this, name = settings.name, alive = std::weak_ptr<bool>(alive_)] {
    boost::asio::post(io_, [this, name, alive] {
      if (!alive.expired() && !stopping_) sync_found(name);
    });
  };
  auto& finder = finders_[settings.name];
  finder = std::make_unique<LinkFinder>(io_, settings, std::move(config), std::move(changed));
  finder->interface_changed(watcher_.find(settings.interface));
}

void NodeImpl::drop_link(LinkId id) {
  LinkRecord* link = find_link(id);
  if (link == nullptr) return;
  log::info("link-removed", {{"link", link->settings.name}});
  close_link(*link);
  links_.erase(id);
}

// A configured link to the very same endpoint is kept, and no second one is made.
bool NodeImpl::configured_to(const std::string& address, std::uint16_t port) const {
  auto remote = SocketAddress::parse(address, port);
  if (!remote) return true;
  for (const auto& [id, link] : links_) {
    if (link.finder.empty() && control_.remote(id) == *remote) return true;
  }
  return false;
}

// Links of a finder that is gone go all.
void NodeImpl::sync_found(const std::string& name) {
  auto it = finders_.find(name);
  const LinkFinder* finder = it == finders_.end() ? nullptr : it->second.get();
  std::set<NodeId> linked;
  std::vector<LinkId> gone;
  for (const auto& [id, link] : links_) {
    if (link.finder != name) continue;
    if (finder != nullptr && leads_to(*finder, link)) {
      linked.insert(link.found);
    } else {
      gone.push_back(id);
    }
  }
  for (LinkId id : gone) drop_link(id);
  if (finder != nullptr) {
    for (const auto& [node, neighbour] : finder->neighbours()) {
      if (linked.count(node) == 0) found_link(*finder, node, neighbour);
    }
  }
  pump();
}

void NodeImpl::found_link(const LinkFinder& finder, NodeId node,
                          const linkstate::Discovery::Neighbour& neighbour) {
  std::string address = finder.remote_text(neighbour.at);
  if (!finder.local().valid() || configured_to(address, neighbour.at.port)) return;
  LinkSettings settings = finder.settings().link;
  settings.name = finder.settings().name + "." + neighbour.name;
  settings.peer = neighbour.name;
  settings.interface = finder.settings().interface;
  settings.local = finder.local().address_text();
  settings.local_port = finder.local().port();
  settings.remote = address;
  settings.remote_port = neighbour.at.port;
  auto added = add_link(settings, finder.settings().name, node);
  if (!added) log::warning("found-link-waits", {{"link", settings.name}, {"reason", added.error()}});
}

}  // namespace dmsc::node
