// Folders, keys and whole SPAs in one process for the tests of spad.
#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <filesystem>
#include <future>
#include <thread>

#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/files.hpp"
#include "dmsc/runtime/log.hpp"
#include "spad/core.hpp"

namespace dmsc::test {

struct Folder {
  std::string path;
  Folder() {
    char name[] = "/tmp/dmsc-spad-XXXXXX";
    path = mkdtemp(name);
  }
  Folder(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file(const std::string& name) const { return path + "/" + name; }
};

inline crypto::SigningKey key_of(std::uint8_t fill) {
  crypto::Key32 seed;
  seed.fill(fill);
  return crypto::SigningKey(seed);
}

// Figure 2's registry in small: two gateways, a router, two SPAs, a scheduling center.
inline const char* kRegistry = R"(
nodes:
  - {name: sr-1, role: sr, token_file: TOKENS/sr-1}
  - {name: sg-1, role: sg, token_file: TOKENS/sg-1, nearest_spa: spa-2}
  - {name: sg-4, role: sg, token_file: TOKENS/sg-4}
  - {name: spa-2, role: spa, address: "192.0.2.2:7410", token_file: TOKENS/spa-2}
  - {name: scsc-1, role: scsc, address: "192.0.2.9:7420", token_file: TOKENS/scsc-1}
pools: [A, B]
prefixes:
  - {subtree: A/1, owner: "pod:pod-1@sg-1"}
  - {subtree: B/1, owner: "pod:pod-1@sg-1"}
  - {subtree: B/4, owner: "pod:pod-4@sg-4"}
  - {subtree: shop, owner: "unit:shop.service", depth: 2, covering: true}
)";

// A Core with an io_context and a thread of its own.
class Spa {
 public:
  explicit Spa(spad::Config config)
      : core_(std::make_unique<spad::Core>(io_, std::move(config), [](std::string_view) {})) {
    runtime::log::set_level(runtime::log::Level::error);
  }
  ~Spa() { stop(); }

  Status start() {
    Status started = core_->start();
    thread_ = std::thread([this] { io_.run(); });
    return started;
  }
  void stop() {
    if (!thread_.joinable()) return;
    std::promise<void> stopped;
    boost::asio::post(io_, [&] { core_->stop([&] { stopped.set_value(); }); });
    stopped.get_future().wait();
    core_.reset();
    work_.reset();
    io_.stop();
    thread_.join();
  }
  // Runs `f(core)` on the SPA's thread.
  template <class F>
  auto on(F f) -> decltype(f(std::declval<spad::Core&>())) {
    std::promise<decltype(f(*core_))> result;
    boost::asio::post(io_, [&] { result.set_value(f(*core_)); });
    return result.get_future().get();
  }
  // Polls `f(core)` until it is true; gives up after 20 s.
  template <class F>
  bool becomes(F f) {
    for (int i = 0; i < 2000; ++i) {
      if (on([&](spad::Core& c) { return bool(f(c)); })) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  runtime::Endpoint endpoint() {
    int port = on([](spad::Core& c) { return c.port(); });
    return {"127.0.0.1", static_cast<std::uint16_t>(port)};
  }

 private:
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
  std::unique_ptr<spad::Core> core_;
  std::thread thread_;
};

inline spad::Config writer_config(const Folder& folder) {
  spad::Config c;
  c.node = {"spa-1", folder.file("spa-1"), folder.file("run")};
  c.domain = "fig2.dmsc";
  c.listen = {"127.0.0.1", 0};
  c.advertise = {"192.0.2.1", 7410};
  c.registry_file = folder.file("registry.yaml");
  std::string text = kRegistry;
  for (std::size_t at; (at = text.find("TOKENS")) != text.npos;) {
    text.replace(at, 6, folder.file("tokens"));
  }
  (void)runtime::write_file_atomically(c.registry_file, text);
  return c;
}

}  // namespace dmsc::test
