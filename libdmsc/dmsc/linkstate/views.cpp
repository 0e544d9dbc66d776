// Read-only views for show commands, metrics and the simulator.
#include "dmsc/linkstate/impl.hpp"

namespace dmsc::linkstate {

std::vector<NeighbourView> Engine::neighbours(Time now) const {
  std::vector<NeighbourView> out;
  for (const auto& [id, l] : impl_->links) {
    NeighbourView v;
    v.link = id;
    v.link_name = l.config.name;
    v.state = l.state;
    v.neighbour = l.peer.node;
    v.neighbour_name = l.peer.name;
    v.session = l.peer.session;
    if (l.up()) {
      v.up_for = now - l.up_since;
      v.rtt = l.delay.mean();
      v.jitter = l.delay.jitter();
      v.loss = l.loss.ppm().value_or(0) / 1e6;
      v.metric = impl_->adjacency_of(l).metric;
      v.path_mtu = l.path_mtu.mtu();
    }
    v.drain = l.drain;
    v.neighbour_drains = l.peer.draining;
    v.synchronised = l.synchronised;
    v.unacknowledged = l.flood.in_flight();
    v.queued = l.flood.queued();
    v.flaps = l.flaps;
    if (l.held_until && *l.held_until > now) v.held_for = *l.held_until - now;
    v.last_down_reason = l.down_reason;
    v.data = l.peer.data;
    out.push_back(std::move(v));
  }
  return out;
}

std::vector<LsdbEntryView> Engine::lsdb(Time now) const {
  std::vector<LsdbEntryView> out;
  out.reserve(impl_->lsdb.size());
  visit_lsdb(now, [&](const LsdbEntryView& view) { out.push_back(view); });
  for (const auto& [ticket, item] : impl_->waiting.items()) {
    if (!item.recheck) out.push_back({item.lsa, item.remaining, false});
  }
  std::stable_sort(out.begin(), out.end(), [](const LsdbEntryView& a, const LsdbEntryView& b) {
    return a.lsa->key < b.lsa->key;
  });
  return out;
}

void Engine::visit_lsdb(Time now, const std::function<void(const LsdbEntryView&)>& use) const {
  impl_->lsdb.visit([&](const Lsdb::Entry& entry) {
    use({impl_->lsdb.load(entry), Lsdb::remaining(entry, now), true, Lsdb::held_bytes(entry)});
  });
}

LsdbMemory Engine::lsdb_memory() const {
  Lsdb::Memory m = impl_->lsdb.memory();
  return {m.lsas, m.wire_bytes, m.held_bytes, impl_->lsdb.steps()};
}

wire::LsaPtr Engine::find(const wire::LsaKey& key) const {
  const Lsdb::Entry* entry = impl_->lsdb.find(wire::key_number(key));
  return entry == nullptr || entry->purge ? nullptr : impl_->lsdb.load(*entry);
}

std::optional<LsdbEntryView> Engine::entry(Time now, const wire::LsaKey& key) const {
  const Lsdb::Entry* held = impl_->lsdb.find(wire::key_number(key));
  wire::LsaPtr lsa = held == nullptr ? nullptr : find(key);
  if (lsa == nullptr) return std::nullopt;
  return LsdbEntryView{std::move(lsa), Lsdb::remaining(*held, now), true};
}

U128 Engine::digest() const { return impl_->lsdb.digest(); }
std::size_t Engine::lsa_count() const { return impl_->lsdb.size(); }
bool Engine::synchronised() const { return impl_->synchronised; }
const EngineCounters& Engine::counters() const { return impl_->counters; }

}  // namespace dmsc::linkstate
