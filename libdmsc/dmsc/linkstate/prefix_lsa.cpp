// Prefix and grant LSAs (docs/protocol.md, "Origination"): stable fragments, diffed against what was
// announced before.
#include <algorithm>

#include "dmsc/linkstate/impl.hpp"

namespace dmsc::linkstate {
namespace {

constexpr std::size_t kInstancesPerEntry = 128;  // more are split over several entries of one name

// Withdrawn, an instance lost, or capacity lowered: others must hear it at once.
bool is_bad_news(const wire::PrefixEntry& before, const wire::PrefixEntry& after) {
  if (before.covering && !after.covering) return true;
  for (const wire::PrefixInstance& old : before.instances) {
    auto same = std::find_if(after.instances.begin(), after.instances.end(),
                             [&](const wire::PrefixInstance& i) { return i.id == old.id; });
    if (same == after.instances.end() || same->capacity < old.capacity) return true;
  }
  return false;
}

std::map<std::string, wire::PrefixEntry> by_id(std::vector<wire::PrefixEntry> entries) {
  std::map<std::string, wire::PrefixEntry> out;
  for (wire::PrefixEntry& entry : entries) {
    std::size_t parts = std::max<std::size_t>(
        1, (entry.instances.size() + kInstancesPerEntry - 1) / kInstancesPerEntry);
    for (std::size_t part = 0; part < parts; ++part) {
      wire::PrefixEntry piece{entry.name, entry.covering, entry.interface, {}};
      if (part == 0) piece.ports = entry.ports;
      std::size_t end = std::min(entry.instances.size(), (part + 1) * kInstancesPerEntry);
      for (std::size_t i = part * kInstancesPerEntry; i < end; ++i) {
        piece.instances.push_back(entry.instances[i]);
      }
      // The interface is part of the id: one name may live on several interfaces of a gateway.
      out[entry.name.text() + '/' + std::to_string(entry.interface) + '/' + std::to_string(part)] =
          std::move(piece);
    }
  }
  return out;
}

// Takes out what the domain would not accept: names too long, or more of them than allowed (the first by
// name are kept, as the other nodes would).
std::vector<wire::PrefixEntry> cut(std::vector<wire::PrefixEntry>& entries,
                                   const wire::DomainParameters& limits) {
  auto fits = [&](const wire::PrefixEntry& e) {
    return e.name.text().size() <= limits.max_name_bytes &&
           e.name.component_count() <= limits.max_name_components;
  };
  auto end = entries.end();
  if (limits.max_name_bytes < kMaxNameBytes || limits.max_name_components < kMaxNameComponents) {
    end = std::stable_partition(entries.begin(), entries.end(), fits);
  }
  if (static_cast<std::size_t>(end - entries.begin()) > limits.max_prefixes_per_node) {
    std::stable_sort(entries.begin(), end,
                     [](const auto& a, const auto& b) { return a.name < b.name; });
    end = entries.begin() + limits.max_prefixes_per_node;
  }
  std::vector<wire::PrefixEntry> out(std::make_move_iterator(end),
                                     std::make_move_iterator(entries.end()));
  entries.erase(end, entries.end());
  return out;
}

}  // namespace

void Engine::Impl::set_prefixes(Time now, std::vector<wire::PrefixEntry> entries) {
  prefixes_cut = cut(entries, limits);
  std::size_t over = prefixes_cut.size();
  auto wanted = by_id(std::move(entries));
  std::map<std::uint16_t, bool> touched;  // fragment -> at once: bad news, or an entry has moved
  std::size_t refused = 0;
  for (const auto& [id, entry] : prefixes) {
    if (wanted.count(id) != 0) continue;
    if (auto fragment = prefix_fragments.remove(id)) touched[*fragment] = true;
  }
  for (auto it = wanted.begin(); it != wanted.end();) {
    auto old = prefixes.find(it->first);
    if (old != prefixes.end() && old->second == it->second) {
      ++it;
      continue;
    }
    auto before = prefix_fragments.find(it->first);
    auto fragment = prefix_fragments.place(it->first, wire::encoded_size(it->second));
    bool bad = old != prefixes.end() && is_bad_news(old->second, it->second);
    bool moved = before && before != fragment;
    if (moved) touched[*before] = true;
    if (fragment) touched[*fragment] = touched[*fragment] || bad || moved;
    refused += fragment ? 0 : 1;
    it = fragment ? std::next(it) : wanted.erase(it);
  }
  prefixes = std::move(wanted);
  if (refused + over != 0) {
    charge(now, LinkId{0}, config.self, "prefixes over the limit",
           std::to_string(over) + " are not announced: the domain allows " +
               std::to_string(limits.max_prefixes_per_node) + "; " + std::to_string(refused) +
               ": all fragments are full");
  }
  // Make before break: what moved is told in its new fragment before the old one is told without it.
  std::map<std::size_t, std::uint16_t, std::greater<>> losers;
  for (const auto& [fragment, at_once] : touched) {
    if (auto order = prefix_fragments.left(fragment)) {
      losers[*order] = fragment;
    } else {
      rebuild_prefix_fragment(now, fragment, at_once);
    }
  }
  for (const auto& [order, fragment] : losers) rebuild_prefix_fragment(now, fragment, true);
  prefix_fragments.settle();
}

void Engine::Impl::rebuild_prefix_fragment(Time now, std::uint16_t fragment, bool bad_news) {
  wire::LsaKey key{config.self, wire::LsaType::prefix, fragment};
  const std::set<std::string>& ids = prefix_fragments.contents(fragment);
  if (ids.empty()) return unwant(now, key);
  wire::PrefixBody body;
  for (const std::string& id : ids) body.entries.push_back(prefixes.at(id));
  want(now, key, wire::encode(body), bad_news);
}

// One grant per LSA: its content never changes, so neither does its fragment.
void Engine::Impl::set_grants(Time now, std::vector<Bytes> objects) {
  std::set<Bytes> wanted(std::make_move_iterator(objects.begin()),
                         std::make_move_iterator(objects.end()));
  for (const Bytes& object : grants) {
    if (wanted.count(object) != 0) continue;
    if (auto fragment = grant_fragments.remove(std::string(as_text(object)))) {
      unwant(now, {config.self, wire::LsaType::grant, *fragment});
    }
  }
  for (auto it = wanted.begin(); it != wanted.end();) {
    if (grants.count(*it) != 0) {
      ++it;
      continue;
    }
    auto fragment = grant_fragments.place(std::string(as_text(*it)), 1);
    if (!fragment || *fragment >= fragments_allowed(wire::LsaType::grant, limits)) {
      grant_fragments.remove(std::string(as_text(*it)));
      charge(now, LinkId{0}, config.self, "grants over the limit", "");
      it = wanted.erase(it);
      continue;
    }
    want(now, {config.self, wire::LsaType::grant, *fragment}, wire::encode_object_body(*it), true);
    ++it;
  }
  grants = std::move(wanted);
}

}  // namespace dmsc::linkstate
