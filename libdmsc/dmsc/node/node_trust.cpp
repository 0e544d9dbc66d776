#include "dmsc/node/node_impl.hpp"
#include "dmsc/runtime/log.hpp"
#include "dmsc/wire/spa_lsa.hpp"

namespace dmsc::node {

namespace log = runtime::log;

// What enrolment told and what was heard before the last stop: a node that starts while every SPA is
// down still knows issuers and revocations.
void NodeImpl::load_trust() {
  for (const Bytes& object : identity_.signed_objects) learn_object(object, "enrolment");
  for (const Bytes& object : store_.objects()) learn_object(object, "state");
  heard_time(std::max({identity_.domain_time, store_.domain_time(), trust_.newest_signed()}));
}

bool NodeImpl::learn_object(ByteView object, const char* source) {
  auto learnt = trust_.learn_object(object);
  if (!learnt) {
    log::warning("object-refused", {{"from", source}, {"reason", learnt.error()}});
    return false;
  }
  inject(object);
  ask_again_ = ask_again_ || *learnt;
  bool grant = wire::object_kind(object).value() == wire::ObjectKind::grant;  // an own one
  if (*learnt) trust_learnt(grant ? identity_.id : issuer_origin(0));
  return true;
}

// Floods an SPA object that this node has verified; a copy already held changes nothing.
void NodeImpl::inject(ByteView object) {
  auto lsa = wire::make_spa_lsa(object);
  if (!lsa) return;  // a grant: those are flooded by the gateway they name
  auto held = engine_.find((*lsa)->key);
  if (held && held->version >= (*lsa)->version) return;
  engine_.inject(now(), *lsa);
}

void NodeImpl::news(const TrustNews& n) {
  for (const Bytes& object : n.signed_objects) learn_object(object, n.spa.c_str());
  if (!n.link_keys.empty()) {
    crypto::KeyChain keys;
    for (const auto& [id, secret] : n.link_keys) keys.add(id, secret);
    keys.set_active(n.active_link_key);
    if (keys.active() == 0) {
      log::warning("link-keys-refused", {{"spa", n.spa}, {"reason", "no active key among them"}});
    } else if (keys.keys() != keys_.keys() || keys.active() != keys_.active()) {
      set_link_keys(keys);
    }
  }
  if (n.domain_time.seconds != 0) heard_time(n.domain_time);
  pump();
}

void NodeImpl::set_link_keys(const crypto::KeyChain& keys) {
  keys_ = keys;
  store_.set_link_keys(keys);
  engine_.set_keys(now(), keys);
  plane_->set_keys(keys);
  for (auto& [name, finder] : finders_) finder->set_keys(keys);
  log::info("link-keys-changed", {{"keys", keys.size()}, {"active", keys.active()}});
  for (auto& [id, listener] : trust_listeners_) listener();
}

void NodeImpl::heard_time(DomainTime time) {
  trust_.heard_time(now(), time);
  store_.set_domain_time(trust_.domain_time(now()));
}

// Coalesced: a burst of grants at synchronisation is looked at once. What a node's LSAs teach concerns
// that node alone, what an issuer's teach all.
void NodeImpl::trust_learnt(NodeId origin) {
  trust_dirty_ = true;
  trust_dirty_origins_.insert(is_issuer_origin(origin) ? NodeId{} : origin);
  heard_time(trust_.newest_signed());
}

void NodeImpl::reconsider() {
  trust_dirty_ = false;
  reconsidered_ = now();
  for (const auto& revoked : trust_.revoked_nodes()) {
    if (!rechecked_.insert(revoked).second) continue;
    log::warning("node-revoked", {{"node", name_of(revoked.node)}, {"id", revoked.node.value}});
    engine_.recheck(now(), revoked.node);
  }
  // What LSAs teach, the engine itself asks for again.
  if (std::exchange(ask_again_, false)) engine_.retry_waiting(now());
  std::set<NodeId> origins = std::exchange(trust_dirty_origins_, {});
  if (origins.count(NodeId{}) != 0) {
    routes_.reconsider(now(), domain_time());
  } else {
    for (NodeId origin : origins) routes_.reconsider(now(), domain_time(), origin);
  }
  routes_.end_grants(domain_time());
  for (auto& [id, listener] : trust_listeners_) listener();
  changed("trust");
}

void NodeImpl::look_at_expiry() {
  DomainTime next = routes_.next_expiry();
  DomainTime domain_now = domain_time();
  bool ended = next.seconds != 0 && domain_now > next;
  if (trust_.expire(domain_now) || ended) trust_dirty_ = true;
}

}  // namespace dmsc::node
