#include "scscd/scheduling_server.hpp"

#include <grpcpp/grpcpp.h>

#include <boost/asio/post.hpp>
#include <deque>
#include <map>
#include <mutex>

#include "dmsc/runtime/grpc_tls.hpp"
#include "dmsc/runtime/log.hpp"
#include "dmsc/v1/scheduling.grpc.pb.h"

namespace dmsc::scscd {
namespace {

namespace log = runtime::log;
constexpr std::size_t kMaxQueued = 10'000;  // messages to one node; more means it does not read

measure::Quality quality_of(const v1::LinkQuality& in) {
  measure::Quality q;
  if (in.delay_us() > 0) q.delay_us = in.delay_us();
  if (in.delay_us() > 0) q.jitter_us = in.jitter_us();
  q.loss_ppm = in.loss_ppm();
  if (in.capacity_bps() > 0) q.bandwidth_bps = in.available_bps();
  return q;
}

measure::Quality quality_of(const v1::InstanceQuality& in) {
  measure::Quality q;
  if (!in.measured()) return q;
  q.delay_us = in.delay_us();
  q.jitter_us = in.jitter_us();
  q.loss_ppm = in.loss_ppm();
  if (in.bandwidth_bps() > 0) q.bandwidth_bps = in.bandwidth_bps();
  q.available = in.available();
  return q;
}

// Entries with names that are no names are left out: one bad name spoils no report.
Telemetry telemetry_of(const v1::Telemetry& in) {
  Telemetry out;
  out.sequence = in.sequence();
  for (const auto& link : in.links()) {
    out.links.push_back({link.link(), NodeId{link.neighbour()}, link.usable(), quality_of(link)});
  }
  for (const auto& i : in.instances()) {
    auto prefix = Name::parse(i.prefix());
    if (!prefix || i.instance() > 0xffff) continue;
    routing::Instance instance{NodeId{i.egress()},
                               InstanceId{static_cast<std::uint16_t>(i.instance())}};
    out.instances.push_back({*prefix, instance, quality_of(i)});
  }
  for (const auto& use : in.names()) {
    if (auto prefix = Name::parse(use.prefix())) {
      out.uses.push_back({*prefix, use.calls(), use.bytes()});
    }
  }
  return out;
}

void fill(v1::Policy& out, const Outgoing& in, std::uint64_t epoch) {
  out.set_id(in.policy.id);
  out.set_epoch(epoch);
  out.set_version(in.version);
  out.set_lifetime_s(kPolicyLifetime);
  out.set_reason(in.policy.reason);
  if (const auto* weights = std::get_if<Weights>(&in.policy.content)) {
    out.mutable_weights()->set_prefix(weights->prefix.text());
    for (const auto& [instance, weight] : weights->weights) {
      auto* w = out.mutable_weights()->add_weights();
      w->set_egress(instance.egress.value);
      w->set_instance(instance.id.value);
      w->set_weight(weight);
    }
  } else if (const auto* bias = std::get_if<Bias>(&in.policy.content)) {
    out.mutable_bias()->set_link(bias->link);
    out.mutable_bias()->set_neighbour(bias->neighbour.value);
    out.mutable_bias()->set_bias(bias->bias);
  } else if (const auto* path = std::get_if<Path>(&in.policy.content)) {
    out.mutable_path()->set_label(path->label.value);
    out.mutable_path()->set_phase(path->phase == Path::Phase::use ? v1::ExplicitPath::USE
                                                                  : v1::ExplicitPath::INSTALL);
    for (NodeId node : path->nodes) out.mutable_path()->add_nodes(node.value);
    out.mutable_path()->set_prefix(path->prefix.text());
  }
}

DomainView::Event event_of(v1::LsdbEvent::Kind kind) {
  switch (kind) {
    case v1::LsdbEvent::SNAPSHOT: return DomainView::Event::snapshot;
    case v1::LsdbEvent::SNAPSHOT_END: return DomainView::Event::snapshot_end;
    case v1::LsdbEvent::REMOVED: return DomainView::Event::removed;
    default: return DomainView::Event::installed;
  }
}

}  // namespace

class Session;

struct SchedulingServer::Impl : v1::Scheduling::CallbackService,
                                std::enable_shared_from_this<SchedulingServer::Impl> {
  Impl(boost::asio::io_context& context, SessionEvents& e) : io(context), events(e) {}

  grpc::ServerBidiReactor<v1::NodeReport, v1::CenterMessage>* Session(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* ComputePath(grpc::CallbackServerContext* context,
                                        const v1::PathRequest* request,
                                        v1::PathReply* reply) override;

  boost::asio::io_context& io;
  SessionEvents& events;
  std::uint64_t epoch = 0;
  std::string center, domain;
  std::uint32_t report_interval_ms = 1000;
  bool stopped = false;  // io thread
  std::map<NodeId, std::shared_ptr<scscd::Session>> sessions;  // io thread
  std::unique_ptr<grpc::Server> server;
};

// One node's stream. gRPC calls the On... functions on its threads; write() comes from the io thread.
class Session : public grpc::ServerBidiReactor<v1::NodeReport, v1::CenterMessage> {
 public:
  Session(std::shared_ptr<SchedulingServer::Impl> impl, trust::Certificate peer)
      : impl_(std::move(impl)), peer_(std::move(peer)) {}

  // Keeps the object alive until gRPC is done with it.
  void begin(std::shared_ptr<Session> self) {
    self_ = std::move(self);
    StartRead(&incoming_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      finish(grpc::Status::OK);
      return;
    }
    boost::asio::post(impl_->io, [self = self_, report = std::move(incoming_)] {
      if (!self->impl_->stopped) self->handle(report);
    });
    incoming_.Clear();
    std::lock_guard lock(mutex_);
    if (!finished_) StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok) return;
    if (!queue_.empty()) queue_.pop_front();
    write_next();
  }

  void OnCancel() override { finish(grpc::Status::CANCELLED); }

  void OnDone() override {
    auto self = std::move(self_);
    boost::asio::post(impl_->io, [self] { self->forget(); });
  }

  void write(v1::CenterMessage message) {
    std::lock_guard lock(mutex_);
    if (finished_) return;
    if (queue_.size() >= kMaxQueued) {
      finish_locked({grpc::StatusCode::RESOURCE_EXHAUSTED, "the node does not read its policies"});
      return;
    }
    queue_.push_back(std::move(message));
    if (!writing_) write_next();
  }

  void finish(const grpc::Status& status) {
    std::lock_guard lock(mutex_);
    finish_locked(status);
  }

  NodeId node() const { return peer_.node; }

 private:
  void write_next() {
    if (queue_.empty() || finished_) return;
    writing_ = true;
    StartWrite(&queue_.front());
  }
  void finish_locked(const grpc::Status& status) {
    if (finished_) return;
    finished_ = true;
    Finish(status);
  }
  void handle(const v1::NodeReport& report);
  void open(const v1::NodeHello& hello);
  void forget() {
    auto it = impl_->sessions.find(node());
    if (it == impl_->sessions.end() || it->second.get() != this) return;
    impl_->sessions.erase(it);
    if (!impl_->stopped) impl_->events.closed(node());
  }

  std::shared_ptr<SchedulingServer::Impl> impl_;
  trust::Certificate peer_;
  std::shared_ptr<Session> self_;
  v1::NodeReport incoming_;
  bool opened_ = false;  // io thread
  std::mutex mutex_;     // guards what follows
  std::deque<v1::CenterMessage> queue_;
  bool writing_ = false, finished_ = false;
};

void Session::open(const v1::NodeHello& hello) {
  if (NodeId{hello.node_id()} != node()) {
    finish({grpc::StatusCode::PERMISSION_DENIED,
            "hello names node " + std::to_string(hello.node_id()) + ", the certificate node " +
                std::to_string(node().value)});
    return;
  }
  if (auto old = impl_->sessions.find(node()); old != impl_->sessions.end()) {
    old->second->finish({grpc::StatusCode::ABORTED, "the node opened another session"});
    impl_->sessions.erase(old);
    impl_->events.closed(node());
  }
  opened_ = true;
  impl_->sessions[node()] = self_;
  v1::CenterMessage welcome;
  welcome.mutable_hello()->set_center(impl_->center);
  welcome.mutable_hello()->set_epoch(impl_->epoch);
  welcome.mutable_hello()->set_report_interval_ms(impl_->report_interval_ms);
  write(std::move(welcome));
  std::vector<std::string> held;
  for (const auto& policy : hello.held()) held.push_back(policy.id());
  impl_->events.opened(node(), peer_.name, held);
}

void Session::handle(const v1::NodeReport& report) {
  if (self_ == nullptr) return;  // done meanwhile
  if (report.has_hello()) {
    if (!opened_) open(report.hello());
    return;
  }
  if (!opened_) {
    finish({grpc::StatusCode::FAILED_PRECONDITION, "the first message must be a hello"});
    return;
  }
  SessionEvents& events = impl_->events;
  if (report.has_telemetry()) {
    events.telemetry(node(), telemetry_of(report.telemetry()));
  } else if (report.has_ack()) {
    const auto& ack = report.ack();
    if (ack.epoch() == impl_->epoch) {
      events.acknowledged(node(), ack.id(), ack.version(), ack.accepted(), ack.reason());
    }
  } else if (report.has_lsdb()) {
    events.lsdb(node(), event_of(report.lsdb().kind()), report.lsdb().sequence(),
                as_bytes(report.lsdb().lsa()));
  }
}

grpc::ServerBidiReactor<v1::NodeReport, v1::CenterMessage>* SchedulingServer::Impl::Session(
    grpc::CallbackServerContext* context) {
  auto peer = runtime::require_role(*context, domain, {"sg", "sr"});
  auto session = std::make_shared<scscd::Session>(shared_from_this(),
                                                  peer ? *peer : trust::Certificate{});
  session->begin(session);
  if (!peer) session->finish({grpc::StatusCode::PERMISSION_DENIED, peer.error().message});
  return session.get();
}

grpc::ServerUnaryReactor* SchedulingServer::Impl::ComputePath(
    grpc::CallbackServerContext* context, const v1::PathRequest* request, v1::PathReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  auto peer = runtime::require_role(*context, domain, {"sg", "sr", "pod", "operator"});
  if (!peer) {
    reactor->Finish({grpc::StatusCode::PERMISSION_DENIED, peer.error().message});
    return reactor;
  }
  boost::asio::post(io, [self = shared_from_this(), request, reply, reactor] {
    if (self->stopped) {
      reactor->Finish({grpc::StatusCode::UNAVAILABLE, "the center stops"});
      return;
    }
    auto prefix = Name::parse(request->prefix());
    if (!prefix) {
      reactor->Finish({grpc::StatusCode::INVALID_ARGUMENT, "prefix: " + prefix.error().message});
      return;
    }
    auto found = self->events.compute_path(request->from(), *prefix);
    if (!found) {
      reactor->Finish({grpc::StatusCode::NOT_FOUND, found.error().message});
      return;
    }
    for (const PathCandidate& c : *found) {
      auto* out = reply->add_candidates();
      out->set_egress(c.egress);
      out->set_instance(c.instance);
      for (const std::string& hop : c.path) out->add_path(hop);
      out->set_metric(c.metric);
      out->set_delay_us(c.quality.delay_us.value_or(0));
      out->set_jitter_us(c.quality.jitter_us.value_or(0));
      out->set_bandwidth_bps(c.quality.bandwidth_bps.value_or(0));
      out->set_note(c.note);
    }
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

SchedulingServer::SchedulingServer(boost::asio::io_context& io, SessionEvents& events,
                                   std::uint64_t epoch, std::string center,
                                   std::uint32_t report_interval_ms)
    : impl_(std::make_shared<Impl>(io, events)) {
  impl_->epoch = epoch;
  impl_->center = std::move(center);
  impl_->report_interval_ms = report_interval_ms;
}

SchedulingServer::~SchedulingServer() { stop(); }

Status SchedulingServer::start(const std::string& address, const std::string& state_dir,
                               const std::string& domain) {
  impl_->domain = domain;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(address, runtime::tls_server_credentials(state_dir), &port);
  builder.RegisterService(impl_.get());
  runtime::configure_server(builder);
  impl_->server = builder.BuildAndStart();
  if (impl_->server == nullptr || port == 0) {
    return make_error(Errc::unavailable, "listen: cannot bind ", address, " (in use?)");
  }
  log::info("listening", {{"address", address}});
  return Ok{};
}

void SchedulingServer::stop() {
  if (impl_->stopped) return;
  impl_->stopped = true;
  for (auto& [node, session] : impl_->sessions) {
    session->finish({grpc::StatusCode::UNAVAILABLE, "the center stops"});
  }
  impl_->sessions.clear();
  if (impl_->server) impl_->server->Shutdown(std::chrono::system_clock::now());
}

bool SchedulingServer::send(const Outgoing& outgoing) {
  auto it = impl_->sessions.find(outgoing.node);
  if (it == impl_->sessions.end()) return false;
  v1::CenterMessage message;
  if (outgoing.withdraw) {
    message.mutable_withdraw()->set_id(outgoing.policy.id);
    message.mutable_withdraw()->set_epoch(impl_->epoch);
    message.mutable_withdraw()->set_version(outgoing.version);
  } else {
    fill(*message.mutable_policy(), outgoing, impl_->epoch);
  }
  it->second->write(std::move(message));
  return true;
}

bool SchedulingServer::subscribe(NodeId node, bool on) {
  auto it = impl_->sessions.find(node);
  if (it == impl_->sessions.end()) return false;
  v1::CenterMessage message;
  message.mutable_subscribe()->set_on(on);
  it->second->write(std::move(message));
  return true;
}

bool SchedulingServer::probe(NodeId node, const Name& prefix) {
  auto it = impl_->sessions.find(node);
  if (it == impl_->sessions.end()) return false;
  v1::CenterMessage message;
  message.mutable_probe()->set_prefix(prefix.text());
  it->second->write(std::move(message));
  return true;
}

bool SchedulingServer::watch(NodeId node, const std::vector<Name>& prefixes) {
  auto it = impl_->sessions.find(node);
  if (it == impl_->sessions.end()) return false;
  v1::CenterMessage message;
  message.mutable_watch();
  for (const Name& prefix : prefixes) message.mutable_watch()->add_prefixes(prefix.text());
  it->second->write(std::move(message));
  return true;
}

}  // namespace dmsc::scscd
