// Quiescent-state-based reclamation (liburcu QSBR) for everything workers read without locks: the FIB
// and the neighbour table. The writer never waits: a thread of the reclaimer waits for a grace period
// and then frees.
#pragma once
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "dmsc/forwarding/fib.hpp"

namespace dmsc::dataplane {

class QsbrReclaimer : public forwarding::Reclaimer {
 public:
  QsbrReclaimer();
  // Frees everything still retired. No registered reader may hold any of it.
  ~QsbrReclaimer() override;
  QsbrReclaimer(const QsbrReclaimer&) = delete;
  QsbrReclaimer& operator=(const QsbrReclaimer&) = delete;
  // Any thread. `free` runs on the reclaimer's thread after every registered reader has passed a
  // quiescent point.
  void retire(std::function<void()> free) override;
  // Waits until everything retired before has been freed. Not from a reader's thread.
  void flush();

 private:
  void run();
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::vector<std::function<void()>> retired_;
  std::uint64_t retired_count_ = 0, freed_count_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

// Makes the calling thread a reader while it lives; offline while it sleeps.
class QsbrReader {
 public:
  QsbrReader();
  ~QsbrReader();
  QsbrReader(const QsbrReader&) = delete;
  QsbrReader& operator=(const QsbrReader&) = delete;
  void offline();  // holds nothing from now on
  void online();
};

}  // namespace dmsc::dataplane
