#include "client.hpp"

#include <grpcpp/create_channel.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "dmsc/runtime/grpc_status.hpp"
#include "dmsc/v1/admin.grpc.pb.h"
#include "dmsc/v1/inspect.grpc.pb.h"

namespace dmsc::ctl {
namespace {

void set_timeout(grpc::ClientContext& context, int timeout_seconds) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(timeout_seconds));
}

constexpr int kAdminTimeout = 15;

// gRPC reports every failure to connect alike; the system call says which it is.
int try_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  path.copy(address.sun_path, path.size());
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  int result = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  int error = result == 0 ? 0 : errno;
  ::close(fd);
  return error;
}

std::string lower_first(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return text;
}

template <class Request>
using AdminMethod = grpc::Status (v1::Admin::Stub::*)(grpc::ClientContext*, const Request&,
                                                      v1::AdminDone*);

template <class Request>
Result<std::string> call_admin(const std::shared_ptr<grpc::Channel>& channel,
                               AdminMethod<Request> method, const Request& request) {
  auto stub = v1::Admin::NewStub(channel);
  grpc::ClientContext context;
  set_timeout(context, kAdminTimeout);
  v1::AdminDone done;
  grpc::Status status = (stub.get()->*method)(&context, request, &done);
  if (!status.ok()) return runtime::from_grpc(status);
  return done.detail();
}

}  // namespace

Result<std::shared_ptr<grpc::Channel>> connect(const std::string& daemon, const std::string& path) {
  if (int error = try_socket(path)) {
    std::string why = daemon + " is not answering on " + path + ": " + lower_first(strerror(error));
    if (error == EACCES || error == EPERM) {
      return make_error(Errc::denied, why, ": be root or, to look only, in group dmsc");
    }
    return make_error(Errc::unavailable, why, ": is it running? systemctl status ", daemon);
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);  // a whole LSDB
  return grpc::CreateCustomChannel("unix:" + path, grpc::InsecureChannelCredentials(), arguments);
}

Result<std::string> InspectClient::show(const std::string& topic,
                                        const std::vector<std::string>& arguments,
                                        int timeout_seconds) {
  auto stub = v1::Inspect::NewStub(channel_);
  grpc::ClientContext context;
  set_timeout(context, timeout_seconds);
  v1::ShowRequest request;
  request.set_topic(topic);
  for (const auto& a : arguments) request.add_arguments(a);
  v1::ShowReply reply;
  grpc::Status status = stub->Show(&context, request, &reply);
  if (!status.ok()) return runtime::from_grpc(status);
  return std::move(*reply.mutable_json());
}

Status InspectClient::watch(const std::string& topic, const std::vector<std::string>& arguments,
                            const std::function<bool(const std::string&)>& next) {
  auto stub = v1::Inspect::NewStub(channel_);
  grpc::ClientContext context;
  v1::ShowRequest request;
  request.set_topic(topic);
  for (const auto& a : arguments) request.add_arguments(a);
  auto stream = stub->Watch(&context, request);
  v1::ShowReply reply;
  while (stream->Read(&reply)) {
    if (next(reply.json())) continue;
    context.TryCancel();
    stream->Finish();
    return Ok{};
  }
  grpc::Status status = stream->Finish();
  if (!status.ok()) return runtime::from_grpc(status);
  return Ok{};
}

namespace {

// Hands one message on; false ends the stream. A gap is an error, never passed over.
Result<bool> hand_on(const v1::FollowRowsReply& reply, const FollowHandlers& handlers,
                     std::uint64_t& at) {
  if (reply.has_resync()) {
    handlers.resync(reply.resync().reason(), reply.resync().missed());
  } else if (reply.has_snapshot()) {
    const auto& piece = reply.snapshot();
    at = piece.sequence();
    for (const auto& row : piece.rows()) {
      handlers.snapshot_row({reply.stream(), at, row.key(), row.json()});
    }
    if (piece.last()) return handlers.snapshot_end(reply.stream(), at, piece.exact_from());
  }
  for (const auto& delta : reply.deltas().deltas()) {
    if (delta.sequence() != at + 1) {
      return make_error(Errc::internal, "a gap in the stream: ", std::to_string(delta.sequence()),
                        " after ", std::to_string(at));
    }
    at = delta.sequence();
    if (!handlers.delta({reply.stream(), at, delta.key(), delta.json()})) return false;
  }
  return true;
}

}  // namespace

Status InspectClient::follow(const std::string& topic, const FollowHandlers& handlers) {
  auto stub = v1::Inspect::NewStub(channel_);
  grpc::ClientContext context;
  v1::FollowRowsRequest request;
  request.set_topic(topic);
  auto stream = stub->Follow(&context, request);
  v1::FollowRowsReply reply;
  std::uint64_t at = 0;
  while (stream->Read(&reply)) {
    auto more = hand_on(reply, handlers, at);
    if (more && *more) continue;
    context.TryCancel();
    stream->Finish();
    return more ? Status(Ok{}) : Status(more.error());
  }
  grpc::Status status = stream->Finish();
  if (!status.ok()) return runtime::from_grpc(status);
  return Ok{};
}

Result<std::string> AdminClient::drain(const std::string& link, bool soft,
                                       const std::string& reason) {
  v1::DrainRequest request;
  request.set_link(link);
  request.set_level(soft ? v1::DrainRequest::SOFT : v1::DrainRequest::HARD);
  request.set_reason(reason);
  return call_admin(channel_, &v1::Admin::Stub::Drain, request);
}
Result<std::string> AdminClient::undrain(const std::string& link) {
  v1::UndrainRequest request;
  request.set_link(link);
  return call_admin(channel_, &v1::Admin::Stub::Undrain, request);
}
Result<std::string> AdminClient::set_log_level(const std::string& level) {
  v1::LogLevel request;
  request.set_level(level);
  return call_admin(channel_, &v1::Admin::Stub::SetLogLevel, request);
}
Result<std::string> AdminClient::reload() {
  return call_admin(channel_, &v1::Admin::Stub::Reload, v1::ReloadRequest());
}

}  // namespace dmsc::ctl
