#include "dmsc/dataplane/seal_keeper.hpp"

#include <csignal>

#include "dmsc/runtime/clock.hpp"

namespace dmsc::dataplane {

namespace log = runtime::log;
using Kind = SealEvent::Kind;

SealKeeper::SealKeeper(NodeId self) : self_(self) {}

SealKeeper::~SealKeeper() { stop(); }

SealConfig SealKeeper::machine_config() {
  SealConfig config;
  config.self = self_;
  config.cookie_secret = runtime::random_array<32>();
  config.first_association =
      static_cast<std::uint32_t>(runtime::random_u64()) & wire::kMaxAssociation;
  config.shake = [this](SealRole role, NodeId peer, std::uint32_t association) {
    return dtls_->shake(role, peer, association);
  };
  config.last_used = [this](NodeId peer, std::uint32_t association) {
    auto it = associations_.find({peer, association});
    return it == associations_.end() ? Time{} : it->second->totals().last_used;
  };
  return config;
}

Status SealKeeper::start(DtlsIdentity identity, std::vector<SealingWorker*> workers) {
  auto check = [this](NodeId peer, const trust::Certificate& c) { return this->check(peer, c); };
  auto dtls = DtlsContext::create(std::move(identity), check);
  if (!dtls) return with_context("sealing", dtls.error());
  dtls_ = std::move(*dtls);
  workers_ = std::move(workers);
  machine_ = std::make_unique<SealMachine>(machine_config());
  sigset_t all, old;  // signals belong to the control thread
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  pthread_setname_np(thread_.native_handle(), "sealing");
  return Ok{};
}

void SealKeeper::stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    tasks_.clear();
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void SealKeeper::post(std::function<void()> task, bool droppable) {
  {
    std::lock_guard lock(mutex_);
    if (stop_) return;
    if (droppable && tasks_.size() >= kMostTasks) {
      ++overflowed_;
      return;
    }
    tasks_.push_back(std::move(task));
    if (tasks_.size() > 1) return;  // already woken
  }
  wake_.notify_one();
}

void SealKeeper::run() {
  std::vector<std::function<void()>> tasks;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      auto ready = [this] { return stop_ || !tasks_.empty(); };
      if (auto at = deadline()) {
        wake_.wait_for(lock, std::max<Duration>(*at - runtime::now(), Duration(0)), ready);
      } else {
        wake_.wait(lock, ready);
      }
      if (stop_) return;
      tasks.swap(tasks_);
    }
    for (auto& task : tasks) {
      task();
      hand_out();
    }
    tasks.clear();
    const Time now = runtime::now();
    if (auto at = machine_->deadline(); at && now >= *at) machine_->tick(now);
    give_up_unknown(now);
    hand_out();
  }
}

std::optional<Time> SealKeeper::deadline() const {
  std::optional<Time> out = machine_->deadline();
  for (const auto& [peer, until] : unknown_) out = out ? std::min(*out, until) : until;
  return out;
}

// ---- what it is told ----------------------------------------------------------------------------

void SealKeeper::want(NodeId peer, bool renew) {
  post([this, peer, renew] { on_want(peer, renew); });
}

void SealKeeper::on_want(NodeId peer, bool renew) {
  if (peers_.gateways.count(peer) != 0) return machine_->want(runtime::now(), peer, renew);
  if (unknown_.size() >= kMostUnknown) return fail(peer, "no gateway of that id is known here");
  unknown_.try_emplace(peer, runtime::now() + kUnknownFor);
}

void SealKeeper::give_up_unknown(Time now) {
  for (auto it = unknown_.begin(); it != unknown_.end();) {
    auto here = it++;
    if (now < here->second) continue;
    fail(here->first, "no gateway of that id is known here");
    unknown_.erase(here);
  }
}

void SealKeeper::fail(NodeId peer, std::string reason) {
  SealEvent event;
  event.kind = Kind::failed;
  event.peer = peer;
  event.reason = std::move(reason);
  hand_out(std::move(event));
}

void SealKeeper::frame(NodeId peer, Bytes payload) {
  auto task = [this, peer, payload = std::move(payload)] {
    if (peers_.gateways.count(peer) == 0) {
      ++strangers_;
      return;
    }
    machine_->receive(runtime::now(), peer, payload);
  };
  post(std::move(task), true);
}

void SealKeeper::opened(NodeId peer, std::uint32_t association) {
  post([this, peer, association] { machine_->opened(runtime::now(), peer, association); });
}

void SealKeeper::unknown(NodeId peer, std::uint32_t association) {
  post([this, peer, association] { machine_->unknown(runtime::now(), peer, association); }, true);
}

void SealKeeper::set_identity(DtlsIdentity identity) {
  post([this, identity = std::move(identity)] {
    auto dtls = DtlsContext::create(
        identity, [this](NodeId peer, const trust::Certificate& c) { return check(peer, c); });
    if (dtls) {
      dtls_ = std::move(*dtls);
    } else {
      log::error("seal-identity-refused", {{"reason", dtls.error()}});
    }
  });
}

void SealKeeper::set_peers(SealPeers peers) {
  post([this, peers = std::move(peers)]() mutable { take_peers(std::move(peers)); });
}

void SealKeeper::take_peers(SealPeers peers) {
  std::vector<NodeId> gone;
  for (const auto& [id, peer] : peers_.gateways) {
    auto now = peers.gateways.find(id);
    if (now == peers.gateways.end() || now->second.key != peer.key) gone.push_back(id);
  }
  peers_ = std::move(peers);
  for (NodeId id : gone) machine_->forget(id);
  for (auto it = unknown_.begin(); it != unknown_.end();) {
    auto here = it++;
    if (peers_.gateways.count(here->first) == 0) continue;
    machine_->want(runtime::now(), here->first);
    unknown_.erase(here);
  }
}

// The root's signature and the names have been checked.
Status SealKeeper::check(NodeId peer, const trust::Certificate& certificate) const {
  auto known = peers_.gateways.find(peer);
  if (known == peers_.gateways.end()) {
    return make_error(Errc::unavailable, "no identity of ", certificate.name,
                      " is in the LSDB yet");
  }
  if (known->second.key != certificate.key) {
    return make_error(Errc::denied, "the key of ", certificate.name,
                      " is not the one its identity has: replaced or revoked");
  }
  const auto since = std::chrono::duration_cast<seconds>(runtime::now() - peers_.taken).count();
  const DomainTime now = peers_.time + static_cast<std::uint64_t>(std::max<std::int64_t>(since, 0));
  if (certificate.not_after < now) {
    return make_error(Errc::expired, "the certificate of ", certificate.name, " has ended");
  }
  return Ok{};
}

// ---- what it says
// ---------------------------------------------------------------------------------

void SealKeeper::hand_out() {
  for (SealEvent& event : machine_->take_events()) hand_out(std::move(event));
  for (SealFrame& frame : machine_->take_frames()) {
    workers_.front()->send_frame(frame.peer, std::move(frame.payload));
  }
}

void SealKeeper::hand_out(SealEvent event) {
  std::shared_ptr<SealAssociation> association;
  const Key key{event.peer, event.association};
  if (event.kind == Kind::installed) {
    association = std::make_shared<SealAssociation>(event.peer, event.association, event.secrets,
                                                    static_cast<unsigned>(workers_.size()));
    associations_[key] = association;
    event.secrets = {};
    told_.erase(event.peer);
    log::info("seal-keys-made", {{"peer", event.peer.value},
                                 {"association", event.association},
                                 {"algorithm", to_string(association->algorithm())}});
  } else if (event.kind == Kind::removed) {
    associations_.erase(key);
  } else if (event.kind == Kind::failed && told_[event.peer] != event.reason) {
    if (told_.size() > kMostTasks) told_.clear();
    told_[event.peer] = event.reason;
    log::warning("seal-keys-failed", {{"peer", event.peer.value}, {"reason", event.reason}});
  }
  for (SealingWorker* worker : workers_) worker->apply(event, association);
}

void SealKeeper::snapshot(std::function<void(SealSnapshot)> done) {
  post([this, done = std::move(done)] { done(look()); });
}

SealSnapshot SealKeeper::look() const {
  SealSnapshot out;
  for (const SealMachine::View& view : machine_->views(runtime::now())) {
    SealSnapshot::Row row;
    static_cast<SealMachine::View&>(row) = view;
    auto it = associations_.find({view.peer, view.association});
    if (it != associations_.end()) {
      row.algorithm = to_string(it->second->algorithm());
      row.totals = it->second->totals();
    }
    out.rows.push_back(std::move(row));
  }
  out.counters = machine_->counters();
  out.strangers = strangers_;
  std::lock_guard lock(mutex_);
  out.overflowed = overflowed_;
  return out;
}

}  // namespace dmsc::dataplane
