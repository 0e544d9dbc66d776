#include <boost/asio/post.hpp>

#include "dmsc/node/node_impl.hpp"

namespace dmsc::node {

void NodeImpl::set_prefixes(std::vector<wire::PrefixEntry> entries) {
  engine_.set_prefixes(now(), std::move(entries));
  pump();
}

void NodeImpl::set_grants(std::vector<Bytes> signed_grants) {
  engine_.set_grants(now(), std::move(signed_grants));
  pump();
}

void NodeImpl::authenticate(AuthenticationRequest request, Duration timeout,
                            std::function<void(Result<AuthenticationAnswer>)> done) {
  if (spa_) return spa_->authenticate(std::move(request), timeout, std::move(done));
  boost::asio::post(io_, [done = std::move(done)] {
    done(make_error(Errc::unavailable, "no SPA is configured"));
  });
}

ListenerId NodeImpl::subscribe_lsdb(std::function<void(const LsdbEvent&)> listener) {
  ListenerId id = next_listener_++;
  engine_.visit_lsdb(now(), [&listener](const linkstate::LsdbEntryView& entry) {
    if (!entry.lsa->purge) listener({LsdbEvent::Kind::snapshot, 0, entry.lsa});
  });
  listener({LsdbEvent::Kind::snapshot_end, 0, nullptr});
  lsdb_listeners_[id].call = std::move(listener);
  return id;
}

// The RIB is in the middle of a change: listeners hear of it afterwards, once per name.
void NodeImpl::route_changed(const Name& prefix) {
  if (!route_listeners_.empty()) routes_to_tell_.insert(prefix);
  if (std::exchange(routes_told_, true)) return;
  boost::asio::post(io_, [this, alive = std::weak_ptr<bool>(alive_)] {
    if (alive.expired()) return;
    routes_told_ = false;
    std::set<Name> names = std::exchange(routes_to_tell_, {});
    for (auto& [id, listener] : route_listeners_) {
      for (const Name& name : names) listener(name);
    }
    changed("routes");
  });
}

void NodeImpl::tell_lsdb(LsdbEvent::Kind kind, const wire::LsaPtr& lsa) {
  if (lsa->purge) kind = LsdbEvent::Kind::removed;
  for (auto& [id, listener] : lsdb_listeners_) listener.call({kind, ++listener.sequence, lsa});
}

ListenerId NodeImpl::on_adjacency(std::function<void(const AdjacencyEvent&)> listener) {
  adjacency_listeners_[next_listener_] = std::move(listener);
  return next_listener_++;
}

ListenerId NodeImpl::on_trust(std::function<void()> listener) {
  trust_listeners_[next_listener_] = std::move(listener);
  return next_listener_++;
}

ListenerId NodeImpl::on_route(std::function<void(const Name&)> listener) {
  route_listeners_[next_listener_] = std::move(listener);
  return next_listener_++;
}

ListenerId NodeImpl::on_path_mtus(
    std::function<void(const routing::PathMtuTablePtr&)> listener) {
  listener(routes_.path_mtus());
  path_mtu_listeners_[next_listener_] = std::move(listener);
  return next_listener_++;
}

void NodeImpl::remove_listener(ListenerId listener) {
  lsdb_listeners_.erase(listener);
  adjacency_listeners_.erase(listener);
  trust_listeners_.erase(listener);
  route_listeners_.erase(listener);
  path_mtu_listeners_.erase(listener);
}

Status NodeImpl::set_metric_bias(LinkId link, std::uint32_t bias) {
  if (find_link(link) == nullptr) {
    return make_error(Errc::not_found, "no link with id ", std::to_string(link.value));
  }
  engine_.set_metric_bias(now(), link, bias);
  pump();
  return Ok{};
}

void NodeImpl::set_weights(const routing::WeightPolicy& policy) { routes_.rib().set_weights(policy); }

void NodeImpl::clear_weights(const Name& prefix) { routes_.rib().clear_weights(prefix); }

Status NodeImpl::set_label(PathLabel label, NodeId egress, NodeId next) {
  return routes_.set_label(label, egress, next);
}

void NodeImpl::set_path(const Name& prefix, NodeId egress, PathLabel label,
                        std::vector<NodeId> nodes) {
  routes_.set_path(prefix, egress, label, std::move(nodes));
}

void NodeImpl::clear_path(const Name& prefix, NodeId egress) { routes_.clear_path(prefix, egress); }

void NodeImpl::remove_label(PathLabel label) { routes_.remove_label(label); }

std::string NodeImpl::name_of(NodeId node) const {
  if (!node) return "";
  if (is_issuer_origin(node)) {
    std::uint32_t issuer = node.value & ~kIssuerOriginBit;
    if (issuer == 0) return "root";
    const auto* known = trust_.issuer(issuer);
    return known != nullptr ? known->name : "issuer " + std::to_string(issuer);
  }
  if (node == identity_.id) return identity_.name;
  const auto* known = trust_.identity(node);
  return known != nullptr ? known->name : "node " + std::to_string(node.value);
}

NodeId NodeImpl::find_node(const std::string& name) const {
  if (name == identity_.name) return identity_.id;
  for (const auto& [id, identity] : trust_.identities()) {
    if (identity.name == name && trust_.identity(id) != nullptr) return id;
  }
  return NodeId{};
}

void NodeImpl::register_topic(const std::string& name, TopicHandler handler) {
  topics_[name] = std::move(handler);
  if (inspect_ != nullptr) put_topic(name);
}

const TopicHandler* NodeImpl::topic(const std::string& name) const {
  auto it = topics_.find(name);
  return it == topics_.end() ? nullptr : &it->second;
}

std::vector<std::string> NodeImpl::topics() const {
  std::vector<std::string> out;
  for (const auto& [name, handler] : topics_) out.push_back(name);
  return out;
}

void NodeImpl::attach_inspect(runtime::InspectServer* server) {
  inspect_ = server;
  if (server == nullptr) return;
  for (const auto& [name, handler] : topics_) put_topic(name);
  attach_feeds();
}

void NodeImpl::put_topic(const std::string& name) {
  // The longest topics are ping and trace: a dozen probes of a second each.
  inspect_->async_topic(name, seconds(30),
                        [this, name](const runtime::Arguments& arguments,
                                     runtime::InspectServer::Done done) {
                          const TopicHandler* handler = topic(name);
                          if (handler != nullptr) return (*handler)(arguments, std::move(done));
                          done(make_error(Errc::not_found, "no topic ", name));
                        });
}

void NodeImpl::changed(const std::string& topic_name) {
  if (inspect_ != nullptr) inspect_->notify_changed(topic_name);
}

}  // namespace dmsc::node
