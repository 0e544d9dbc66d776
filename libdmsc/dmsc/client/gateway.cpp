#include "dmsc/client/gateway.hpp"

#include "dmsc/client/lease.hpp"
#include "dmsc/client/messages.hpp"

namespace dmsc::client {

struct Gateway::Parts {
  explicit Parts(const Options& options)
      : tasks(options.handler_threads),
        messages(options, tasks),
        lease(options, tasks, [this](const std::string& id) { messages.set_lease(id); }) {}
  ~Parts() {
    lease.close();     // withdraw first: requests stop coming
    messages.stop();   // then open calls end
    tasks.stop();      // then handlers are waited for
  }
  TaskPool tasks;
  Messages messages;
  Lease lease;
};

Gateway::Gateway(Options options) : parts_(std::make_unique<Parts>(options)) {}
Gateway::~Gateway() = default;

void Gateway::announce(Announcement announcement) {
  parts_->lease.announce(std::move(announcement));
}
void Gateway::withdraw(const std::string& prefix) { parts_->lease.withdraw(prefix); }
Result<AnnouncementStatus> Gateway::wait_granted(const std::string& prefix, Duration timeout) {
  auto granted = parts_->lease.wait_granted(prefix, timeout);
  if (granted) parts_->messages.wait_bound(prefix, seconds(1));
  return granted;
}
void Gateway::on_status(std::function<void(const AnnouncementStatus&)> callback) {
  parts_->lease.on_status(std::move(callback));
}
void Gateway::on_check(CheckHandler handler) { parts_->lease.on_check(std::move(handler)); }
void Gateway::on_drain(std::function<void(const std::string&)> callback) {
  parts_->lease.on_drain(std::move(callback));
}
std::optional<Session> Gateway::session() const { return parts_->lease.session(); }

Result<Reply> Gateway::call(const std::string& name, ByteView payload,
                            const CallOptions& options) {
  return parts_->messages.call(name, payload, options);
}

Result<Reply> Gateway::call(const std::string& name, ByteView payload, Duration deadline) {
  CallOptions options;
  options.deadline = deadline;
  return call(name, payload, options);
}

void Gateway::call_async(const std::string& name, ByteView payload, const CallOptions& options,
                         std::function<void(Result<Reply>)> done) {
  parts_->messages.call_async(name, payload, options, std::move(done));
}

void Gateway::serve(const std::string& prefix, Handler handler) {
  parts_->messages.serve(prefix, std::move(handler));
}
void Gateway::stop_serving(const std::string& prefix) { parts_->messages.stop_serving(prefix); }

}  // namespace dmsc::client
