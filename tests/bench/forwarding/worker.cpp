// One real data plane between real sockets, without a control plane: what tools/bench forwarding
// measures.
//   forwarding_worker HOPS PREFIXES [no-auth] [no-gro] [no-gso] [workers=N] [core=N] [cores=N]
// core: the first of the cores it may use; cores: how many, 1 if not said.
// Prints "ready", forwards until SIGTERM, and then prints packets, drops and the workers' CPU time.
#include <sched.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <future>
#include <vector>

#include "dmsc/dataplane/data_plane.hpp"
#include "tests/bench/forwarding/workload.hpp"

namespace {

using namespace dmsc;
using namespace dmsc::dataplane;

struct Options {
  std::uint32_t hops = 1, prefixes = 1;
  unsigned workers = 1;
  int core = -1, cores = 1;
  bool authenticate = true;
  Offloads offloads;
};

Options parse(int argc, char** argv) {
  Options out;
  out.hops = static_cast<std::uint32_t>(std::atoi(argv[1]));
  out.prefixes = static_cast<std::uint32_t>(std::atoi(argv[2]));
  for (int i = 3; i < argc; ++i) {
    if (std::strcmp(argv[i], "no-auth") == 0) out.authenticate = false;
    if (std::strcmp(argv[i], "no-gro") == 0) out.offloads.receive = false;
    if (std::strcmp(argv[i], "no-gso") == 0) out.offloads.segment = false;
    if (std::strncmp(argv[i], "workers=", 8) == 0) {
      out.workers = static_cast<unsigned>(std::atoi(argv[i] + 8));
    }
    if (std::strncmp(argv[i], "core=", 5) == 0) out.core = std::atoi(argv[i] + 5);
    if (std::strncmp(argv[i], "cores=", 6) == 0) out.cores = std::atoi(argv[i] + 6);
  }
  return out;
}

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "forwarding_worker: %s\n", why.c_str());
  std::exit(1);
}

std::unique_ptr<DataPlane> make_plane(const Options& options) {
  DataPlaneConfig config;
  config.self = bench::kForwarder;
  config.domain = bench::kDomain;
  config.session = bench::session_of(bench::kForwarder);
  config.workers = options.workers;
  config.fib_key = {1, 2, 3, 4};
  config.offloads = options.offloads;
  config.hop_authentication = options.authenticate;
  auto plane = DataPlane::create(config);
  if (!plane) fail(plane.error().message);
  crypto::KeyChain keys;
  keys.add(bench::kKeyId, bench::link_key());
  keys.set_active(bench::kKeyId);
  (*plane)->set_keys(keys);
  return std::move(*plane);
}

void add_link(DataPlane& plane, std::uint32_t id, NodeId node, const std::string& address,
              std::uint16_t port) {
  LinkSockets sockets;
  sockets.link = LinkId{id};
  sockets.name = "link-" + std::to_string(id);
  sockets.local = *SocketAddress::parse("127.0.0.1", 0);
  sockets.base_port = bench::kWorkerPort;
  if (auto opened = plane.open_link(sockets); !opened) fail(opened.error().message);
  Neighbour neighbour;
  neighbour.link = sockets.link;
  neighbour.node = node;
  neighbour.session = bench::session_of(node);
  neighbour.address = *SocketAddress::parse(address, 0);
  neighbour.worker_ports = {port};
  neighbour.mtu = 9000;
  plane.set_neighbour(neighbour);
}

// The sender's link has the highest number: a search that goes through all of them finds it last.
void fill(DataPlane& plane, const Options& options) {
  forwarding::Fib& fib = plane.fib();
  std::vector<forwarding::InstanceGroup*> groups;
  for (std::uint32_t hop = 0; hop < options.hops; ++hop) {
    NodeId node = bench::neighbour(hop);
    add_link(plane, hop + 1, node, "127.0.1." + std::to_string(1 + hop), bench::kSinkPort);
    fib.set_node(bench::egress(hop), {{{hop + 1, node}}, std::nullopt, 10});
    fib.set_label({bench::label(hop), bench::egress(hop), {hop + 1, node}});
    forwarding::InstanceEntry instance{bench::egress(hop), InstanceId{1}, false, true, 100};
    groups.push_back(fib.add_group(true, {&instance, 1}));
  }
  add_link(plane, options.hops + 1, bench::kSender, "127.0.0.2", bench::kSourcePort);
  for (std::uint32_t i = 0; i < options.prefixes; ++i) {
    fib.set_prefix(bench::name_of(i, options.prefixes), *groups[i % options.hops]);
  }
}

double thread_cpu_seconds(Worker& worker) {
  std::promise<double> out;
  worker.post([&] {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    out.set_value(static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9);
  });
  return out.get_future().get();
}

void report(DataPlane& plane) {
  double cpu = 0;
  for (Worker* worker : plane.workers()) cpu += thread_cpu_seconds(*worker);
  CounterValues counters = plane.counters();
  unsigned long long dropped = 0, packets = counters.forwarded;
  for (std::uint64_t drops : counters.drops) dropped += drops;
  std::printf(
      "fwd mode=dmsc packets=%llu received=%llu dropped=%llu trains_in=%llu trains_out=%llu "
      "by_name=%llu "
      "by_label=%llu cpu=%.3f ns_per_packet=%.1f\n",
      packets, static_cast<unsigned long long>(counters.packets_in), dropped,
      static_cast<unsigned long long>(counters.trains_in),
      static_cast<unsigned long long>(counters.trains_out),
      static_cast<unsigned long long>(counters.by_name),
      static_cast<unsigned long long>(counters.by_label), cpu,
      packets != 0 ? cpu * 1e9 / static_cast<double>(packets) : 0.0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3)
    fail("usage: forwarding_worker HOPS PREFIXES [no-auth] [no-gro] [no-gso] [workers=N] [core=N]");
  Options options = parse(argc, argv);
  if (options.hops < 1 || options.hops > bench::kMaxHops) fail("1 to 64 next hops");
  if (options.core >= 0) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    for (int i = 0; i < options.cores; ++i) CPU_SET(static_cast<std::size_t>(options.core + i), &cores);
    (void)sched_setaffinity(0, sizeof cores, &cores);
  }
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  sigprocmask(SIG_BLOCK, &stop, nullptr);
  crypto::init();
  auto plane = make_plane(options);
  fill(*plane, options);
  plane->start();
  std::puts("ready");
  std::fflush(stdout);
  int signal = 0;
  sigwait(&stop, &signal);
  report(*plane);
  plane->stop();
  return 0;
}
