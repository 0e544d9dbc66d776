// Once a second: is each link's data path alive, how busy is it; names to resolve, grants that end.
#include <algorithm>

#include "dmsc/node/node_impl.hpp"
#include "dmsc/runtime/log.hpp"
#include "dmsc/runtime/startup_memory.hpp"

namespace dmsc::node {
namespace {

namespace log = runtime::log;

constexpr std::uint64_t kTidyAfter = 2000;   // LSAs
constexpr Duration kSettles = seconds(1);  // a new adjacency: then its keepalives may wait

// Available bandwidth is told to the domain when it moved by a quarter: every word of it is flooded.
bool moved(std::uint64_t told, std::uint64_t now_bps) {
  std::uint64_t larger = std::max(told, now_bps), smaller = std::min(told, now_bps);
  return larger - smaller > larger / 4;
}

std::uint64_t rate(std::uint64_t before, std::uint64_t after, Duration elapsed) {
  if (elapsed <= Duration::zero()) return 0;
  auto micros = static_cast<std::uint64_t>(elapsed / microseconds(1));
  return micros == 0 ? 0 : (after - before) * 8 * 1000000 / micros;
}

}  // namespace

// A database that came all at once was queued, waited for its verdicts and was packed: several times its
// size, in pieces between what stays. The allocator keeps all that unless asked.
void NodeImpl::tidy_memory() {
  std::uint64_t installed = engine_.counters().lsas_new;
  bool calm = std::exchange(lsas_seen_, installed) == installed;
  if (!calm || installed < lsas_tidied_ + kTidyAfter) return;
  lsas_tidied_ = installed;
  runtime::release_free_memory();
}

void NodeImpl::every_second() {
  tidy_memory();
  control_.forget_floods();
  for (const dataplane::LinkStats& stats : plane_->link_stats()) {
    LinkRecord* link = find_link(stats.link);
    if (link != nullptr) measure(*link, stats);
  }
  for (auto& [id, link] : links_) {
    if (!link.open) reopen(link);
    if (link.adjacent && now() >= link.adjacent_since + kSettles) control_.set_urgent(id, false);
    if (link.open && !link.adjacent && now() >= link.resolve_again) resolve(link);
  }
  for (auto& [name, finder] : finders_) {
    finder->refresh();
    sync_found(name);
  }
  tell_neighbors();
  if (call_spas_at_ && (synchronised_ || now() >= *call_spas_at_)) {
    call_spas_at_.reset();
    if (spa_) spa_->set_targets(settings_.spas);
  }
  look_at_expiry();
  routes_.age_withdrawn(now());
  if (record_) {
    engine_.mark_record(now());
    record_->flush();
  }
  if (trust_dirty_) reconsider();
  pump();
  second_timer_.expires_after(seconds(1));
  second_timer_.async_wait(
      [this, alive = std::weak_ptr<bool>(alive_)](const boost::system::error_code& error) {
        if (!error && !alive.expired() && !stopped_) every_second();
      });
}

void NodeImpl::measure(LinkRecord& link, const dataplane::LinkStats& stats) {
  Time at = now();
  if (link.counted != Time{}) {
    Duration elapsed = at - link.counted;
    link.used_bps = std::max(rate(link.counters.bytes_in, stats.counters.bytes_in, elapsed),
                             rate(link.counters.bytes_out, stats.counters.bytes_out, elapsed));
  }
  link.counters = stats.counters;
  link.counted = at;
  if (!link.adjacent) return;
  if (stats.path.usable != link.usable) {
    link.usable = stats.path.usable;
    log::warning(link.usable ? "data-path-up" : "data-path-down",
                 {{"link", link.settings.name}, {"neighbour", name_of(link.neighbour)}});
    if (link.usable) {
      routes_.link_up(link.id, link.neighbour, link.settings.metric);
    } else {
      routes_.link_down(link.id);
    }
    changed("links");
  }
  std::uint64_t capacity = link.settings.capacity_bps;
  std::uint64_t available = capacity > link.used_bps ? capacity - link.used_bps : 0;
  if (link.usable == link.told_usable && !moved(link.told_available_bps, available)) return;
  link.told_usable = link.usable;
  link.told_available_bps = available;
  engine_.set_link_quality(at, link.id, available, link.usable);
}

std::vector<LinkQuality> NodeImpl::link_quality() const {
  std::vector<LinkQuality> out;
  for (const linkstate::NeighbourView& view : engine_.neighbours(now())) {
    auto it = links_.find(view.link);
    if (it == links_.end()) continue;
    const LinkRecord& link = it->second;
    LinkQuality quality;
    quality.link = view.link;
    quality.name = view.link_name;
    quality.neighbour = view.neighbour;
    quality.up = link.adjacent;
    quality.usable = link.adjacent && link.usable;
    quality.delay = view.rtt / 2;
    quality.jitter = view.jitter;
    quality.loss = view.loss;
    quality.capacity_bps = link.settings.capacity_bps;
    quality.used_bps = link.used_bps;
    if (quality.capacity_bps > link.used_bps) {
      quality.available_bps = quality.capacity_bps - link.used_bps;
    }
    out.push_back(quality);
  }
  return out;
}

}  // namespace dmsc::node
