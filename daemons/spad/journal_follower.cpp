#include "spad/journal_follower.hpp"

#include <boost/asio/post.hpp>

#include "dmsc/runtime/grpc_tls.hpp"

namespace dmsc::spad {

namespace {
constexpr auto kPause = std::chrono::milliseconds(500);
}

struct JournalFollower::Shared {
  std::mutex mutex;
  std::condition_variable wake;
  bool stop = false;
  grpc::ClientContext* call = nullptr;  // the one to cancel
  runtime::Identity identity;
  Callbacks callbacks;                  // used on the io_context's thread only
  Shared(runtime::Identity id, Callbacks c) : identity(std::move(id)), callbacks(std::move(c)) {}

  // Runs `f` on the io_context's thread and waits for its answer; `fallback` if we are to stop.
  template <class T, class F>
  static T ask(const std::shared_ptr<Shared>& self, boost::asio::io_context& io, T fallback, F f) {
    struct Slot {
      T value;
      bool done = false;
    };
    auto slot = std::make_shared<Slot>(Slot{fallback});
    boost::asio::post(io, [self, slot, f = std::move(f)] {
      {
        std::lock_guard lock(self->mutex);
        if (self->stop) return;
      }
      T value = f(self->callbacks);
      std::lock_guard lock(self->mutex);
      slot->value = std::move(value);
      slot->done = true;
      self->wake.notify_all();
    });
    std::unique_lock lock(self->mutex);
    self->wake.wait(lock, [&] { return self->stop || slot->done; });
    return slot->value;
  }
};

JournalFollower::JournalFollower(boost::asio::io_context& io, runtime::Identity identity,
                                 runtime::Endpoint writer, Callbacks callbacks)
    : shared_(std::make_shared<Shared>(std::move(identity), std::move(callbacks))),
      io_(io),
      writer_(std::move(writer)),
      thread_([this] { run(); }) {}

JournalFollower::~JournalFollower() {
  {
    std::lock_guard lock(shared_->mutex);
    shared_->stop = true;
    if (shared_->call != nullptr) shared_->call->TryCancel();
    shared_->wake.notify_all();
  }
  thread_.join();
}

void JournalFollower::set_identity(runtime::Identity identity) {
  std::lock_guard lock(shared_->mutex);
  shared_->identity = std::move(identity);
}

grpc::Status JournalFollower::read_once() {
  auto position = Shared::ask<std::uint64_t>(shared_, io_, 0,
                                             [](Callbacks& c) { return c.position(); });
  grpc::ClientContext context;
  std::shared_ptr<grpc::Channel> channel;
  v1::JournalRequest request;
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->stop) return grpc::Status::CANCELLED;
    shared_->call = &context;
    const runtime::Identity& id = shared_->identity;
    channel = runtime::tls_channel(runtime::to_string(writer_), "spa", id.certificate.domain,
                                   runtime::tls_client_credentials(id));
    request.set_replica(id.certificate.name);
  }
  request.set_position(position);
  auto reader = v1::Journal::NewStub(channel)->Subscribe(&context, request);
  v1::JournalEntry entry;
  std::string refused;
  while (refused.empty() && reader->Read(&entry)) {
    refused = Shared::ask<std::string>(shared_, io_, "stopping", [entry](Callbacks& c) {
      c.state(true, "");
      if (entry.change().empty()) return std::string();
      Result<Changes> changes = changes_from_json(Json::parse(entry.change(), nullptr, false));
      if (!changes) return changes.error().message;
      Status done = c.apply({entry.position(), entry.time(), entry.snapshot(), *changes});
      return done ? std::string() : done.error().message;
    });
  }
  if (!refused.empty()) context.TryCancel();
  grpc::Status status = reader->Finish();
  {
    std::lock_guard lock(shared_->mutex);
    shared_->call = nullptr;
  }
  return refused.empty() ? status : grpc::Status(grpc::StatusCode::INTERNAL, refused);
}

void JournalFollower::run() {
  while (true) {
    grpc::Status status = read_once();
    std::string why = status.error_message().empty() ? "the stream ended" : status.error_message();
    Shared::ask<bool>(shared_, io_, false, [why](Callbacks& c) {
      c.state(false, why);
      return true;
    });
    std::unique_lock lock(shared_->mutex);
    shared_->wake.wait_for(lock, kPause, [this] { return shared_->stop; });
    if (shared_->stop) return;
  }
}

}  // namespace dmsc::spad
