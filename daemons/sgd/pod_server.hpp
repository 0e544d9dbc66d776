// Signalling 1 on pod.sock (draft 4.2-1): accepts the Unix socket itself, asks the kernel who is there,
// and hands the descriptor to gRPC. Streams become plain calls on PodEvents.
//
//   connect ─► accept ─► IdentityResolver ─► descriptor N ─► gRPC ─► Announce(), peer() == "fd:N"
//                               └─────── identities[N] ───────────────────┘
//
// How a stream finds its identity: gRPC names a connection made from a descriptor "fd:N". N cannot
// change hands while the connection lives. So that it is not reused soon after either, descriptors
// are moved to numbers counted upwards through a range of their own (see place_descriptor).
#pragma once
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "sgd/announcements.hpp"
#include "sgd/peer_identity.hpp"

namespace dmsc::sgd {

using StreamId = std::uint64_t;

// What streams say. Called on the io_context's thread; messages of one stream in order, hello first,
// closed last.
class PodEvents {
 public:
  virtual ~PodEvents() = default;
  virtual void pod_hello(StreamId stream, const PeerIdentity& peer, const std::string& client,
                         const std::string& resume_lease) = 0;
  virtual void pod_announce(StreamId stream, AnnouncedService service) = 0;
  virtual void pod_invalid(StreamId stream, const std::string& prefix, const std::string& why) = 0;
  virtual void pod_withdraw(StreamId stream, const std::string& prefix) = 0;
  virtual void pod_checked(StreamId stream, std::uint64_t id, bool healthy,
                           const std::string& detail) = 0;
  virtual void pod_closed(StreamId stream) = 0;
};

struct WelcomeInfo {
  std::string lease, identity, gateway, domain;
  Duration grace{};
};

class PodServer {
 public:
  // All of these outlive the server.
  PodServer(boost::asio::io_context& io, const IdentityResolver& identities, PodEvents& events);
  ~PodServer();  // stop()

  // Listens on `path`, replacing a socket a dead process left there; mode 0666: who it is decides
  // what a pod may do, not that it can connect.
  dmsc::Status start(const std::string& path);
  // Ends all streams; pod_closed is not called for them.
  void stop();

  // To a stream; unknown or ended ones are ignored.
  void welcome(StreamId stream, const WelcomeInfo& info);
  void status(StreamId stream, const Announcements::Status& status);
  void check(StreamId stream, std::uint64_t id, const std::string& prefix, const CheckSpec& check);
  void drain_all(const std::string& reason);
  void end(StreamId stream, const std::string& reason);
  std::size_t stream_count() const;

 private:
  friend class LeaseStream;
  struct Core;
  std::shared_ptr<Core> core_;
};

// Makes and binds a listening Unix socket of `type` (SOCK_STREAM, SOCK_SEQPACKET), not blocking.
Result<int> listen_unix(const std::string& path, int type, unsigned mode);

}  // namespace dmsc::sgd
