// The prefixes of the RIB as small integers: each name is stored once, in an arena, and found by a
// keyed hash (names are attackers' input). About 30 bytes a prefix beside its name.
#pragma once
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "dmsc/name/name_hash.hpp"
#include "dmsc/routing/chunked.hpp"
#include "dmsc/routing/id_index.hpp"

namespace dmsc::routing {

// Texts of 1 to 255 bytes at 32-bit places that stay theirs until given back. The room of a text
// given back serves later texts of the same length.
class NameArena {
 public:
  std::uint32_t add(std::string_view text);
  void remove(std::uint32_t at);
  std::string_view text(std::uint32_t at) const {
    const char* p = chunks_[at >> kBits].get() + (at & kMask);
    return {p + 1, static_cast<std::uint8_t>(*p)};
  }
  void prefetch(std::uint32_t at) const {
    __builtin_prefetch(chunks_[at >> kBits].get() + (at & kMask));
  }
  std::size_t bytes() const { return chunks_.size() << kBits; }

 private:
  static constexpr std::uint32_t kBits = 16, kMask = (1U << kBits) - 1, kNone = ~0U;
  static std::size_t room(std::size_t text) { return text < 3 ? 4 : text + 1; }
  char* place(std::uint32_t at) { return chunks_[at >> kBits].get() + (at & kMask); }

  std::vector<std::unique_ptr<char[]>> chunks_;
  std::uint32_t used_ = kMask + 1;   // of the last chunk
  std::vector<std::uint32_t> free_;  // by room: the first free place, chained through it
};

class PrefixTable {
 public:
  static constexpr std::uint32_t kNone = ~0U;

  explicit PrefixTable(const NameKey& key) : hasher_(key) {}
  // kNone if it is not in.
  std::uint32_t find(std::string_view name) const;
  // Puts the name in if it is not. `name` has 1 to 255 bytes. Its group is kNone at first.
  std::uint32_t intern(std::string_view name);
  // The id may name another prefix afterwards.
  void erase(std::uint32_t id);

  std::string_view name(std::uint32_t id) const { return names_.text(records_[id].name); }
  std::uint32_t& group(std::uint32_t id) { return records_[id].group; }
  std::uint32_t group(std::uint32_t id) const { return records_[id].group; }
  // Hints, for many prefixes at a time: the first for a name that is looked for, the others, one
  // after the other for all of them, for what is held of a prefix.
  void prefetch(std::string_view name) const { index_.prefetch(hash(name)); }
  void prefetch(std::uint32_t id) const { __builtin_prefetch(&records_[id]); }
  void prefetch_parts(std::uint32_t id) const {
    const Record& record = records_[id];
    if (record.name == kNone) return;
    names_.prefetch(record.name);
    index_.prefetch(record.hash);
  }
  std::size_t size() const { return index_.size(); }
  template <class Visit>
  void for_each(Visit visit) const {
    for (std::uint32_t id = 0; id < records_.size(); ++id) {
      if (records_[id].name != kNone) visit(id);
    }
  }
  std::size_t name_bytes() const { return names_.bytes(); }
  std::size_t bytes() const { return records_.bytes() + index_.bytes(); }

 private:
  struct Record {
    std::uint32_t name = kNone;  // kNone: free, and `group` is the next free record
    std::uint32_t hash = 0;
    std::uint32_t group = kNone;
  };
  std::uint32_t hash(std::string_view name) const {
    return static_cast<std::uint32_t>(hasher_(name));
  }

  NameHasher<> hasher_;
  NameArena names_;
  ChunkedArray<Record> records_;
  IdIndex index_;
  std::uint32_t free_ = kNone;
};

}  // namespace dmsc::routing
