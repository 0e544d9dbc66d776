#include "scscd/service.hpp"

#include <nlohmann/json.hpp>

#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/enrol.hpp"
#include "dmsc/runtime/files.hpp"
#include "dmsc/runtime/log.hpp"
#include "scscd/center.hpp"
#include "scscd/topics.hpp"

namespace dmsc::scscd {
namespace {

namespace log = runtime::log;

// What enrolment told of the domain's trust; the LSDB brings everything newer.
Result<trust::TrustStore> trust_of(const runtime::Identity& identity) {
  auto store = trust::TrustStore::create(identity.domain_id, identity.root.der);
  if (!store) return store.error();
  store->heard_time(runtime::now(), identity.domain_time);
  std::vector<Bytes> objects = {identity.authority, identity.parameters};
  objects.insert(objects.end(), identity.revocations.begin(), identity.revocations.end());
  for (const Bytes& object : objects) {
    if (object.empty()) continue;
    if (auto learnt = store->learn_object(object); !learnt) {
      return with_context("enrolment", learnt.error());
    }
  }
  return store;
}

class CenterService : public runtime::Service<Config> {
 public:
  CenterService(runtime::Daemon& daemon, Config config, runtime::Identity identity,
                trust::TrustStore trust, History history, std::uint64_t epoch)
      : center_(daemon.io(), config, identity, std::move(trust), std::move(history), epoch),
        renewer_(daemon.io(), config.node.state_dir, identity,
                 [spas = config.spa.empty() ? identity.spas : config.spa] { return spas; },
                 [](const runtime::Identity&) { log::info("certificate-renewed"); }) {}

  Status start(runtime::Daemon& daemon) {
    if (Status s = center_.start(); !s) return s;
    register_topics(daemon.inspect(), center_);
    daemon.status_details([this] {
      return runtime::Json{{"epoch", center_.epoch()},
                           {"sessions", center_.sessions().size()},
                           {"nodes", center_.view().nodes().size()},
                           {"policies", policies()}};
    });
    daemon.status("serving");
    daemon.ready();
    return Ok{};
  }

  Result<std::string> reload(Config config) override { return center_.reload(std::move(config)); }

  // Nothing to drain: policies live out their time at the nodes.
  void stop(runtime::StopReason, std::function<void()> done) override {
    center_.stop();
    done();
  }

 private:
  std::size_t policies() const {
    std::size_t count = 0;
    for (const auto& [node, of_node] : center_.rollout().states()) count += of_node.size();
    return count;
  }

  Center center_;
  runtime::CertificateRenewer renewer_;
};

}  // namespace

Result<std::unique_ptr<runtime::Service<Config>>> start_service(runtime::Daemon& daemon,
                                                                Config config) {
  if (Status s = runtime::make_directory(config.node.state_dir); !s) return s.error();
  auto waiting = [&](const Error& error) {
    daemon.status("waiting for an SPA: " + error.message);
    log::warning("enrolment-waits", {{"reason", error}});
    return true;
  };
  auto identity = runtime::obtain_identity(config.node.state_dir, config.enrol, config.node.name,
                                           "scsc", waiting);
  if (!identity) return with_context("identity", identity.error());
  auto trust = trust_of(*identity);
  if (!trust) return with_context("identity", trust.error());
  auto history = History::open(config.node.state_dir + "/history.db");
  if (!history) return history.error();
  auto epoch = history->next_epoch();
  if (!epoch) return epoch.error();
  auto service = std::make_unique<CenterService>(daemon, std::move(config), std::move(*identity),
                                                 std::move(*trust), std::move(*history), *epoch);
  if (Status s = service->start(daemon); !s) return s.error();
  return std::unique_ptr<runtime::Service<Config>>(std::move(service));
}

}  // namespace dmsc::scscd
