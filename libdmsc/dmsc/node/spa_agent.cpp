#include "dmsc/node/spa_agent.hpp"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <mutex>
#include <set>

#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/grpc_status.hpp"
#include "dmsc/runtime/grpc_threads.hpp"
#include "dmsc/v1/authentication.grpc.pb.h"

namespace dmsc::node {
namespace {

// How long one SPA may take before the next is asked.
constexpr Duration kFirstMessageLimit = seconds(1);
constexpr Duration kAttemptLimit = seconds(1);
// Between rounds in which no SPA answered.
constexpr Duration kRetryFirst = milliseconds(200), kRetryMost = seconds(2);

Bytes bytes_of(const std::string& text) { return to_bytes(as_bytes(text)); }

TrustNews convert(const v1::TrustUpdate& update) {
  TrustNews news;
  if (!update.authority().empty()) news.signed_objects.push_back(bytes_of(update.authority()));
  if (!update.parameters().empty()) news.signed_objects.push_back(bytes_of(update.parameters()));
  for (const auto& r : update.revocations()) news.signed_objects.push_back(bytes_of(r));
  for (const auto& key : update.link_keys()) {
    crypto::Key32 secret{};
    if (key.secret().size() != secret.size() || key.id() == 0 || key.id() > 0xffff) continue;
    std::copy(key.secret().begin(), key.secret().end(), secret.begin());
    news.link_keys.emplace_back(static_cast<std::uint16_t>(key.id()), secret);
  }
  news.active_link_key = static_cast<std::uint16_t>(update.active_link_key());
  news.domain_time = DomainTime{update.domain_time()};
  news.spa = update.spa();
  return news;
}

std::string text_of(const ServiceTarget& target) {
  return target.host + ":" + std::to_string(target.port);
}

// The way from gRPC's threads to the control thread. Closed by stop(), so that a call's late end
// touches nothing that is gone.
class Gate {
 public:
  explicit Gate(boost::asio::io_context& io) : io_(&io) {}
  template <class Task>
  void post(Task task) {
    std::lock_guard lock(mutex_);
    if (io_ != nullptr) boost::asio::post(*io_, std::move(task));
  }
  void close() {
    std::lock_guard lock(mutex_);
    io_ = nullptr;
  }

 private:
  std::mutex mutex_;
  boost::asio::io_context* io_;
};

// One Follow call. Keeps itself alive until gRPC has reported its end; whoever may still cancel it
// holds it too, since the end comes on gRPC's thread and is known here only later.
class FollowCall final : public grpc::ClientReadReactor<v1::TrustUpdate> {
 public:
  using OnUpdate = std::function<void(TrustNews)>;
  using OnEnd = std::function<void(grpc::Status)>;
  static std::shared_ptr<FollowCall> start(const std::shared_ptr<grpc::Channel>& channel,
                                           OnUpdate update, OnEnd end) {
    std::shared_ptr<FollowCall> call(new FollowCall(channel, std::move(update), std::move(end)));
    call->self_ = call;
    call->stub_->async()->Follow(&call->context_, &call->request_, call.get());
    call->StartRead(&call->message_);
    call->StartCall();
    return call;
  }
  void cancel() { context_.TryCancel(); }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    update_(convert(message_));
    StartRead(&message_);
  }
  void OnDone(const grpc::Status& status) override {
    end_(status);
    std::shared_ptr<FollowCall> last = std::move(self_);
  }

 private:
  FollowCall(const std::shared_ptr<grpc::Channel>& channel, OnUpdate update, OnEnd end)
      : stub_(v1::Authentication::NewStub(channel)), update_(std::move(update)),
        end_(std::move(end)) {}
  std::shared_ptr<FollowCall> self_;
  std::unique_ptr<v1::Authentication::Stub> stub_;
  grpc::ClientContext context_;
  v1::FollowRequest request_;
  v1::TrustUpdate message_;
  OnUpdate update_;
  OnEnd end_;
};

struct Attempt {
  AuthenticationRequest request;
  std::function<void(Result<AuthenticationAnswer>)> done;
  Time deadline{};
  std::vector<std::size_t> order;  // indices of the SPAs still to ask
  std::string failures;            // what each one said
};

struct UnaryCall {
  std::unique_ptr<v1::Authentication::Stub> stub;
  grpc::ClientContext context;
  v1::AuthenticateRequest request;
  v1::AuthenticateReply reply;
};

}  // namespace

struct SpaAgent::Impl : std::enable_shared_from_this<SpaAgent::Impl> {
  Impl(boost::asio::io_context& context, SpaChannelFactory factory, Hooks h)
      : gate(std::make_shared<Gate>(context)), channels(std::move(factory)), hooks(std::move(h)),
        timer(context) {}

  std::shared_ptr<Gate> gate;
  SpaChannelFactory channels;
  Hooks hooks;
  boost::asio::steady_timer timer;  // first message, or the next try
  struct Target {
    ServiceTarget address;
    std::shared_ptr<grpc::Channel> channel;
  };
  std::vector<Target> targets;
  std::size_t current = 0;          // followed, or tried now
  std::size_t failed_in_row = 0;
  Duration retry = kRetryFirst;
  std::shared_ptr<FollowCall> call;
  std::uint64_t generation = 0;     // of the call: news of an older one is ignored
  bool up = false, stopped = false;
  std::set<std::shared_ptr<UnaryCall>> unary;

  // A function for gRPC's threads: runs its argument on the control thread while the agent lives.
  auto to_control() {
    return [weak = weak_from_this(), gate_copy = gate](auto task) {
      gate_copy->post([weak, task = std::move(task)]() mutable {
        auto self = weak.lock();
        if (self && !self->stopped) task(*self);
      });
    };
  }
  template <class Task>
  void after(Duration delay, Task task) {
    timer.expires_after(delay);
    timer.async_wait([weak = weak_from_this(), task](const boost::system::error_code& error) {
      auto self = weak.lock();
      if (!error && self && !self->stopped) task(*self);
    });
  }

  void follow() {
    if (stopped || targets.empty()) return;
    current %= targets.size();
    std::uint64_t mine = ++generation;
    auto post = to_control();
    call = FollowCall::start(
        targets[current].channel,
        [post, mine](TrustNews news) {
          post([mine, news = std::move(news)](Impl& self) { self.take_news(mine, news); });
        },
        [post, mine](grpc::Status status) {
          post([mine, status](Impl& self) { self.ended(mine, status.error_message()); });
        });
    after(kFirstMessageLimit, [mine](Impl& self) {
      if (self.generation == mine && !self.up) self.give_up("no answer");
    });
  }

  void take_news(std::uint64_t of, const TrustNews& news) {
    if (of != generation) return;
    if (!up) {
      up = true;
      failed_in_row = 0;
      retry = kRetryFirst;
      timer.cancel();
      hooks.connected(text_of(targets[current].address), true, "");
    }
    hooks.news(news);
  }

  void ended(std::uint64_t of, const std::string& why) {
    if (of != generation) return;
    call = nullptr;
    lost(why.empty() ? "closed by the SPA" : why);
  }

  void give_up(const std::string& why) {
    if (call != nullptr) call->cancel();
    call = nullptr;
    lost(why);
  }

  // The next SPA at once; after a full round without one, a growing pause.
  void lost(const std::string& why) {
    ++generation;
    std::string spa = text_of(targets[current].address);
    bool was_up = up;
    up = false;
    current = (current + 1) % targets.size();
    ++failed_in_row;
    hooks.connected(spa, false, why);
    if (stopped) return;
    Duration pause{};
    if (failed_in_row >= targets.size() || (was_up && targets.size() == 1)) {
      pause = retry;
      retry = std::min(retry * 2, kRetryMost);
      failed_in_row = 0;
      current = 0;
    }
    after(pause, [](Impl& self) { self.follow(); });
  }

  void set_targets(std::vector<ServiceTarget> next) {
    std::string following = up ? text_of(targets[current].address) : "";
    std::vector<Target> made;
    for (ServiceTarget& address : next) {
      auto same = std::find_if(targets.begin(), targets.end(),
                               [&](const Target& t) { return t.address == address; });
      made.push_back({address, same != targets.end() ? same->channel : channels(address)});
    }
    auto kept = std::find_if(made.begin(), made.end(), [&](const Target& t) {
      return up && text_of(t.address) == following;
    });
    bool keep = kept != made.end();
    std::size_t index = keep ? static_cast<std::size_t>(kept - made.begin()) : 0;
    if (!keep && call != nullptr) {
      call->cancel();
      call = nullptr;
      ++generation;
      if (up) hooks.connected(following, false, "no longer configured");
      up = false;
    }
    targets = std::move(made);
    current = index;
    if (!keep) follow();
  }

  void ask(std::shared_ptr<Attempt> attempt) {
    Duration left = attempt->deadline - runtime::now();
    if (attempt->order.empty() || left <= Duration::zero()) {
      std::string text = targets.empty() ? "no SPA is configured" : "no SPA answered";
      if (!attempt->failures.empty()) text += " (" + attempt->failures + ")";
      return attempt->done(Error{Errc::unavailable, text});
    }
    std::size_t index = attempt->order.front();
    attempt->order.erase(attempt->order.begin());
    if (index >= targets.size()) return ask(std::move(attempt));  // the list became shorter
    auto unary_call = std::make_shared<UnaryCall>();
    unary_call->stub = v1::Authentication::NewStub(targets[index].channel);
    unary_call->request.set_pod_identity(attempt->request.pod_identity);
    unary_call->request.set_prefix(attempt->request.prefix.text());
    unary_call->request.set_covering(attempt->request.covering);
    unary_call->request.set_join_pool(attempt->request.join_pool);
    unary_call->context.set_deadline(std::chrono::system_clock::now() +
                                     std::chrono::duration_cast<std::chrono::microseconds>(
                                         std::min(left, Duration(kAttemptLimit))));
    unary.insert(unary_call);
    std::string spa = text_of(targets[index].address);
    unary_call->stub->async()->Authenticate(
        &unary_call->context, &unary_call->request, &unary_call->reply,
        [post = to_control(), unary_call, attempt, spa](grpc::Status status) {
          post([unary_call, attempt, spa, status](Impl& self) {
            self.unary.erase(unary_call);
            self.answered(attempt, *unary_call, spa, status);
          });
        });
  }

  void answered(const std::shared_ptr<Attempt>& attempt, const UnaryCall& unary_call,
                const std::string& spa, const grpc::Status& status) {
    if (!status.ok()) {
      Error error = runtime::from_grpc(status);
      // A clear refusal of the call itself is the same at every SPA; only silence goes on.
      if (error.code == Errc::invalid) return attempt->done(with_context(spa, error));
      if (!attempt->failures.empty()) attempt->failures += "; ";
      attempt->failures += spa + ": " + error.message;
      return ask(attempt);
    }
    if (unary_call.reply.domain_time() != 0) {
      TrustNews news;
      news.domain_time = DomainTime{unary_call.reply.domain_time()};
      hooks.news(news);
    }
    AuthenticationAnswer answer;
    answer.grant = bytes_of(unary_call.reply.grant());
    answer.refusal_code = unary_call.reply.refusal_code();
    answer.refusal = unary_call.reply.refusal();
    answer.spa = spa;
    attempt->done(std::move(answer));
  }

  void stop() {
    if (stopped) return;
    stopped = true;
    gate->close();
    timer.cancel();
    if (call != nullptr) call->cancel();
    call = nullptr;
    for (const auto& one : unary) one->context.TryCancel();
    unary.clear();
  }
};

SpaAgent::SpaAgent(boost::asio::io_context& io, SpaChannelFactory channels, Hooks hooks)
    : impl_(std::make_shared<Impl>(io, std::move(channels), std::move(hooks))) {
  runtime::keep_grpc_threads();
}

SpaAgent::~SpaAgent() { impl_->stop(); }

void SpaAgent::set_targets(std::vector<ServiceTarget> targets) {
  impl_->set_targets(std::move(targets));
}

void SpaAgent::set_channels(SpaChannelFactory channels) {
  impl_->channels = std::move(channels);
  for (auto& target : impl_->targets) target.channel = impl_->channels(target.address);
}

void SpaAgent::authenticate(AuthenticationRequest request, Duration timeout,
                            std::function<void(Result<AuthenticationAnswer>)> done) {
  auto attempt = std::make_shared<Attempt>();
  attempt->request = std::move(request);
  attempt->done = std::move(done);
  attempt->deadline = runtime::now() + timeout;
  std::size_t n = impl_->targets.size();
  for (std::size_t i = 0; i < n; ++i) attempt->order.push_back((impl_->current + i) % n);
  impl_->to_control()([attempt](Impl& self) { self.ask(attempt); });
}

std::string SpaAgent::connected() const {
  return impl_->up ? text_of(impl_->targets[impl_->current].address) : "";
}

void SpaAgent::stop() { impl_->stop(); }

}  // namespace dmsc::node
