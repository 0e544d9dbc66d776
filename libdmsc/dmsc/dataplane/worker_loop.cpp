// The worker's event loop: epoll, posted tasks, timers.
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "dmsc/dataplane/receive_batch.hpp"
#include "dmsc/dataplane/worker_impl.hpp"
#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/priority.hpp"

namespace dmsc::dataplane {
namespace {

constexpr int kMaxEvents = 64;
// With more descriptors ready than this each socket gets a smaller share of the round.
constexpr int kFewEvents = 4;
// An idle worker still turns once in this time, so that a watchdog sees it alive.
constexpr Duration kIdleRound = seconds(1);

}  // namespace

WorkerImpl::WorkerImpl(WorkerShared& shared, unsigned index, std::uint64_t seed)
    : shared_(shared),
      index_(index),
      random_state_(seed),
      now_(runtime::now()),
      outbox_(counters_),
      batch_(std::make_unique<ReceiveBatch>()),
      errors_(microseconds(200), 1000),
      errors_by_source_(256, runtime::log::RateLimiter(milliseconds(1), 500)) {}

WorkerImpl::~WorkerImpl() { stop(); }

Result<std::unique_ptr<WorkerImpl>> WorkerImpl::create(WorkerShared& shared, unsigned index,
                                                       std::uint64_t seed) {
  std::unique_ptr<WorkerImpl> worker(new WorkerImpl(shared, index, seed));
  auto opened = worker->open();
  if (!opened) return opened.error();
  return worker;
}

Status WorkerImpl::open() {
  epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  wake_ = UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!epoll_ || !wake_) {
    return make_error(Errc::internal, "worker ", std::to_string(index_), ": ",
                      std::strerror(errno));
  }
  watch(wake_.get(), EPOLLIN, [this](std::uint32_t) {
    std::uint64_t count = 0;
    (void)!::read(wake_.get(), &count, sizeof count);
  });
  return Ok{};
}

void WorkerImpl::start() {
  // Signals belong to the control thread.
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  pthread_setname_np(thread_.native_handle(), ("worker-" + std::to_string(index_)).c_str());
}

void WorkerImpl::stop() {
  stop_.store(true);
  if (thread_.joinable()) {
    std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
    thread_.join();
  }
  std::vector<std::function<void()>> unrun;
  std::lock_guard lock(posted_mutex_);
  unrun.swap(posted_);
}

void WorkerImpl::run() {
  QsbrReader reader;
  runtime::keep_timers_exact();
  now_ = runtime::now();
  if (index_ == 0) after(kLinkProbeInterval, [this] { link_probe_round(); });
  std::array<epoll_event, kMaxEvents> events;
  while (!stop_.load(std::memory_order_relaxed)) {
    reader.offline();
    int n = wait(events);
    reader.online();
    now_ = runtime::now();
    table_ = shared_.table.load(std::memory_order_acquire);
    receive_turns_ = n > kFewEvents ? 1 : 4;
    for (int i = 0; i < n; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      auto it = watches_.find(event.data.fd);
      if (it == watches_.end()) continue;  // unwatched by an earlier event of this round
      auto watch = it->second;             // stays alive if it unwatches itself
      watch->ready(event.events);
    }
    finish_batch();
    run_posted();
    run_timers();
    outbox_.flush();
    rounds_.fetch_add(1, std::memory_order_relaxed);
  }
}

// Events to handle; 0: a timer is due, or nothing.
int WorkerImpl::wait(std::span<epoll_event> events) {
  const int timeout = wait_ms();
  if (!serves_programs_ || timeout == 0) {
    return ::epoll_wait(epoll_.get(), events.data(), kMaxEvents, timeout);
  }
  const Duration budget = busy_.budget(runtime::now());
  if (budget > Duration::zero()) {
    if (int n = look(events, budget); n != 0) return n;
  }
  const Time asleep = runtime::now();
  int n = ::epoll_wait(epoll_.get(), events.data(), kMaxEvents, timeout);
  busy_.slept(runtime::now() - asleep, n > 0);
  return n;
}

int WorkerImpl::look(std::span<epoll_event> events, Duration budget) {
  const Time end = runtime::now() + budget;
  Time now = end;
  do {
    if (int n = ::epoll_wait(epoll_.get(), events.data(), kMaxEvents, 0); n > 0) return n;
    const Time offered = runtime::now();
    ::sched_yield();
    now = runtime::now();
    if (busy_.yielded(now, now - offered)) return 0;
  } while (now < end);
  busy_.in_vain();
  return 0;
}

int WorkerImpl::wait_ms() const {
  Duration wait = kIdleRound;
  if (!timers_.empty()) wait = std::min(wait, timers_.begin()->first.first - runtime::now());
  if (wait <= Duration::zero()) return 0;
  return static_cast<int>((wait + milliseconds(1) - Duration(1)) / milliseconds(1));
}

void WorkerImpl::run_posted() {
  if (!any_posted_.exchange(false, std::memory_order_acquire)) return;
  std::vector<std::function<void()>> tasks;
  {
    std::lock_guard lock(posted_mutex_);
    tasks.swap(posted_);
  }
  for (auto& task : tasks) task();
}

void WorkerImpl::run_timers() {
  // Timers set by timers of this round wait for the next one, so that a zero delay cannot spin here.
  TimerId last = next_timer_;
  while (!timers_.empty()) {
    auto first = timers_.begin();
    if (first->first.first > now_ || first->first.second >= last) return;
    auto task = std::move(first->second);
    timer_times_.erase(first->first.second);
    timers_.erase(first);
    task();
  }
}

void WorkerImpl::post(std::function<void()> task) {
  {
    std::lock_guard lock(posted_mutex_);
    if (stop_.load(std::memory_order_relaxed)) return;
    posted_.push_back(std::move(task));
    any_posted_.store(true, std::memory_order_release);
    if (posted_.size() > 1) return;  // already woken
  }
  std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

TimerId WorkerImpl::after(Duration delay, std::function<void()> task) {
  TimerId id = next_timer_++;
  Time at = now_ + std::max(delay, Duration::zero());
  timers_.emplace(std::make_pair(at, id), std::move(task));
  timer_times_.emplace(id, at);
  return id;
}

void WorkerImpl::cancel(TimerId timer) {
  auto it = timer_times_.find(timer);
  if (it == timer_times_.end()) return;
  timers_.erase({it->second, timer});
  timer_times_.erase(it);
}

void WorkerImpl::watch_fd(int fd, std::uint32_t events, std::function<void(std::uint32_t)> ready) {
  serves_programs_ = true;
  watch(fd, events, std::move(ready));
}

void WorkerImpl::watch(int fd, std::uint32_t events, std::function<void(std::uint32_t)> ready) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  bool known = watches_.count(fd) != 0;
  watches_[fd] = std::make_shared<Watch>(Watch{std::move(ready)});
  if (::epoll_ctl(epoll_.get(), known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0) {
    runtime::log::error("worker-watch-failed",
                        {{"worker", index_}, {"fd", fd}, {"error", std::strerror(errno)}});
  }
}

void WorkerImpl::unwatch_fd(int fd) {
  if (watches_.erase(fd) != 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void WorkerImpl::set_busy_poll(Duration longest) {
  post([this, longest] { busy_.limit(longest); });
}

std::uint64_t WorkerImpl::random() {
  // splitmix64 over a seed from the kernel: flow and exchange ids must differ, not be secret.
  random_state_ += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = random_state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace dmsc::dataplane
