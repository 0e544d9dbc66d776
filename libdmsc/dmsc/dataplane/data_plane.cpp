// Control side of the data plane: sockets, and the neighbour table the workers read.
#include "dmsc/dataplane/data_plane.hpp"

#include <map>
#include <utility>

#include "dmsc/dataplane/link_record.hpp"
#include "dmsc/dataplane/peer_sockets.hpp"
#include "dmsc/dataplane/reclaimer.hpp"
#include "dmsc/dataplane/worker_impl.hpp"

namespace dmsc::dataplane {
namespace {

constexpr unsigned kMaxWorkers = 64;
constexpr std::uint32_t kMaxLinkId = 65535;  // link ids index a table

class DataPlaneImpl final : public DataPlane {
 public:
  explicit DataPlaneImpl(DataPlaneConfig config)
      : config_(std::move(config)), fib_(config_.fib_key, reclaimer_) {
    shared_.self = config_.self;
    shared_.workers = config_.workers;
    shared_.hop_authentication = config_.hop_authentication;
    shared_.fib = &fib_;
    publish();
  }
  ~DataPlaneImpl() override {
    stop();
    workers_.clear();
    delete shared_.table.exchange(nullptr);
  }

  Status make_workers();
  void start() override {
    for (auto& worker : workers_) worker->start();
  }
  void stop() override {
    for (auto& worker : workers_) worker->stop();
  }
  forwarding::Fib& fib() override { return fib_; }
  const std::vector<Worker*>& workers() const override { return worker_pointers_; }
  Result<std::vector<std::uint16_t>> open_link(const LinkSockets& link) override;
  void close_link(LinkId link) override;
  std::vector<int> sockets(LinkId link) const override;
  void set_keys(const crypto::KeyChain& keys) override {
    keys_ = keys;
    publish();
  }
  void set_offloads(const Offloads& offloads) override {
    config_.offloads = offloads;
    for (auto& worker : workers_) worker->set_offloads(offloads);
  }
  void set_busy_poll(Duration longest) override {
    config_.busy_poll = longest;
    for (auto& worker : workers_) worker->set_busy_poll(longest);
  }
  void set_neighbour(const Neighbour& neighbour) override;
  void clear_neighbour(LinkId link) override;
  std::vector<LinkStats> link_stats() const override;
  CounterValues counters() const override;

 private:
  Result<unsigned> open_group(const LinkSockets& link);
  std::unique_ptr<LinkEntry> make_entry(const LinkRecord& record) const;
  void publish();
  UdpOptions socket_options() const;
  void connect_peers();

  DataPlaneConfig config_;
  QsbrReclaimer reclaimer_;  // outlives what retires into it
  forwarding::Fib fib_;
  WorkerShared shared_;
  crypto::KeyChain keys_;
  std::vector<std::unique_ptr<WorkerImpl>> workers_;
  std::vector<Worker*> worker_pointers_;
  std::vector<std::optional<SocketGroup>> groups_;
  PeerSockets peer_sockets_{workers_};
  std::map<LinkId, LinkRecord> links_;
};

Status DataPlaneImpl::make_workers() {
  for (unsigned i = 0; i < config_.workers; ++i) {
    auto worker = WorkerImpl::create(shared_, i, config_.random_seed + i * 0x9e3779b97f4a7c15ULL);
    if (!worker) return worker.error();
    (*worker)->set_offloads(config_.offloads);
    (*worker)->set_busy_poll(config_.busy_poll);
    worker_pointers_.push_back(worker->get());
    workers_.push_back(std::move(*worker));
  }
  return Ok{};
}

UdpOptions DataPlaneImpl::socket_options() const {
  UdpOptions options;
  options.buffer_bytes = 4 << 20;
  options.trains = config_.offloads.receive;
  return options;
}

Result<unsigned> DataPlaneImpl::open_group(const LinkSockets& link) {
  unsigned free = static_cast<unsigned>(groups_.size());
  for (unsigned i = 0; i < groups_.size(); ++i) {
    if (!groups_[i]) {
      free = std::min(free, i);
    } else if (groups_[i]->local.same_address(link.local) &&
               groups_[i]->interface == link.interface) {
      ++groups_[i]->users;
      return i;
    }
  }
  SocketGroup group{link.local, link.interface, {}, 1, {}};
  std::vector<UniqueFd> fds;
  for (unsigned i = 0; i < config_.workers; ++i) {
    UdpOptions options = socket_options();
    options.interface = link.interface;
    options.any_port_if_taken = true;
    auto port = static_cast<std::uint16_t>(link.base_port + i);
    auto fd = open_udp(link.local.with_port(port), options);
    if (!fd) return with_context("link " + link.name + ": data socket", fd.error());
    auto bound = local_address(fd->get());
    if (!bound) return with_context("link " + link.name, bound.error());
    group.ports.push_back(bound->port());
    group.fds.push_back(fd->get());
    fds.push_back(std::move(*fd));
  }
  if (free == groups_.size()) groups_.emplace_back();
  for (unsigned i = 0; i < config_.workers; ++i) workers_[i]->add_socket(free, std::move(fds[i]));
  groups_[free] = std::move(group);
  return free;
}

Result<std::vector<std::uint16_t>> DataPlaneImpl::open_link(const LinkSockets& link) {
  if (!link.link || link.link.value > kMaxLinkId) {
    return make_error(Errc::limit, "link ", link.name, ": id ", std::to_string(link.link.value),
                      " is not in 1-", std::to_string(kMaxLinkId));
  }
  if (links_.count(link.link) != 0) {
    return make_error(Errc::exists, "link ", link.name, ": already open");
  }
  auto group = open_group(link);
  if (!group) return group.error();
  LinkRecord record;
  record.sockets = link;
  record.group = *group;
  links_.emplace(link.link, std::move(record));
  return groups_[*group]->ports;
}

std::vector<int> DataPlaneImpl::sockets(LinkId link) const {
  auto it = links_.find(link);
  if (it == links_.end()) return {};
  const LinkRecord& record = it->second;
  std::vector<int> out = groups_[record.group]->fds;
  for (const SocketAddress& peer : record.peers) {
    std::vector<int> connected = peer_sockets_.of({record.group, peer});
    out.insert(out.end(), connected.begin(), connected.end());
  }
  return out;
}

void DataPlaneImpl::connect_peers() {
  std::vector<Source> wanted;
  for (const auto& [id, record] : links_) {
    for (const SocketAddress& peer : record.peers) wanted.push_back({record.group, peer});
  }
  peer_sockets_.follow(wanted, groups_, socket_options());
}

void DataPlaneImpl::close_link(LinkId link) {
  auto it = links_.find(link);
  if (it == links_.end()) return;
  unsigned group = it->second.group;
  links_.erase(it);
  publish();
  connect_peers();
  if (--groups_[group]->users > 0) return;
  groups_[group].reset();
  for (auto& worker : workers_) worker->remove_socket(group);
}

void DataPlaneImpl::set_neighbour(const Neighbour& neighbour) {
  auto it = links_.find(neighbour.link);
  if (it == links_.end()) return;
  LinkRecord& record = it->second;
  bool same = record.state && record.state_node == neighbour.node &&
              record.state_session == neighbour.session &&
              record.state->per_worker[0].windows.size() == neighbour.worker_ports.size();
  if (same) {
    record.state->path.restart = true;
  } else {
    if (record.state) add(record.earlier, sum(*record.state));
    record.state = std::make_shared<LinkState>(config_.workers, neighbour.worker_ports.size());
    record.state_node = neighbour.node;
    record.state_session = neighbour.session;
  }
  record.neighbour = neighbour;
  record.peers.clear();
  for (std::uint16_t port : neighbour.worker_ports) {
    record.peers.push_back(neighbour.address.with_port(port));
  }
  publish();
  connect_peers();
}

void DataPlaneImpl::clear_neighbour(LinkId link) {
  auto it = links_.find(link);
  if (it == links_.end() || !it->second.neighbour) return;
  it->second.neighbour.reset();
  publish();
}

std::unique_ptr<LinkEntry> DataPlaneImpl::make_entry(const LinkRecord& record) const {
  const Neighbour& n = *record.neighbour;
  auto entry = std::make_unique<LinkEntry>();
  entry->link = n.link;
  entry->node = n.node;
  entry->session = n.session;
  entry->sockets = record.group;
  entry->addresses = record.peers;
  entry->mtu = n.mtu;
  entry->state = record.state;
  for (const auto& [id, secret] : keys_.keys()) {
    if (id == keys_.active()) entry->active = entry->keys.size();
    HopKeys keys;
    keys.id = static_cast<std::uint8_t>(id);  // the hop block carries the low 8 bits
    keys.send = forwarding::derive_hop_key(secret, config_.domain, config_.self, n.node,
                                           config_.session, n.session);
    keys.receive = forwarding::derive_hop_key(secret, config_.domain, n.node, config_.self,
                                              n.session, config_.session);
    entry->keys.push_back(keys);
  }
  return entry;
}

void DataPlaneImpl::publish() {
  auto table = std::make_unique<LinkTable>();
  for (const auto& [id, record] : links_) {
    if (!record.neighbour || record.neighbour->worker_ports.empty()) continue;
    if (table->by_link.size() <= id.value) table->by_link.resize(id.value + 1);
    auto entry = make_entry(record);
    for (const SocketAddress& address : entry->addresses) {
      table->by_source.emplace(Source{record.group, address}, entry.get());
    }
    table->by_link[id.value] = std::move(entry);
  }
  const LinkTable* old = shared_.table.exchange(table.release(), std::memory_order_acq_rel);
  if (old != nullptr) reclaimer_.retire([old] { delete old; });
}

std::vector<LinkStats> DataPlaneImpl::link_stats() const {
  std::vector<LinkStats> out;
  for (const auto& [id, record] : links_) {
    LinkStats stats;
    stats.link = id;
    stats.counters = record.earlier;
    if (record.state) {
      add(stats.counters, sum(*record.state));
      const PathProbe& path = record.state->path;
      stats.path.usable = path.usable;
      stats.path.round_trip = Duration(path.round_trip_ns.load());
      stats.path.sent = path.sent.get();
      stats.path.answered = path.answered.get();
    }
    out.push_back(stats);
  }
  return out;
}

CounterValues DataPlaneImpl::counters() const {
  CounterValues out;
  for (const auto& worker : workers_) out += worker->counters().read();
  return out;
}

}  // namespace

Result<std::unique_ptr<DataPlane>> DataPlane::create(DataPlaneConfig config) {
  if (config.workers < 1 || config.workers > kMaxWorkers) {
    return make_error(Errc::invalid, "dataplane.workers is ", std::to_string(config.workers),
                      ", must be 1-", std::to_string(kMaxWorkers));
  }
  auto plane = std::make_unique<DataPlaneImpl>(std::move(config));
  auto made = plane->make_workers();
  if (!made) return made.error();
  return std::unique_ptr<DataPlane>(std::move(plane));
}

}  // namespace dmsc::dataplane
