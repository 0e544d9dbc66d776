// The sending end of a server stream. Everything but the gRPC callbacks happens on the io_context's
// thread; one message is in flight at a time, the others wait here. Deletes itself when gRPC is done.
#pragma once
#include <grpcpp/support/server_callback.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <deque>
#include <functional>

namespace dmsc::spad {

template <class Message>
class Feed : public grpc::ServerWriteReactor<Message> {
 public:
  explicit Feed(boost::asio::io_context& io) : io_(io) {}

  // Runs when the last message is on its way; may send more.
  std::function<void()> drained;
  // Runs once, last: forget this feed.
  std::function<void()> gone;

  void send(Message message) {
    if (finished_) return;
    queue_.push_back(std::move(message));
    pump();
  }
  bool idle() const { return !writing_ && queue_.empty(); }
  void finish(grpc::Status status) {
    if (finished_) return;
    finished_ = true;
    this->Finish(std::move(status));
  }

 private:
  void pump() {
    if (finished_ || writing_ || queue_.empty()) return;
    current_ = std::move(queue_.front());
    queue_.pop_front();
    writing_ = true;
    this->StartWrite(&current_);
  }
  void OnWriteDone(bool ok) override {
    boost::asio::post(io_, [this, ok] {
      writing_ = false;
      if (!ok) return finish(grpc::Status::CANCELLED);
      pump();
      if (idle() && drained) drained();
    });
  }
  void OnCancel() override {
    boost::asio::post(io_, [this] { finish(grpc::Status::CANCELLED); });
  }
  void OnDone() override {
    boost::asio::post(io_, [this] {
      if (gone) gone();
      delete this;
    });
  }

  boost::asio::io_context& io_;
  std::deque<Message> queue_;
  Message current_;
  bool writing_ = false, finished_ = false;
};

// A unary call answered on the io_context's thread: `answer` runs there once and gives the status.
template <class Answer>
grpc::ServerUnaryReactor* on_loop(boost::asio::io_context& io, grpc::CallbackServerContext* context,
                                  Answer answer) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  boost::asio::post(io, [reactor, answer = std::move(answer)] { reactor->Finish(answer()); });
  return reactor;
}

}  // namespace dmsc::spad
