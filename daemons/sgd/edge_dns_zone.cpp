#include <algorithm>

#include "sgd/edge_dns.hpp"

namespace dmsc::sgd::dns {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

bool below(std::string_view name, std::string_view zone) {
  return name.size() > zone.size() && name.substr(name.size() - zone.size()) == zone &&
         name[name.size() - zone.size() - 1] == '.';
}

// "4.3.2.1.in-addr.arpa" is 1.2.3.4.
std::optional<Ipv4> reverse_address(std::string_view name) {
  constexpr std::string_view kSuffix = ".in-addr.arpa";
  if (name.size() <= kSuffix.size() || name.substr(name.size() - kSuffix.size()) != kSuffix) {
    return std::nullopt;
  }
  auto swapped = parse_ipv4(name.substr(0, name.size() - kSuffix.size()));
  if (!swapped) return std::nullopt;
  return Ipv4{__builtin_bswap32(swapped->value)};
}

}  // namespace

void Directory::set(const Name& prefix, bool covering) {
  Entry& entry = prefixes_[prefix.folded()];
  if (entry.canonical != prefix) entry.ports.reset();
  entry.canonical = prefix;
  entry.covering = covering;
}

void Directory::remove(const Name& prefix) {
  auto it = prefixes_.find(prefix.folded());
  // Another spelling may have taken the place meanwhile: it stays.
  if (it != prefixes_.end() && it->second.canonical == prefix) prefixes_.erase(it);
}

void Directory::set_ports(const Name& prefix, std::vector<wire::ServicePort> ports) {
  auto it = prefixes_.find(prefix.folded());
  if (it == prefixes_.end() || it->second.canonical != prefix) return;
  it->second.ports.reset();
  if (ports.empty()) return;
  it->second.ports = std::make_unique<const std::vector<wire::ServicePort>>(std::move(ports));
}

// The prefix that serves the name: itself, or the longest above it if that covers.
const Directory::Entry* Directory::find(const Name& query) const {
  std::string folded = query.folded();
  if (auto it = prefixes_.find(folded); it != prefixes_.end()) return &it->second;
  std::uint8_t ends[kMaxNameComponents];
  for (std::size_t n = component_ends(folded, ends); n-- > 1;) {
    auto it = prefixes_.find(folded.substr(0, ends[n - 1]));
    if (it == prefixes_.end()) continue;
    // The longest known prefix decides, as in the FIB: a typo below a plain prefix is an error.
    return it->second.covering ? &it->second : nullptr;
  }
  return nullptr;
}

std::optional<Name> Directory::resolve(const Name& query) const {
  const Entry* entry = find(query);
  if (entry == nullptr) return std::nullopt;
  std::string folded = query.folded();
  const std::string& prefix = entry->canonical.text();
  if (folded.size() == prefix.size()) return entry->canonical;
  // DNS does not keep case, so what lies below a covering prefix is asked for in lower case.
  auto name = Name::parse(prefix + folded.substr(prefix.size()));
  return name ? std::optional<Name>(*name) : std::nullopt;
}

std::vector<wire::ServicePort> Directory::ports(const Name& name) const {
  const Entry* entry = find(name);
  return entry != nullptr && entry->ports ? *entry->ports : std::vector<wire::ServicePort>{};
}

bool Directory::has_below(const Name& query) const {
  std::string prefix = query.folded() + "/";
  auto it = prefixes_.lower_bound(prefix);
  return it != prefixes_.end() && it->first.compare(0, prefix.size(), prefix) == 0;
}

Zone::Zone(std::string zone, Ipv4Net range, std::optional<Prefix6> prefix6, std::uint32_t ttl,
           const Directory& directory, VirtualAddresses& addresses)
    : zone_(lower(zone)),
      range_(range),
      prefix6_(prefix6),
      ttl_(ttl),
      directory_(directory),
      addresses_(addresses) {}

std::optional<Answer> Zone::answer(const Query& query, Time now, bool ipv6) {
  if (query.klass != kClassIn) return Answer{.rcode = Rcode::refused};
  std::string name = lower(query.name);
  if (name == zone_) {
    Answer apex{.authoritative = true, .ttl = ttl_};
    apex.soa_answer = query.type == kTypeSoa || query.type == kTypeAny;
    apex.soa_authority = !apex.soa_answer;
    return apex;
  }
  if (below(name, zone_)) return forward_lookup(query, now, ipv6);
  auto address = reverse_address(name);
  if (auto six = reverse_address6(name); six && prefix6_) address = prefix6_->inside(*six);
  if (address && range_.contains(*address)) return reverse_lookup(query, *address);
  return std::nullopt;
}

Answer Zone::forward_lookup(const Query& query, Time now, bool ipv6) {
  if (auto service = service_lookup(query, now, ipv6)) return *service;
  Answer out{.authoritative = true, .ttl = ttl_};
  auto asked = from_dns(query.name, zone_);
  auto known = asked ? directory_.resolve(*asked) : std::nullopt;
  bool four = query.type == kTypeA || query.type == kTypeAny;
  bool six = query.type == kTypeAaaa && ipv6 && prefix6_;
  if (known && (four || six)) {
    auto address = addresses_.allocate(known->text(), now);
    if (!address) return Answer{.rcode = Rcode::server_failure};
    if (four) out.address = address;
    if (six) out.address6 = prefix6_->of(*address);
    return out;
  }
  out.soa_authority = true;
  if (!known && !(asked && directory_.has_below(*asked))) out.rcode = Rcode::name_error;
  return out;
}

Answer Zone::reverse_lookup(const Query& query, Ipv4 address) const {
  Answer out{.authoritative = true, .ttl = ttl_};
  const std::string* text = addresses_.find(address);
  auto name = text ? Name::parse(*text) : Result<Name>(Error{});
  auto dotted = name ? to_dns(*name, zone_) : std::nullopt;
  if (!dotted) out.rcode = Rcode::name_error;
  if (dotted && (query.type == kTypePtr || query.type == kTypeAny)) out.pointer = *dotted;
  return out;  // no SOA: the reverse zone is not ours to describe
}

}  // namespace dmsc::sgd::dns
