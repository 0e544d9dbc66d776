// Gives back memory that only start-up needed.
#pragma once
#include <cstddef>

namespace dmsc::runtime {

// Starting walks once through relocation tables and initialisers of some seventy libraries; those
// pages are clean, stay mapped and count as resident until memory is short. Unmaps every page of a
// file that is not writable and was never written (what is still in use comes back from the page
// cache at the first touch, a microsecond each), and trims the heap. Returns the resident bytes
// given back. Any thread; takes a few milliseconds. Where /proc is not mounted it only trims.
std::size_t release_startup_memory();
// Gives back what was freed, wherever it lies in the heap. Takes milliseconds: after a burst, not in it.
void release_free_memory();

}  // namespace dmsc::runtime
