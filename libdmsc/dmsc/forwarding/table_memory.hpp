// Memory for tables that look-ups read at random places: in huge pages where the kernel has them, because with small
// ones most reads of a large table miss the TLB besides the cache.
#pragma once
#include <sys/mman.h>

#include <cstddef>
#include <new>

namespace dmsc::forwarding {

inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

constexpr std::align_val_t table_alignment(std::size_t bytes) {
  return std::align_val_t{bytes >= kHugePage ? kHugePage : 64};
}

// Not initialised. Freed by free_table() with the same size.
inline void* allocate_table(std::size_t bytes) {
  void* memory = ::operator new(bytes, table_alignment(bytes));
  // Best effort: a kernel without them gives small pages.
  if (bytes >= kHugePage) (void)::madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}
inline void free_table(void* memory, std::size_t bytes) {
  ::operator delete(memory, table_alignment(bytes));
}

}  // namespace dmsc::forwarding
