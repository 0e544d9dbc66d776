// The gRPC side of the inspect server: services Inspect and Admin.
#include <grpcpp/support/server_callback.h>

#include "dmsc/runtime/grpc_status.hpp"
#include "dmsc/runtime/inspect_core.hpp"
#include "dmsc/runtime/inspect_follow.hpp"
#include "dmsc/runtime/inspect_stream_call.hpp"
#include "dmsc/runtime/log.hpp"
#include "dmsc/v1/admin.grpc.pb.h"
#include "dmsc/v1/inspect.grpc.pb.h"

namespace dmsc::runtime {
namespace {

using Core = InspectServer::Core;

// One Watch call: look() comes from the io_context's thread, answers from any.
class WatchCall final : public StreamCall<v1::ShowReply> {
 public:
  WatchCall(std::shared_ptr<Core> core, const v1::ShowRequest& request)
      : StreamCall(std::move(core), request.topic()),
        arguments_(request.arguments().begin(), request.arguments().end()) {}

 private:
  void next() override {
    if (topic_ == "events") return look_at_events();
    core_->show(topic_, arguments_, [this, self = shared_from_this()](Result<std::string> document) {
      if (!document) return end(document.error());
      tell(std::move(*document));
    });
  }

  void look_at_events() {
    auto [rows, last] = core_->events_after(last_event_);
    last_event_ = last;
    tell(rows.empty() ? std::string() : core_->document(topic_, rows));
  }

  // Sends `document` unless it is empty or says what the watcher already knows.
  void tell(std::string document) {
    send([&document](v1::ShowReply& reply) {
      if (document.empty() || document == reply.json()) return false;
      reply.set_schema(1);
      reply.set_json(std::move(document));
      return true;
    });
  }

  const Arguments arguments_;
  std::uint64_t last_event_ = 0;  // io_context's thread
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
