// The event loop: links between pairs of interfaces, frames that wait for their instant, one timer.
#pragma once
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

#include "impairment.hpp"
#include "port.hpp"

namespace linkem {

struct Link {
  struct Way {
    Direction direction;
    struct Waiting {
      Nanoseconds due;
      std::uint64_t order;  // ties leave in the order of arrival
      std::vector<std::uint8_t> frame;
      bool operator>(const Waiting& o) const {
        return due != o.due ? due > o.due : order > o.order;
      }
    };
    std::priority_queue<Waiting, std::vector<Waiting>, std::greater<>> waiting;
  };
  std::string name;
  std::array<std::unique_ptr<Port>, 2> ports;
  std::array<Way, 2> ways;  // ways[0]: from ports[0] to ports[1]; ways[1]: back
};

// Single-threaded; descriptors are level-triggered in one epoll set.
class Emulator {
 public:
  explicit Emulator(std::uint64_t seed);
  ~Emulator();
  Emulator(const Emulator&) = delete;
  Emulator& operator=(const Emulator&) = delete;
  // Adds a link between two existing interfaces. Throws std::system_error.
  void add(const std::string& name, const std::string& first, const std::string& second,
           const Parameters& parameters);
  // Null if there is no such link.
  Link* find(const std::string& name);
  const std::map<std::string, std::unique_ptr<Link>>& links() const { return links_; }
  void configure(Link::Way& way, const Parameters& parameters);
  // Calls `ready` whenever `fd` is readable, until forget(fd).
  void watch(int fd, std::function<void()> ready);
  void forget(int fd);
  // Runs until stop().
  void run();
  void stop() { running_ = false; }
  // Monotonic time.
  static Nanoseconds now();

 private:
  void receive(Link& link, int side);
  void send_due(Nanoseconds now);
  void arm(Nanoseconds now);
  int epoll_ = -1, timer_ = -1;
  bool running_ = false;
  std::uint64_t order_ = 0;
  Nanoseconds armed_{0};
  Random random_;
  std::map<std::string, std::unique_ptr<Link>> links_;
  std::map<int, std::function<void()>> watched_;
};

}  // namespace linkem
