#include "dmsc/routing/prefix_table.hpp"

#include <cstring>

namespace dmsc::routing {

std::uint32_t NameArena::add(std::string_view text) {
  std::size_t need = room(text.size());
  if (free_.size() <= need) free_.resize(need + 1, kNone);
  std::uint32_t at = free_[need];
  if (at != kNone) {
    std::memcpy(&free_[need], place(at), sizeof at);
  } else {
    if (used_ + need > kMask + 1) {
      chunks_.push_back(std::make_unique<char[]>(kMask + 1));
      used_ = 0;
    }
    at = static_cast<std::uint32_t>((chunks_.size() - 1) << kBits) + used_;
    used_ += static_cast<std::uint32_t>(need);
  }
  char* p = place(at);
  *p = static_cast<char>(static_cast<std::uint8_t>(text.size()));
  std::memcpy(p + 1, text.data(), text.size());
  return at;
}

void NameArena::remove(std::uint32_t at) {
  std::size_t need = room(text(at).size());
  std::memcpy(place(at), &free_[need], sizeof at);
  free_[need] = at;
}

std::uint32_t PrefixTable::find(std::string_view name) const {
  std::uint32_t hash = this->hash(name);
  return index_.find(hash, [&](std::uint32_t id) { return this->name(id) == name; });
}

std::uint32_t PrefixTable::intern(std::string_view name) {
  std::uint32_t hash = this->hash(name);
  std::uint32_t id =
      index_.find(hash, [&](std::uint32_t other) { return this->name(other) == name; });
  if (id != kNone) return id;
  if (free_ != kNone) {
    id = free_;
    free_ = records_[id].group;
  } else {
    id = records_.grow();
  }
  records_[id] = {names_.add(name), hash, kNone};
  index_.insert(hash, id);
  return id;
}

void PrefixTable::erase(std::uint32_t id) {
  Record& record = records_[id];
  index_.erase(record.hash, id);
  names_.remove(record.name);
  record = {kNone, 0, free_};
  free_ = id;
}

}  // namespace dmsc::routing
