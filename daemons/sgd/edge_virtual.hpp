// Virtual addresses: node-local IPv4 addresses that stand for a text (a service name, or a client of
// one of our servers). An address is found by a keyed hash of its text, so that it mostly comes back
// even without the saved table; it never travels (docs/operations.md, "Unmodified programs").
// Single-threaded.
#pragma once
#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "dmsc/core/time.hpp"
#include "dmsc/crypto/keys.hpp"
#include "sgd/edge_address.hpp"

namespace dmsc::sgd {

class VirtualAddresses {
 public:
  // An address may pass to another text only after nobody has used it for so long.
  static constexpr Duration kReuseAfter = std::chrono::hours(1);

  // Hands out addresses of `range` but its first, its last and `reserved` (0 = none).
  VirtualAddresses(Ipv4Net range, Ipv4 reserved, const crypto::Key16& key);

  // The address of `text`, allocated if new; counts as use. nullopt: all are in use.
  std::optional<Ipv4> allocate(const std::string& text, Time now);
  // Puts back what was saved; false if the address is not ours to give or already taken.
  bool restore(const std::string& text, Ipv4 address, Time now);
  const std::string* find(Ipv4 address) const;
  void touch(Ipv4 address, Time now);
  std::size_t size() const { return by_address_.size(); }
  // Rises with every new binding: what is saved is out of date.
  std::uint64_t version() const { return version_; }
  std::vector<std::pair<Ipv4, std::string>> all() const;  // by address
  // The `limit` used last, the very last one at the end.
  std::vector<std::pair<Ipv4, std::string>> recent(std::size_t limit) const;
  std::optional<Ipv4> address_of(const std::string& text) const;  // no use; nullopt: it has none

 private:
  struct Entry {
    std::string text;
    Time used;
    std::list<Ipv4>::iterator place;
  };
  bool usable(Ipv4 address) const;
  void bind(const std::string& text, Ipv4 address, Time now);
  std::optional<Ipv4> reuse(Time now);

  Ipv4Net range_;
  Ipv4 reserved_;
  crypto::Key16 key_;
  std::unordered_map<Ipv4, Entry> by_address_;
  std::unordered_map<std::string, Ipv4> by_text_;
  std::list<Ipv4> order_;  // least recently used first
  std::uint64_t version_ = 0;
};

// The state file: the hash key and the names. "dmsc-virtual-addresses 1", "key HEX",
// "ADDRESS NAME" lines.
struct SavedAddresses {
  crypto::Key16 key{};
  std::vector<std::pair<Ipv4, std::string>> names;
  bool found = false;  // as read from a file: there was a gateway before
};
std::string encode_saved(const SavedAddresses& saved);
// The error names the line.
Result<SavedAddresses> decode_saved(std::string_view text);

}  // namespace dmsc::sgd
