#include "sgd/gateway_seal.hpp"

#include <boost/asio/post.hpp>

#include "dmsc/runtime/log.hpp"
#include "dmsc/wire/link_mtu.hpp"

namespace dmsc::sgd {

namespace asio = boost::asio;
namespace log = runtime::log;
using node::Json;
using node::TopicReply;

namespace {

// Trust changes come in bursts at a start; a new gateway waits no longer than this for its first
// keys.
constexpr Duration kRefreshWait = milliseconds(20);

}  // namespace

std::size_t datagram_limit(bool sealed) {
  return wire::kLeastLinkMtu - (sealed ? forwarding::kSealOverhead : 0);
}

std::unique_ptr<GatewaySeal> GatewaySeal::make(node::Node& node,
                                               const runtime::DataplaneSection& config) {
  if (config.security == runtime::PayloadSecurity::none) {
    log::warning("payload-in-clear",
                 {{"reason",
                   "dataplane.security is none: whoever is on the way reads and changes "
                   "what pods say"}});
    return nullptr;
  }
  if (config.unsealed == runtime::UnsealedPolicy::accept) {
    log::warning("payload-taken-in-clear", {{"reason", "dataplane.unsealed is accept"}});
  }
  return std::make_unique<GatewaySeal>(node, static_cast<dataplane::Unsealed>(config.unsealed));
}

GatewaySeal::GatewaySeal(node::Node& node, dataplane::Unsealed unsealed)
    : node_(node), keeper_(node.identity().id), refresh_(node.io()) {
  static_assert(static_cast<int>(dataplane::Unsealed::by_name) ==
                static_cast<int>(runtime::UnsealedPolicy::by_name));
  static_assert(static_cast<int>(dataplane::Unsealed::accept) ==
                static_cast<int>(runtime::UnsealedPolicy::accept));
  for (dataplane::Worker* worker : node.workers()) {
    workers_.push_back(std::make_unique<dataplane::SealingWorker>(*worker, keeper_, unsealed));
  }
}

GatewaySeal::~GatewaySeal() {
  *alive_ = false;
  stop();
}

std::vector<dataplane::Worker*> GatewaySeal::workers() const {
  std::vector<dataplane::Worker*> out;
  for (const auto& worker : workers_) out.push_back(worker.get());
  return out;
}

dataplane::DtlsIdentity GatewaySeal::identity() const {
  const node::NodeIdentity& own = node_.identity();
  return {own.id,          own.domain_id, crypto::SigningKey(own.key_seed),
          own.certificate, own.root,      !crypto::has_aes_instructions()};
}

dmsc::Status GatewaySeal::start() {
  std::vector<dataplane::SealingWorker*> workers;
  for (const auto& worker : workers_) workers.push_back(worker.get());
  certificate_ = node_.identity().certificate;
  if (auto started = keeper_.start(identity(), std::move(workers)); !started) return started;
  running_ = true;
  tell_peers();
  listener_ = node_.on_trust([this] { trust_changed(); });
  return Ok{};
}

void GatewaySeal::stop() {
  if (!running_) return;
  running_ = false;
  node_.remove_listener(listener_);
  refresh_.cancel();
  keeper_.stop();
}

void GatewaySeal::trust_changed() {
  if (node_.identity().certificate != certificate_) {
    certificate_ = node_.identity().certificate;
    keeper_.set_identity(identity());
  }
  if (refresh_due_) return;
  refresh_due_ = true;
  refresh_.expires_after(kRefreshWait);
  refresh_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (error || !*alive) return;
    refresh_due_ = false;
    tell_peers();
  });
}

void GatewaySeal::tell_peers() {
  dataplane::SealPeers peers;
  for (const auto& [id, known] : node_.trust().identities()) {
    if (known.role != "sg" || id == node_.identity().id) continue;
    peers.gateways[id] = {known.key, known.not_after};
  }
  peers.time = node_.domain_time();
  peers.taken = node_.now();
  keeper_.set_peers(std::move(peers));
}

// ---- show
// -----------------------------------------------------------------------------------------

namespace {

double ms(Duration d) { return double(std::chrono::duration_cast<microseconds>(d).count()) / 1000; }

Json rows_of(const dataplane::SealSnapshot& snapshot, const node::Node& node) {
  Json rows = Json::array();
  for (const auto& row : snapshot.rows) {
    const bool initiator = row.role == dataplane::SealRole::initiator;
    rows.push_back({{"peer", node.name_of(row.peer)},
                    {"state", row.state},
                    {"algorithm", row.algorithm},
                    {"association", row.association},
                    {"role", row.association == 0 ? ""
                             : initiator          ? "initiator"
                                                  : "responder"},
                    {"age_ms", ms(row.age)},
                    {"sealed", row.totals.sealed},
                    {"opened", row.totals.opened},
                    {"refused", row.totals.refused},
                    {"associations", row.associations},
                    {"problem", row.problem}});
  }
  return rows;
}

Json counters_of(const dataplane::SealSnapshot& snapshot) {
  const dataplane::SealMachineCounters& c = snapshot.counters;
  return {{"handshakes_started", c.started},
          {"handshakes_answered", c.answered},
          {"handshakes_done", c.established},
          {"handshakes_failed", c.failed},
          {"associations_renewed", c.rekeyed},
          {"flights_resent", c.resent},
          {"frames_malformed", c.malformed},
          {"bad_cookies", c.bad_cookie},
          {"glare_won", c.glare_won},
          {"glare_lost", c.glare_lost},
          {"unknown_key_hints", c.unknown_key_hints},
          {"strangers", snapshot.strangers},
          {"overflowed", snapshot.overflowed}};
}

// Asks the keeper, uses the answer on the control thread.
template <class Use>
void with_snapshot(node::Node& node, GatewaySeal& seal, std::shared_ptr<bool> alive, Use use) {
  seal.keeper().snapshot([&io = node.io(), alive, use](dataplane::SealSnapshot snapshot) mutable {
    asio::post(io, [alive, use, snapshot = std::move(snapshot)]() mutable {
      if (*alive) use(snapshot);
    });
  });
}

}  // namespace

void register_seal_topics(node::Node& node, GatewaySeal* seal, std::shared_ptr<bool> alive) {
  node.register_topic(
      "seals", [&node, seal, alive](const std::vector<std::string>&, TopicReply reply) {
        if (seal == nullptr) return reply(Json::array());
        with_snapshot(node, *seal, alive, [&node, reply](const dataplane::SealSnapshot& snapshot) {
          reply(rows_of(snapshot, node));
        });
      });
}

void extend_seal_counters(node::Node& node, GatewaySeal* seal, std::shared_ptr<bool> alive) {
  const node::TopicHandler* base = node.topic("counters");
  if (seal == nullptr || base == nullptr) return;
  node.register_topic("counters", [&node, seal, alive, base = *base](
                                      const std::vector<std::string>& arguments, TopicReply reply) {
    base(arguments, [&node, seal, alive, reply](Result<Json> counters) {
      if (!counters || !counters->is_object()) return reply(std::move(counters));
      with_snapshot(node, *seal, alive,
                    [reply, out = *counters](const dataplane::SealSnapshot& snapshot) mutable {
                      out["seal"] = counters_of(snapshot);
                      reply(std::move(out));
                    });
    });
  });
}

}  // namespace dmsc::sgd
