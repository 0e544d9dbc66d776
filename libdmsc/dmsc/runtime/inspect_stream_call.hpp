// What the streaming calls Watch and Follow have in common: one message under way at a time, so that a
// reader who does not read costs one message, and one end, whoever brings it about. Included only by
// inspect_*.cpp.
#pragma once
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <mutex>
#include <utility>

#include "dmsc/runtime/grpc_status.hpp"
#include "dmsc/runtime/inspect_core.hpp"

namespace dmsc::runtime {

// gRPC calls On*, on any thread, OnDone last. It lives from start() until closed().
template <class Reply>
class StreamCall : public grpc::ServerWriteReactor<Reply>,
                   public Watcher,
                   public std::enable_shared_from_this<StreamCall<Reply>> {
 public:
  StreamCall(std::shared_ptr<InspectServer::Core> core, std::string topic)
      : core_(std::move(core)), topic_(std::move(topic)) {}

  void start() {
    self_ = this->shared_from_this();
    core_->add_watcher(self_);
  }
  const std::string& topic() const override { return topic_; }

  bool look() override {
    {
      std::lock_guard hold(lock_);
      if (busy_ || ended_) return ended_;
      busy_ = true;
    }
    next();
    return true;
  }

  // Any thread; only the first end counts.
  void end(const Error& why) override {
    {
      std::lock_guard hold(lock_);
      if (std::exchange(ended_, true)) return;
    }
    this->Finish(to_grpc(why));
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return end(make_error(Errc::unavailable, "the reader is gone"));
    {
      std::lock_guard hold(lock_);
      busy_ = false;
    }
    written();
  }
  void OnCancel() override { end(make_error(Errc::deadline, "cancelled")); }
  void OnDone() override {
    core_->remove_watcher(this);
    closed(std::move(self_));
  }

 protected:
  // Makes the next message: end(), or send() once, now or later. io_context's thread.
  virtual void next() = 0;
  // A message has left and another may follow. Any thread.
  virtual void written() {}
  // Nobody else refers to the call: it goes with `self`. Any thread.
  virtual void closed(std::shared_ptr<StreamCall> self) { self.reset(); }

  // Writes what `fill(reply)` makes of the last message, unless it says that there is no news. Any thread.
  template <class Fill>
  void send(Fill fill) {
    std::lock_guard hold(lock_);
    if (!ended_ && fill(reply_)) return this->StartWrite(&reply_);
    busy_ = false;
  }

  const std::shared_ptr<InspectServer::Core> core_;
  const std::string topic_;

 private:
  std::shared_ptr<StreamCall> self_;
  std::mutex lock_;     // all below
  bool busy_ = false;   // a message is made or written
  bool ended_ = false;
  Reply reply_;
};

}  // namespace dmsc::runtime
