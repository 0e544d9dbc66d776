// One link under virtual time: two real engines, keepalives with real HMACs, and loss drawn at random. Fast
// enough for days: there is nothing else in the loop. Soaks and unit tests share it.
#pragma once
#include <array>
#include <deque>
#include <string>
#include <vector>

#include "dmsc/linkstate/engine.hpp"

namespace dmsc::rigs {

class LivenessRig {
 public:
  struct Options {
    std::uint64_t seed = 1;
    std::array<double, 2> loss{0, 0};  // share of packets lost from end 0 to 1, from 1 to 0
    Duration delay = milliseconds(1);  // one way
    Duration jitter{};                 // added at random; order is kept
    linkstate::Liveness liveness;
  };
  explicit LivenessRig(const Options& options);

  void run(Duration time);
  // Runs until `end`'s adjacency is down; false if it still is up after `limit`.
  bool until_down(int end, Duration limit);
  void cut(int from, bool on) { cut_[from] = on; }

  bool up(int end) const { return up_[end]; }
  Time now() const { return now_; }
  // How often an end that was up went down.
  std::size_t downs() const { return downs_; }
  const std::vector<std::string>& reasons() const { return reasons_; }
  const linkstate::EngineCounters& counters(int end) const { return engines_[end].counters(); }
  // Inputs given to both engines: datagrams and timers.
  std::uint64_t inputs() const { return inputs_; }

 private:
  struct Packet {
    Time at;
    Bytes datagram;
  };
  bool step(Time end);
  void drain(int end);
  double draw();

  Options options_;
  std::uint64_t random_;
  Time now_;
  std::vector<linkstate::Engine> engines_;
  std::array<std::deque<Packet>, 2> towards_;  // [end]: on their way to it, in order
  std::array<bool, 2> cut_{}, up_{};
  std::size_t downs_ = 0;
  std::vector<std::string> reasons_;
  std::uint64_t inputs_ = 0;
};

}  // namespace dmsc::rigs
