#include "dmsc/dataplane/reclaimer.hpp"

#include <urcu/urcu-qsbr.h>

#include <utility>

namespace dmsc::dataplane {

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
    for (auto& free : batch) free();
    lock.lock();
    freed_count_ += batch.size();
    done_.notify_all();
  }
}

QsbrReader::QsbrReader() { urcu_qsbr_register_thread(); }
QsbrReader::~QsbrReader() { urcu_qsbr_unregister_thread(); }
void QsbrReader::offline() { urcu_qsbr_thread_offline(); }
void QsbrReader::online() { urcu_qsbr_thread_online(); }

}  // namespace dmsc::dataplane
