// Follow calls: a Feed's messages over gRPC. The io_context's thread asks the feed; one write is under way
// at a time, so a reader that does not read costs one message.
#include <boost/asio/post.hpp>
#include <grpcpp/support/server_callback.h>

#include "dmsc/runtime/grpc_status.hpp"
#include "dmsc/runtime/inspect_core.hpp"
#include "dmsc/runtime/inspect_follow.hpp"
#include "dmsc/v1/inspect.grpc.pb.h"

namespace dmsc::runtime {
namespace {

using Core = InspectServer::Core;

void fill(v1::FollowRowsReply& reply, FeedMessage message) {
  if (auto* piece = std::get_if<FeedSnapshot>(&message)) {
    auto* out = reply.mutable_snapshot();
    out->set_sequence(piece->sequence);
    out->set_first(piece->first);
    out->set_last(piece->last);
    out->set_exact_from(piece->exact_from);
    for (FeedRow& row : piece->rows) {
      auto* to = out->add_rows();
      to->set_key(std::move(row.key));
      to->set_json(std::move(row.json));
    }
  } else if (auto* deltas = std::get_if<FeedDeltas>(&message)) {
    for (FeedChange& change : deltas->changes) {
      auto* to = reply.mutable_deltas()->add_deltas();
      to->set_sequence(change.sequence);
      to->set_removed(change.json.empty());
      to->set_key(std::move(change.key));
      to->set_json(std::move(change.json));
    }
  } else {
    auto& resync = std::get<FeedResync>(message);
    reply.mutable_resync()->set_reason(std::move(resync.reason));
    reply.mutable_resync()->set_missed(resync.missed);
  }
}

// One Follow call. gRPC calls On*; look() comes on the io_context's thread alone, which owns the cursor.
class FollowCall final : public grpc::ServerWriteReactor<v1::FollowRowsReply>,
                         public Watcher,
                         public std::enable_shared_from_this<FollowCall> {
 public:
  FollowCall(std::shared_ptr<Core> core, const v1::FollowRowsRequest& request)
      : core_(std::move(core)),
        topic_(request.topic()),
        stream_(request.stream()),
        after_(request.after()) {}
  void start() {
    self_ = shared_from_this();  // until OnDone
    core_->add_watcher(self_);
  }
  const std::string& topic() const override { return topic_; }
  bool eager() const override { return true; }

  bool look() override {
    {
      std::lock_guard hold(lock_);
      if (busy_ || ended_) return ended_;
      busy_ = true;
    }
    auto message = next();
    std::lock_guard hold(lock_);
    if (!message || ended_) {
      busy_ = false;
      return true;
    }
    reply_.Clear();
    reply_.set_stream(stream_);
    fill(reply_, std::move(*message));
    StartWrite(&reply_);
    return true;
  }

  void end(const Error& why) override {
    {
      std::lock_guard hold(lock_);
      if (std::exchange(ended_, true)) return;
    }
    Finish(to_grpc(why));
  }

  // What is left of a snapshot goes as fast as the reader reads.
  void OnWriteDone(bool ok) override {
    if (!ok) return end(make_error(Errc::unavailable, "the follower is gone"));
    {
      std::lock_guard hold(lock_);
      busy_ = false;
    }
    core_->post([self = shared_from_this()] { self->look(); });
  }
  void OnCancel() override { end(make_error(Errc::deadline, "cancelled")); }
  void OnDone() override {
    core_->remove_watcher(this);
    // The cursor goes on its own thread: a look() may be under way there.
    core_->post([self = std::move(self_)] { self->cursor_.reset(); });
  }

 private:
  std::optional<FeedMessage> next() {
    if (!cursor_) {
      Feed* feed = core_->feed(topic_);
      if (feed == nullptr || feed->full()) {
        end(feed == nullptr ? make_error(Errc::not_found, core_->daemon, " has no stream of '", topic_,
                                         "': it has ", core_->feed_names())
                            : make_error(Errc::limit, topic_, ": too many followers"));
        return std::nullopt;
      }
      cursor_ = std::make_shared<Feed::Cursor>(*feed, stream_, after_);
      stream_ = feed->id();
    }
    return cursor_->next();
  }

  std::shared_ptr<Core> core_;
  const std::string topic_;
  std::shared_ptr<FollowCall> self_;
  std::shared_ptr<Feed::Cursor> cursor_;  // io_context's thread, like the two below
  std::uint64_t stream_, after_;
  std::mutex lock_;     // all below
  bool busy_ = false;   // a message is made or written
  bool ended_ = false;
  v1::FollowRowsReply reply_;
};

}  // namespace

grpc::ServerWriteReactor<v1::FollowRowsReply>* start_follow(std::shared_ptr<Core> core,
                                                        const v1::FollowRowsRequest& request) {
  auto call = std::make_shared<FollowCall>(std::move(core), request);
  call->start();
  return call.get();
}

}  // namespace dmsc::runtime
