#include "dmsc/client/lease.hpp"

#include <grpcpp/grpcpp.h>

#include "dmsc/v1/pod.grpc.pb.h"

namespace dmsc::client {

namespace {

constexpr auto kFirstRetry = milliseconds(100), kLastRetry = milliseconds(250);

std::uint32_t ms(milliseconds d) { return static_cast<std::uint32_t>(d.count()); }

v1::PodMessage to_message(const Announcement& a) {
  v1::PodMessage message;
  v1::Announcement& out = *message.mutable_announce();
  out.set_prefix(a.prefix);
  out.set_covering(a.covering);
  out.set_join_pool(a.join_pool);
  out.set_capacity(a.capacity);
  out.set_endpoint(a.endpoint);
  out.set_messages(true);
  for (const auto& port : a.ports) {
    auto* p = out.add_ports();
    p->set_service(port.service);
    p->set_endpoint(port.endpoint);
    p->set_protocol(port.protocol);
    p->set_name(port.name);
  }
  v1::HealthCheck& check = *out.mutable_check();
  switch (a.check.kind) {
    case Check::Kind::none: check.set_kind(v1::HealthCheck::NONE); break;
    case Check::Kind::self: check.set_kind(v1::HealthCheck::SELF); break;
    case Check::Kind::tcp: check.set_kind(v1::HealthCheck::TCP); break;
    case Check::Kind::http: check.set_kind(v1::HealthCheck::HTTP); break;
    case Check::Kind::command: check.set_kind(v1::HealthCheck::COMMAND); break;
  }
  check.set_target(a.check.target);
  check.set_interval_ms(ms(a.check.interval));
  check.set_timeout_ms(ms(a.check.timeout));
  check.set_rise(a.check.rise);
  check.set_fall(a.check.fall);
  return message;
}

Check from_message(const v1::HealthCheck& in) {
  Check out;
  out.kind = in.kind() == v1::HealthCheck::COMMAND ? Check::Kind::command : Check::Kind::self;
  out.target = in.target();
  out.interval = milliseconds(in.interval_ms());
  out.timeout = milliseconds(in.timeout_ms());
  out.rise = in.rise();
  out.fall = in.fall();
  return out;
}

AnnouncementStatus from_message(const v1::AnnouncementStatus& in) {
  AnnouncementStatus out;
  out.prefix = in.prefix();
  out.reason = in.reason();
  out.instance = static_cast<std::uint16_t>(in.instance());
  switch (in.state()) {
    case v1::AnnouncementStatus::GRANTED: out.state = AnnouncementState::granted; break;
    case v1::AnnouncementStatus::REFUSED: out.state = AnnouncementState::refused; break;
    case v1::AnnouncementStatus::UNHEALTHY: out.state = AnnouncementState::unhealthy; break;
    case v1::AnnouncementStatus::WITHDRAWN: out.state = AnnouncementState::withdrawn; break;
    case v1::AnnouncementStatus::INVALID: out.state = AnnouncementState::invalid; break;
    default: out.state = AnnouncementState::pending; break;
  }
  return out;
}

}  // namespace

const char* to_string(AnnouncementState state) {
  static constexpr const char* kNames[] = {"pending",   "granted",   "refused",
                                           "unhealthy", "withdrawn", "invalid"};
  return kNames[static_cast<std::size_t>(state)];
}

struct Gateway::Lease::Stream {
  grpc::ClientContext context;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::Pod::Stub> stub;
  std::unique_ptr<grpc::ClientReaderWriter<v1::PodMessage, v1::GatewayMessage>> call;
  std::mutex writing;
  bool half_closed = false;  // guarded by writing
  void write(const v1::PodMessage& message) {
    std::lock_guard lock(writing);
    if (!half_closed) call->Write(message);  // a failure shows at the reader
  }
  void done_writing() {
    std::lock_guard lock(writing);
    if (!half_closed) call->WritesDone();
    half_closed = true;
  }
};

Gateway::Lease::Lease(const Options& options, TaskPool& tasks,
                      std::function<void(const std::string&)> on_lease)
    : options_(options), tasks_(tasks), on_lease_(std::move(on_lease)) {
  if (options_.announces) thread_ = std::thread([this] { run(); });
}

Gateway::Lease::~Lease() { close(); }

void Gateway::Lease::run() {
  auto retry = kFirstRetry;
  while (true) {
    auto stream = std::make_shared<Stream>();
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // no back-off of an earlier channel
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    stream->channel = grpc::CreateCustomChannel("unix:" + options_.socket_dir + "/pod.sock",
                                                grpc::InsecureChannelCredentials(), arguments);
    stream->stub = v1::Pod::NewStub(stream->channel);
    stream->call = stream->stub->Announce(&stream->context);
    {
      std::lock_guard lock(mutex_);
      current_ = stream;
      if (closing_) stream->context.TryCancel();
    }
    session_of(stream);
    grpc::Status end = stream->call->Finish();
    std::unique_lock lock(mutex_);
    current_.reset();
    const bool was_connected = stream_ != nullptr;
    stream_.reset();
    unconnected_reason_ = "no gateway at " + options_.socket_dir + "/pod.sock: " +
                          (end.ok() ? "the stream ended" : end.error_message());
    if (was_connected) retry = kFirstRetry;
    changed_.notify_all();
    if (changed_.wait_for(lock, retry, [this] { return closing_; })) break;
    retry = std::min(retry * 2, kLastRetry);
  }
  std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

// From hello until the stream breaks.
void Gateway::Lease::session_of(const std::shared_ptr<Stream>& stream) {
  v1::PodMessage hello;
  hello.mutable_hello()->set_client(options_.client);
  if (auto before = session()) hello.mutable_hello()->set_resume_lease(before->lease);
  stream->write(hello);
  v1::GatewayMessage message;
  while (stream->call->Read(&message)) {
    switch (message.message_case()) {
      case v1::GatewayMessage::kWelcome: {
        const auto& w = message.welcome();
        on_lease_(w.lease());  // first: an instance is announced when its program can be reached
        std::unique_lock lock(mutex_);
        session_ = Session{w.lease(), w.identity(), w.gateway(), w.domain(),
                           milliseconds(w.grace_ms())};
        stream_ = stream;  // others write from now on
        for (auto& [prefix, entry] : entries_) stream->write(to_message(entry.announcement));
        if (closing_) stream->done_writing();
        changed_.notify_all();
        break;
      }
      case v1::GatewayMessage::kStatus: set_status(from_message(message.status())); break;
      case v1::GatewayMessage::kCheck:
        run_check(message.check().id(), message.check().prefix(),
                  from_message(message.check().check()));
        break;
      case v1::GatewayMessage::kDrain: {
        std::function<void(const std::string&)> callback;
        {
          std::lock_guard lock(mutex_);
          callback = drain_callback_;
        }
        if (callback) callback(message.drain().reason());
        break;
      }
      case v1::GatewayMessage::MESSAGE_NOT_SET: break;  // of a newer gateway
    }
  }
}

void Gateway::Lease::set_status(AnnouncementStatus status) {
  std::function<void(const AnnouncementStatus&)> callback;
  {
    std::lock_guard lock(mutex_);
    auto it = entries_.find(status.prefix);
    if (it != entries_.end()) it->second.status = status;
    callback = status_callback_;
  }
  changed_.notify_all();
  if (callback) callback(status);
}

void Gateway::Lease::run_check(std::uint64_t id, const std::string& prefix, const Check& check) {
  CheckHandler handler;
  {
    std::lock_guard lock(mutex_);
    handler = check_handler_;
  }
  tasks_.post([this, id, prefix, check, handler] {
    Status result = handler ? handler(prefix, check)
                    : check.kind == Check::Kind::command
                        ? Status(make_error(Errc::unsupported, "this program runs no commands"))
                        : Status(Ok{});
    v1::PodMessage answer;
    answer.mutable_check()->set_id(id);
    answer.mutable_check()->set_prefix(prefix);
    answer.mutable_check()->set_healthy(result.ok());
    if (!result) answer.mutable_check()->set_detail(result.error().message);
    std::lock_guard lock(mutex_);
    if (stream_ != nullptr) stream_->write(answer);
  });
}

void Gateway::Lease::announce(Announcement announcement) {
  std::lock_guard lock(mutex_);
  Entry& entry = entries_[announcement.prefix];
  entry.status = {announcement.prefix, AnnouncementState::pending, "not answered yet", 0};
  entry.announcement = std::move(announcement);
  if (stream_ != nullptr) stream_->write(to_message(entry.announcement));
}

void Gateway::Lease::withdraw(const std::string& prefix) {
  std::lock_guard lock(mutex_);
  if (entries_.erase(prefix) == 0 || stream_ == nullptr) return;
  v1::PodMessage message;
  message.mutable_withdraw()->set_prefix(prefix);
  stream_->write(message);
}

Result<AnnouncementStatus> Gateway::Lease::wait_granted(const std::string& prefix,
                                                        Duration timeout) {
  const auto until = std::chrono::steady_clock::now() + timeout;
  std::unique_lock lock(mutex_);
  while (true) {
    auto it = entries_.find(prefix);
    if (it == entries_.end()) return make_error(Errc::not_found, prefix, " is not announced");
    const AnnouncementStatus& status = it->second.status;
    if (status.state == AnnouncementState::granted) return status;
    if (status.state == AnnouncementState::refused) {
      return make_error(Errc::denied, prefix, " refused: ", status.reason);
    }
    if (status.state == AnnouncementState::invalid) {
      return make_error(Errc::invalid, prefix, ": ", status.reason);
    }
    if (std::chrono::steady_clock::now() >= until) {
      return make_error(Errc::deadline, prefix, " is ", to_string(status.state), ": ",
                        stream_ == nullptr ? unconnected_reason_ : status.reason);
    }
    changed_.wait_until(lock, until);
  }
}

void Gateway::Lease::on_status(std::function<void(const AnnouncementStatus&)> callback) {
  std::lock_guard lock(mutex_);
  status_callback_ = std::move(callback);
}
void Gateway::Lease::on_check(CheckHandler handler) {
  std::lock_guard lock(mutex_);
  check_handler_ = std::move(handler);
}
void Gateway::Lease::on_drain(std::function<void(const std::string&)> callback) {
  std::lock_guard lock(mutex_);
  drain_callback_ = std::move(callback);
}
std::optional<Session> Gateway::Lease::session() const {
  std::lock_guard lock(mutex_);
  return session_;
}

void Gateway::Lease::close() {
  {
    std::unique_lock lock(mutex_);
    if (!thread_.joinable()) return;
    closing_ = true;
    if (stream_ != nullptr) {
      for (const auto& [prefix, entry] : entries_) {
        v1::PodMessage message;
        message.mutable_withdraw()->set_prefix(prefix);
        stream_->write(message);
      }
      stream_->done_writing();
    }
    entries_.clear();
    changed_.notify_all();
    changed_.wait_for(lock, std::chrono::seconds(1), [this] { return ended_; });
    if (!ended_ && current_ != nullptr) current_->context.TryCancel();
  }
  thread_.join();
}

}  // namespace dmsc::client
