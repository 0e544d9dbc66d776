#include "spad/spa.hpp"

#include "spad/authentication_service.hpp"
#include "spad/topics.hpp"

namespace dmsc::spad {

Spa::Spa(runtime::Daemon& daemon, Config config)
    : daemon_(daemon),
      core_(daemon.io(), std::move(config), [this](std::string_view topic) { changed(topic); }),
      admin_(core_) {}

Result<std::unique_ptr<runtime::Service<Config>>> Spa::start(runtime::Daemon& daemon,
                                                             Config config) {
  std::unique_ptr<Spa> spa(new Spa(daemon, std::move(config)));
  daemon.inspect().add_admin_service(&spa->admin_);
  register_topics(daemon.inspect(), spa->core_);
  Status started = spa->core_.start();
  if (!started) return started.error();
  daemon.status_details([raw = spa.get()] { return status_of(raw->core_); });
  spa->export_metrics();
  spa->changed("status");
  return std::unique_ptr<runtime::Service<Config>>(std::move(spa));
}

void Spa::changed(std::string_view topic) {
  daemon_.inspect().notify_changed(topic);
  if (topic != "status") return;
  if (!core_.open()) return daemon_.status("waiting for " + core_.waiting_for());
  daemon_.status(std::string(core_.writer() ? "writer" : "read replica") + " of " +
                 core_.view().domain + " on port " + std::to_string(core_.port()));
  daemon_.ready();
}

void Spa::export_metrics() {
  auto& registry = daemon_.metrics().registry();
  auto& asked = prometheus::BuildGauge()
                    .Name("dmsc_spa_requests")
                    .Help("Authentication requests answered since the start, by outcome")
                    .Register(registry);
  auto& position = prometheus::BuildGauge()
                       .Name("dmsc_spa_journal_position")
                       .Help("Newest registry change applied")
                       .Register(registry)
                       .Add({});
  auto& followers = prometheus::BuildGauge()
                        .Name("dmsc_spa_followers")
                        .Help("Nodes that follow this SPA's signed state")
                        .Register(registry)
                        .Add({});
  daemon_.metrics().before_exposition([this, &asked, &position, &followers] {
    position.Set(static_cast<double>(core_.store().position()));
    if (!core_.open()) return;
    followers.Set(static_cast<double>(core_.authentication()->followers()));
    const Office::Counters& c = core_.office()->counters();
    asked.Add({{"outcome", "granted"}}).Set(static_cast<double>(c.granted));
    for (const auto& [code, count] : c.refused) {
      asked.Add({{"outcome", code}}).Set(static_cast<double>(count));
    }
  });
}

Result<std::string> Spa::reload(Config config) {
  return core_.reload(config);
}

void Spa::stop(runtime::StopReason, std::function<void()> done) { core_.stop(std::move(done)); }

}  // namespace dmsc::spad
