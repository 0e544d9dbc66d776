// Listeners: a local TCP or UDP port bound to a name, for programs that cannot use DNS (DESIGN
// section 7). A connection is spliced to one to the name's virtual address, which the TUN of the same
// namespace carries. One thread per namespace, in that namespace; nothing touches the packet path.
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "sgd/edge.hpp"
#include "sgd/edge_netns.hpp"

namespace dmsc::sgd {

struct ListenerStatus {
  std::atomic<std::uint64_t> accepted{0}, active{0}, failed{0};
};

class ListenerThread {
 public:
  static constexpr std::size_t kMaxConnections = 4096;   // per namespace, TCP and UDP together
  static constexpr int kUdpIdleSeconds = 60;

  struct Item {
    ListenerConfig config;
    Ipv4 target;                       // virtual address of config.name
    std::shared_ptr<ListenerStatus> status;
  };
  // Binds every port in the namespace at `netns` (empty = own) and starts the thread. The error names
  // the port.
  static Result<std::unique_ptr<ListenerThread>> start(const std::string& netns,
                                                       std::vector<Item> items);
  ~ListenerThread();  // ends the thread; open connections are reset

 private:
  struct Loop;
  explicit ListenerThread(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
  std::thread thread_;
};

}  // namespace dmsc::sgd
