// A replica's end of replication: a thread that reads the writer's journal and hands each entry to
// the io_context, the next one only when the last is applied. Reconnects for ever.
#pragma once
#include <dmsc/v1/registry.grpc.pb.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "dmsc/runtime/identity.hpp"
#include "spad/store.hpp"

namespace dmsc::spad {

class JournalFollower {
 public:
  struct Callbacks {
    std::function<std::uint64_t()> position;             // where to go on
    std::function<Status(const JournalRow&)> apply;      // an error ends the stream
    std::function<void(bool connected, const std::string& why)> state;
  };
  // The callbacks run on the io_context's thread, which must run while this object lives.
  JournalFollower(boost::asio::io_context& io, runtime::Identity identity, runtime::Endpoint writer,
                  Callbacks callbacks);
  ~JournalFollower();
  JournalFollower(const JournalFollower&) = delete;
  JournalFollower& operator=(const JournalFollower&) = delete;

  // For the next connection.
  void set_identity(runtime::Identity identity);

 private:
  struct Shared;
  void run();
  grpc::Status read_once();
  std::shared_ptr<Shared> shared_;
  boost::asio::io_context& io_;
  runtime::Endpoint writer_;
  std::thread thread_;
};

}  // namespace dmsc::spad
