// Instance ids: 16 bits, never given to another instance before the whole range has been used, over
// restarts too. So a request that is still pinned to an instance of before a restart finds nobody
// and does not run a second time (docs/protocol.md, "Messages").
#pragma once
#include <functional>
#include <string>

#include "dmsc/core/ids.hpp"
#include "dmsc/core/result.hpp"

namespace dmsc::sgd {

class InstanceIds {
 public:
  // Reads where to go on from STATE_DIR/instance-ids; begins at `random_start` if there is none.
  // `state_dir` empty: nothing is kept.
  static Result<InstanceIds> open(const std::string& state_dir, std::uint16_t random_start);
  // The next id for which `in_use` is false. Reserves on disk ahead of use.
  InstanceId next(const std::function<bool(InstanceId)>& in_use);

 private:
  static constexpr unsigned kReserve = 64;
  explicit InstanceIds(std::string file) : file_(std::move(file)) {}
  void reserve();
  std::string file_;
  unsigned next_ = 1;      // 1 .. 65535
  unsigned reserved_ = 0;  // ids that may be used before the file must be written again
};

}  // namespace dmsc::sgd
