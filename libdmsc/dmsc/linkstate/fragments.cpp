#include "dmsc/linkstate/fragments.hpp"

#include <utility>

namespace dmsc::linkstate {

std::optional<std::uint16_t> FragmentMap::fragment_for(std::size_t size) {
  if (auto it = room_.lower_bound({size, 0}); it != room_.end()) return it->second;
  if (size > capacity_ || fragments_.size() >= wire::kMaxLsaFragments) return std::nullopt;
  std::uint16_t number = 0;  // the lowest unused: fragments_ is in order
  for (const auto& [used, fragment] : fragments_) {
    if (used != number) break;
    ++number;
  }
  fragments_[number].free = capacity_;
  room_.insert({capacity_, number});
  return number;
}

void FragmentMap::set_free(std::uint16_t number, Fragment& fragment, std::size_t free) {
  room_.erase({fragment.free, number});
  fragment.free = free;
  if (left_.count(number) == 0) room_.insert({free, number});
}

std::optional<std::uint16_t> FragmentMap::place(const std::string& id, std::size_t size) {
  if (auto it = items_.find(id); it != items_.end()) {
    auto [number, old] = it->second;
    Fragment& fragment = fragments_.at(number);
    if (fragment.free + old >= size) {
      set_free(number, fragment, fragment.free + old - size);
      it->second.second = size;
      return number;
    }
    left_.try_emplace(number, left_.size());
    set_free(number, fragment, fragment.free + old);
    fragment.ids.erase(id);
    items_.erase(it);
  }
  auto number = fragment_for(size);
  if (!number) return std::nullopt;
  Fragment& fragment = fragments_.at(*number);
  set_free(*number, fragment, fragment.free - size);
  fragment.ids.insert(id);
  items_[id] = {*number, size};
  return number;
}

std::optional<std::uint16_t> FragmentMap::remove(const std::string& id) {
  auto it = items_.find(id);
  if (it == items_.end()) return std::nullopt;
  auto [number, size] = it->second;
  items_.erase(it);
  Fragment& fragment = fragments_.at(number);
  fragment.ids.erase(id);
  set_free(number, fragment, fragment.free + size);
  if (fragment.ids.empty() && left_.count(number) == 0) {
    room_.erase({fragment.free, number});
    fragments_.erase(number);
  }
  return number;
}

std::optional<std::size_t> FragmentMap::left(std::uint16_t fragment) const {
  auto it = left_.find(fragment);
  if (it == left_.end()) return std::nullopt;
  return it->second;
}

void FragmentMap::settle() {
  for (const auto& [number, order] : std::exchange(left_, {})) {
    Fragment& fragment = fragments_.at(number);
    if (fragment.ids.empty()) {
      fragments_.erase(number);
    } else {
      room_.insert({fragment.free, number});
    }
  }
}

std::optional<std::uint16_t> FragmentMap::find(const std::string& id) const {
  auto it = items_.find(id);
  if (it == items_.end()) return std::nullopt;
  return it->second.first;
}

const std::set<std::string>& FragmentMap::contents(std::uint16_t fragment) const {
  static const std::set<std::string> none;
  auto it = fragments_.find(fragment);
  return it == fragments_.end() ? none : it->second.ids;
}

}  // namespace dmsc::linkstate
