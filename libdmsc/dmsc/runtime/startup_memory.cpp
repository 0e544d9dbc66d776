#include "dmsc/runtime/startup_memory.hpp"

#include <malloc.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace dmsc::runtime {
namespace {

struct Mapping {
  std::uintptr_t start = 0, end = 0;
  bool writable = false, of_file = false;
  std::size_t resident_kb = 0, written_kb = 0;
};

// "7f..-7f.. r-xp 00002000 fd:00 123   /usr/lib/..." begins a mapping; "Rss:   12 kB" belongs to
// the last.
bool begins_mapping(const std::string& line, Mapping& out) {
  unsigned long start = 0, end = 0;
  char mode[5] = {};
  int path = 0;
  if (std::sscanf(line.c_str(), "%lx-%lx %4s %*x %*x:%*x %*u %n", &start, &end, mode, &path) != 3) {
    return false;
  }
  out = Mapping{start, end, mode[1] == 'w', path > 0 && line[static_cast<std::size_t>(path)] == '/',
                0,     0};
  return true;
}

std::vector<Mapping> mappings() {
  std::vector<Mapping> out;
  std::ifstream file("/proc/self/smaps");
  Mapping fresh;
  for (std::string line; std::getline(file, line);) {
    unsigned long kb = 0;
    if (begins_mapping(line, fresh)) {
      out.push_back(fresh);
    } else if (!out.empty() && std::sscanf(line.c_str(), "Rss: %lu", &kb) == 1) {
      out.back().resident_kb = kb;
    } else if (!out.empty() && std::sscanf(line.c_str(), "Anonymous: %lu", &kb) == 1) {
      out.back().written_kb = kb;
    }
  }
  return out;
}

}  // namespace

std::size_t release_startup_memory() {
  std::size_t released_kb = 0;
  for (const Mapping& m : mappings()) {
    // What was written, relocations above all, exists nowhere else.
    if (m.writable || !m.of_file || m.written_kb != 0 || m.resident_kb == 0) continue;
    if (::madvise(reinterpret_cast<void*>(m.start), m.end - m.start, MADV_DONTNEED) == 0) {
      released_kb += m.resident_kb;
    }
  }
  release_free_memory();
  return released_kb * 1024;
}

void release_free_memory() { ::malloc_trim(0); }

}  // namespace dmsc::runtime
