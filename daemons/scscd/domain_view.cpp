#include "scscd/domain_view.hpp"

#include <algorithm>
#include <queue>

namespace dmsc::scscd {

DomainView::DomainView(DomainId domain, trust::TrustStore trust)
    : domain_(domain), trust_(std::move(trust)) {}

Status DomainView::apply(NodeId feed, Event event, ByteView raw) {
  if (event == Event::snapshot_end) {
    end_snapshot(feed);
    return Ok{};
  }
  auto decoded = wire::decode_lsa(raw);
  if (!decoded) return with_context("LSDB event", decoded.error());
  wire::LsaPtr lsa = *decoded;
  if (event == Event::removed) {
    auto it = held_.find(lsa->key);
    if (it == held_.end()) return Ok{};
    it->second.feeds.erase(feed);
    if (it->second.feeds.empty() || lsa->purge || lsa->version >= it->second.lsa->version) {
      uninstall(lsa->key);
    }
    return Ok{};
  }
  trust::Verdict verdict = trust_.judge(*lsa);
  if (verdict == trust::Verdict::invalid) {
    return make_error(Errc::unauthenticated, "LSDB event: the signature of ",
                      wire::to_string(lsa->key.type), " LSA of node ",
                      std::to_string(lsa->key.origin.value), " is wrong");
  }
  if (event == Event::snapshot) snapshots_[feed].insert(lsa->key);
  lost_feeds_.erase(feed);
  Held& held = held_[lsa->key];
  held.feeds.insert(feed);
  if (held.lsa && held.lsa->version >= lsa->version) return Ok{};
  held.lsa = lsa;
  held.verified = verdict == trust::Verdict::valid;
  if (held.verified) install(held);
  return Ok{};
}

void DomainView::install(Held& held) {
  const wire::Lsa& lsa = *held.lsa;
  ++generation_;
  if (lsa.key.type == wire::LsaType::node) {
    if (auto body = wire::decode_node_body(lsa.body())) {
      topology_.set(lsa.key.origin, lsa.key.fragment, *body);
    }
  } else if (lsa.key.type == wire::LsaType::prefix) {
    if (auto body = wire::decode_prefix_body(lsa.body())) {
      prefixes_[lsa.key.origin][lsa.key.fragment] = body->entries;
    }
  } else if (trust_.learn(lsa)) {
    retry_waiting();
  }
}

void DomainView::uninstall(const wire::LsaKey& key) {
  auto it = held_.find(key);
  if (it == held_.end()) return;
  ++generation_;
  if (it->second.verified) {
    if (key.type == wire::LsaType::node) topology_.remove(key.origin, key.fragment);
    if (key.type == wire::LsaType::prefix) prefixes_[key.origin].erase(key.fragment);
    if (key.type != wire::LsaType::node && key.type != wire::LsaType::prefix) {
      trust_.forget(*it->second.lsa);
    }
  }
  held_.erase(it);
}

void DomainView::retry_waiting() {
  for (auto& [key, held] : held_) {
    if (held.verified || trust_.judge(*held.lsa) != trust::Verdict::valid) continue;
    held.verified = true;
    install(held);
  }
}

void DomainView::end_snapshot(NodeId feed) {
  std::set<wire::LsaKey> seen = std::move(snapshots_[feed]);
  snapshots_.erase(feed);
  std::vector<wire::LsaKey> gone;
  for (auto& [key, held] : held_) {
    for (NodeId lost : lost_feeds_) held.feeds.erase(lost);
    if (seen.count(key) != 0) continue;
    held.feeds.erase(feed);
    if (held.feeds.empty()) gone.push_back(key);
  }
  lost_feeds_.clear();
  for (const wire::LsaKey& key : gone) uninstall(key);
}

void DomainView::feed_lost(NodeId feed) {
  snapshots_.erase(feed);
  lost_feeds_.insert(feed);
}

void DomainView::learn_object(ByteView signed_object) {
  auto changed = trust_.learn_object(signed_object);
  if (changed && *changed) retry_waiting();
}

std::string DomainView::node_name(NodeId node) const {
  const routing::NodeAttributes* body = topology_.attributes(node);
  return body != nullptr ? body->name : "node " + std::to_string(node.value);
}

std::optional<NodeId> DomainView::node_by_name(std::string_view name) const {
  for (NodeId node : nodes()) {
    if (const auto* body = topology_.attributes(node); body != nullptr && body->name == name) {
      return node;
    }
  }
  return std::nullopt;
}

std::vector<NodeId> DomainView::nodes() const {
  std::vector<NodeId> out;
  for (const auto& [key, held] : held_) {
    if (key.type == wire::LsaType::node && key.fragment == 0 && held.verified) {
      out.push_back(key.origin);
    }
  }
  return out;
}

std::vector<ServingInstance> DomainView::instances(const Name& prefix) const {
  std::vector<ServingInstance> out;
  DomainTime now = trust_.domain_time(now_);
  for (const auto& [origin, fragments] : prefixes_) {
    for (const auto& [fragment, entries] : fragments) {
      for (const wire::PrefixEntry& entry : entries) {
        if (entry.name != prefix) continue;
        if (!trust_.may_announce(origin, entry.name, entry.covering, now).allowed &&
            !trust_.may_join_pool(origin, entry.name, now).allowed) {
          continue;
        }
        for (const auto& i : entry.instances) out.push_back({{origin, i.id}, i.capacity});
      }
    }
  }
  return out;
}

std::vector<Name> DomainView::prefixes() const {
  std::set<Name> names;
  for (const auto& [origin, fragments] : prefixes_) {
    for (const auto& [fragment, entries] : fragments) {
      for (const wire::PrefixEntry& entry : entries) names.insert(entry.name);
    }
  }
  return {names.begin(), names.end()};
}

std::vector<NodeId> DomainView::spf_path(NodeId from, NodeId to) const {
  return routing::shortest_path(topology_, from, to);
}

std::uint32_t DomainView::distance(NodeId from, NodeId to) const {
  std::vector<NodeId> path = spf_path(from, to);
  if (path.empty()) return routing::kUnreachable;
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    std::uint32_t best = routing::kUnreachable;
    for (const routing::Edge& edge : topology_.edges(topology_.index(path[i]))) {
      if (topology_.node(edge.to) == path[i + 1]) best = std::min(best, edge.metric);
    }
    sum += best;
  }
  return sum;
}

std::vector<NodeId> DomainView::best_path(NodeId from, NodeId to, const LinkCost& cost) const {
  std::map<NodeId, double> distance;
  std::map<NodeId, NodeId> parent;
  using Item = std::pair<double, NodeId>;
  std::priority_queue<Item, std::vector<Item>, std::greater<>> queue;
  distance[from] = 0;
  queue.push({0, from});
  while (!queue.empty()) {
    auto [at, node] = queue.top();
    queue.pop();
    if (at > distance[node]) continue;
    if (node == to) break;
    std::uint32_t index = topology_.index(node);
    if (index == routing::Topology::kNone) return {};
    if (node != from && !topology_.transit_allowed(index)) continue;
    for (const routing::Edge& edge : topology_.edges(index)) {
      NodeId next = topology_.node(edge.to);
      std::optional<double> step = cost(link_between(node, next));
      if (!step) continue;
      auto known = distance.find(next);
      if (known != distance.end() && known->second <= at + *step) continue;
      distance[next] = at + *step;
      parent[next] = node;
      queue.push({at + *step, next});
    }
  }
  if (distance.find(to) == distance.end()) return {};
  std::vector<NodeId> path{to};
  while (path.back() != from) path.push_back(parent[path.back()]);
  std::reverse(path.begin(), path.end());
  return path;
}

std::uint32_t DomainView::link_id(NodeId node, NodeId neighbour) const {
  std::uint32_t index = topology_.index(node);
  if (index == routing::Topology::kNone) return 0;
  for (const routing::Edge& edge : topology_.edges(index)) {
    if (topology_.node(edge.to) == neighbour) return edge.link;
  }
  return 0;
}

}  // namespace dmsc::scscd
