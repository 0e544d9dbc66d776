#include "dmsc/runtime/inspect_server.hpp"

#include <grp.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/codegen/service_type.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <mutex>

#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/files.hpp"
#include "dmsc/runtime/grpc_threads.hpp"
#include "dmsc/runtime/inspect_core.hpp"
#include "dmsc/runtime/log.hpp"
#include "dmsc/runtime/units.hpp"

namespace dmsc::runtime {
namespace {

// Sets the umask while it lives: a socket must never exist with a wider mode than it shall have.
class ScopedUmask {
 public:
  explicit ScopedUmask(mode_t mask) : old_(::umask(mask)) {}
  ~ScopedUmask() { ::umask(old_); }
  ScopedUmask(const ScopedUmask&) = delete;
  ScopedUmask& operator=(const ScopedUmask&) = delete;

 private:
  mode_t old_;
};

void switch_on_health_and_reflection() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

Result<std::unique_ptr<grpc::Server>> serve(const std::string& path, mode_t mode,
                                            const std::vector<grpc::Service*>& services) {
  constexpr std::size_t kMaxSocketPath = 107;
  if (path.size() > kMaxSocketPath) {
    return make_error(Errc::limit, path, ": longer than ", std::to_string(kMaxSocketPath),
                      " bytes, the limit of a Unix socket's name");
  }
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + path, grpc::InsecureServerCredentials());
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server;
  {
    ScopedUmask mask(0777 & ~mode);
    server = builder.BuildAndStart();
  }
  if (!server)
    return make_error(Errc::unavailable, path, ": cannot listen: ", std::strerror(errno));
  return server;
}

// People of group dmsc may look. Not being allowed to give the socket away is no error: then the
// daemon's own user may look.
void give_to_group(const std::string& path) {
  const group* found = ::getgrnam("dmsc");
  if (found && ::chown(path.c_str(), static_cast<uid_t>(-1), found->gr_gid) != 0) {
    log::debug("inspect-group", {{"path", path}, {"error", std::strerror(errno)}});
  }
}

}  // namespace

struct InspectServer::Servers {
  std::unique_ptr<grpc::Service> inspect, inspect_for_root, admin;
  std::vector<grpc::Service*> more_admin;
  std::unique_ptr<grpc::Server> inspect_server, admin_server;
};

InspectServer::InspectServer(boost::asio::io_context& io, std::string daemon, std::string node)
    : core_(std::make_shared<Core>(io, std::move(daemon), std::move(node))),
      servers_(std::make_unique<Servers>()) {
  // Now: the daemon's own servers are built before start().
  switch_on_health_and_reflection();
  topic("events", [core = core_.get()](const Arguments&) -> Result<Json> {
    return core->events_after(0).first;
  });
}

InspectServer::~InspectServer() { stop(); }

void InspectServer::topic(std::string name, Handler handler) {
  async_topic(std::move(name), kHandlerLimit,
              [handler = std::move(handler)](const Arguments& arguments, Done done) {
                done(handler(arguments));
              });
}

void InspectServer::async_topic(std::string name, Duration limit, AsyncHandler handler) {
  std::lock_guard hold(core_->lock);
  core_->topics[std::move(name)] = {limit, std::move(handler)};
}

void InspectServer::notify_changed(std::string_view topic) { core_->notify_changed(topic); }

void InspectServer::publish_event(std::string level, std::string event, std::string line) {
  std::lock_guard hold(core_->lock);
  core_->events.push_back({{"seq", ++core_->event_count},
                           {"time", wall_seconds()},
                           {"level", std::move(level)},
                           {"event", std::move(event)},
                           {"line", std::move(line)}});
  if (core_->events.size() > kEventsKept) core_->events.pop_front();
}

void InspectServer::set_admin(AdminHandlers handlers) { core_->admin = std::move(handlers); }

void InspectServer::add_admin_service(grpc::Service* service) {
  servers_->more_admin.push_back(service);
}

Status InspectServer::start(const std::string& run_dir) {
  keep_grpc_threads();
  if (auto made = make_directory(run_dir, 0755); !made) return made;
  Servers& s = *servers_;
  s.inspect = make_inspect_service(core_);
  s.inspect_for_root = make_inspect_service(core_);
  s.admin = make_admin_service(core_);
  auto inspect = serve(run_dir + "/inspect.sock", 0660, {s.inspect.get()});
  if (!inspect) return inspect.error();
  s.inspect_server = std::move(*inspect);
  give_to_group(run_dir + "/inspect.sock");
  std::vector<grpc::Service*> admin_services{s.admin.get(), s.inspect_for_root.get()};
  admin_services.insert(admin_services.end(), s.more_admin.begin(), s.more_admin.end());
  auto admin = serve(run_dir + "/admin.sock", 0600, admin_services);
  if (!admin) return admin.error();
  s.admin_server = std::move(*admin);
  return Ok{};
}

void InspectServer::stop() {
  if (!core_->stopped) core_->stop(make_error(Errc::unavailable, core_->daemon, " is stopping"));
  for (auto* server : {&servers_->inspect_server, &servers_->admin_server}) {
    if (!*server) continue;
    (*server)->Shutdown(std::chrono::system_clock::now() + milliseconds(200));
    server->reset();
  }
}

}  // namespace dmsc::runtime
