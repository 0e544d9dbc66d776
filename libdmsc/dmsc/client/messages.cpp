#include "dmsc/client/messages.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace dmsc::client {
namespace {

constexpr milliseconds kFirstRetry{50}, kLastRetry{250};
// How long after a call's deadline its end is taken into the library's own hands.
constexpr milliseconds kGatewayLate{500};

Error unavailable(std::string_view what) { return make_error(Errc::unavailable, what); }

std::vector<Hop> hops(const std::vector<wire::PodHop>& in) {
  std::vector<Hop> out;
  for (const wire::PodHop& hop : in) out.push_back({hop.node.value, hop.name});
  return out;
}

}  // namespace

Errc errc_of(wire::ErrorCode code) {
  using wire::ErrorCode;
  switch (code) {
    case ErrorCode::no_route:
    case ErrorCode::no_instance: return Errc::not_found;
    case ErrorCode::not_allowed:
    case ErrorCode::pod_refused: return Errc::denied;
    case ErrorCode::deadline: return Errc::deadline;
    case ErrorCode::too_big:
    case ErrorCode::congestion: return Errc::limit;
    case ErrorCode::egress_unreachable:
    case ErrorCode::hop_limit:
    case ErrorCode::draining: return Errc::unavailable;
    case ErrorCode::malformed: return Errc::invalid;
    case ErrorCode::unsupported:
    case ErrorCode::unknown_tlv: return Errc::unsupported;
    case ErrorCode::internal:
    case ErrorCode::unknown_key: break;
  }
  return Errc::internal;
}

Gateway::Messages::Messages(const Options& options, TaskPool& tasks)
    : options_(options), tasks_(tasks) {
  wake_fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  thread_ = std::thread([this] { run(); });
}

Gateway::Messages::~Messages() {
  stop();
  if (wake_fd_ >= 0) ::close(wake_fd_);
}

void Gateway::Messages::stop() {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  bound_changed_.notify_all();
  wake();
  thread_.join();
}

void Gateway::Messages::wake() {
  std::uint64_t one = 1;
  (void)!::write(wake_fd_, &one, sizeof one);
}

void Gateway::Messages::set_lease(const std::string& lease) {
  std::unique_lock lock(mutex_);
  lease_ = lease;
  binding_.clear();
  bound_.clear();
  if (connected_) {
    for (const auto& [prefix, handler] : handlers_) bind(prefix);
  }
  wake();
  bound_changed_.wait_for(lock, kBindWait, [this] {
    return stopping_ || bound_.size() >= handlers_.size();
  });
}

void Gateway::Messages::wait_bound(const std::string& prefix, Duration limit) {
  std::unique_lock lock(mutex_);
  bound_changed_.wait_for(lock, limit, [&] {
    return stopping_ || handlers_.count(prefix) == 0 || bound_.count(prefix) != 0;
  });
}

void Gateway::Messages::bind(const std::string& prefix) {
  if (lease_.empty()) return;
  binding_[next_id_] = prefix;
  enqueue(wire::PodBind{next_id_++, lease_, prefix});
}

void Gateway::Messages::serve(const std::string& prefix, Handler handler) {
  std::lock_guard lock(mutex_);
  handlers_[prefix] = std::move(handler);
  wanted_ = true;
  if (connected_) bind(prefix);
  wake();
}

void Gateway::Messages::stop_serving(const std::string& prefix) {
  std::lock_guard lock(mutex_);
  bound_.erase(prefix);
  if (handlers_.erase(prefix) == 0 || !connected_) return;
  enqueue(wire::PodUnbind{next_id_++, prefix});
  wake();
}

void Gateway::Messages::call_async(const std::string& name, ByteView payload,
                                   const CallOptions& options, Done done) {
  const auto limit = std::chrono::duration_cast<milliseconds>(options.deadline);
  wire::PodCall call;
  call.destination = name;
  call.source = options.source;
  call.flags = static_cast<std::uint8_t>((options.idempotent ? wire::kCallIdempotent : 0) |
                                         (options.trace ? wire::kCallTrace : 0) |
                                         (options.by_name ? wire::kCallByName : 0));
  call.payload = to_bytes(payload);
  call.deadline_ms = static_cast<std::uint32_t>(std::max<std::int64_t>(limit.count(), 1));
  Error error;
  if (auto parsed = Name::parse(name); !parsed) {
    error = with_context("malformed", parsed.error());
  } else if (limit < milliseconds(1) || limit > minutes(5)) {
    error = make_error(Errc::invalid, "malformed: a deadline is 1 ms to 5 minutes");
  } else if (payload.size() > wire::kMaxMessageBytes) {
    error = make_error(Errc::limit, "too-big: message of ", std::to_string(payload.size()),
                       " bytes, at most ", std::to_string(wire::kMaxMessageBytes));
  } else if (options.source.size() > kMaxNameBytes) {
    error = make_error(Errc::invalid, "malformed: source is longer than a name may be");
  } else {
    std::lock_guard lock(mutex_);
    if (!stopping_) {
      call.id = next_id_++;
      calls_[call.id] = {std::move(done), Clock::now() + limit + kGatewayLate};
      enqueue(call);
      wanted_ = true;
      wake();
      return;
    }
    error = unavailable("the client is being closed");
  }
  auto shared = std::make_shared<Done>(std::move(done));
  if (!tasks_.post([shared, error] { (*shared)(error); })) (*shared)(error);
}

void Gateway::Messages::enqueue(const wire::PodIpcMessage& message) {
  auto frames = wire::encode_pod_message(message);
  if (!frames) return;  // sizes were checked by whoever made the message
  for (Bytes& frame : *frames) outgoing_.push_back(std::move(frame));
}

void Gateway::Messages::finish(std::uint64_t id, Result<Reply> result) {
  Done done;
  {
    std::lock_guard lock(mutex_);
    auto it = calls_.find(id);
    if (it == calls_.end()) return;
    done = std::move(it->second.done);
    calls_.erase(it);
  }
  done(std::move(result));
}

// ---- the connection, on the thread ------------------------------------------------------------

bool Gateway::Messages::connect_now() {
  const std::string path = options_.socket_dir + "/message.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  int error = ENAMETOOLONG;
  if (path.size() < sizeof address.sun_path) {
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    fd_ = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    error = fd_ < 0 || ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0
                ? errno : 0;
  }
  if (error != 0) {
    disconnect("no gateway at " + path + ": " + std::strerror(error));
    return false;
  }
  int size = 1 << 20;
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  std::lock_guard lock(mutex_);
  connected_ = true;
  ++connection_;
  retry_ = kFirstRetry;
  reader_ = {};
  std::deque<Bytes> waiting;
  waiting.swap(outgoing_);  // calls that were made meanwhile go after hello and the bindings
  enqueue(wire::PodHello{options_.client.substr(0, 255)});
  for (const auto& [prefix, handler] : handlers_) bind(prefix);
  for (Bytes& frame : waiting) outgoing_.push_back(std::move(frame));
  return true;
}

void Gateway::Messages::disconnect(const std::string& why) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  std::map<std::uint64_t, OpenCall> ended;
  {
    std::lock_guard lock(mutex_);
    connected_ = false;
    outgoing_.clear();
    ended.swap(calls_);
    serving_.clear();
    binding_.clear();
    bound_.clear();
    wanted_ = !handlers_.empty();
  }
  next_try_ = Clock::now() + retry_;
  retry_ = std::min(retry_ * 2, kLastRetry);
  for (auto& [id, call] : ended) call.done(unavailable(why));
}

void Gateway::Messages::write_ready() {
  while (true) {
    Bytes frame;
    {
      std::lock_guard lock(mutex_);
      if (outgoing_.empty()) return;
      frame = outgoing_.front();
    }
    if (::send(fd_, frame.data(), frame.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
      if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
        disconnect(std::string("the gateway went away: ") + std::strerror(errno));
      }
      return;
    }
    std::lock_guard lock(mutex_);
    outgoing_.pop_front();
  }
}

void Gateway::Messages::read_ready() {
  std::uint8_t buffer[wire::kPodFrameMax + 1];
  while (fd_ >= 0) {
    ssize_t size = ::recv(fd_, buffer, sizeof buffer, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) return disconnect("the gateway went away");
    auto message = reader_.feed(ByteView(buffer, static_cast<std::size_t>(size)));
    if (!message) return disconnect("the gateway sent " + message.error().message);
    if (!*message) continue;
    std::visit([&](auto& m) { if constexpr (requires { this->on(m); }) on(m); }, **message);
  }
}

int Gateway::Messages::wait_ms() {
  auto until = Clock::now() + std::chrono::seconds(10);
  std::lock_guard lock(mutex_);
  for (const auto& [id, call] : calls_) until = std::min(until, call.give_up);
  if (!connected_ && wanted_) until = std::min(until, next_try_);
  auto left = std::chrono::ceil<milliseconds>(until - Clock::now()).count();
  return static_cast<int>(std::max<std::int64_t>(left, 0));
}

void Gateway::Messages::expire() {
  const auto now = Clock::now();
  std::vector<std::uint64_t> late;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [id, call] : calls_) {
      if (call.give_up <= now) late.push_back(id);
    }
  }
  for (std::uint64_t id : late) {
    finish(id, make_error(Errc::deadline, "deadline: the gateway did not answer"));
  }
}

void Gateway::Messages::run() {
  while (true) {
    bool wanted = false, writing = false, has_calls = false;
    {
      std::lock_guard lock(mutex_);
      if (stopping_) break;
      wanted = wanted_ && !connected_;
      writing = connected_ && !outgoing_.empty();
      has_calls = !calls_.empty();
    }
    // A call does not wait for the next try: it is told at once whether there is a gateway.
    if (wanted && (has_calls || Clock::now() >= next_try_)) {
      connect_now();
      continue;
    }
    pollfd fds[2] = {{wake_fd_, POLLIN, 0},
                     {fd_, static_cast<short>(POLLIN | (writing ? POLLOUT : 0)), 0}};
    ::poll(fds, fd_ >= 0 ? 2 : 1, wait_ms());
    if ((fds[0].revents & POLLIN) != 0) {
      std::uint64_t count = 0;
      (void)!::read(wake_fd_, &count, sizeof count);
    }
    if (fd_ >= 0 && (fds[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) read_ready();
    if (fd_ >= 0) write_ready();
    expire();
  }
  disconnect("the client was closed");
}

// ---- what the gateway says --------------------------------------------------------------------

void Gateway::Messages::on(wire::PodReply& reply) {
  Reply out;
  out.payload = std::move(reply.payload);
  out.egress = {reply.egress.node.value, reply.egress.name};
  out.instance = reply.instance.value;
  out.path = hops(reply.path);
  out.return_path = hops(reply.return_path);
  finish(reply.id, std::move(out));
}

void Gateway::Messages::on(wire::PodFailure& failure) {
  std::string text = wire::to_string(failure.code);
  if (!failure.text.empty()) text += ": " + failure.text;
  finish(failure.id, Error{errc_of(failure.code), std::move(text)});
}

void Gateway::Messages::on(wire::PodBound& answer) {
  std::lock_guard lock(mutex_);
  auto it = binding_.find(answer.id);
  if (it == binding_.end()) return;
  if (answer.code == 0) bound_.insert(it->second);
  binding_.erase(it);
  bound_changed_.notify_all();
}

void Gateway::Messages::on(wire::PodRequest& in) {
  Handler handler;
  std::uint64_t connection = 0;
  {
    std::lock_guard lock(mutex_);
    auto it = handlers_.find(in.prefix);
    if (it == handlers_.end()) {
      enqueue(wire::PodRefusal{in.id, in.prefix + " is no longer served"});
      return;
    }
    handler = it->second;
    connection = connection_;
    serving_.insert(in.id);
  }
  Request request;
  request.prefix = std::move(in.prefix);
  request.destination = std::move(in.destination);
  request.source = std::move(in.source);
  request.ingress = in.ingress.value;
  request.idempotent = (in.flags & wire::kCallIdempotent) != 0;
  request.left = milliseconds(in.deadline_ms);
  request.payload = std::move(in.payload);
  const auto until = Clock::now() + request.left;
  const std::uint64_t id = in.id;
  auto task = [this, handler, id, connection, until, shared = std::make_shared<Request>(
                                                         std::move(request))] {
    serve_request(handler, id, connection, *shared, until);
  };
  if (tasks_.post(std::move(task))) return;
  std::lock_guard lock(mutex_);
  serving_.erase(id);
  enqueue(wire::PodRefusal{id, "too many requests are waiting"});
}

// A request whose caller has given up by the time a thread is free is not started.
void Gateway::Messages::on(wire::PodCancel& cancel) {
  std::lock_guard lock(mutex_);
  serving_.erase(cancel.id);
}

void Gateway::Messages::serve_request(const Handler& handler, std::uint64_t id,
                                      std::uint64_t connection, const Request& request,
                                      Clock::time_point until) {
  {
    std::lock_guard lock(mutex_);
    if (serving_.count(id) == 0 || connection != connection_ || Clock::now() >= until) return;
  }
  Result<Bytes> result = make_error(Errc::internal, "the handler failed");
  try {
    result = handler(request);
  } catch (const std::exception& e) {
    result = make_error(Errc::internal, "the handler failed: ", e.what());
  }
  std::lock_guard lock(mutex_);
  if (serving_.erase(id) == 0 || connection != connection_ || !connected_) return;
  if (result && result->size() <= wire::kMaxMessageBytes) {
    enqueue(wire::PodResponse{id, std::move(*result)});
  } else {
    enqueue(wire::PodRefusal{id, result ? "the reply is over 1 MiB"
                                        : result.error().message.substr(0, 1000)});
  }
  wake();
}

}  // namespace dmsc::client
