// The calls to a daemon's local sockets.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dmsc/core/result.hpp"

namespace grpc {
class Channel;
}

namespace dmsc::ctl {

// A connected local socket of `daemon`. Errors say what to do about it.
Result<std::shared_ptr<grpc::Channel>> connect(const std::string& daemon, const std::string& path);

// One row of a followed topic.
struct FollowedRow {
  std::uint64_t stream = 0, sequence = 0;
  std::string key, json;  // json empty: the row went
};
struct FollowHandlers {
  std::function<void(const FollowedRow&)> snapshot_row;
  // The snapshot is whole; false ends the stream. So does false from `delta`.
  std::function<bool(std::uint64_t stream, std::uint64_t sequence, std::uint64_t exact_from)>
      snapshot_end;
  std::function<bool(const FollowedRow&)> delta;
  std::function<void(const std::string& reason, std::uint64_t missed)> resync;
};

class InspectClient {
 public:
  explicit InspectClient(std::shared_ptr<grpc::Channel> channel) : channel_(std::move(channel)) {}
  // The daemon's JSON document, unchanged.
  Result<std::string> show(const std::string& topic, const std::vector<std::string>& arguments,
                           int timeout_seconds = 30);
  // Every document until the daemon ends the stream or `next` returns false.
  Status watch(const std::string& topic, const std::vector<std::string>& arguments,
               const std::function<bool(const std::string& json)>& next);
  // A snapshot and every change; errors also for a sequence with a gap.
  Status follow(const std::string& topic, const FollowHandlers& handlers);

 private:
  std::shared_ptr<grpc::Channel> channel_;
};

// Each answers with the daemon's sentence about what it did.
class AdminClient {
 public:
  explicit AdminClient(std::shared_ptr<grpc::Channel> channel) : channel_(std::move(channel)) {}
  // `link` empty: the whole node. `soft`: only traffic with another way moves.
  Result<std::string> drain(const std::string& link, bool soft, const std::string& reason);
  Result<std::string> undrain(const std::string& link);
  Result<std::string> set_log_level(const std::string& level);
  Result<std::string> reload();

 private:
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace dmsc::ctl
