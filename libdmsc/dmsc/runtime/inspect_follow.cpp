// Follow calls: a Feed's messages over gRPC. The io_context's thread asks the feed.
#include "dmsc/runtime/inspect_follow.hpp"

#include "dmsc/runtime/inspect_stream_call.hpp"

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

// One Follow call. The io_context's thread owns the cursor.
class FollowCall final : public StreamCall<v1::FollowRowsReply> {
 public:
  FollowCall(std::shared_ptr<Core> core, const v1::FollowRowsRequest& request)
      : StreamCall(std::move(core), request.topic()),
        stream_(request.stream()),
        after_(request.after()) {}
  bool eager() const override { return true; }

 private:
  void next() override {
    std::optional<FeedMessage> message = ask();
    send([&](v1::FollowRowsReply& reply) {
      if (!message) return false;
      reply.Clear();
      reply.set_stream(stream_);
      fill(reply, std::move(*message));
      return true;
    });
  }

  // What is left of a snapshot goes as fast as the reader reads.
  void written() override {
    core_->post([self = shared_from_this()] { self->look(); });
  }

  // The cursor goes on its own thread: a look() may be under way there.
  void closed(std::shared_ptr<StreamCall> self) override {
    core_->post([this, self = std::move(self)] { cursor_.reset(); });
  }

  std::optional<FeedMessage> ask() {
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

  std::shared_ptr<Feed::Cursor> cursor_;  // io_context's thread, like the two below
  std::uint64_t stream_, after_;
};

}  // namespace

grpc::ServerWriteReactor<v1::FollowRowsReply>* start_follow(std::shared_ptr<Core> core,
                                                        const v1::FollowRowsRequest& request) {
  auto call = std::make_shared<FollowCall>(std::move(core), request);
  call->start();
  return call.get();
}

}  // namespace dmsc::runtime
