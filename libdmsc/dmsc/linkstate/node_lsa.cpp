// The Node LSA: adjacencies with what is measured on them, published with hysteresis
// (docs/protocol.md, "Origination").
#include <algorithm>

#include "dmsc/linkstate/impl.hpp"
#include "dmsc/wire/link_mtu.hpp"

namespace dmsc::linkstate {
namespace {

constexpr std::uint32_t kUnmeasuredMetric = 1000;  // 10 ms: until the first round trip is known
constexpr std::uint32_t kMetricGrain = 10;         // smallest change of a measured metric told: 100 us

std::uint32_t whole_us(Duration d) {
  auto us = std::chrono::duration_cast<microseconds>(d).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(us, 0, 0xffffffff));
}

// More than half away, and more than `grain`.
bool differs(std::uint64_t published, std::uint64_t measured, std::uint64_t grain) {
  std::uint64_t gap = published > measured ? published - measured : measured - published;
  return gap > std::max(published / 2, grain);
}

// Random loss is noise as well: what chance explains is not told.
bool loss_differs(std::uint32_t published, const measure::SteadyLossWindow& window) {
  auto measured = window.ppm();
  if (!measured) return false;
  std::uint32_t chance = measure::chance_ppm(std::max(published, *measured), window.outcomes());
  return differs(published, *measured, std::max<std::uint32_t>(20000, chance));
}

std::string link_key(LinkId id) {
  ByteWriter w;
  w.u32(id.value);
  return std::string(as_text(w.view()));
}

// From the least delay of the last seconds: what the path costs, not what its queues hold just now. A
// metric that follows queues sends the traffic to and fro (RFC 8570 has a minimum delay for that).
std::uint32_t measured_metric(const Link& l) {
  auto least = l.least_delay.value();
  if (!least && l.delay.known()) least = l.delay.mean();  // keepalives seconds apart
  if (!least) return kUnmeasuredMetric;
  return std::clamp<std::uint32_t>(whole_us(*least / 2) / 10, 1, kMaxUsedMetric);
}

// Hysteresis: told when more than a quarter away, and more than the grain.
bool worth_telling(std::uint32_t published, std::uint32_t measured) {
  std::uint32_t gap = published > measured ? published - measured : measured - published;
  return gap > std::max(published / 4, kMetricGrain);
}

}  // namespace

// Takes over what is worth telling. `force` (link up, reconfigured): everything, now.
bool Engine::Impl::publish_quality(Time now, Link& l, bool force) {
  PublishedQuality fresh;
  fresh.delay_us = whole_us(l.delay.mean() / 2);
  fresh.jitter_us = whole_us(l.delay.jitter());
  fresh.loss_ppm = l.steady_loss.ppm().value_or(0);
  fresh.bandwidth_bps = l.available_bps;
  fresh.since = now;
  PublishedQuality& old = l.published;
  bool first = old.delay_us == 0 && fresh.delay_us != 0;
  fresh.metric = std::clamp<std::uint32_t>(l.config.metric, 1, kMaxUsedMetric);
  if (l.config.metric == 0) {
    fresh.metric = measured_metric(l);
    if (!force && !first && !worth_telling(old.metric, fresh.metric)) fresh.metric = old.metric;
  }
  // Jitter is itself noisy: a change far below the delay says nothing.
  std::uint64_t jitter_grain = std::max<std::uint64_t>(1000, old.settled ? old.delay_us / 4 : 0);
  bool moved = differs(old.delay_us, fresh.delay_us, 100) ||
               differs(old.jitter_us, fresh.jitter_us, jitter_grain) ||
               loss_differs(old.loss_ppm, l.steady_loss) ||
               differs(old.bandwidth_bps, fresh.bandwidth_bps, 1000000);
  bool due = now >= old.since + kQualityDamping;
  fresh.settled = old.settled || due;
  if (due && !moved) old.settled = true;
  if (!force && !first && fresh.metric == old.metric && !(moved && due)) return false;
  old = fresh;
  return true;
}

void Engine::Impl::tick_quality(Time now) {
  quality_due = now + kQualityPeriod;
  bool changed = false, worse = false;
  for (auto& [id, l] : links) {
    if (!l.up()) continue;
    l.least_delay.turn();
    std::uint32_t before = l.published.metric;
    if (!publish_quality(now, l, false)) continue;
    changed = true;
    worse = worse || l.published.metric > before;
  }
  if (changed) update_node_lsa(now, worse);
}

wire::Adjacency Engine::Impl::adjacency_of(const Link& l) const {
  wire::Adjacency a;
  a.neighbour = l.peer.node;
  a.link = l.config.id.value;
  a.neighbour_link = l.peer.link;
  std::uint64_t metric = std::uint64_t{l.published.metric} + l.bias;
  a.metric = static_cast<std::uint32_t>(std::min<std::uint64_t>(metric, kMaxUsedMetric));
  bool drains = drained != DrainLevel::none || l.drain != DrainLevel::none || l.peer.draining;
  if (drains) a.metric = kMaxMetric;
  a.delay_us = l.published.delay_us;
  a.jitter_us = l.published.jitter_us;
  a.loss_ppm = l.published.loss_ppm;
  a.bandwidth_bps = l.published.bandwidth_bps;
  a.capacity_bps = l.config.capacity_bps;
  bool usable = l.usable && l.drain != DrainLevel::hard;
  a.flags = static_cast<std::uint8_t>((usable ? wire::kAdjacencyUsable : 0) |
                                      (synchronised ? 0 : wire::kAdjacencyStarting));
  return a;
}

// Notes that the Node LSA is out of date; it is made once per poll(), however many links changed.
void Engine::Impl::update_node_lsa(Time, bool bad_news) {
  node_dirty = true;
  node_bad_news = node_bad_news || bad_news;
}

void Engine::Impl::originate_node(Time now) {
  bool bad_news = std::exchange(node_bad_news, false);
  node_dirty = false;
  std::map<std::uint16_t, wire::NodeBody> bodies;
  wire::NodeBody& first = bodies[0];
  first.name = config.name;
  first.role = config.role;
  first.overload = overload || drained == DrainLevel::hard || !synchronised;
  first.no_transit = config.no_transit;
  std::set<std::string> present;
  std::map<std::uint16_t, std::vector<wire::LinkMtu>> mtus;
  for (auto& [id, l] : links) {
    if (!l.told()) continue;
    wire::Adjacency a = adjacency_of(l);
    std::string item = link_key(id);
    auto fragment = adjacency_fragments.place(item, wire::encoded_size(a));
    if (!fragment) continue;  // 4,096 fragments of 17 links: more than link ids can be configured
    present.insert(item);
    bodies[*fragment].adjacencies.push_back(a);
    mtus[*fragment].push_back({a.link, l.carries});
  }
  for (const auto& [fragment, told] : mtus) wire::add_link_mtus(bodies[fragment], told);
  for (const std::string& item : advertised) {
    if (present.count(item) == 0) adjacency_fragments.remove(item);
  }
  advertised = std::move(present);
  for (const auto& [fragment, body] : bodies) {
    want(now, {config.self, wire::LsaType::node, fragment}, wire::encode(body), bad_news);
  }
  for (std::uint16_t fragment : node_fragments) {
    if (bodies.count(fragment) == 0) unwant(now, {config.self, wire::LsaType::node, fragment});
  }
  node_fragments.clear();
  for (const auto& [fragment, body] : bodies) node_fragments.insert(fragment);
}

}  // namespace dmsc::linkstate
