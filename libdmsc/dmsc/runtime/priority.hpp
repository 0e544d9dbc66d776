// Scheduling priority of the threads that keep adjacencies alive.
#pragma once

namespace dmsc::runtime {

// Puts the calling thread, and threads it starts from now on, ahead of ordinary work (nice -10), so
// that a busy machine does not make neighbours miss keepalives. Without the right to do so nothing
// happens: the units give it by Nice=. Returns the nice value now in force.
int prefer_this_thread();

}  // namespace dmsc::runtime
