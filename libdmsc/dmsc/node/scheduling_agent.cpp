#include "dmsc/node/scheduling_agent.hpp"

#include <grpcpp/grpcpp.h>

#include <boost/asio/post.hpp>
#include <deque>
#include <mutex>

#include "dmsc/node/policy_codec.hpp"
#include "dmsc/node/policy_target.hpp"
#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/files.hpp"
#include "dmsc/runtime/grpc_tls.hpp"
#include "dmsc/runtime/log.hpp"
#include "dmsc/v1/scheduling.grpc.pb.h"

namespace dmsc::node {
namespace {
namespace log = runtime::log;
constexpr Duration kRedial = milliseconds(500);
constexpr Duration kExpiryTick = milliseconds(500);
// A center that does not read: drop the session rather than hold the LSDB for it in memory.
constexpr std::size_t kMaxQueued = 200'000;

std::uint64_t microseconds_of(Duration d) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(d / std::chrono::microseconds(1), 0));
}
}  // namespace

class SchedulingAgent::Target : public NodePolicyTarget {
 public:
  using NodePolicyTarget::NodePolicyTarget;
};

// One call. gRPC keeps calling it until OnDone; `self_` keeps it alive that long.
class SchedulingAgent::Stream : public grpc::ClientBidiReactor<v1::NodeReport, v1::CenterMessage> {
 public:
  Stream(std::shared_ptr<SchedulingAgent> agent, std::shared_ptr<grpc::Channel> channel)
      : agent_(agent), io_(agent->node_.io()), channel_(std::move(channel)),
        stub_(v1::Scheduling::NewStub(channel_)) {}

  void begin(std::shared_ptr<Stream> self) {
    self_ = std::move(self);
    context_.set_wait_for_ready(false);
    stub_->async()->Session(&context_, this);
    AddHold();  // writes come from outside the reactions
    StartRead(&incoming_);
    StartCall();
  }

  void write(v1::NodeReport report) {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    if (queue_.size() >= kMaxQueued) {
      context_.TryCancel();
      return;
    }
    queue_.push_back(std::move(report));
    if (!writing_) write_next();
  }

  void close() {
    std::lock_guard lock(mutex_);
    release();
    context_.TryCancel();
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      std::lock_guard lock(mutex_);
      release();
      return;
    }
    auto message = std::make_shared<v1::CenterMessage>(std::move(incoming_));
    incoming_.Clear();
    boost::asio::post(io_, [self = self_, message] {
      if (auto agent = self->agent_.lock()) agent->on_message(self, message.get());
    });
    StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    writing_ = false;
    if (!queue_.empty()) queue_.pop_front();
    if (ok && !closed_) write_next();
  }

  void OnDone(const grpc::Status& status) override {
    auto self = std::move(self_);
    boost::asio::post(io_, [self, why = status.error_message()] {
      if (auto agent = self->agent_.lock()) agent->on_closed(self, why);
    });
  }

 private:
  void write_next() {
    if (queue_.empty()) return;
    writing_ = true;
    StartWrite(&queue_.front());
  }
  void release() {
    if (closed_) return;
    closed_ = true;
    RemoveHold();
  }

  std::weak_ptr<SchedulingAgent> agent_;
  boost::asio::io_context& io_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Scheduling::Stub> stub_;
  std::shared_ptr<Stream> self_;
  grpc::ClientContext context_;
  v1::CenterMessage incoming_;
  std::mutex mutex_;  // guards what follows
  std::deque<v1::NodeReport> queue_;
  bool writing_ = false, closed_ = false;
};

SchedulingAgent::SchedulingAgent(Node& node, runtime::Identity identity,
                                 std::vector<ServiceTarget> centers,
                                 std::shared_ptr<InstanceProber> prober)
    : node_(node),
      identity_(std::move(identity)),
      centers_(std::move(centers)),
      prober_(std::move(prober)),
      target_(std::make_unique<Target>(node)),
      book_(*target_),
      dial_timer_(node.io()),
      report_timer_(node.io()),
      expire_timer_(node.io()) {}

SchedulingAgent::~SchedulingAgent() = default;

void SchedulingAgent::start() {
  load();
  expire();
  dial();
}

void SchedulingAgent::stop() {
  stopped_ = true;
  if (lsdb_listener_ != 0) subscribe(false);
  dial_timer_.cancel();
  report_timer_.cancel();
  expire_timer_.cancel();
  if (stream_) stream_->close();
  stream_.reset();
}

void SchedulingAgent::set_centers(std::vector<ServiceTarget> centers) {
  if (centers == centers_) return;
  centers_ = std::move(centers);
  next_center_ = 0;
  if (stream_) stream_->close();
  else dial();
}

void SchedulingAgent::dial() {
  if (stopped_ || stream_ || centers_.empty()) return;
  const ServiceTarget& target = centers_[next_center_ % centers_.size()];
  std::string address = target.host + ":" + std::to_string(target.port);
  auto channel = runtime::tls_channel(address, "scsc", identity_.certificate.domain,
                                      runtime::tls_client_credentials(identity_));
  stream_ = std::make_shared<Stream>(shared_from_this(), channel);
  stream_->begin(stream_);
  v1::NodeReport hello;
  hello.mutable_hello()->set_node_id(node_.identity().id.value);
  hello.mutable_hello()->set_version(DMSC_VERSION);
  for (const auto& [id, held] : book_.held()) {
    auto* out = hello.mutable_hello()->add_held();
    out->set_id(id);
    out->set_epoch(held.epoch);
    out->set_version(held.version);
  }
  stream_->write(std::move(hello));
}

void SchedulingAgent::redial() {
  dial_timer_.expires_after(kRedial);
  dial_timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    auto self = weak.lock();
    if (!error && self) self->dial();
  });
}

void SchedulingAgent::on_closed(const std::shared_ptr<Stream>& stream, const std::string& why) {
  if (stream != stream_) return;
  if (connected_ || why != last_error_) {
    log::warning("center-lost", {{"center", center_}, {"reason", why}});
  }
  last_error_ = why;
  connected_ = false;
  stream_.reset();
  report_timer_.cancel();
  if (lsdb_listener_ != 0) subscribe(false);
  if (stopped_) return;
  ++next_center_;
  redial();
}

void SchedulingAgent::on_message(const std::shared_ptr<Stream>& stream, const void* raw) {
  if (stream != stream_ || stopped_) return;
  const auto& message = *static_cast<const v1::CenterMessage*>(raw);
  if (message.has_hello()) {
    connected_ = true;
    center_ = message.hello().center();
    last_error_.clear();
    book_.heard_epoch(message.hello().epoch());
    report_interval_ = std::max<Duration>(milliseconds(message.hello().report_interval_ms()),
                                          milliseconds(100));
    log::info("center-up", {{"center", center_}, {"epoch", message.hello().epoch()}});
    report();
  } else if (message.has_policy() || message.has_withdraw()) {
    v1::NodeReport reply;
    take_policy(message, node_.now(), book_, *reply.mutable_ack());
    store();
    stream_->write(std::move(reply));
  } else if (message.has_subscribe()) {
    subscribe(message.subscribe().on());
  } else if (message.has_watch() && prober_) {
    std::set<Name> names;
    for (const std::string& text : message.watch().prefixes()) {
      if (auto name = Name::parse(text)) names.insert(*name);
    }
    prober_->watch(std::move(names));
  } else if (message.has_probe() && prober_) {
    if (auto name = Name::parse(message.probe().prefix())) prober_->probe_now(*name);
  }
}

void SchedulingAgent::subscribe(bool on) {
  if (lsdb_listener_ != 0) node_.remove_listener(lsdb_listener_);
  lsdb_listener_ = 0;
  if (!on) return;
  lsdb_listener_ = node_.subscribe_lsdb([weak = weak_from_this()](const LsdbEvent& event) {
    auto self = weak.lock();
    if (!self || !self->stream_) return;
    v1::NodeReport report;
    auto* out = report.mutable_lsdb();
    out->set_kind(static_cast<v1::LsdbEvent::Kind>(event.kind));
    out->set_sequence(event.sequence);
    if (event.lsa) out->set_lsa(event.lsa->raw.data(), event.lsa->raw.size());
    self->stream_->write(std::move(report));
  });
}

void SchedulingAgent::report() {
  if (!stream_ || !connected_) return;
  v1::NodeReport report;
  auto* telemetry = report.mutable_telemetry();
  telemetry->set_sequence(++report_sequence_);
  for (const LinkQuality& link : node_.link_quality()) {
    if (!link.up) continue;
    auto* out = telemetry->add_links();
    out->set_link(link.link.value);
    out->set_neighbour(link.neighbour.value);
    out->set_delay_us(microseconds_of(link.delay));
    out->set_jitter_us(microseconds_of(link.jitter));
    out->set_loss_ppm(static_cast<std::uint32_t>(link.loss * 1e6));
    out->set_capacity_bps(link.capacity_bps);
    out->set_available_bps(link.available_bps);
    out->set_usable(link.usable);
  }
  if (prober_) {
    for (const InstanceMeasure& m : prober_->measures()) {
      auto* out = telemetry->add_instances();
      out->set_prefix(m.prefix.text());
      out->set_egress(m.instance.egress.value);
      out->set_instance(m.instance.id.value);
      out->set_measured(m.measured);
      out->set_delay_us(std::max<std::uint64_t>(microseconds_of(m.delay), 1));
      out->set_jitter_us(microseconds_of(m.jitter));
      out->set_loss_ppm(m.loss_ppm);
      out->set_available(m.available);
    }
    for (const UseCount& use : prober_->take_uses()) {
      auto* out = telemetry->add_names();
      out->set_prefix(use.prefix.text());
      out->set_calls(use.calls);
      out->set_bytes(use.bytes);
    }
  }
  stream_->write(std::move(report));
  report_timer_.expires_after(report_interval_);
  report_timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    auto self = weak.lock();
    if (!error && self) self->report();
  });
}

void SchedulingAgent::expire() {
  for (const std::string& id : book_.tick(node_.now())) {
    log::warning("policy-expired", {{"policy", id}});
    store();
  }
  expire_timer_.expires_after(kExpiryTick);
  expire_timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    auto self = weak.lock();
    if (!error && self && !self->stopped_) self->expire();
  });
}

void SchedulingAgent::store() {
  if (node_.settings().state_dir.empty()) return;
  files_.write(node_.settings().state_dir + "/policies",
               encode_policies(node_.now(), runtime::wall_seconds(), book_));
}

void SchedulingAgent::load() {
  if (node_.settings().state_dir.empty()) return;
  auto data = runtime::read_file(node_.settings().state_dir + "/policies");
  if (data) restore_policies(*data, node_.now(), runtime::wall_seconds(), book_);
}

Json SchedulingAgent::status_json() const {
  return {{"center", connected_ ? center_ : ""}, {"connected", connected_},
          {"error", last_error_}, {"policies", book_.held().size()}};
}

Json SchedulingAgent::policies_json() const {
  Json rows = Json::array();
  for (const auto& [id, held] : book_.held()) {
    auto left = std::chrono::duration<double, std::milli>(held.expires - node_.now()).count();
    rows.push_back({{"policy", id},
                    {"kind", routing::kind_of(held.policy.content)},
                    {"epoch", held.epoch},
                    {"version", held.version},
                    {"expires_ms", left},
                    {"content", describe_policy(held.policy,
                                                [this](NodeId n) { return node_.name_of(n); })},
                    {"reason", held.policy.reason}});
  }
  return rows;
}

}  // namespace dmsc::node
