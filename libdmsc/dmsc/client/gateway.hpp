// libdmsc-client: how a program uses its service gateway (DESIGN section 7; docs/protocol.md, "Pod
// socket" and "Announcements"). One Gateway object per program:
//
//   client::Gateway gateway({.client = "shop 1.0"});
//   gateway.serve("shop/cart", [](const client::Request& r) -> Result<Bytes> { return r.payload; });
//   gateway.announce({.prefix = "shop/cart"});
//   Result<client::Reply> reply = gateway.call("shop/stock", as_bytes("how many?"), seconds(1));
//
// It keeps two connections to the gateway's run directory: a gRPC stream on pod.sock, which is the
// lease of the announcements, and a SEQPACKET socket on message.sock for calls. Both are made again
// by themselves when they break (a restart of sgd): the lease is resumed, announcements and served
// prefixes are sent again; calls open at that moment end with `unavailable`, for they may have run.
//
// All functions may be called from any thread; callbacks and handlers run on threads of this object
// and may call it, but not destroy it. Who the program is, the gateway learns from the kernel: no
// identity is sent.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dmsc/core/bytes.hpp"
#include "dmsc/core/result.hpp"
#include "dmsc/core/time.hpp"
#include "dmsc/wire/pod_ipc.hpp"

namespace dmsc::client {

struct Options {
  std::string socket_dir = "/run/dmsc/sgd";  // holds pod.sock and message.sock
  std::string client = "dmsc-client";        // program and version, for the gateway's log
  unsigned handler_threads = 4;              // requests served at the same time; >= 1
  bool announces = true;                     // false: only calls; no connection to pod.sock is made
};

// What the gateway checks to know that an instance is well (draft 4.2-5).
struct Check {
  enum class Kind { none, self, tcp, http, command };
  Kind kind = Kind::none;
  std::string target;                  // http: path; command: what the agent runs
  milliseconds interval{1000}, timeout{500};
  unsigned rise = 1, fall = 2;         // good results to become healthy, bad ones to fail
};

struct Announcement {
  std::string prefix;
  bool covering = false;               // also names below it
  bool join_pool = false;              // join the parent's pool
  std::uint16_t capacity = 100;        // relative weight
  std::string endpoint;                // "address:port" of an unmodified program; empty = messages
  struct PortMap {
    std::uint16_t service = 0, endpoint = 0;
    std::string protocol = "tcp";
    std::string name = {};             // service name (RFC 6335) for DNS SRV: "http"; empty = none
  };
  std::vector<PortMap> ports;          // service port to endpoint port; empty = the endpoint's own
  Check check;
};

enum class AnnouncementState { pending, granted, refused, unhealthy, withdrawn, invalid };
const char* to_string(AnnouncementState state);

struct AnnouncementStatus {
  std::string prefix;
  AnnouncementState state = AnnouncementState::pending;
  std::string reason;
  std::uint16_t instance = 0;          // granted: the instance id at the gateway
};

struct CallOptions {
  Duration deadline = seconds(2);
  bool idempotent = false;             // the gateway may try another instance
  bool trace = false;                  // fill Reply::path
  bool by_name = false;                // every hop matches the name; sent once unless idempotent
  std::string source;                  // one of the program's granted names; empty = gateway chooses
};

struct Hop {
  std::uint32_t node = 0;
  std::string name;
};
struct Reply {
  Bytes payload;
  Hop egress;                          // node that served it, and its instance there
  std::uint16_t instance = 0;
  std::vector<Hop> path, return_path;  // CallOptions::trace
};

// Why a call failed: Error::message starts with the network's word for it ("no-instance: ...").
// Codes: not_found = no_route or no_instance; denied = not_allowed or pod_refused; deadline; limit =
// too_big or congestion; unavailable = egress_unreachable, draining, or the gateway is not there.
Errc errc_of(wire::ErrorCode code);

struct Request {
  std::string prefix;                  // the served prefix that matched
  std::string destination, source;     // source: empty = anonymous
  std::uint32_t ingress = 0;           // the caller's gateway
  bool idempotent = false;
  Duration left{};                     // of the caller's deadline, when it was handed over
  Bytes payload;
};
// An error becomes pod_refused at the caller, with the error's message.
using Handler = std::function<Result<Bytes>(const Request&)>;
// The program's answer to a self-check of `prefix`: ok, or why not.
using CheckHandler = std::function<Status(const std::string& prefix, const Check& check)>;

// Who and where the program is, as its gateway said in the last welcome.
struct Session {
  std::string lease, identity, gateway, domain;
  milliseconds grace{};
};

class Gateway {
 public:
  explicit Gateway(Options options);
  // Withdraws everything, waits at most one second for the gateway to hear it, joins the threads.
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  // Adds or replaces an announcement. Returns at once; the outcome comes by on_status() or wait().
  void announce(Announcement announcement);
  void withdraw(const std::string& prefix);
  // Blocks until the announcement is granted (its status), or is refused or invalid (denied, invalid,
  // with the gateway's reason), or the time is over (deadline, with the reason it waits).
  Result<AnnouncementStatus> wait_granted(const std::string& prefix, Duration timeout);
  // Called at every change of an announcement's state. Set it before announcing.
  void on_status(std::function<void(const AnnouncementStatus&)> callback);
  // Answers SELF and COMMAND checks. Without it self-checks pass, and commands fail.
  void on_check(CheckHandler handler);
  // Called when the gateway says it is going away.
  void on_drain(std::function<void(const std::string& reason)> callback);
  std::optional<Session> session() const;  // nullopt until the first welcome

  // Sends a request and blocks for the answer. Deadline: 1 ms to 5 minutes.
  Result<Reply> call(const std::string& name, ByteView payload, const CallOptions& options);
  Result<Reply> call(const std::string& name, ByteView payload, Duration deadline = seconds(2));
  // The same without blocking; `done` is called exactly once, on the thread that reads the answers:
  // it must not block on another call.
  void call_async(const std::string& name, ByteView payload, const CallOptions& options,
                  std::function<void(Result<Reply>)> done);
  // Requests for the prefix go to `handler`. The prefix must be announced too; the order is free.
  void serve(const std::string& prefix, Handler handler);
  void stop_serving(const std::string& prefix);

 private:
  class Lease;
  class Messages;
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace dmsc::client
