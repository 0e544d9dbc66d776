#include <boost/asio/post.hpp>

#include "dmsc/node/node_impl.hpp"
#include "dmsc/runtime/log.hpp"

namespace dmsc::node {
namespace {

namespace log = runtime::log;

constexpr Duration kReconsiderGap = milliseconds(20);
constexpr std::size_t kForeseen = 32;  // outputs

}  // namespace

// Everything the engine has to say, until it is silent. Listeners may call back into the node; their
// inputs are answered by the outer loop.
void NodeImpl::pump() {
  if (pumping_ || stopped_) return;
  pumping_ = true;
  do {
    for (auto outputs = engine_.poll(); !outputs.empty(); outputs = engine_.poll()) {
      for (std::size_t i = 0; i < outputs.size(); ++i) {
        if (i % kForeseen == 0) foresee(outputs, i);
        std::visit([this](const auto& o) { take(o); }, outputs[i]);
      }
      if (trust_dirty_ && now() >= reconsidered_ + kReconsiderGap) reconsider();
    }
  } while (judged(verifier_.run()));  // what was to be sent has left before anything is judged
  pumping_ = false;
  routes_.tick(now());
  check_ready();
  schedule();
}

// Prefix LSAs among the next outputs: many at a time cost much less than one after the other.
void NodeImpl::foresee(const linkstate::Outputs& outputs, std::size_t from) {
  foreseen_.clear();
  for (std::size_t i = from; i < outputs.size() && i < from + kForeseen; ++i) {
    const auto* change = std::get_if<linkstate::LsdbChanged>(&outputs[i]);
    if (change == nullptr || change->kind == linkstate::ChangeKind::removed) continue;
    if (change->lsa->key.type == wire::LsaType::prefix) foreseen_.push_back(change->lsa);
  }
  if (foreseen_.size() > 1) routes_.foresee(foreseen_);
  foreseen_.clear();
}

void NodeImpl::schedule() {
  std::optional<Time> at = engine_.next_deadline();
  auto sooner = [&at](std::optional<Time> other) {
    if (other && (!at || *other < *at)) at = other;
  };
  sooner(routes_.next_deadline());
  if (trust_dirty_) sooner(reconsidered_ + kReconsiderGap);
  if (at == armed_) return;
  armed_ = at;
  if (!at) {
    timer_.cancel();
    return;
  }
  timer_.expires_at(std::chrono::steady_clock::time_point(at->time_since_epoch()));
  timer_.async_wait(
      [this, alive = std::weak_ptr<bool>(alive_)](const boost::system::error_code& error) {
        if (error || alive.expired()) return;
        armed_.reset();
        on_timer();
      });
}

void NodeImpl::on_timer() {
  auto deadline = engine_.next_deadline();
  if (deadline && *deadline <= now()) {
    control_.read_keepalives();  // before anything is concluded from silence
    engine_.tick(now());
  }
  if (trust_dirty_ && now() >= reconsidered_ + kReconsiderGap) reconsider();
  pump();
}

void NodeImpl::take(const linkstate::VerifyWanted& output) { verifier_.ask(output); }

// Verdicts are inputs of the engine like any other. True if there were any.
bool NodeImpl::judged(const std::vector<Verifier::Answer>& answers) {
  if (stopped_) return false;
  for (const Verifier::Answer& answer : answers) {
    bool valid = answer.verdict == trust::Verdict::valid;
    if (!valid && refusal_log_.allow(now())) {
      log::warning("lsa-refused", {{"origin", name_of(answer.lsa->key.origin)},
                                   {"type", wire::to_string(answer.lsa->key.type)},
                                   {"fragment", answer.lsa->key.fragment},
                                   {"reason", answer.why},
                                   {"unlogged", refusal_log_.take_suppressed()}});
    }
    engine_.verdict(now(), answer.ticket, valid);
  }
  return !answers.empty();
}

void NodeImpl::take(const linkstate::AdjacencyUp& up) {
  LinkRecord* link = find_link(up.link);
  if (link == nullptr) return;
  if (!std::exchange(link->adjacent, true)) {
    link->adjacent_since = now();
    control_.set_urgent(up.link, true);
  }
  link->neighbour = up.neighbour;
  link->usable = true;
  dataplane::Neighbour neighbour;
  neighbour.link = up.link;
  neighbour.node = up.neighbour;
  neighbour.session = up.session;
  neighbour.address = control_.remote(up.link);
  neighbour.worker_ports = up.data.worker_ports;
  neighbour.mtu = wire::kLeastLinkMtu;  // what it carries follows
  link->data = neighbour;
  plane_->set_neighbour(neighbour);
  for (int fd : plane_->sockets(up.link)) data_errors_.add(fd, link->local.family());
  routes_.link_up(up.link, up.neighbour, link->settings.metric);
  log::info("adjacency-up", {{"link", link->settings.name}, {"neighbour", up.neighbour_name},
                             {"node", up.neighbour.value}});
  if (auto finder = finders_.find(link->finder); finder != finders_.end()) {
    finder->second->adjacency(link->found, true);
  }
  for (auto& [id, listener] : adjacency_listeners_) listener({up.link, up.neighbour, true, ""});
  changed("neighbors");
  tell_neighbors();
}

void NodeImpl::take(const linkstate::AdjacencyDown& down) {
  routes_.link_down(down.link);  // first: packets in flight take the alternates
  plane_->clear_neighbour(down.link);
  LinkRecord* link = find_link(down.link);
  if (link != nullptr) {
    link->adjacent = false;
    control_.set_urgent(down.link, false);
    link->resolve_again = now();
    if (auto finder = finders_.find(link->finder); finder != finders_.end()) {
      finder->second->adjacency(link->found, false);
    }
    log::warning("adjacency-down", {{"link", link->settings.name},
                                    {"neighbour", name_of(down.neighbour)},
                                    {"reason", down.reason}});
  }
  for (auto& [id, listener] : adjacency_listeners_) {
    listener({down.link, down.neighbour, false, down.reason});
  }
  changed("neighbors");
  tell_neighbors();
}

void NodeImpl::take(const linkstate::LinkCarries& carries) {
  LinkRecord* link = find_link(carries.link);
  if (link == nullptr || !link->adjacent || link->data.mtu == carries.mtu) return;
  if (carries.mtu < link->data.mtu) {
    log::warning("link-narrower", {{"link", link->settings.name}, {"mtu", carries.mtu},
                                   {"before", link->data.mtu}});
  }
  link->data.mtu = carries.mtu;
  plane_->set_neighbour(link->data);
  changed("neighbors");
  tell_neighbors();
}

void NodeImpl::take(const linkstate::LsdbChanged& change) {
  bool removed = change.kind == linkstate::ChangeKind::removed;
  const wire::Lsa& lsa = *change.lsa;
  if (removed ? trust_.forget(lsa) : trust_.learn(lsa)) trust_learnt(lsa.key.origin);
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

void NodeImpl::take(const linkstate::LimitExceeded& output) {
  log::warning("limit-exceeded", {{"node", name_of(output.offender)},
                                  {"limit", wire::to_string(output.limit)},
                                  {"action", wire::to_string(output.action)},
                                  {"what", output.detail}});
  changed("neighbors");
}

}  // namespace dmsc::node
