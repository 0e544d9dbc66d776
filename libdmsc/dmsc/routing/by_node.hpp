// Things by node id, kept in place in chunks made on first use: finding one is one cache line, which
// can be asked for ahead of its use. Node ids are dense (DESIGN section 4), so chunks are full.
#pragma once
#include <array>
#include <memory>
#include <vector>

#include "dmsc/core/ids.hpp"

namespace dmsc::routing {

// `T` is default-made for ids that were never given anything.
template <class T>
class ByNode {
 public:
  // Made if it is not there; `id` is at most kMaxNodeId. What was returned stays where it is.
  T& operator[](NodeId id) {
    std::size_t chunk = id.value >> kBits;
    if (chunk >= chunks_.size()) chunks_.resize(chunk + 1);
    if (!chunks_[chunk]) chunks_[chunk] = std::make_unique<Chunk>();
    return (*chunks_[chunk])[id.value & kMask];
  }
  // Null if nothing near that id was ever made: else a thing, default-made perhaps.
  T* find(NodeId id) {
    std::size_t chunk = id.value >> kBits;
    return chunk < chunks_.size() && chunks_[chunk] ? &(*chunks_[chunk])[id.value & kMask]
                                                    : nullptr;
  }
  const T* find(NodeId id) const { return const_cast<ByNode*>(this)->find(id); }
  // All there are, by id, default-made ones among them: visit(NodeId, T&).
  template <class Visit>
  void for_each(Visit visit) {
    for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
      if (!chunks_[chunk]) continue;
      for (std::uint32_t i = 0; i <= kMask; ++i) {
        visit(NodeId{static_cast<std::uint32_t>(chunk << kBits) + i}, (*chunks_[chunk])[i]);
      }
    }
  }
  template <class Visit>
  void for_each(Visit visit) const {
    const_cast<ByNode*>(this)->for_each([&](NodeId id, const T& thing) { visit(id, thing); });
  }
  // Without what the things own.
  std::size_t bytes() const {
    std::size_t made = 0;
    for (const auto& chunk : chunks_) made += chunk ? 1 : 0;
    return made * sizeof(Chunk) + chunks_.capacity() * sizeof(void*);
  }

 private:
  static constexpr std::uint32_t kBits = 8, kMask = (1U << kBits) - 1;
  using Chunk = std::array<T, kMask + 1>;
  std::vector<std::unique_ptr<Chunk>> chunks_;
};

}  // namespace dmsc::routing
