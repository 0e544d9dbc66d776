// When memory that readers may still hold is freed.
#pragma once
#include <functional>

namespace dmsc::forwarding {

// Frees memory once no reader can hold it.
class Reclaimer {
 public:
  virtual ~Reclaimer() = default;
  // Writer thread. `free` runs once, at or after the next point where no reader holds the memory.
  virtual void retire(std::function<void()> free) = 0;
};

// For programs whose writer is their only reader.
class ImmediateReclaimer : public Reclaimer {
 public:
  void retire(std::function<void()> free) override { free(); }
};

}  // namespace dmsc::forwarding
