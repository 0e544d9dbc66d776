// The link key chain: shared secrets with ids, several accepted at once so that keys rotate without
// dropping a packet (RFC 8177 in spirit). The caller holds it; no thread of its own.
#pragma once
#include <map>
#include <optional>

#include "dmsc/crypto/keys.hpp"

namespace dmsc::crypto {

class KeyChain {
 public:
  // Replaces a key of the same id.
  void add(std::uint16_t id, const Key32& secret) { keys_[id] = secret; }
  void remove(std::uint16_t id) { keys_.erase(id); }
  // The key to send with; accepted keys are all that are present. No effect if `id` is unknown.
  void set_active(std::uint16_t id) {
    if (keys_.count(id) != 0) active_ = id;
  }
  std::uint16_t active() const { return active_; }
  const Key32* find(std::uint16_t id) const {
    auto it = keys_.find(id);
    return it == keys_.end() ? nullptr : &it->second;
  }
  bool empty() const { return keys_.empty(); }
  std::size_t size() const { return keys_.size(); }
  const std::map<std::uint16_t, Key32>& keys() const { return keys_; }

 private:
  std::map<std::uint16_t, Key32> keys_;
  std::uint16_t active_ = 0;
};

}  // namespace dmsc::crypto
