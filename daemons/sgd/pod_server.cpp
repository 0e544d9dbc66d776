#include "sgd/pod_server.hpp"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "dmsc/runtime/log.hpp"
#include "dmsc/v1/pod.grpc.pb.h"
#include "sgd/pod_messages.hpp"

namespace dmsc::sgd {

namespace asio = boost::asio;
namespace log = runtime::log;

namespace {

// Descriptors handed to gRPC get numbers from the upper half of what the process may have, one after
// the other, so that a number comes back only after thousands of other connections.
int place_descriptor(int fd) {
  static_assert(F_DUPFD_CLOEXEC != 0);
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return fd;
  const int top = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 1 << 20));
  const int base = top / 2;
  static std::atomic<unsigned> turn{0};
  const int wanted = base + static_cast<int>(turn++ % static_cast<unsigned>(std::max(top - base - 64, 1)));
  int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, wanted);
  if (moved < 0) return fd;
  ::close(fd);
  return moved;
}

}  // namespace

Result<int> listen_unix(const std::string& path, int type, unsigned mode) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return make_error(Errc::invalid, path, ": longer than a socket path may be (107 bytes)");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  int fd = ::socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return make_error(Errc::internal, path, ": ", std::strerror(errno));
  struct stat there {};
  if (::lstat(path.c_str(), &there) == 0 && S_ISSOCK(there.st_mode)) ::unlink(path.c_str());
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(path.c_str(), mode) != 0 || ::listen(fd, 512) != 0) {
    Error error = make_error(Errc::internal, path, ": ", std::strerror(errno));
    ::close(fd);
    return error;
  }
  return fd;
}

class LeaseStream;

struct PodServer::Core : std::enable_shared_from_this<PodServer::Core>,
                         v1::Pod::CallbackService {
  Core(asio::io_context& io_context, const IdentityResolver& resolver, PodEvents& pod_events)
      : io(io_context), identities(resolver), events(pod_events), listener(io_context) {}

  grpc::ServerBidiReactor<v1::PodMessage, v1::GatewayMessage>* Announce(
      grpc::CallbackServerContext* context) override;
  void accept_next();
  void accepted(int fd);
  void handle(StreamId stream, const PeerIdentity& peer, const v1::PodMessage& message);
  void stream_done(StreamId stream);
  LeaseStream* find(StreamId stream) {
    auto it = streams.find(stream);
    return it == streams.end() ? nullptr : it->second;
  }

  asio::io_context& io;
  const IdentityResolver& identities;
  PodEvents& events;
  asio::posix::stream_descriptor listener;
  std::unique_ptr<grpc::Server> server;
  StreamId next_stream = 1;
  std::map<StreamId, LeaseStream*> streams;     // io thread: those that have begun
  std::mutex mutex;                             // guards what follows: gRPC's threads use it too
  std::map<std::string, PeerIdentity> by_peer;  // "fd:N"
  std::set<LeaseStream*> live;                  // all not done; deleted on the io thread only
  std::atomic<bool> stopped{false};             // changed under the mutex
};

// One stream. What it hears is posted to the io_context's thread; writing and ending go on without it,
// because PodServer::stop() waits there for all streams to end.
class LeaseStream final : public grpc::ServerBidiReactor<v1::PodMessage, v1::GatewayMessage> {
 public:
  LeaseStream(std::shared_ptr<PodServer::Core> core, PeerIdentity peer)
      : core_(std::move(core)), peer_(std::move(peer)) {
    asio::post(core_->io, [this] {
      id_ = core_->next_stream++;
      core_->streams[id_] = this;
      if (!core_->stopped) StartRead(&in_);
    });
  }
  void OnReadDone(bool ok) override {
    asio::post(core_->io, [this, ok] {
      if (!ok || core_->stopped) return finish(grpc::Status::OK);
      core_->handle(id_, peer_, in_);
      if (!ending()) StartRead(&in_);
    });
  }
  void OnWriteDone(bool ok) override {
    std::unique_lock lock(mutex_);
    writing_ = false;
    out_.pop_front();
    if (!ok) out_.clear();
    go_on(lock);
  }
  void OnDone() override {
    {
      std::lock_guard lock(core_->mutex);
      core_->live.erase(this);
    }
    asio::post(core_->io, [this] {
      auto core = core_;
      core->stream_done(id_);
      delete this;
    });
  }
  void send(v1::GatewayMessage message) {
    std::unique_lock lock(mutex_);
    if (end_) return;
    // A pod that reads nothing cannot make the gateway keep its messages for ever.
    if (out_.size() >= kMaxQueued) {
      end_ = grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the pod does not read");
    } else {
      out_.push_back(std::move(message));
    }
    go_on(lock);
  }
  // After the write that runs; what is queued behind it is dropped. The first status counts.
  void finish(grpc::Status status) {
    std::unique_lock lock(mutex_);
    if (!end_) end_ = std::move(status);
    go_on(lock);
  }

 private:
  static constexpr std::size_t kMaxQueued = 65536;
  bool ending() {
    std::lock_guard lock(mutex_);
    return end_.has_value();
  }
  // The next operation, if one can begin. gRPC is called without the lock: it may call back at once.
  void go_on(std::unique_lock<std::mutex>& lock) {
    if (writing_ || finished_) return;
    if (end_) {
      finished_ = true;
      lock.unlock();
      return Finish(*end_);
    }
    if (out_.empty()) return;
    writing_ = true;
    const v1::GatewayMessage* next = &out_.front();  // a deque's elements stay where they are
    lock.unlock();
    StartWrite(next);
  }
  std::shared_ptr<PodServer::Core> core_;
  PeerIdentity peer_;
  StreamId id_ = 0;
  v1::PodMessage in_;
  std::mutex mutex_;  // guards what follows
  std::deque<v1::GatewayMessage> out_;
  bool writing_ = false, finished_ = false;
  std::optional<grpc::Status> end_;
};

namespace {

class Refusal final : public grpc::ServerBidiReactor<v1::PodMessage, v1::GatewayMessage> {
 public:
  explicit Refusal(grpc::StatusCode code, const std::string& why) {
    Finish(grpc::Status(code, why));
  }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerBidiReactor<v1::PodMessage, v1::GatewayMessage>* PodServer::Core::Announce(
    grpc::CallbackServerContext* context) {
  std::lock_guard lock(mutex);
  if (stopped) return new Refusal(grpc::StatusCode::UNAVAILABLE, "the gateway stops");
  auto it = by_peer.find(context->peer());
  if (it == by_peer.end()) {
    return new Refusal(grpc::StatusCode::UNAUTHENTICATED, "no identity for " + context->peer());
  }
  auto* stream = new LeaseStream(shared_from_this(), it->second);
  live.insert(stream);
  return stream;
}

void PodServer::Core::handle(StreamId stream, const PeerIdentity& peer,
                             const v1::PodMessage& message) {
  switch (message.message_case()) {
    case v1::PodMessage::kHello:
      return events.pod_hello(stream, peer, message.hello().client(),
                              message.hello().resume_lease());
    case v1::PodMessage::kAnnounce: {
      auto service = parse_announcement(message.announce());
      if (!service) {
        return events.pod_invalid(stream, message.announce().prefix(), service.error().message);
      }
      return events.pod_announce(stream, std::move(*service));
    }
    case v1::PodMessage::kWithdraw:
      return events.pod_withdraw(stream, message.withdraw().prefix());
    case v1::PodMessage::kCheck:
      return events.pod_checked(stream, message.check().id(), message.check().healthy(),
                                message.check().detail().substr(0, 200));
    case v1::PodMessage::MESSAGE_NOT_SET: return;  // of a newer client
  }
}

void PodServer::Core::stream_done(StreamId stream) {
  streams.erase(stream);
  if (!stopped) events.pod_closed(stream);
}

void PodServer::Core::accept_next() {
  listener.async_wait(asio::posix::stream_descriptor::wait_read,
                      [self = shared_from_this()](const boost::system::error_code& error) {
                        if (error || self->stopped) return;
                        for (int n = 0; n < 64; ++n) {
                          int fd = ::accept4(self->listener.native_handle(), nullptr, nullptr,
                                             SOCK_NONBLOCK | SOCK_CLOEXEC);
                          if (fd < 0) break;
                          self->accepted(fd);
                        }
                        self->accept_next();
                      });
}

void PodServer::Core::accepted(int fd) {
  auto peer = identities.resolve(fd);
  if (!peer) {
    log::warning("pod-rejected", {{"socket", "pod.sock"}, {"reason", peer.error()}});
    ::close(fd);
    return;
  }
  fd = place_descriptor(fd);
  {
    std::lock_guard lock(mutex);
    by_peer["fd:" + std::to_string(fd)] = std::move(*peer);
  }
  grpc::AddInsecureChannelFromFd(server.get(), fd);
}

// ---- the server -------------------------------------------------------------------------------

PodServer::PodServer(asio::io_context& io, const IdentityResolver& identities, PodEvents& events)
    : core_(std::make_shared<Core>(io, identities, events)) {}

PodServer::~PodServer() { stop(); }

dmsc::Status PodServer::start(const std::string& path) {
  auto fd = listen_unix(path, SOCK_STREAM, 0666);
  if (!fd) return fd.error();
  grpc::ServerBuilder builder;
  builder.RegisterService(core_.get());
  core_->server = builder.BuildAndStart();
  if (core_->server == nullptr) {
    ::close(*fd);
    return make_error(Errc::internal, "gRPC cannot start a server for ", path);
  }
  core_->listener.assign(*fd);
  core_->accept_next();
  return Ok{};
}

void PodServer::stop() {
  std::vector<LeaseStream*> live;  // stay valid: they are deleted by tasks of this thread
  {
    std::lock_guard lock(core_->mutex);
    if (core_->stopped) return;
    core_->stopped = true;
    live.assign(core_->live.begin(), core_->live.end());
  }
  boost::system::error_code ignored;
  core_->listener.close(ignored);
  for (LeaseStream* stream : live) {
    stream->finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the gateway stops"));
  }
  if (core_->server != nullptr) {
    core_->server->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(500));
  }
}

void PodServer::welcome(StreamId stream, const WelcomeInfo& info) {
  if (LeaseStream* s = core_->find(stream)) s->send(to_message(info));
}
void PodServer::status(StreamId stream, const Announcements::Status& status) {
  if (LeaseStream* s = core_->find(stream)) s->send(to_message(status));
}
void PodServer::check(StreamId stream, std::uint64_t id, const std::string& prefix,
                      const CheckSpec& check) {
  if (LeaseStream* s = core_->find(stream)) s->send(to_message(id, prefix, check));
}
void PodServer::drain_all(const std::string& reason) {
  v1::GatewayMessage message;
  message.mutable_drain()->set_reason(reason);
  for (auto& [id, stream] : core_->streams) stream->send(message);
}
void PodServer::end(StreamId stream, const std::string& reason) {
  if (LeaseStream* s = core_->find(stream)) {
    s->finish(grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, reason));
  }
}
std::size_t PodServer::stream_count() const { return core_->streams.size(); }

}  // namespace dmsc::sgd
