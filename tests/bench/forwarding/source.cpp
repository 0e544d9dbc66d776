// Sends service packets with good hop blocks, as fast as they are taken.
//   forwarding_source SIZE SECONDS DECIDE HOPS PREFIXES [zipf] [no-auth] [mmsg] [flow-per-train]
//   [port=N]
//                     [workers=N] [core=N] [train=N]
// DECIDE: label | egress | name. SIZE: of the UDP payload. Destinations are drawn anew for each
// packet: among the next hops, or among the prefixes (evenly, or by Zipf's law). Flows: 64, drawn
// for each packet; or one a train.
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <vector>

#include "dmsc/dataplane/socket_address.hpp"
#include "dmsc/dataplane/worker.hpp"
#include "dmsc/wire/service_header.hpp"
#include "tests/bench/forwarding/workload.hpp"

namespace {

using namespace dmsc;

enum class Decide { label, egress, name };

struct Options {
  std::size_t size = 0;
  double seconds = 1;
  Decide decide = Decide::egress;
  std::uint32_t hops = 1, prefixes = 1;
  unsigned workers = 1, train = 64;
  int core = -1;
  std::uint16_t port = bench::kWorkerPort;
  bool zipf = false, authenticate = true, segment = true, flow_per_train = false;
};

[[noreturn]] void fail(const char* why) {
  std::fprintf(stderr, "forwarding_source: %s\n", why);
  std::exit(1);
}

bool number(const char* text, const char* key, unsigned& out) {
  std::size_t n = std::strlen(key);
  if (std::strncmp(text, key, n) != 0) return false;
  out = static_cast<unsigned>(std::atoi(text + n));
  return true;
}

Options parse(int argc, char** argv) {
  Options out;
  out.size = static_cast<std::size_t>(std::atoi(argv[1]));
  out.seconds = std::atof(argv[2]);
  std::string decide = argv[3];
  out.decide = decide == "label" ? Decide::label : decide == "name" ? Decide::name : Decide::egress;
  out.hops = static_cast<std::uint32_t>(std::atoi(argv[4]));
  out.prefixes = static_cast<std::uint32_t>(std::atoi(argv[5]));
  for (int i = 6; i < argc; ++i) {
    unsigned value = 0;
    std::string word = argv[i];
    out.zipf |= word == "zipf";
    out.authenticate &= word != "no-auth";
    out.segment &= word != "mmsg";
    out.flow_per_train |= word == "flow-per-train";
    if (number(argv[i], "port=", value)) out.port = static_cast<std::uint16_t>(value);
    if (number(argv[i], "workers=", value)) out.workers = value;
    if (number(argv[i], "core=", value)) out.core = static_cast<int>(value);
    if (number(argv[i], "train=", value)) out.train = value;
  }
  return out;
}

// Draws prefix numbers: evenly, or by Zipf's law with exponent 1.
class Draw {
 public:
  explicit Draw(const Options& options) : count_(options.prefixes) {
    if (!options.zipf) return;
    double sum = 0;
    for (std::uint32_t i = 1; i <= count_; ++i) below_.push_back(sum += 1.0 / i);
  }
  std::uint32_t operator()(bench::Random& random) const {
    if (count_ == 1) return 0;
    if (below_.empty()) return static_cast<std::uint32_t>(random() % count_);
    auto at = std::lower_bound(below_.begin(), below_.end(), random.unit() * below_.back());
    // Popular names lie anywhere in the table.
    return static_cast<std::uint32_t>((at - below_.begin()) * std::uint64_t{7919} % count_);
  }

 private:
  std::uint32_t count_;
  std::vector<double> below_;
};

class Builder {
 public:
  explicit Builder(const Options& options) : options_(options), draw_(options) {
    for (std::uint32_t i = 0; i < options.prefixes; ++i) {
      names_.push_back(bench::name_of(i, options.prefixes));
      if (wire::kServiceFixedBytes + names_.back().size() + 5 > options.size)
        fail("names do not fit the size");
    }
    while (flows_.size() < options.workers) {
      flows_.emplace_back();
      while (flows_.back().size() < 64) {
        std::uint64_t flow = random_();
        if (dataplane::worker_of_flow(flow, options.workers) + 1 == flows_.size())
          flows_.back().push_back(flow);
      }
    }
  }

  // `count` packets, one behind the other, for a worker.
  void train(std::uint8_t* out, unsigned count, unsigned worker) {
    std::uint64_t flow = pick_flow(worker);
    for (unsigned i = 0; i < count; ++i) {
      if (!options_.flow_per_train) flow = pick_flow(worker);
      packet({out + i * options_.size, options_.size}, flow, worker);
    }
  }

 private:
  std::uint64_t pick_flow(unsigned worker) { return flows_[worker][random_() % 64]; }

  void packet(std::span<std::uint8_t> out, std::uint64_t flow, unsigned worker) {
    std::uint32_t prefix = draw_(random_), hop = prefix % options_.hops;
    const std::string& name = names_[prefix];
    std::size_t header = (wire::kServiceFixedBytes + 2 + name.size() + 3) / 4 * 4;
    std::memset(out.data(), 0, header);
    put(out, 0, wire::kServiceVersion << 4 | static_cast<unsigned>(wire::PacketKind::packet), 1);
    put(out, 2, wire::kDefaultHopLimit, 1);
    put(out, 4, header / 4, 1);
    put(out, 5, static_cast<unsigned>(wire::PayloadProtocol::udp), 1);
    put(out, 6, out.size() - header, 2);
    if (options_.decide == Decide::label) put(out, 8, bench::label(hop).value, 4);
    put(out, 16, flow, 8);
    if (options_.decide != Decide::name) put(out, 24, bench::egress(hop).value, 4);
    put(out, 28, bench::kSender.value, 4);
    put(out, 48, static_cast<unsigned>(wire::HeaderTlv::destination_name), 1);
    put(out, 49, name.size(), 1);
    std::memcpy(&out[50], name.data(), name.size());
    if (!options_.authenticate) return;
    auto view = wire::ServicePacket::parse(out);
    if (!view) fail(view.error().message.c_str());
    // Whatever worker receives it, it is our worker 0 that sends: one counter each way.
    forwarding::seal_hop(*view, key_, bench::kKeyId, 0, ++counters_[worker]);
  }
  static void put(std::span<std::uint8_t> out, std::size_t at, std::uint64_t value,
                  std::size_t bytes) {
    for (std::size_t i = bytes; i-- > 0; value >>= 8)
      out[at + i] = static_cast<std::uint8_t>(value);
  }

  const Options& options_;
  Draw draw_;
  bench::Random random_{1};
  const crypto::Key16 key_ = bench::hop_key();
  std::vector<std::string> names_;
  std::vector<std::vector<std::uint64_t>> flows_;
  std::array<std::uint64_t, 64> counters_{};
};

int open_socket(const Options& options) {
  int fd = ::socket(AF_INET, SOCK_DGRAM, 0), bytes = 4 << 20, size = static_cast<int>(options.size);
  auto local = dataplane::SocketAddress::parse("127.0.0.2", bench::kSourcePort).value();
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
  if (::bind(fd, local.data(), local.size()) != 0) fail("cannot bind 127.0.0.2:7700");
  if (options.segment && setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof size) != 0)
    fail("no UDP_SEGMENT");
  return fd;
}

double now_s() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

unsigned send_train(int fd, const Options& options, std::uint8_t* data, unsigned count,
                    const dataplane::SocketAddress& to) {
  if (options.segment) {
    ssize_t n = ::sendto(fd, data, count * options.size, 0, to.data(), to.size());
    return n > 0 ? count : 0;
  }
  std::array<mmsghdr, 64> messages{};
  std::array<iovec, 64> pieces{};
  for (unsigned i = 0; i < count; ++i) {
    pieces[i] = {data + i * options.size, options.size};
    messages[i].msg_hdr.msg_name = const_cast<sockaddr*>(to.data());
    messages[i].msg_hdr.msg_namelen = to.size();
    messages[i].msg_hdr.msg_iov = &pieces[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  int n = ::sendmmsg(fd, messages.data(), count, 0);
  return n > 0 ? static_cast<unsigned>(n) : 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) fail("usage: forwarding_source SIZE SECONDS DECIDE HOPS PREFIXES [...]");
  Options options = parse(argc, argv);
  if (options.size < 60 || options.size > 8000 || options.workers < 1 || options.workers > 64)
    fail("bad size");
  if (options.core >= 0) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(static_cast<std::size_t>(options.core), &cores);
    (void)sched_setaffinity(0, sizeof cores, &cores);
  }
  crypto::init();
  Builder builder(options);
  int fd = open_socket(options);
  std::vector<dataplane::SocketAddress> to;
  for (unsigned w = 0; w < options.workers; ++w) {
    to.push_back(
        dataplane::SocketAddress::parse("127.0.0.1", static_cast<std::uint16_t>(options.port + w))
            .value());
  }
  unsigned per = std::clamp<unsigned>(static_cast<unsigned>(60000 / options.size), 1,
                                      std::clamp(options.train, 1U, 64U));
  std::vector<std::uint8_t> buffer(per * options.size, 'x');
  unsigned long long packets = 0, refused = 0;
  double start = now_s(), now = start;
  for (unsigned turn = 0; (now = now_s()) - start < options.seconds; ++turn) {
    unsigned worker = turn % options.workers;
    builder.train(buffer.data(), per, worker);
    unsigned sent = send_train(fd, options, buffer.data(), per, to[worker]);
    packets += sent;
    refused += sent == 0 ? 1 : 0;
  }
  std::printf("source packets=%llu refused=%llu kpps=%.1f\n", packets, refused,
              static_cast<double>(packets) / (now - start) / 1e3);
  ::close(fd);
  return 0;
}
