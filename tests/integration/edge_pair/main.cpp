// Two or more Edges joined in memory, for tests/integration/test_edge_pair.py: real TUN devices, DNS
// sockets and kernels on both sides, no routers between. A line of JSON on standard input says what
// each gateway has; then "show ID" prints a snapshot, "endpoint-down ID INSTANCE" withdraws, and the
// end of input stops.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <iostream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <queue>
#include <thread>

#include "dmsc/dataplane/worker.hpp"
#include "dmsc/runtime/clock.hpp"
#include "sgd/edge.hpp"

using namespace dmsc;
using nlohmann::json;

namespace {

class PairWorker final : public dataplane::Worker {
 public:
  using Deliver = std::function<bool(wire::ServicePacket&, dataplane::Worker&)>;
  explicit PairWorker(NodeId self)
      : self_(self), fib_(crypto::Key16{}, reclaimer_), thread_([this] { run(); }) {}
  ~PairWorker() override { stop(); }
  void stop() {
    if (!thread_.joinable()) return;
    stop_ = true;
    wake();
    thread_.join();
  }
  static std::map<NodeId, PairWorker*>& all() {
    static std::map<NodeId, PairWorker*> workers;
    return workers;
  }
  Deliver deliver;

  forwarding::Verdict originate(std::span<std::uint8_t> datagram) override {
    auto packet = wire::ServicePacket::parse(datagram);
    if (!packet) return {forwarding::Action::drop, forwarding::DropReason::malformed, {}};
    auto to = all().find(packet->egress());
    if (to == all().end()) return {forwarding::Action::drop, forwarding::DropReason::no_route, {}};
    if (to->first == self_) {
      deliver(*packet, *this);
      return {forwarding::Action::deliver, {}, {}};
    }
    PairWorker* other = to->second;
    other->post([other, copy = Bytes(datagram.begin(), datagram.end())]() mutable {
      auto again = wire::ServicePacket::parse(copy);
      if (again) other->deliver(*again, *other);
    });
    return {forwarding::Action::forward, {}, {}};
  }
  void send_error(const wire::ServicePacket& packet, wire::ErrorCode code,
                  std::string_view text) override {
    auto spec = wire::reply_spec(packet, wire::PacketKind::error);
    spec.ingress = self_;
    spec.protocol = wire::PayloadProtocol::none;
    spec.error = std::pair{code, text};
    auto bytes = wire::build_service_packet(spec, {});
    if (bytes) originate(*bytes);
  }
  void probe(const dataplane::ProbeSpec&, Duration,
             std::function<void(const dataplane::ProbeResult&)> done) override {
    done({});
  }
  std::uint64_t new_flow() override { return runtime::random_u64(); }
  void count_drop(forwarding::DropReason) override {}

  void watch_fd(int fd, std::uint32_t events, std::function<void(std::uint32_t)> ready) override {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    bool known = watches_.count(fd) != 0;
    watches_[fd] = std::make_shared<std::function<void(std::uint32_t)>>(std::move(ready));
    ::epoll_ctl(epoll_, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
  }
  void unwatch_fd(int fd) override {
    if (watches_.erase(fd) != 0) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  }
  void post(std::function<void()> task) override {
    std::lock_guard lock(mutex_);
    posted_.push(std::move(task));
    wake();
  }
  dataplane::TimerId after(Duration delay, std::function<void()> task) override {
    timers_[{runtime::now() + delay, ++last_timer_}] = std::move(task);
    return last_timer_;
  }
  void cancel(dataplane::TimerId timer) override {
    for (auto it = timers_.begin(); it != timers_.end(); ++it) {
      if (it->first.second == timer) return void(timers_.erase(it));
    }
  }
  Time now() const override { return runtime::now(); }
  const forwarding::Fib& fib() const override { return fib_; }
  NodeId self() const override { return self_; }
  unsigned index() const override { return 0; }
  unsigned count() const override { return 1; }
  const dataplane::WorkerCounters& counters() const override { return counters_; }
  std::uint64_t rounds() const override { return rounds_; }
  void set_sink(dataplane::LocalSink*) override {}

 private:
  void wake() {
    std::uint64_t one = 1;
    (void)!::write(event_, &one, sizeof one);
  }
  void run() {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = event_;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, event_, &event);
    while (!stop_) {
      epoll_event events[64];
      int n = ::epoll_wait(epoll_, events, 64, 20);
      ++rounds_;
      for (int i = 0; i < n; ++i) {
        auto it = watches_.find(events[i].data.fd);
        if (it == watches_.end()) continue;
        auto held = it->second;
        (*held)(events[i].events);
      }
      std::uint64_t drained = 0;
      (void)!::read(event_, &drained, sizeof drained);
      run_posted();
      while (!timers_.empty() && timers_.begin()->first.first <= runtime::now()) {
        auto task = std::move(timers_.begin()->second);
        timers_.erase(timers_.begin());
        task();
      }
    }
  }
  void run_posted() {
    std::queue<std::function<void()>> tasks;
    {
      std::lock_guard lock(mutex_);
      tasks.swap(posted_);
    }
    for (; !tasks.empty(); tasks.pop()) tasks.front()();
  }

  NodeId self_;
  forwarding::ImmediateReclaimer reclaimer_;
  forwarding::Fib fib_;
  dataplane::WorkerCounters counters_;
  int epoll_ = ::epoll_create1(EPOLL_CLOEXEC), event_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  std::map<int, std::shared_ptr<std::function<void(std::uint32_t)>>> watches_;
  std::map<std::pair<Time, dataplane::TimerId>, std::function<void()>> timers_;
  dataplane::TimerId last_timer_ = 0;
  std::mutex mutex_;
  std::queue<std::function<void()>> posted_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> rounds_{0};
  std::thread thread_;
};

template <class T>
T must(Result<T> value) {
  if (value) return std::move(*value);
  std::cerr << value.error().message << "\n";
  std::exit(1);
}
void must(Status status) {
  if (status) return;
  std::cerr << status.error().message << "\n";
  std::exit(1);
}

sgd::EdgeConfig config_of(const json& g) {
  sgd::EdgeConfig c;
  std::string id = std::to_string(g["id"].get<int>());
  c.state_dir = g.value("state_dir", "");
  c.external_tun = "dmscx" + id;
  c.host_tun = "dmsch" + id;
  c.host_enabled = g.value("host", false);
  c.virtual_range = must(sgd::parse_ipv4_net(g.value("range", "100.96.0.0/12")));
  c.dns = must(sgd::parse_ipv4(g.value("dns", "100.96.0.1")));
  for (const auto& p : g.value("pods", json::array())) {
    sgd::PodNamespace pod;
    pod.name = p["name"];
    pod.netns = p["netns"];
    pod.address = must(sgd::parse_ipv4_net(p["address"].get<std::string>()));
    pod.external = must(sgd::parse_external(p.value("external", "refuse")));
    c.pods.push_back(pod);
  }
  for (const auto& u : g.value("upstream", json::array())) {
    c.upstream.push_back(must(sgd::parse_ipv4(u.get<std::string>())));
  }
  for (const auto& l : g.value("listeners", json::array())) {
    auto where = must(sgd::parse_address_port(l["listen"].get<std::string>()));
    c.listeners.push_back({where, must(Name::parse(l["name"].get<std::string>())),
                           l["port"], must(sgd::parse_l4(l.value("protocol", "tcp"))),
                           l.value("pod", "")});
  }
  return c;
}

sgd::Endpoint endpoint_of(const json& e) {
  sgd::Endpoint out;
  auto [address, port] = must(sgd::parse_ipv4_port(e["endpoint"].get<std::string>()));
  out.address = address;
  out.port = port;
  out.pod = e.value("pod", "");
  out.names = {must(Name::parse(e["name"].get<std::string>()))};
  for (const auto& m : e.value("ports", json::array())) {
    out.ports.push_back({m[0], m[1], must(sgd::parse_l4(m[2].get<std::string>()))});
  }
  return out;
}

void show(sgd::Edge& edge) {
  edge.snapshot({.at_most = 1000, .name = ""}, [](const sgd::EdgeSnapshot& s) {
    json out{{"counters", s.counters}, {"pods", json::array()}, {"flows", json::array()},
             {"addresses", json::object()}, {"listeners", json::array()}};
    for (const auto& p : s.pods) {
      out["pods"].push_back({{"name", p.name}, {"state", p.state}, {"reason", p.reason}});
    }
    for (const auto& f : s.flows) {
      out["flows"].push_back({{"direction", f.direction}, {"protocol", f.protocol},
                              {"client", f.client}, {"destination", f.destination},
                              {"server", f.server}, {"source", f.source}, {"state", f.state}});
    }
    for (const auto& a : s.addresses) out["addresses"][a.name] = a.address;
    for (const auto& l : s.listeners) out["listeners"].push_back({{"accepted", l.accepted}});
    std::cout << out.dump() << std::endl;
  });
}

}  // namespace

int main() {
  std::string line;
  if (!std::getline(std::cin, line)) return 2;
  json input = json::parse(line);
  std::map<std::string, sgd::InstancePin> routes;
  std::mutex mutex;
  for (const auto& g : input["gateways"]) {
    for (const auto& e : g.value("endpoints", json::array())) {
      routes[e["name"]] = {NodeId{g["id"].get<std::uint32_t>()},
                           InstanceId{e["instance"].get<std::uint16_t>()}};
    }
  }
  sgd::EdgeHooks hooks;
  hooks.granted = [](std::string_view, NodeId) { return true; };
  hooks.choose = [&](const Name& name, std::uint64_t) -> std::optional<sgd::InstancePin> {
    std::lock_guard lock(mutex);
    auto it = routes.find(name.text());
    return it == routes.end() ? std::nullopt : std::optional(it->second);
  };
  hooks.alive = [&](const Name& name, const sgd::InstancePin& pin) {
    std::lock_guard lock(mutex);
    auto it = routes.find(name.text());
    return it != routes.end() && it->second.instance == pin.instance;
  };
  std::map<int, std::unique_ptr<PairWorker>> workers;
  std::map<int, std::unique_ptr<sgd::Edge>> edges;
  for (const auto& g : input["gateways"]) {
    int id = g["id"];
    workers[id] = std::make_unique<PairWorker>(NodeId{static_cast<std::uint32_t>(id)});
    edges[id] = std::make_unique<sgd::Edge>(config_of(g), *workers[id], hooks);
    sgd::Edge* edge = edges[id].get();
    workers[id]->deliver = [edge](wire::ServicePacket& p, dataplane::Worker& on) {
      return edge->deliver(p, on);
    };
    PairWorker::all()[NodeId{static_cast<std::uint32_t>(id)}] = workers[id].get();
  }
  for (const auto& g : input["gateways"]) {
    sgd::Edge& edge = *edges[g["id"]];
    must(edge.start());
    for (const auto& e : g.value("endpoints", json::array())) {
      must(edge.set_endpoint(InstanceId{e["instance"].get<std::uint16_t>()}, endpoint_of(e)));
    }
    for (const auto& s : g.value("sources", json::array())) {
      edge.set_source(s["pod"], must(Name::parse(s["name"].get<std::string>())),
                      InstanceId{s["instance"].get<std::uint16_t>()});
    }
    for (const auto& [name, pin] : routes) edge.set_prefix(must(Name::parse(name)), false);
  }
  std::cout << "ready" << std::endl;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    std::string verb;
    int id = 0, instance = 0;
    words >> verb >> id >> instance;
    if (edges.count(id) == 0) continue;
    if (verb == "show") show(*edges[id]);
    if (verb == "endpoint-down") edges[id]->remove_endpoint(InstanceId{static_cast<std::uint16_t>(instance)});
  }
  for (auto& [id, edge] : edges) edge->stop();
  for (auto& [id, worker] : workers) worker->stop();
}
