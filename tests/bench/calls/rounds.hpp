// What the three pings share: how long each round took, and what is printed of it.
#pragma once
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <vector>

inline std::uint64_t now_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1000000000 + static_cast<std::uint64_t>(t.tv_nsec);
}

class Rounds {
 public:
  // The first tenth of `count` rounds is warming up and not kept.
  explicit Rounds(std::size_t count) : skip_(count / 10) { took_.reserve(count); }
  void add(std::uint64_t sent_ns, std::uint64_t now) {
    if (seen_++ < skip_) return;
    took_.push_back(static_cast<double>(now - sent_ns) / 1e3);
  }
  std::size_t seen() const { return seen_; }
  int print(std::uint64_t began_ns) {
    if (took_.empty()) {
      std::puts("no answers");
      return 1;
    }
    const double seconds = static_cast<double>(now_ns() - began_ns) / 1e9;
    std::sort(took_.begin(), took_.end());
    auto at = [this](double p) {
      return took_[std::min(took_.size() - 1, static_cast<std::size_t>(p * double(took_.size())))];
    };
    std::printf("rounds=%zu rate=%.0f p50=%.2f p90=%.2f p99=%.2f p999=%.2f\n", seen_,
                double(seen_) / seconds, at(0.5), at(0.9), at(0.99), at(0.999));
    return 0;
  }

 private:
  std::size_t skip_, seen_ = 0;
  std::vector<double> took_;
};

inline void wait_for_term() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  int signal = 0;
  sigwait(&set, &signal);
}

// Before the first thread is made.
inline void block_term() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, nullptr);
}
