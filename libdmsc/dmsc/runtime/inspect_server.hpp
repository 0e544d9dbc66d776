// The two local gRPC servers of a daemon: services Inspect on RUN_DIR/inspect.sock (mode 0660,
// group dmsc if there is one) and Admin, with the daemon's own admin services, on
// RUN_DIR/admin.sock (0600). Health and reflection are on both.
//
//   gRPC threads ── Show("neighbors") ──► io_context thread: handler ──► JSON ──► reply
//
// Handlers run on the io_context's thread only, so that they may touch the daemon's state; a call
// whose handler does not answer in time fails with DEADLINE_EXCEEDED, whatever that thread is
// doing.
#pragma once
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "dmsc/core/result.hpp"
#include "dmsc/core/time.hpp"
#include "dmsc/runtime/feed.hpp"

namespace grpc {
class Service;
}

namespace dmsc::runtime {

using Json = nlohmann::ordered_json;  // columns are shown in the order they are written
using Arguments = std::vector<std::string>;

// What an operator wants out of use (docs/operations.md, "Drain").
struct DrainOrder {
  bool hard = true;    // soft: only traffic with another way moves
  std::string link;    // empty = the whole node
  std::string reason;
};

// What Admin calls; each runs on the io_context's thread. An unset one answers UNIMPLEMENTED.
struct AdminHandlers {
  // The text tells the operator what was done. Called once, on any thread.
  using Done = std::function<void(Result<std::string>)>;
  std::function<void(const DrainOrder& order, Done done)> drain;
  std::function<void(const std::string& link, Done done)> undrain;
  std::function<Result<std::string>()> reload;
};

class InspectServer {
 public:
  // An array is shown as "rows", an object as "value".
  using Handler = std::function<Result<Json>(const Arguments&)>;
  // May be called once, later, from any thread; later calls are ignored.
  using Done = std::function<void(Result<Json>)>;
  using AsyncHandler = std::function<void(const Arguments&, Done)>;

  // `node`: the name shown in every reply. The io_context must outlive the server.
  InspectServer(boost::asio::io_context& io, std::string daemon, std::string node);
  ~InspectServer();  // stop()

  // Before or after start(), on the io_context's thread.
  void topic(std::string name, Handler handler);
  // For what takes time (ping, trace); the call fails after `limit` if `done` was not called.
  void async_topic(std::string name, Duration limit, AsyncHandler handler);
  // Watchers of `topic` get its new state, at most ten times a second. On the io_context's thread.
  // Watchers also look once a second by themselves, and are told only what differs.
  void notify_changed(std::string_view topic);
  // A topic whose rows are streamed (Feed): before or after start(), on the io_context's thread. Of a name
  // that is there already nothing changes. The source must be good as long as the io_context runs.
  void follow_topic(const std::string& topic, FeedSource source);
  // The row has changed, has come or has gone. Of an unknown topic nothing happens. io_context's thread.
  void row_changed(const std::string& topic, const std::string& key);
  bool followed(const std::string& topic) const;  // io_context's thread
  // One event for "watch events" and the ring of the last 256 that "show events" prints. Any
  // thread.
  void publish_event(std::string level, std::string event, std::string line);

  void set_admin(AdminHandlers handlers);
  // Before start(): one more service on admin.sock (spad's RegistryAdmin). The service must outlive
  // the server and post to the io_context by itself.
  void add_admin_service(grpc::Service* service);

  // Makes `run_dir` if missing and opens both sockets.
  Status start(const std::string& run_dir);
  // Ends every call and closes both sockets. On the io_context's thread or after it ended.
  void stop();

  struct Core;  // inspect_core.hpp

 private:
  struct Servers;
  std::shared_ptr<Core> core_;
  std::unique_ptr<Servers> servers_;
};

}  // namespace dmsc::runtime
