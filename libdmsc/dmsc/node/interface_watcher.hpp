// The kernel's news of network interfaces (rtnetlink, RTMGRP_LINK). Loss of a link's own interface is
// proof that the link is lost (DESIGN section 4). Control thread only.
#pragma once
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <map>
#include <string>

#include "dmsc/core/result.hpp"

namespace dmsc::node {

struct InterfaceState {
  int index = 0;
  bool up = false;          // administratively up and with carrier
  unsigned mtu = 0;
  friend bool operator==(const InterfaceState&, const InterfaceState&) = default;
};

class InterfaceWatcher {
 public:
  // Called for every interface that appears, changes or vanishes (then `up` is false, index 0).
  using Changed = std::function<void(const std::string& name, const InterfaceState& state)>;
  InterfaceWatcher(boost::asio::io_context& io, Changed changed);
  // Opens the socket and reads the present state before it returns.
  Status start();
  void stop();
  // Nullptr if there is no such interface now.
  const InterfaceState* find(const std::string& name) const;

 private:
  Status request_all();
  void wait();
  bool read_messages(bool until_done);
  void take(const void* message, bool removed);
  boost::asio::posix::stream_descriptor descriptor_;
  Changed changed_;
  std::map<std::string, InterfaceState> interfaces_;
  bool started_ = false;
};

}  // namespace dmsc::node
