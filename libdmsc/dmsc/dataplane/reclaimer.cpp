#include "dmsc/dataplane/reclaimer.hpp"

#include <urcu/urcu-qsbr.h>

#include <utility>

namespace dmsc::dataplane {
namespace {

// The thread sanitizer does not see how liburcu orders a reader's last use before the end of a grace period. It is
// told here, and so still finds who uses what after a quiescent point.
#if defined(__SANITIZE_THREAD__)
extern "C" void __tsan_acquire(void*);
extern "C" void __tsan_release(void*);
char grace;
void told_quiescent() { __tsan_release(&grace); }
void told_grace_period() { __tsan_acquire(&grace); }
#else
void told_quiescent() {}
void told_grace_period() {}
#endif

}  // namespace

QsbrReclaimer::QsbrReclaimer() : thread_([this] { run(); }) {}

QsbrReclaimer::~QsbrReclaimer() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void QsbrReclaimer::retire(std::function<void()> free) {
  {
    std::lock_guard lock(mutex_);
    retired_.push_back(std::move(free));
    ++retired_count_;
  }
  wake_.notify_one();
}

void QsbrReclaimer::flush() {
  std::unique_lock lock(mutex_);
  std::uint64_t until = retired_count_;
  done_.wait(lock, [&] { return freed_count_ >= until; });
}

void QsbrReclaimer::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stop_ || !retired_.empty(); });
    if (retired_.empty()) return;
    auto batch = std::exchange(retired_, {});
    lock.unlock();
    urcu_qsbr_synchronize_rcu();
    told_grace_period();
    for (auto& free : batch) free();
    lock.lock();
    freed_count_ += batch.size();
    done_.notify_all();
  }
}

QsbrReader::QsbrReader() { urcu_qsbr_register_thread(); }
QsbrReader::~QsbrReader() {
  told_quiescent();
  urcu_qsbr_unregister_thread();
}
void QsbrReader::offline() {
  told_quiescent();
  urcu_qsbr_thread_offline();
}
void QsbrReader::online() { urcu_qsbr_thread_online(); }

}  // namespace dmsc::dataplane
