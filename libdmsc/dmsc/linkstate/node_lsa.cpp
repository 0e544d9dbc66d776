// The Node LSA: adjacencies with what is measured on them, published with hysteresis
// (docs/protocol.md, "Origination").
#include <algorithm>

#include "dmsc/linkstate/impl.hpp"

namespace dmsc::linkstate {
namespace {

constexpr std::uint32_t kUnmeasuredMetric = 1000;  // 10 ms: until the first round trip is known
constexpr std::uint32_t kMetricGrain = 5;          // smallest change of a measured metric told

std::uint32_t whole_us(Duration d) {
  auto us = std::chrono::duration_cast<microseconds>(d).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(us, 0, 0xffffffff));
}

// More than half away, and more than `grain`.
bool differs(std::uint64_t published, std::uint64_t measured, std::uint64_t grain) {
  std::uint64_t gap = published > measured ? published - measured : measured - published;
  return gap > std::max(published / 2, grain);
}

std::string link_key(LinkId id) {
  ByteWriter w;
  w.u32(id.value);
  return std::string(as_text(w.view()));
}

std::uint32_t measured_metric(const Link& l) {
  if (!l.delay.known()) return kUnmeasuredMetric;
  std::uint32_t tens = whole_us(l.delay.mean() / 2) / 10;
  return std::clamp<std::uint32_t>(tens, 1, kMaxMetric);
}

}  // namespace

// Takes over what is worth telling. `force` (link up, reconfigured): everything, now.
bool Engine::Impl::publish_quality(Time now, Link& l, bool force) {
  PublishedQuality fresh;
  fresh.delay_us = whole_us(l.delay.mean() / 2);
  fresh.jitter_us = whole_us(l.delay.jitter());
  fresh.loss_ppm = l.loss.ppm().value_or(0);
  fresh.bandwidth_bps = l.available_bps;
  fresh.since = now;
  PublishedQuality& old = l.published;
  fresh.metric = std::clamp<std::uint32_t>(l.config.metric, 1, kMaxMetric);
  if (l.config.metric == 0) {
    fresh.metric = measured_metric(l);
    std::uint32_t gap = fresh.metric > old.metric ? fresh.metric - old.metric
                                                  : old.metric - fresh.metric;
    bool first = old.delay_us == 0 && fresh.delay_us != 0;
    if (!force && !first && gap <= std::max(old.metric / 8, kMetricGrain)) fresh.metric = old.metric;
  }
  bool first = old.delay_us == 0 && fresh.delay_us != 0;
  bool moved = differs(old.delay_us, fresh.delay_us, 100) ||
               differs(old.jitter_us, fresh.jitter_us, 1000) ||
               differs(old.loss_ppm, fresh.loss_ppm, 20000) ||
               differs(old.bandwidth_bps, fresh.bandwidth_bps, 1000000);
  bool due = now >= old.since + kQualityDamping;
  if (!force && !first && fresh.metric == old.metric && !(moved && due)) return false;
  old = fresh;
  return true;
}

void Engine::Impl::tick_quality(Time now) {
  quality_due = now + kQualityPeriod;
  bool changed = false, worse = false;
  for (auto& [id, l] : links) {
    if (!l.up()) continue;
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
  a.metric = static_cast<std::uint32_t>(std::min<std::uint64_t>(metric, kMaxMetric));
  a.delay_us = l.published.delay_us;
  a.jitter_us = l.published.jitter_us;
  a.loss_ppm = l.published.loss_ppm;
  a.bandwidth_bps = l.published.bandwidth_bps;
  a.capacity_bps = l.config.capacity_bps;
  a.flags = static_cast<std::uint8_t>((l.usable ? wire::kAdjacencyUsable : 0) |
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
  first.overload = overload || !synchronised;
  first.no_transit = config.no_transit;
  std::set<std::string> present;
  for (auto& [id, l] : links) {
    if (!l.up() || l.publish_after) continue;
    wire::Adjacency a = adjacency_of(l);
    std::string item = link_key(id);
    auto fragment = adjacency_fragments.place(item, wire::encoded_size(a));
    if (!fragment) continue;  // 4,096 fragments of 17 links: more than link ids can be configured
    present.insert(item);
    bodies[*fragment].adjacencies.push_back(a);
  }
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
