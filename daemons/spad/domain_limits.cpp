#include "spad/domain_limits.hpp"

#include "dmsc/wire/lsa.hpp"

namespace dmsc::spad {

namespace {

using runtime::ConfigNode;
using wire::DomainParameters;
using wire::Limit;
using wire::LimitAction;

constexpr std::uint64_t kMost = 100'000'000;     // of what is counted: LSDBs end long before
constexpr std::uint64_t kMostInstances = 65535;  // their numbers have 16 bits

// Every number's default is the value that `value` has: that of an SPA without the section.
template <class T>
void read(const ConfigNode& section, std::string_view key, std::uint64_t min, std::uint64_t max,
          T& value) {
  value = static_cast<T>(section.integer(key, {min, value, max}));
}

void read_seconds(const ConfigNode& section, std::string_view key, seconds min, seconds max,
                  std::uint32_t& value) {
  Duration d = section.duration(key, {min, seconds(value), max});
  value = static_cast<std::uint32_t>(std::chrono::duration_cast<seconds>(d).count());
}

ConfigNode section_of(const ConfigNode& limits, Limit limit, DomainParameters& p) {
  ConfigNode section = limits.section(wire::to_string(limit));
  LimitAction& action = p.actions[static_cast<std::size_t>(limit)];
  action = static_cast<LimitAction>(
      section.choice("action", {"warn", "block", "isolate"}, static_cast<std::size_t>(action)));
  return section;
}

}  // namespace

wire::DomainParameters read_limits(const ConfigNode& limits) {
  using std::chrono::hours;
  DomainParameters p;
  ConfigNode prefixes = section_of(limits, Limit::prefixes, p);
  read(prefixes, "per_node", 1, kMost, p.max_prefixes_per_node);
  read(prefixes, "instances", 1, kMostInstances, p.max_instances_per_prefix);
  ConfigNode names = section_of(limits, Limit::names, p);
  read(names, "bytes", 1, kMaxNameBytes, p.max_name_bytes);
  read(names, "components", 1, kMaxNameComponents, p.max_name_components);
  ConfigNode lsa = section_of(limits, Limit::lsa, p);
  read_seconds(lsa, "lifetime", minutes(1), hours(24 * 30), p.max_lsa_lifetime);
  read(lsa, "grants", 1, kMost, p.max_grants_per_node);
  read(lsa, "unknown_fragments", 0, wire::kMaxLsaFragments, p.max_unknown_fragments);
  ConfigNode rate = section_of(limits, Limit::rate, p);
  read(rate, "per_second", 1, kMost, p.lsas_per_second);
  read(rate, "burst", 1, kMost, p.lsa_burst);
  ConfigNode neighbours = section_of(limits, Limit::neighbours, p);
  read(neighbours, "per_node", 1, kMost, p.max_adjacencies_per_node);
  read_seconds(limits, "isolate_for", seconds(1), hours(24), p.isolate_seconds);
  return p;
}

bool same_limits(const DomainParameters& a, const DomainParameters& b) {
  DomainParameters other = b;
  other.header = a.header;
  return a == other;
}

Json limits_json(const DomainParameters& p) {
  using Value = std::pair<const char*, std::uint64_t>;
  auto limit = [&p](Limit which, std::initializer_list<Value> values) {
    Json out;
    out["action"] = wire::to_string(p.action(which));
    for (const auto& [key, value] : values) out[key] = value;
    return out;
  };
  return {{"serial", p.header.serial},
          {"issued_at", p.header.issued_at.seconds},
          {"isolate_for_s", p.isolate_seconds},
          {"prefixes", limit(Limit::prefixes, {{"per_node", p.max_prefixes_per_node},
                                               {"instances", p.max_instances_per_prefix}})},
          {"names", limit(Limit::names, {{"bytes", p.max_name_bytes},
                                         {"components", p.max_name_components}})},
          {"lsa", limit(Limit::lsa, {{"lifetime_s", p.max_lsa_lifetime},
                                     {"grants", p.max_grants_per_node},
                                     {"unknown_fragments", p.max_unknown_fragments}})},
          {"rate", limit(Limit::rate, {{"per_second", p.lsas_per_second}, {"burst", p.lsa_burst}})},
          {"neighbours", limit(Limit::neighbours, {{"per_node", p.max_adjacencies_per_node}})}};
}

}  // namespace dmsc::spad
