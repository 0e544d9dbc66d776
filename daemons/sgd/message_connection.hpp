// One program on message.sock; only for the hub's own sources.
#pragma once
#include <set>

#include "sgd/message_hub.hpp"

namespace dmsc::sgd {

struct MessageHub::Connection {
  ConnectionId id = 0;
  int fd = -1;
  PeerIdentity peer;
  std::string client;             // what it calls itself
  bool greeted = false, broken = false, writing = false;
  wire::PodFrameReader reader;
  std::deque<Bytes> backlog;      // frames that the socket did not take
  std::size_t backlog_bytes = 0;
  std::set<std::pair<std::string, std::string>> bound;
};

}  // namespace dmsc::sgd
