// A node that records what a gateway asks of it and answers as the test says: for what stands on
// node::Node without sockets, links or an SPA. Whatever a test has no use for ends the program.
#pragma once
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdlib>

#include "dmsc/node/node.hpp"
#include "dmsc/runtime/clock.hpp"
#include "tests/unit/trust/domain.hpp"

namespace dmsc::test {

class FakeNode : public node::Node {
 public:
  explicit FakeNode(const Domain& domain) : store(domain.store()), domain_now(domain.now) {
    self.id = NodeId{4};
    self.name = "sg-4";
    self.domain = "fig2.dmsc";
  }

  // Runs the io_context until `condition`; false after ten seconds.
  bool run_until(const std::function<bool()>& condition) {
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition() && std::chrono::steady_clock::now() < end) {
      context.run_one_for(std::chrono::milliseconds(20));
      context.restart();
    }
    return condition();
  }

  struct Question {
    node::AuthenticationRequest request;
    std::function<void(Result<node::AuthenticationAnswer>)> done;
  };
  boost::asio::io_context context;
  node::NodeIdentity self;
  trust::TrustStore store;
  DomainTime domain_now;
  std::vector<Question> questions;
  std::vector<wire::PrefixEntry> prefixes;
  std::vector<Bytes> grants;
  std::vector<std::string> told;  // "grants 1", "prefixes 2": in order
  std::map<node::ListenerId, std::function<void()>> trust_listeners;
  std::map<node::ListenerId, std::function<void(const node::LsdbEvent&)>> lsdb_listeners;
  std::size_t listeners = 0;

  // ---- used
  void set_prefixes(std::vector<wire::PrefixEntry> entries) override {
    prefixes = std::move(entries);
    told.push_back("prefixes " + std::to_string(prefixes.size()));
  }
  void set_grants(std::vector<Bytes> signed_grants) override {
    grants = std::move(signed_grants);
    told.push_back("grants " + std::to_string(grants.size()));
  }
  void authenticate(node::AuthenticationRequest request, Duration,
                    std::function<void(Result<node::AuthenticationAnswer>)> done) override {
    questions.push_back({std::move(request), std::move(done)});
  }
  node::ListenerId subscribe_lsdb(std::function<void(const node::LsdbEvent&)> f) override {
    lsdb_listeners[++listeners] = std::move(f);
    return listeners;
  }
  node::ListenerId on_trust(std::function<void()> f) override {
    trust_listeners[++listeners] = std::move(f);
    return listeners;
  }
  void remove_listener(node::ListenerId id) override {
    trust_listeners.erase(id);
    lsdb_listeners.erase(id);
  }
  const node::NodeIdentity& identity() const override { return self; }
  const trust::TrustStore& trust() const override { return store; }
  DomainTime domain_time() const override { return domain_now; }
  Time now() const override { return runtime::now(); }
  boost::asio::io_context& io() override { return context; }

  // ---- not used
  Status start() override { std::abort(); }
  void when_ready(std::function<void()>) override { std::abort(); }
  std::string waiting_for() const override { std::abort(); }
  Status reload(node::NodeSettings) override { std::abort(); }
  void drain(const node::DrainOrder&, std::function<void(Status)>) override { std::abort(); }
  const node::DrainState& drains() const override { std::abort(); }
  bool draining() const override { std::abort(); }
  void renew(node::NodeIdentity, node::SpaChannelFactory) override { std::abort(); }
  void stop(bool, std::function<void()>) override { std::abort(); }
  std::string connected_spa() const override { std::abort(); }
  node::ListenerId on_adjacency(std::function<void(const node::AdjacencyEvent&)>) override {
    std::abort();
  }
  node::ListenerId on_route(std::function<void(const Name&)>) override { std::abort(); }
  node::ListenerId on_path_mtus(
      std::function<void(const routing::PathMtuTablePtr&)>) override {
    std::abort();
  }
  Status set_metric_bias(LinkId, std::uint32_t) override { std::abort(); }
  void set_weights(const routing::WeightPolicy&) override { std::abort(); }
  void clear_weights(const Name&) override { std::abort(); }
  Status set_label(PathLabel, NodeId, NodeId) override { std::abort(); }
  void remove_label(PathLabel) override { std::abort(); }
  void set_path(const Name&, NodeId, PathLabel, std::vector<NodeId>) override { std::abort(); }
  void clear_path(const Name&, NodeId) override { std::abort(); }
  std::vector<node::LinkQuality> link_quality() const override { std::abort(); }
  const node::NodeSettings& settings() const override { std::abort(); }
  linkstate::Engine& engine() override { std::abort(); }
  const routing::Topology& topology() const override { std::abort(); }
  const routing::Rib& rib() const override { std::abort(); }
  dataplane::DataPlane& data_plane() override { std::abort(); }
  std::vector<dataplane::Worker*> workers() override { std::abort(); }
  std::string name_of(NodeId) const override { std::abort(); }
  NodeId find_node(const std::string&) const override { std::abort(); }
  void register_topic(const std::string&, node::TopicHandler) override { std::abort(); }
  const node::TopicHandler* topic(const std::string&) const override { std::abort(); }
  std::vector<std::string> topics() const override { std::abort(); }
  node::Json status() const override { std::abort(); }
  void attach_inspect(runtime::InspectServer*) override { std::abort(); }
};

}  // namespace dmsc::test
