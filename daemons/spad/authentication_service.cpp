#include "spad/authentication_service.hpp"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>

#include "dmsc/runtime/grpc_status.hpp"
#include "dmsc/runtime/grpc_tls.hpp"
#include "dmsc/runtime/log.hpp"
#include "spad/core.hpp"

namespace dmsc::spad {

namespace {

constexpr auto kClockInterval = std::chrono::seconds(5);

std::string raw(ByteView b) { return std::string(as_text(b)); }

template <class Repeated>
bool same(const Repeated& a, const Repeated& b) {
  using google::protobuf::util::MessageDifferencer;
  if (a.size() != b.size()) return false;
  for (int i = 0; i < a.size(); ++i) {
    if constexpr (std::is_same_v<typename Repeated::value_type, std::string>) {
      if (a[i] != b[i]) return false;
    } else {
      if (!MessageDifferencer::Equals(a[i], b[i])) return false;
    }
  }
  return true;
}

// Clears in `now` what `sent` says already. True if something worth a message is left.
bool reduce(v1::TrustUpdate& now, const v1::TrustUpdate& sent) {
  bool news = false;
  now.authority() == sent.authority() ? now.clear_authority() : void(news = true);
  now.parameters() == sent.parameters() ? now.clear_parameters() : void(news = true);
  same(now.revocations(), sent.revocations()) ? now.clear_revocations() : void(news = true);
  bool same_keys = same(now.link_keys(), sent.link_keys()) &&
                   now.active_link_key() == sent.active_link_key();
  if (same_keys) {
    now.clear_link_keys();
    now.clear_active_link_key();
  }
  return news || !same_keys;
}

}  // namespace

AuthenticationService::AuthenticationService(Core& core) : core_(core), clock_(core.io()) {
  tell_time();
}

grpc::ServerUnaryReactor* AuthenticationService::Authenticate(grpc::CallbackServerContext* context,
                                                              const v1::AuthenticateRequest* request,
                                                              v1::AuthenticateReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  boost::asio::post(core_.io(), [this, context, request, reply, reactor] {
    Result<trust::Certificate> caller =
        runtime::require_role(*context, core_.view().domain, {"sg"});
    if (!caller) return reactor->Finish(runtime::to_grpc(caller.error()));
    Question q{caller->name,          caller->node.value, caller->key,         request->pod_identity(),
               request->prefix(), request->covering(), request->join_pool()};
    pending_.push_back({std::move(q), reply, reactor});
    // Whoever asks until the loop comes round shares one commit.
    if (pending_.size() == 1) boost::asio::post(core_.io(), [this] { answer_pending(); });
  });
  return reactor;
}

void AuthenticationService::answer_pending() {
  std::vector<Pending> batch = std::move(pending_);
  pending_.clear();
  std::uint64_t now = core_.now();
  std::vector<Verdict> verdicts;
  Status done = core_.store().db().transaction([&]() -> Status {
    for (const Pending& p : batch) {
      Result<Verdict> verdict = core_.office()->answer(p.question, now);
      if (!verdict) return verdict.error();
      verdicts.push_back(std::move(*verdict));
    }
    return Ok{};
  });
  if (!done) runtime::log::error("registry-failed", {{"reason", done.error()}});
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (!done) {
      batch[i].reactor->Finish({grpc::StatusCode::UNAVAILABLE, done.error().message});
      continue;
    }
    const Verdict& v = verdicts[i];
    runtime::log::info(v.code.empty() ? "prefix-granted" : "prefix-refused",
                       {{"gateway", batch[i].question.gateway},
                        {"identity", batch[i].question.identity},
                        {"prefix", batch[i].question.prefix},
                        {"code", v.code},
                        {"reason", v.reason}});
    batch[i].reply->set_grant(raw(v.grant));
    batch[i].reply->set_refusal_code(v.code);
    batch[i].reply->set_refusal(v.reason);
    batch[i].reply->set_domain_time(now);
    batch[i].reactor->Finish(grpc::Status::OK);
  }
}

grpc::ServerWriteReactor<v1::TrustUpdate>* AuthenticationService::Follow(
    grpc::CallbackServerContext* context, const v1::FollowRequest*) {
  auto* feed = new Feed<v1::TrustUpdate>(core_.io());
  boost::asio::post(core_.io(), [this, feed, context] { add_follower(feed, context); });
  return feed;
}

void AuthenticationService::add_follower(Feed<v1::TrustUpdate>* feed,
                                         const grpc::CallbackServerContext* context) {
  Result<trust::Certificate> caller = runtime::require_role(
      *context, core_.view().domain, {"sg", "sr", "scsc", "spa", "operator"});
  Status member = caller ? core_.check_member(*caller) : Status(caller.error());
  if (!member) return feed->finish(runtime::to_grpc(member.error()));
  if (closed_) return feed->finish({grpc::StatusCode::UNAVAILABLE, "shutting down"});
  auto follower = std::make_unique<Follower>();
  follower->feed = feed;
  follower->who = *caller;
  follower->link_keys = trust::is_node_role(caller->role);
  follower->sent = everything(follower->link_keys);
  feed->gone = [this, feed] {
    followers_.erase(std::remove_if(followers_.begin(), followers_.end(),
                                    [feed](const auto& f) { return f->feed == feed; }),
                     followers_.end());
  };
  feed->send(follower->sent);
  followers_.push_back(std::move(follower));
}

v1::TrustUpdate AuthenticationService::everything(bool link_keys) const {
  const View& view = core_.view();
  v1::TrustUpdate all;
  auto authority = view.objects.find("authority"), parameters = view.objects.find("parameters");
  if (authority != view.objects.end()) all.set_authority(raw(authority->second));
  if (parameters != view.objects.end()) all.set_parameters(raw(parameters->second));
  for (const Bytes& list : core_.revocations()) all.add_revocations(raw(list));
  if (link_keys) {
    for (const auto& [id, key] : view.link_keys) {
      v1::LinkKeyState* out = all.add_link_keys();
      out->set_id(id);
      out->set_secret(raw(key.secret));
    }
    all.set_active_link_key(view.active_link_key());
  }
  all.set_domain_time(core_.now());
  all.set_spa(core_.config().node.name);
  return all;
}

void AuthenticationService::push() {
  for (const auto& f : followers_) {
    Status member = core_.check_member(f->who);
    if (!member) {  // it would go on to be told the link keys
      f->feed->finish(runtime::to_grpc(member.error()));
      continue;
    }
    v1::TrustUpdate all = everything(f->link_keys), news = all;
    if (!reduce(news, f->sent)) continue;
    f->sent = std::move(all);
    f->feed->send(std::move(news));
  }
}

void AuthenticationService::tell_time() {
  clock_.expires_after(kClockInterval);
  clock_.async_wait([this](boost::system::error_code error) {
    if (error) return;
    v1::TrustUpdate time;
    time.set_domain_time(core_.now());
    time.set_spa(core_.config().node.name);
    for (const auto& f : followers_) {
      if (f->feed->idle()) f->feed->send(time);
    }
    tell_time();
  });
}

void AuthenticationService::close() {
  closed_ = true;
  clock_.cancel();
  for (const auto& f : followers_) {
    f->feed->finish({grpc::StatusCode::UNAVAILABLE, "this SPA is shutting down"});
  }
}

}  // namespace dmsc::spad
