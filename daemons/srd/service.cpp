#include "srd/service.hpp"

#include "dmsc/node/router.hpp"

namespace dmsc::srd {
namespace {

class RouterService final : public runtime::Service<Config> {
 public:
  explicit RouterService(std::unique_ptr<node::Router> router) : router_(std::move(router)) {}
  Result<std::string> reload(Config config) override { return router_->reload(config); }
  void stop(runtime::StopReason reason, std::function<void()> done) override {
    router_->stop(reason, std::move(done));
  }
  void drain(const runtime::DrainOrder& order, runtime::AdminHandlers::Done done) override {
    router_->drain(order, std::move(done));
  }
  void undrain(const std::string& link, runtime::AdminHandlers::Done done) override {
    router_->undrain(link, std::move(done));
  }

 private:
  std::unique_ptr<node::Router> router_;
};

}  // namespace

Result<std::unique_ptr<runtime::Service<Config>>> start_service(runtime::Daemon& daemon,
                                                                Config config) {
  auto router = node::Router::open(daemon, config, "sr", "srd");
  if (!router) return router.error();
  auto started = (*router)->start(nullptr);
  if (!started) return started.error();
  return std::unique_ptr<runtime::Service<Config>>(
      std::make_unique<RouterService>(std::move(*router)));
}

}  // namespace dmsc::srd
