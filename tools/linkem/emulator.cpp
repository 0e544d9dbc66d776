#include "emulator.hpp"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace linkem {
namespace {

constexpr int kBatchesPerTurn = 4;  // then the other links and the timer get their turn

timespec to_timespec(Nanoseconds t) {
  return {t.count() / 1'000'000'000, t.count() % 1'000'000'000};
}

}  // namespace

Nanoseconds Emulator::now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return Nanoseconds{t.tv_sec * 1'000'000'000LL + t.tv_nsec};
}

Emulator::Emulator(std::uint64_t seed) : random_(seed) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (epoll_ < 0 || timer_ < 0) throw std::system_error(errno, std::generic_category(), "epoll");
  watch(timer_, [this] {
    std::uint64_t expirations;
    // Nothing to read means that a later arm() moved the instant: send_due() follows anyway.
    [[maybe_unused]] const ssize_t n = read(timer_, &expirations, sizeof expirations);
    armed_ = Nanoseconds{0};
  });
}

Emulator::~Emulator() {
  links_.clear();
  if (timer_ >= 0) close(timer_);
  if (epoll_ >= 0) close(epoll_);
}

void Emulator::watch(int fd, std::function<void()> ready) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
  watched_[fd] = std::move(ready);
}

void Emulator::forget(int fd) {
  epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  watched_.erase(fd);
}

void Emulator::add(const std::string& name, const std::string& first, const std::string& second,
                   const Parameters& parameters) {
  auto link = std::make_unique<Link>();
  link->name = name;
  link->ports = {std::make_unique<Port>(first), std::make_unique<Port>(second)};
  for (int side = 0; side < 2; ++side) {
    link->ways[side].direction.configure(now(), parameters);
    watch(link->ports[side]->fd(), [this, raw = link.get(), side] { receive(*raw, side); });
  }
  links_[name] = std::move(link);
}

Link* Emulator::find(const std::string& name) {
  const auto it = links_.find(name);
  return it == links_.end() ? nullptr : it->second.get();
}

void Emulator::configure(Link::Way& way, const Parameters& parameters) {
  way.direction.configure(now(), parameters);
}

void Emulator::receive(Link& link, int side) {
  Link::Way& way = link.ways[side];
  Port& out = *link.ports[1 - side];
  for (int batch = 0; batch < kBatchesPerTurn; ++batch) {
    const Nanoseconds arrival = now();
    const int count = link.ports[side]->receive([&](std::span<const std::uint8_t> frame) {
      const auto decision = way.direction.admit(arrival, frame.size(), random_);
      if (decision.fate != Fate::pass) return;
      auto leave = [&](Nanoseconds due) {
        if (due <= arrival && way.waiting.empty()) return out.send(frame);
        way.waiting.push({due, ++order_, {frame.begin(), frame.end()}});
      };
      leave(decision.due);
      if (decision.copy_due) leave(*decision.copy_due);
    });
    if (count < Port::kBatch) return;
  }
}

void Emulator::send_due(Nanoseconds now) {
  for (auto& [name, link] : links_) {
    for (int side = 0; side < 2; ++side) {
      auto& waiting = link->ways[side].waiting;
      // What was under way when the link was cut is lost with it.
      const bool cut = link->ways[side].direction.parameters().cut;
      while (!waiting.empty() && waiting.top().due <= now) {
        if (!cut) link->ports[1 - side]->send(waiting.top().frame);
        waiting.pop();
      }
    }
  }
}

void Emulator::arm(Nanoseconds now) {
  Nanoseconds next{0};
  for (const auto& [name, link] : links_) {
    for (const Link::Way& way : link->ways) {
      if (way.waiting.empty()) continue;
      const Nanoseconds due = way.waiting.top().due;
      next = next.count() == 0 ? due : std::min(next, due);
    }
  }
  if (next.count() == 0 || next == armed_) return;
  armed_ = next;
  itimerspec when{};
  when.it_value = to_timespec(std::max(next, now));
  timerfd_settime(timer_, TFD_TIMER_ABSTIME, &when, nullptr);
}

void Emulator::run() {
  running_ = true;
  epoll_event events[64];
  while (running_) {
    const int count = epoll_wait(epoll_, events, 64, -1);
    if (count < 0 && errno != EINTR)
      throw std::system_error(errno, std::generic_category(), "epoll_wait");
    for (int i = 0; i < count; ++i) {
      // A copy: the handler may forget its own descriptor.
      const auto it = watched_.find(events[i].data.fd);
      if (it == watched_.end()) continue;
      const auto ready = it->second;
      ready();
    }
    send_due(now());
    arm(now());
  }
}

}  // namespace linkem
