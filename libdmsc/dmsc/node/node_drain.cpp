#include <boost/asio/post.hpp>

#include "dmsc/node/node_impl.hpp"
#include "dmsc/runtime/log.hpp"

// Drains: soft at once, hard when traffic has moved (docs/protocol.md, "Drain").
namespace dmsc::node {
namespace {

namespace log = runtime::log;
using linkstate::DrainLevel;

constexpr LinkId kNode{0};
constexpr Duration kLook = milliseconds(50);
constexpr Duration kLeastMove = milliseconds(200);  // flooding, and SPF at every other node
constexpr Duration kMostMove = seconds(5);          // what has not moved by then has no other way
constexpr unsigned kQuietLooks = 3;
// The neighbour's probe of the link's data path and our answer: once a second, so within one look.
constexpr std::uint64_t kProbePackets = 2;

}  // namespace

DrainLevel NodeImpl::wanted_drain(LinkId link) const {
  if (link == kNode) return drains_.node ? drains_.node->level : DrainLevel::none;
  auto record = links_.find(link);
  if (record == links_.end()) return DrainLevel::none;
  auto drain = drains_.links.find(record->second.settings.name);
  return drain == drains_.links.end() ? DrainLevel::none : drain->second.level;
}

std::string NodeImpl::drain_word(LinkId link) const {
  return drain_moves_.count(link) != 0 ? "moving" : linkstate::to_string(wanted_drain(link));
}

void NodeImpl::drain(const DrainOrder& order, std::function<void(Status)> stored) {
  LinkId link = kNode;
  for (const auto& [id, record] : links_) {
    if (!order.link.empty() && record.settings.name == order.link) link = id;
  }
  bool forgotten = order.level == DrainLevel::none && drains_.links.count(order.link) != 0;
  if (!order.link.empty() && link == kNode && !forgotten) {
    return stored(make_error(Errc::not_found, "no link '", order.link, "'"));
  }
  drained_at_ = now();
  bool off = order.level == DrainLevel::none;
  if (order.link.empty()) {
    drains_.node = off ? std::nullopt : std::make_optional(Drain{order.level, order.reason});
  } else if (off) {
    drains_.links.erase(order.link);
  } else {
    drains_.links[order.link] = {order.level, order.reason};
  }
  log::warning(off ? "undrained" : "drained", {{"what", order.link.empty() ? "node" : order.link},
                                               {"level", linkstate::to_string(order.level)},
                                               {"reason", order.reason},
                                               {"persistent", order.persistent}});
  if (link != kNode || order.link.empty()) apply_drain(link, order.level);
  changed("status");
  changed("neighbors");
  if (!order.persistent) return stored(Ok{});
  store_.set_drains(drains_, [this, stored = std::move(stored),
                              alive = std::weak_ptr<bool>(alive_)](bool good) {
    boost::asio::post(io_, [stored, good, alive] {
      if (alive.expired()) return;
      if (good) return stored(Ok{});
      stored(make_error(Errc::internal, "in force, but not stored: a restart forgets it"));
    });
  });
}

void NodeImpl::apply_drain(LinkId link, DrainLevel level) {
  drain_moves_.erase(link);
  set_level(link, level == DrainLevel::hard ? DrainLevel::soft : level);
  if (level == DrainLevel::hard) {
    drain_moves_[link] = DrainMove{now(), passed(link), 0};
    watch_drains();
  }
  pump();
}

void NodeImpl::set_level(LinkId link, DrainLevel level) {
  if (link == kNode) return engine_.set_drain(now(), level);
  engine_.set_link_drain(now(), link, level);
  routes_.link_drained(link, level != DrainLevel::none);
}

// From disk: nothing flows yet, so nothing has to move.
void NodeImpl::restore_drains() {
  drains_ = store_.drains();
  if (!drains_.node) return;
  log::warning("drained", {{"what", "node"},
                           {"level", linkstate::to_string(drains_.node->level)},
                           {"reason", drains_.node->reason},
                           {"since", "before the start"}});
  set_level(kNode, drains_.node->level);
}

void NodeImpl::restore_drain(const LinkRecord& link) {
  DrainLevel level = wanted_drain(link.id);
  if (level == DrainLevel::none) return;
  log::warning("drained", {{"what", link.settings.name}, {"level", linkstate::to_string(level)},
                           {"since", "before"}});
  set_level(link.id, level);
}

void NodeImpl::watch_drains() {
  drain_timer_.expires_after(kLook);
  drain_timer_.async_wait(
      [this, alive = std::weak_ptr<bool>(alive_)](const boost::system::error_code& error) {
        if (!error && !alive.expired() && !stopped_) look_at_drains();
      });
}

// Packets that used what is drained; own probes of a link's data path do not count.
std::uint64_t NodeImpl::passed(LinkId link) const {
  if (link == kNode) return plane_->counters().forwarded;
  for (const dataplane::LinkStats& s : plane_->link_stats()) {
    if (s.link != link) continue;
    return s.counters.packets_in + s.counters.packets_out - s.path.sent - s.path.answered;
  }
  return 0;
}

void NodeImpl::look_at_drains() {
  for (auto it = drain_moves_.begin(); it != drain_moves_.end();) {
    auto& [link, move] = *it;
    if (link != kNode && links_.count(link) == 0) {
      it = drain_moves_.erase(it);
      continue;
    }
    std::uint64_t count = passed(link);
    bool quiet = count - move.counted <= (link == kNode ? 0 : kProbePackets);
    move.counted = count;
    move.quiet = quiet ? move.quiet + 1 : 0;
    Duration took = now() - move.since;
    bool moved = took >= kLeastMove && move.quiet >= kQuietLooks;
    if (!moved && took < kMostMove) {
      ++it;
      continue;
    }
    log::info("drain-complete", {{"what", link == kNode ? "node" : links_.at(link).settings.name},
                                 {"traffic", moved ? "moved" : "has no other way"},
                                 {"after_ms", took / milliseconds(1)}});
    set_level(link, DrainLevel::hard);
    it = drain_moves_.erase(it);
  }
  pump();
  changed("status");
  changed("neighbors");
  if (!drain_moves_.empty()) watch_drains();
}

}  // namespace dmsc::node
