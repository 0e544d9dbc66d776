#include "dmsc/client/messages.hpp"

namespace dmsc::client {
namespace {

// How long after a call's deadline its end is taken into the library's own hands.
constexpr milliseconds kGatewayLate{500};

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

// ---- serving ------------------------------------------------------------------------------------

void Gateway::Messages::set_lease(const std::string& lease) {
  Lock lock(mutex_);
  lease_ = lease;
  binding_.clear();
  bound_.clear();
  if (connected_) {
    for (const auto& [prefix, handler] : handlers_) bind(prefix);
    arm();
    flush();
  }
  bound_changed_.wait_for(lock, kBindWait, [this] {
    return stopping_ || bound_.size() >= handlers_.size();
  });
}

void Gateway::Messages::wait_bound(const std::string& prefix, Duration limit) {
  Lock lock(mutex_);
  bound_changed_.wait_for(lock, limit, [&] {
    return stopping_ || handlers_.count(prefix) == 0 || bound_.count(prefix) != 0;
  });
}

void Gateway::Messages::bind(const std::string& prefix) {
  if (lease_.empty()) return;
  binding_[next_id_] = prefix;
  push(wire::PodBind{next_id_++, lease_, prefix});
}

void Gateway::Messages::serve(const std::string& prefix, Handler handler) {
  Lock lock(mutex_);
  if (stopping_) return;
  handlers_[prefix] = std::make_shared<const Handler>(std::move(handler));
  start_readers(std::max(options_.handler_threads, 1U) + 1);
  wanted_ = true;
  if (connected_) {
    bind(prefix);
    arm();
    flush();
  } else {
    wake_keeper();
  }
}

void Gateway::Messages::stop_serving(const std::string& prefix) {
  Lock lock(mutex_);
  bound_.erase(prefix);
  if (handlers_.erase(prefix) == 0 || !connected_) return;
  push(wire::PodUnbind{next_id_++, prefix});
  flush();
}

// ---- calls --------------------------------------------------------------------------------------

Result<wire::PodCall> Gateway::Messages::make_call(const std::string& name, ByteView payload,
                                                   const CallOptions& options) {
  const auto limit = std::chrono::duration_cast<milliseconds>(options.deadline);
  if (auto parsed = Name::parse(name); !parsed) return with_context("malformed", parsed.error());
  if (limit < milliseconds(1) || limit > minutes(5)) {
    return make_error(Errc::invalid, "malformed: a deadline is 1 ms to 5 minutes");
  }
  if (payload.size() > wire::kMaxMessageBytes) {
    return make_error(Errc::limit, "too-big: message of ", std::to_string(payload.size()),
                      " bytes, at most ", std::to_string(wire::kMaxMessageBytes));
  }
  if (options.source.size() > kMaxNameBytes) {
    return make_error(Errc::invalid, "malformed: source is longer than a name may be");
  }
  wire::PodCall call;
  call.destination = name;
  call.source = options.source;
  call.flags = static_cast<std::uint8_t>((options.idempotent ? wire::kCallIdempotent : 0) |
                                         (options.trace ? wire::kCallTrace : 0) |
                                         (options.by_name ? wire::kCallByName : 0));
  call.payload = to_bytes(payload);
  call.deadline_ms = static_cast<std::uint32_t>(limit.count());
  return call;
}

void Gateway::Messages::open_call(wire::PodCall& call, OpenCall open) {
  open.give_up = Clock::now() + milliseconds(call.deadline_ms) + kGatewayLate;
  const bool async = open.waiter == nullptr;
  if (async) ++async_calls_;
  const bool sooner = open.give_up < keeper_until_;
  call.id = next_id_++;
  calls_.emplace(call.id, std::move(open));
  push(call);
  if (async) arm();
  wanted_ = true;
  if (sooner || !connected_) wake_keeper();
}

Result<Reply> Gateway::Messages::call(const std::string& name, ByteView payload,
                                      const CallOptions& options) {
  auto call = make_call(name, payload, options);
  if (!call) return call.error();
  Waiter waiter;
  Lock lock(mutex_);
  if (stopping_) return make_error(Errc::unavailable, "the client is being closed");
  OpenCall open;
  open.waiter = &waiter;
  open_call(*call, std::move(open));
  flush();
  while (!waiter.result) {
    const bool may_read = connected_ && !broken_ && !reading_ && !stopping_;
    if (may_read && async_calls_ == 0 && completions_.empty()) {
      read_for(waiter, calls_.at(call->id).give_up, lock);
    } else {
      waiter.answered.wait(lock);
    }
  }
  return std::move(*waiter.result);
}

namespace {
// What completions ask for is written when all of a reading are done: see run_completions().
thread_local const void* t_completing = nullptr;
}  // namespace

void Gateway::Messages::call_async(const std::string& name, ByteView payload,
                                   const CallOptions& options, Done done) {
  auto call = make_call(name, payload, options);
  Error error = make_error(Errc::unavailable, "the client is being closed");
  if (call) {
    Lock lock(mutex_);
    if (!stopping_) {
      OpenCall open;
      open.done = std::move(done);
      open_call(*call, std::move(open));
      if (t_completing != this) flush();
      return;
    }
  } else {
    error = call.error();
  }
  auto shared = std::make_shared<Done>(std::move(done));
  if (!tasks_.post([shared, error] { (*shared)(error); })) (*shared)(error);
}

void Gateway::Messages::run_completions(Lock& lock) {
  if (completions_.empty()) return;
  t_completing = this;
  while (!completions_.empty()) {
    Completion next = std::move(completions_.front());
    completions_.pop_front();
    lock.unlock();
    next.done(std::move(next.result));
    next.done = nullptr;
    lock.lock();
  }
  t_completing = nullptr;
  flush();
}

void Gateway::Messages::finish(std::uint64_t id, Result<Reply> result) {
  auto it = calls_.find(id);
  if (it == calls_.end()) return;
  OpenCall call = std::move(it->second);
  calls_.erase(it);
  if (call.waiter != nullptr) {
    call.waiter->result.emplace(std::move(result));
    call.waiter->answered.notify_one();
  } else {
    --async_calls_;
    completions_.push_back({std::move(call.done), std::move(result)});
  }
}

// ---- what the gateway says ----------------------------------------------------------------------

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
  auto it = binding_.find(answer.id);
  if (it == binding_.end()) return;
  if (answer.code == 0) bound_.insert(it->second);
  binding_.erase(it);
  bound_changed_.notify_all();
}

void Gateway::Messages::on(wire::PodRequest& in) {
  auto it = handlers_.find(in.prefix);
  if (it == handlers_.end()) return push(wire::PodRefusal{in.id, in.prefix + " is no longer served"});
  if (requests_.size() >= kMaxQueued) {
    return push(wire::PodRefusal{in.id, "too many requests are waiting"});
  }
  serving_.insert(in.id);
  Waiting waiting{it->second, in.id, connection_, Clock::now() + milliseconds(in.deadline_ms), {}};
  Request& request = waiting.request;
  request.prefix = std::move(in.prefix);
  request.destination = std::move(in.destination);
  request.source = std::move(in.source);
  request.ingress = in.ingress.value;
  request.idempotent = (in.flags & wire::kCallIdempotent) != 0;
  request.left = milliseconds(in.deadline_ms);
  request.payload = std::move(in.payload);
  requests_.push_back(std::move(waiting));
}

// A request whose caller has given up by the time a thread is free is not started.
void Gateway::Messages::on(wire::PodCancel& cancel) { serving_.erase(cancel.id); }

}  // namespace dmsc::client
