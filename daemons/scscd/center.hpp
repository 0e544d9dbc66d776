// The scheduling center: sessions in, policies out (draft section 5-4). Owns the view, the decider and
// the rollout, all on the io_context's thread.
//
//   sessions ─► telemetry ─► Decider ─► Rollout ─► sessions
//        └────► LSDB events ─► DomainView ──┘          └─► History, events
#pragma once
#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "dmsc/runtime/daemon.hpp"
#include "dmsc/runtime/identity.hpp"
#include "scscd/config.hpp"
#include "scscd/decider.hpp"
#include "scscd/history.hpp"
#include "scscd/scheduling_server.hpp"

namespace dmsc::scscd {

struct SessionState {
  std::string name;
  Time opened{};
  Time last_report{};
  std::uint64_t reports = 0;
  std::uint64_t lsdb_events = 0;
  std::uint64_t lsdb_gaps = 0;
  std::uint64_t next_lsdb = 0;
  bool feed = false;            // subscribed to its LSDB
  std::map<Name, NameUse> uses;
};

class Center : public SessionEvents {
 public:
  static constexpr std::size_t kFeeds = 2;  // nodes whose LSDB events are followed

  Center(boost::asio::io_context& io, Config config, runtime::Identity identity,
         trust::TrustStore trust, History history, std::uint64_t epoch);

  Status start();
  void stop();
  Result<std::string> reload(Config config);

  void opened(NodeId node, const std::string& name, const std::vector<std::string>& held) override;
  void closed(NodeId node) override;
  void telemetry(NodeId node, const Telemetry& telemetry) override;
  void acknowledged(NodeId node, const std::string& id, std::uint64_t version, bool accepted,
                    const std::string& reason) override;
  void lsdb(NodeId node, DomainView::Event event, std::uint64_t sequence, ByteView lsa) override;
  Result<std::vector<PathCandidate>> compute_path(const std::string& from,
                                                  const Name& prefix) override;

  // Has every gateway with a session probe the instances of `prefix` now (draft 4.1, "on demand");
  // returns the gateways asked. Their answers come with their next reports.
  std::vector<NodeId> probe(const Name& prefix);

  // For show commands.
  const DomainView& view() const { return view_; }
  const Decider& decider() const { return decider_; }
  const Rollout& rollout() const { return rollout_; }
  const History& history() const { return history_; }
  const std::map<NodeId, SessionState>& sessions() const { return sessions_; }
  std::uint64_t epoch() const { return epoch_; }
  std::uint64_t bad_lsas() const { return bad_lsas_; }

 private:
  void tick();
  void record(const Decision& decision);
  void choose_feeds();
  void update_watches();

  boost::asio::io_context& io_;
  Config config_;
  runtime::Identity identity_;
  DomainView view_;
  Decider decider_;
  Rollout rollout_;
  History history_;
  std::uint64_t epoch_;
  SchedulingServer server_;
  boost::asio::steady_timer timer_;
  std::map<NodeId, SessionState> sessions_;
  std::map<NodeId, std::set<Name>> watches_;
  std::uint64_t bad_lsas_ = 0;
};

}  // namespace dmsc::scscd
