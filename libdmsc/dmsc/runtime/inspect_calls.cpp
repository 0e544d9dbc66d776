// The gRPC side of the inspect server: services Inspect and Admin.
#include <grpcpp/support/server_callback.h>

#include "dmsc/runtime/grpc_status.hpp"
#include "dmsc/runtime/inspect_core.hpp"
#include "dmsc/runtime/inspect_follow.hpp"
#include "dmsc/runtime/log.hpp"
#include "dmsc/v1/admin.grpc.pb.h"
#include "dmsc/v1/inspect.grpc.pb.h"

namespace dmsc::runtime {
namespace {

using Core = InspectServer::Core;

// One Watch call. gRPC calls On*; look() comes from the io_context's thread, answers from any.
class WatchCall final : public grpc::ServerWriteReactor<v1::ShowReply>,
                        public Watcher,
                        public std::enable_shared_from_this<WatchCall> {
 public:
  WatchCall(std::shared_ptr<Core> core, const v1::ShowRequest& request)
      : core_(std::move(core)),
        topic_(request.topic()),
        arguments_(request.arguments().begin(), request.arguments().end()) {}
  void start() {
    self_ = shared_from_this();  // until OnDone
    core_->add_watcher(self_);
  }
  const std::string& topic() const override { return topic_; }

  bool look() override {
    {
      std::lock_guard hold(lock_);
      if (busy_ || ended_) return ended_;
      busy_ = true;
    }
    if (topic_ == "events") {
      look_at_events();
      return true;
    }
    core_->show(topic_, arguments_, [self = shared_from_this()](Result<std::string> document) {
      if (!document) return self->end(document.error());
      self->send(std::move(*document));
    });
    return true;
  }

  void end(const Error& why) override {
    {
      std::lock_guard hold(lock_);
      if (std::exchange(ended_, true)) return;
    }
    Finish(to_grpc(why));
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return end(make_error(Errc::unavailable, "the watcher is gone"));
    std::lock_guard hold(lock_);
    busy_ = false;
  }
  void OnCancel() override { end(make_error(Errc::deadline, "cancelled")); }
  void OnDone() override {
    core_->remove_watcher(this);
    self_.reset();
  }

 private:
  void look_at_events() {
    auto [rows, last] = core_->events_after(last_event_);
    last_event_ = last;
    send(rows.empty() ? std::string() : core_->document(topic_, rows));
  }

  // Sends `document` unless it is empty or says what the watcher already knows.
  void send(std::string document) {
    std::lock_guard hold(lock_);
    if (ended_ || document.empty() || document == reply_.json()) {
      busy_ = false;
      return;
    }
    reply_.set_schema(1);
    reply_.set_json(std::move(document));
    StartWrite(&reply_);
  }

  std::shared_ptr<Core> core_;
  const std::string topic_;
  const Arguments arguments_;
  std::shared_ptr<WatchCall> self_;
  std::uint64_t last_event_ = 0;  // io_context's thread
  std::mutex lock_;               // all below
  bool busy_ = false;             // a question or a write is under way
  bool ended_ = false;
  v1::ShowReply reply_;
};

class InspectService final : public v1::Inspect::CallbackService {
 public:
  explicit InspectService(std::shared_ptr<Core> core) : core_(std::move(core)) {}

  grpc::ServerUnaryReactor* Show(grpc::CallbackServerContext* context,
                                 const v1::ShowRequest* request, v1::ShowReply* reply) override {
    auto* reactor = context->DefaultReactor();
    Arguments arguments(request->arguments().begin(), request->arguments().end());
    core_->show(request->topic(), arguments, [reactor, reply](Result<std::string> document) {
      if (!document) return reactor->Finish(to_grpc(document.error()));
      reply->set_schema(1);
      reply->set_json(std::move(*document));
      reactor->Finish(grpc::Status::OK);
    });
    return reactor;
  }

  grpc::ServerWriteReactor<v1::ShowReply>* Watch(grpc::CallbackServerContext*,
                                                 const v1::ShowRequest* request) override {
    auto call = std::make_shared<WatchCall>(core_, *request);
    call->start();
    return call.get();
  }

  grpc::ServerWriteReactor<v1::FollowRowsReply>* Follow(grpc::CallbackServerContext*,
                                                    const v1::FollowRowsRequest* request) override {
    return start_follow(core_, *request);
  }

 private:
  std::shared_ptr<Core> core_;
};

class AdminService final : public v1::Admin::CallbackService {
 public:
  explicit AdminService(std::shared_ptr<Core> core) : core_(std::move(core)) {}

  grpc::ServerUnaryReactor* Drain(grpc::CallbackServerContext* context,
                                  const v1::DrainRequest* request, v1::AdminDone* done) override {
    DrainOrder order{request->level() == v1::DrainRequest::HARD, request->link(), request->reason()};
    return run_async(context, done, "drain", [core = core_.get(), order](auto finish) {
      if (core->admin.drain) return core->admin.drain(order, finish);
      finish(unsupported("drain"));
    });
  }
  grpc::ServerUnaryReactor* Undrain(grpc::CallbackServerContext* context,
                                    const v1::UndrainRequest* request,
                                    v1::AdminDone* done) override {
    return run_async(context, done, "undrain",
                     [core = core_.get(), link = request->link()](auto finish) {
                       if (core->admin.undrain) return core->admin.undrain(link, finish);
                       finish(unsupported("undrain"));
                     });
  }
  grpc::ServerUnaryReactor* Reload(grpc::CallbackServerContext* context, const v1::ReloadRequest*,
                                   v1::AdminDone* done) override {
    return run(context, done, "reload", [core = core_.get()] {
      return core->admin.reload ? core->admin.reload() : unsupported("reload");
    });
  }
  grpc::ServerUnaryReactor* SetLogLevel(grpc::CallbackServerContext* context,
                                        const v1::LogLevel* request, v1::AdminDone* done) override {
    return run(context, done, "log level", [text = request->level()]() -> Result<std::string> {
      auto level = log::parse_level(text);
      if (!level) return level.error();
      log::set_level(*level);
      log::info("log-level", {{"level", text}});
      return "log level is now " + text;
    });
  }

 private:
  static Result<std::string> unsupported(const char* what) {
    return make_error(Errc::unsupported, "this daemon has no ", what);
  }

  // Runs `change` on the io_context's thread and finishes the call with its outcome.
  grpc::ServerUnaryReactor* run(grpc::CallbackServerContext* context, v1::AdminDone* done,
                                const char* what, std::function<Result<std::string>()> change) {
    return run_async(context, done, what,
                     [change = std::move(change)](auto finish) { finish(change()); });
  }

  // The same for a change that takes time: `change` calls its argument when it is done.
  grpc::ServerUnaryReactor* run_async(grpc::CallbackServerContext* context, v1::AdminDone* done,
                                      const char* what,
                                      std::function<void(AdminHandlers::Done)> change) {
    auto* reactor = context->DefaultReactor();
    core_->ask(
        kAdminLimit, what,
        [reactor, done](Result<std::string> outcome) {
          if (!outcome) return reactor->Finish(to_grpc(outcome.error()));
          done->set_detail(*outcome);
          reactor->Finish(grpc::Status::OK);
        },
        std::move(change));
    return reactor;
  }

  std::shared_ptr<Core> core_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_inspect_service(std::shared_ptr<Core> core) {
  return std::make_unique<InspectService>(std::move(core));
}
std::unique_ptr<grpc::Service> make_admin_service(std::shared_ptr<Core> core) {
  return std::make_unique<AdminService>(std::move(core));
}

}  // namespace dmsc::runtime
