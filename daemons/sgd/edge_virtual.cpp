#include "sgd/edge_virtual.hpp"

#include <algorithm>

#include "dmsc/core/bytes.hpp"
#include "dmsc/name/name.hpp"

namespace dmsc::sgd {

VirtualAddresses::VirtualAddresses(Ipv4Net range, Ipv4 reserved, const crypto::Key16& key)
    : range_(range), reserved_(reserved), key_(key) {}

bool VirtualAddresses::usable(Ipv4 a) const {
  return range_.contains(a) && a != range_.network() && a != range_.last() && a != reserved_;
}

void VirtualAddresses::bind(const std::string& text, Ipv4 address, Time now) {
  order_.push_back(address);
  by_address_[address] = Entry{text, now, std::prev(order_.end())};
  by_text_[text] = address;
  ++version_;
}

std::optional<Ipv4> VirtualAddresses::reuse(Time now) {
  if (order_.empty()) return std::nullopt;
  Ipv4 oldest = order_.front();
  auto it = by_address_.find(oldest);
  if (now - it->second.used < kReuseAfter) return std::nullopt;
  by_text_.erase(it->second.text);
  order_.pop_front();
  by_address_.erase(it);
  return oldest;
}

std::optional<Ipv4> VirtualAddresses::allocate(const std::string& text, Time now) {
  if (auto it = by_text_.find(text); it != by_text_.end()) {
    touch(it->second, now);
    return it->second;
  }
  std::uint64_t size = range_.size();
  std::uint64_t start = crypto::siphash24(key_, as_bytes(text)) % size;
  // Probing further is pointless once the table is full; before, it ends soon.
  constexpr std::uint64_t kProbes = 4096;
  for (std::uint64_t i = 0; i < std::min(size, kProbes); ++i) {
    Ipv4 address{range_.network().value + static_cast<std::uint32_t>((start + i) % size)};
    if (!usable(address) || by_address_.count(address) != 0) continue;
    bind(text, address, now);
    return address;
  }
  auto address = reuse(now);
  if (address) bind(text, *address, now);
  return address;
}

bool VirtualAddresses::restore(const std::string& text, Ipv4 address, Time now) {
  if (!usable(address) || by_address_.count(address) != 0 || by_text_.count(text) != 0) return false;
  bind(text, address, now);
  return true;
}

const std::string* VirtualAddresses::find(Ipv4 address) const {
  auto it = by_address_.find(address);
  return it == by_address_.end() ? nullptr : &it->second.text;
}

void VirtualAddresses::touch(Ipv4 address, Time now) {
  auto it = by_address_.find(address);
  if (it == by_address_.end()) return;
  it->second.used = now;
  order_.splice(order_.end(), order_, it->second.place);
}

std::vector<std::pair<Ipv4, std::string>> VirtualAddresses::all() const {
  std::vector<std::pair<Ipv4, std::string>> out;
  for (const auto& [address, entry] : by_address_) out.emplace_back(address, entry.text);
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::pair<Ipv4, std::string>> VirtualAddresses::recent(std::size_t limit) const {
  std::vector<std::pair<Ipv4, std::string>> out;
  auto it = order_.begin();
  if (order_.size() > limit) std::advance(it, static_cast<std::ptrdiff_t>(order_.size() - limit));
  for (; it != order_.end(); ++it) out.emplace_back(*it, by_address_.at(*it).text);
  return out;
}

std::optional<Ipv4> VirtualAddresses::address_of(const std::string& text) const {
  auto it = by_text_.find(text);
  return it == by_text_.end() ? std::nullopt : std::optional(it->second);
}

namespace {
constexpr std::string_view kMagic = "dmsc-virtual-addresses 1";
}

std::string encode_saved(const SavedAddresses& saved) {
  std::string out = std::string(kMagic) + "\nkey " + to_hex(saved.key) + "\n";
  for (const auto& [address, name] : saved.names) out += to_string(address) + " " + name + "\n";
  return out;
}

Result<SavedAddresses> decode_saved(std::string_view text) {
  SavedAddresses out;
  for (int line = 1; !text.empty(); ++line) {
    std::size_t end = text.find('\n');
    std::string_view row = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    auto wrong = [&](std::string_view what) {
      return make_error(Errc::invalid, "virtual-addresses line ", std::to_string(line), ": ", what);
    };
    if (line == 1) {
      if (row != kMagic) return wrong("not a file of this version");
      continue;
    }
    if (line == 2) {
      Bytes key = row.substr(0, 4) == "key " ? from_hex(row.substr(4)) : Bytes{};
      if (key.size() != out.key.size()) return wrong("no key of 16 bytes");
      std::copy(key.begin(), key.end(), out.key.begin());
      continue;
    }
    std::size_t space = row.find(' ');
    if (space == std::string_view::npos) return wrong("want ADDRESS NAME");
    auto address = parse_ipv4(row.substr(0, space));
    if (!address) return wrong(address.error().message);
    auto name = Name::parse(row.substr(space + 1));
    if (!name) return wrong(name.error().message);
    out.names.emplace_back(*address, name->text());
  }
  out.found = true;
  if (out.key == crypto::Key16{}) return make_error(Errc::truncated, "virtual-addresses: no key");
  return out;
}

}  // namespace dmsc::sgd
