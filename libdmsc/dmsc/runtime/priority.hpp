// Scheduling priority of the threads that keep adjacencies alive.
#pragma once

namespace dmsc::runtime {

// Puts the calling thread, and threads it starts from now on, ahead of ordinary work (nice -10), so
// that a busy machine does not make neighbours miss keepalives. Without the right to do so nothing
// happens: the units give it by Nice=. Returns the nice value now in force.
int prefer_this_thread();

// The same for the whole session, if this process leads it, as under systemd and in the lab: where the
// kernel groups by session (autogroup, sched(7)) a thread's nice value counts only within its session.
// Without the right or without autogroups nothing happens; returns whether it was set.
bool prefer_this_session();

// How late the kernel may let time-outs of the calling thread end, and of threads it starts from now on
// (PR_SET_TIMERSLACK): time-outs within that share a wake-up. gRPC's threads look at their timers a dozen
// times a second while nothing happens; nothing of a call depends on it but the moment its deadline passes.
void relax_timers();
// Back to the kernel's 50 us, for a thread that keeps time. (A timerfd, as asio has, is exact anyway.)
void keep_timers_exact();

}  // namespace dmsc::runtime
