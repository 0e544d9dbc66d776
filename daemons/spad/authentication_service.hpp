// gRPC service Authentication (proto/dmsc/v1/authentication.proto): gateways ask, nodes follow.
#pragma once
#include <dmsc/v1/authentication.grpc.pb.h>

#include <boost/asio/steady_timer.hpp>
#include <set>
#include <vector>

#include "dmsc/trust/certificate.hpp"
#include "spad/decide.hpp"
#include "spad/feed.hpp"

namespace dmsc::spad {

class Core;

class AuthenticationService final : public v1::Authentication::CallbackService {
 public:
  explicit AuthenticationService(Core& core);
  grpc::ServerUnaryReactor* Authenticate(grpc::CallbackServerContext* context,
                                         const v1::AuthenticateRequest* request,
                                         v1::AuthenticateReply* reply) override;
  grpc::ServerWriteReactor<v1::TrustUpdate>* Follow(grpc::CallbackServerContext* context,
                                                    const v1::FollowRequest* request) override;

  // Sends every follower what it has not been sent, and shows out who is no member any more. On the
  // io_context's thread.
  void push();
  // Ends the streams; the server is about to shut down.
  void close();
  std::size_t followers() const { return followers_.size(); }

 private:
  struct Pending {
    Question question;
    v1::AuthenticateReply* reply;
    grpc::ServerUnaryReactor* reactor;
  };
  struct Follower {
    Feed<v1::TrustUpdate>* feed;
    trust::Certificate who;
    bool link_keys;         // routers and gateways only
    v1::TrustUpdate sent;   // everything it has been told
  };
  void answer_pending();
  void add_follower(Feed<v1::TrustUpdate>* feed, const grpc::CallbackServerContext* context);
  v1::TrustUpdate everything(bool link_keys) const;
  void tell_time();

  Core& core_;
  std::vector<Pending> pending_;
  std::vector<std::unique_ptr<Follower>> followers_;
  boost::asio::steady_timer clock_;
  bool closed_ = false;
};

}  // namespace dmsc::spad
