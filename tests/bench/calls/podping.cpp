// Calls by the client library.
//   calls_podping serve SOCKET_DIR PREFIX                        echoes until SIGTERM
//   calls_podping ping SOCKET_DIR NAME SIZE COUNT [OUTSTANDING]  one at a time, or so many at once
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "dmsc/client/gateway.hpp"
#include "rounds.hpp"

using namespace dmsc;

namespace {

int serve(const char* directory, const char* prefix) {
  client::Options options;
  options.socket_dir = directory;
  options.client = "podping";
  client::Gateway gateway(options);
  gateway.serve(prefix, [](const client::Request& r) -> Result<Bytes> { return r.payload; });
  gateway.announce({.prefix = prefix});
  auto granted = gateway.wait_granted(prefix, seconds(20));
  if (!granted) {
    std::fprintf(stderr, "%s\n", granted.error().message.c_str());
    return 1;
  }
  std::puts("ready");
  std::fflush(stdout);
  wait_for_term();
  return 0;
}

int one_at_a_time(client::Gateway& gateway, const char* name, const Bytes& payload,
                  std::size_t count) {
  Rounds rounds(count);
  const std::uint64_t began = now_ns();
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t sent = now_ns();
    auto reply = gateway.call(name, payload);
    if (!reply || reply->payload != payload) {
      std::fprintf(stderr, "call %zu: %s\n", i,
                   reply ? "another payload" : reply.error().message.c_str());
      return 1;
    }
    rounds.add(sent, now_ns());
  }
  return rounds.print(began);
}

// Every answer asks for the next one, so that `outstanding` are always under way.
class Pipeline {
 public:
  Pipeline(client::Gateway& gateway, const char* name, const Bytes& payload, std::size_t count)
      : gateway_(gateway), name_(name), payload_(payload), count_(count), rounds_(count) {}

  int run(std::size_t outstanding) {
    const std::uint64_t began = now_ns();
    for (std::size_t i = 0; i < outstanding; ++i) next();
    std::unique_lock lock(mutex_);
    over_.wait(lock, [this] { return ended_ == count_; });
    if (failed_ > 0) std::fprintf(stderr, "%zu calls failed: %s\n", failed_, why_.c_str());
    return failed_ > 0 ? 1 : rounds_.print(began);
  }

 private:
  void next() {
    if (started_.fetch_add(1) >= count_) return;
    client::CallOptions options;
    gateway_.call_async(name_, payload_, options, [this, sent = now_ns()](Result<client::Reply> reply) {
      done(sent, reply);
    });
  }
  void done(std::uint64_t sent, const Result<client::Reply>& reply) {
    next();
    std::lock_guard lock(mutex_);
    if (reply) {
      rounds_.add(sent, now_ns());
    } else {
      why_ = reply.error().message;
      ++failed_;
    }
    if (++ended_ == count_) over_.notify_one();
  }

  client::Gateway& gateway_;
  const char* name_;
  const Bytes& payload_;
  const std::size_t count_;
  std::atomic<std::size_t> started_{0};
  std::mutex mutex_;
  std::condition_variable over_;
  Rounds rounds_;
  std::size_t ended_ = 0, failed_ = 0;
  std::string why_;
};

}  // namespace

int main(int argc, char** argv) {
  block_term();
  if (argc == 4 && std::strcmp(argv[1], "serve") == 0) return serve(argv[2], argv[3]);
  if (argc < 6 || std::strcmp(argv[1], "ping") != 0) {
    std::fprintf(stderr, "usage: calls_podping serve DIR PREFIX | ping DIR NAME SIZE COUNT [OUTSTANDING]\n");
    return 2;
  }
  client::Options options;
  options.socket_dir = argv[2];
  options.client = "podping";
  options.announces = false;
  client::Gateway gateway(options);
  const Bytes payload(static_cast<std::size_t>(std::atoi(argv[4])), 'x');
  const auto count = static_cast<std::size_t>(std::atoi(argv[5]));
  const auto outstanding = static_cast<std::size_t>(argc > 6 ? std::atoi(argv[6]) : 1);
  if (outstanding <= 1) return one_at_a_time(gateway, argv[3], payload, count);
  return Pipeline(gateway, argv[3], payload, count).run(outstanding);
}
