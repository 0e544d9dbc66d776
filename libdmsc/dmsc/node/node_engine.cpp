#include <boost/asio/post.hpp>

#include "dmsc/node/node_impl.hpp"
#include "dmsc/runtime/log.hpp"

namespace dmsc::node {
namespace {

namespace log = runtime::log;

// Signature checks per turn of the control thread: about a millisecond, far below a keepalive.
constexpr int kVerifyBatch = 16;
constexpr Duration kReconsiderGap = milliseconds(20);

}  // namespace

// Everything the engine has to say, until it is silent. Listeners may call back into the node; their
// inputs are answered by the outer loop.
void NodeImpl::pump() {
  if (pumping_ || stopped_) return;
  pumping_ = true;
  for (auto outputs = engine_.poll(); !outputs.empty(); outputs = engine_.poll()) {
    for (const linkstate::Output& output : outputs) {
      std::visit([this](const auto& o) { take(o); }, output);
    }
    if (trust_dirty_ && now() >= reconsidered_ + kReconsiderGap) reconsider();
  }
  pumping_ = false;
  routes_.tick(now());
  check_ready();
  schedule();
}

void NodeImpl::schedule() {
  std::optional<Time> at = engine_.next_deadline();
  auto sooner = [&at](std::optional<Time> other) {
    if (other && (!at || *other < *at)) at = other;
  };
  sooner(routes_.next_deadline());
  if (trust_dirty_) sooner(reconsidered_ + kReconsiderGap);
  if (!at) {
    timer_.cancel();
    return;
  }
  timer_.expires_at(std::chrono::steady_clock::time_point(at->time_since_epoch()));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) on_timer();
  });
}

void NodeImpl::on_timer() {
  auto deadline = engine_.next_deadline();
  if (deadline && *deadline <= now()) engine_.tick(now());
  if (trust_dirty_ && now() >= reconsidered_ + kReconsiderGap) reconsider();
  pump();
}

void NodeImpl::take(const linkstate::VerifyWanted& output) {
  verify_queue_.push_back(output);
  if (verify_posted_) return;
  verify_posted_ = true;
  boost::asio::post(io_, [this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) verify_some();
  });
}

void NodeImpl::verify_some() {
  verify_posted_ = false;
  if (stopped_) return;
  for (int i = 0; i < kVerifyBatch && !verify_queue_.empty(); ++i) {
    linkstate::VerifyWanted wanted = std::move(verify_queue_.front());
    verify_queue_.pop_front();
    std::string why;
    trust::Verdict verdict = trust_.judge(*wanted.lsa, &why);
    if (verdict == trust::Verdict::unknown) continue;  // asked again after retry_waiting()
    if (verdict == trust::Verdict::invalid && refusal_log_.allow(now())) {
      log::warning("lsa-refused", {{"origin", name_of(wanted.lsa->key.origin)},
                                   {"type", wire::to_string(wanted.lsa->key.type)},
                                   {"fragment", wanted.lsa->key.fragment},
                                   {"reason", why},
                                   {"unlogged", refusal_log_.take_suppressed()}});
    }
    engine_.verdict(now(), wanted.ticket, verdict == trust::Verdict::valid);
    // What this one taught may be what the next one needs.
    pump();
  }
  if (verify_queue_.empty() || verify_posted_) return;
  verify_posted_ = true;
  boost::asio::post(io_, [this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) verify_some();
  });
}

void NodeImpl::take(const linkstate::AdjacencyUp& up) {
  LinkRecord* link = find_link(up.link);
  if (link == nullptr) return;
  link->adjacent = true;
  link->neighbour = up.neighbour;
  link->usable = true;
  dataplane::Neighbour neighbour;
  neighbour.link = up.link;
  neighbour.node = up.neighbour;
  neighbour.session = up.session;
  neighbour.address = control_.remote(up.link);
  neighbour.worker_ports = up.data.worker_ports;
  neighbour.mtu = std::min(up.data.mtu, link->settings.mtu);
  plane_->set_neighbour(neighbour);
  routes_.link_up(up.link, up.neighbour, link->settings.metric);
  log::info("adjacency-up", {{"link", link->settings.name}, {"neighbour", up.neighbour_name},
                             {"node", up.neighbour.value}});
  for (auto& [id, listener] : adjacency_listeners_) listener({up.link, up.neighbour, true, ""});
  changed("neighbors");
}

void NodeImpl::take(const linkstate::AdjacencyDown& down) {
  routes_.link_down(down.link);  // first: packets in flight take the alternates
  plane_->clear_neighbour(down.link);
  LinkRecord* link = find_link(down.link);
  if (link != nullptr) {
    link->adjacent = false;
    link->resolve_again = now();
    log::warning("adjacency-down", {{"link", link->settings.name},
                                    {"neighbour", name_of(down.neighbour)},
                                    {"reason", down.reason}});
  }
  for (auto& [id, listener] : adjacency_listeners_) {
    listener({down.link, down.neighbour, false, down.reason});
  }
  changed("neighbors");
}

void NodeImpl::take(const linkstate::LsdbChanged& change) {
  bool removed = change.kind == linkstate::ChangeKind::removed;
  const wire::Lsa& lsa = *change.lsa;
  if (removed ? trust_.forget(lsa) : trust_.learn(lsa)) trust_learnt();
  if (!removed && is_issuer_origin(lsa.key.origin)) {
    auto object = wire::decode_object_body(lsa.body());
    if (object) store_.set_object(lsa.key, *object);
  }
  if (removed || lsa.purge) {
    routes_.lsa_removed(now(), domain_time(), lsa.key);
  } else {
    routes_.lsa_installed(now(), domain_time(), lsa);
  }
  tell_lsdb(removed ? LsdbEvent::Kind::removed : LsdbEvent::Kind::installed, change.lsa);
  changed("lsdb");
}

void NodeImpl::take(const linkstate::Synchronised&) {
  if (synchronised_) return;
  synchronised_ = true;
  log::info("synchronised", {{"lsas", engine_.lsa_count()}, {"after_ms", (now() - started_) / milliseconds(1)}});
  // SPF of what came before counts as well: nothing is pending then. Alone there is nothing to compute.
  if (!routes_.backoff().due()) spf_after_sync_ = true;
}

void NodeImpl::take(const linkstate::Epoch& epoch) { store_.set_epoch(epoch.value); }

void NodeImpl::take(const linkstate::Misbehaviour& m) {
  LinkRecord* link = find_link(m.link);
  log::warning("neighbour-misbehaves", {{"link", link != nullptr ? link->settings.name : "?"},
                                        {"neighbour", name_of(m.offender)},
                                        {"what", m.what}});
}

}  // namespace dmsc::node
