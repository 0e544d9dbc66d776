// The gRPC side of signalling 4: sessions of nodes over mutual TLS. gRPC threads only translate and
// post; every SessionEvents call comes on the io_context's thread.
#pragma once
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dmsc/measure/quality.hpp"
#include "scscd/domain_view.hpp"
#include "scscd/rollout.hpp"

namespace dmsc::scscd {

struct LinkTelemetry {
  std::uint32_t link = 0;
  NodeId neighbour;
  bool usable = false;
  measure::Quality quality;
};
struct InstanceTelemetry {
  Name prefix;
  routing::Instance instance;
  measure::Quality quality;
};
struct NameUse {
  Name prefix;
  std::uint64_t calls = 0, bytes = 0;
};
struct Telemetry {
  std::uint64_t sequence = 0;
  std::vector<LinkTelemetry> links;
  std::vector<InstanceTelemetry> instances;
  std::vector<NameUse> uses;
};

// One answer to ComputePath.
struct PathCandidate {
  std::string egress;
  std::uint32_t instance = 0;
  std::vector<std::string> path;
  std::uint32_t metric = 0;
  measure::Quality quality;
  std::string note;
};

class SessionEvents {
 public:
  virtual ~SessionEvents() = default;
  // A node opened a session; one of the same node that was open is closed first.
  virtual void opened(NodeId node, const std::string& name, const std::vector<std::string>& held) = 0;
  virtual void closed(NodeId node) = 0;
  virtual void telemetry(NodeId node, const Telemetry& telemetry) = 0;
  virtual void acknowledged(NodeId node, const std::string& id, std::uint64_t version,
                            bool accepted, const std::string& reason) = 0;
  virtual void lsdb(NodeId node, DomainView::Event event, std::uint64_t sequence, ByteView lsa) = 0;
  virtual Result<std::vector<PathCandidate>> compute_path(const std::string& from,
                                                          const Name& prefix) = 0;
};

class SchedulingServer {
 public:
  SchedulingServer(boost::asio::io_context& io, SessionEvents& events, std::uint64_t epoch,
                   std::string center, std::uint32_t report_interval_ms);
  ~SchedulingServer();

  // Binds `address` ("0.0.0.0:7420") with mutual TLS under the identity in `state_dir`, for nodes of
  // `domain`.
  Status start(const std::string& address, const std::string& state_dir,
               const std::string& domain);
  // Ends all sessions; no event comes afterwards. On the io_context's thread.
  void stop();

  // To an open session; false if the node has none. On the io_context's thread.
  bool send(const Outgoing& outgoing);
  bool subscribe(NodeId node, bool on);
  bool watch(NodeId node, const std::vector<Name>& prefixes);
  bool probe(NodeId node, const Name& prefix);

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace dmsc::scscd
