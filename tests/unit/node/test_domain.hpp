// A domain of real nodes in one process: root and issuer keys, certificates, loopback links.
#pragma once
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "dmsc/node/node.hpp"
#include "dmsc/wire/signed_objects.hpp"
#include "dmsc/wire/spa_lsa.hpp"

namespace dmsc::node::test {

inline constexpr DomainId kDomain{4711};
inline constexpr DomainTime kNow{1'800'000'000};

struct Authority {
  Authority();
  NodeIdentity identity(const std::string& name, std::uint32_t id, const std::string& role) const;
  Bytes grant(std::uint32_t gateway, const std::string& subtree, std::uint8_t depth,
              std::vector<std::string> pools = {}, std::uint64_t serial = 1,
              std::uint64_t valid_s = 3600) const;
  Bytes revocation(std::uint64_t serial, std::vector<std::uint64_t> grant_serials,
                   std::vector<wire::Revocation::NodeRef> nodes = {}) const;
  crypto::SigningKey root_key, issuer_key;
  Bytes root, authority_object;
  crypto::KeyChain link_keys;
};

// Records what reaches its node's pods; answers nothing.
struct RecordingSink : dataplane::LocalSink {
  struct Packet {
    wire::PacketKind kind{};
    std::string destination, payload;
    std::vector<NodeId> hops;
    std::optional<wire::ErrorCode> error;
  };
  void deliver(wire::ServicePacket& packet, LinkId from) override;
  std::optional<dataplane::ProbeHealth> probe_health(const wire::ServicePacket&) override {
    return dataplane::ProbeHealth{dataplane::Health::healthy, 0};
  }
  std::vector<Packet> packets();
  std::mutex mutex;
  std::vector<Packet> got;
};

struct TestNode {
  TestNode(boost::asio::io_context& io, NodeSettings settings, NodeIdentity identity);
  ~TestNode();
  forwarding::Verdict send(const wire::ServicePacketSpec& spec, std::string_view payload);
  Json show(const std::string& topic, const std::vector<std::string>& arguments = {});
  RecordingSink sink;
  boost::asio::io_context& io;
  std::unique_ptr<Node> node;
};

// Nodes at loopback addresses ending in .1, .2, ... on one io_context that the test runs by run_until().
class TestDomain {
 public:
  // `links`: pairs of node ids.
  TestDomain(std::vector<std::pair<std::string, std::string>> names_and_roles,
             std::vector<std::pair<std::uint32_t, std::uint32_t>> links);
  // Restarts are new nodes with the same identity and, if given, state directory.
  void start(std::uint32_t id, const std::string& state_dir = "");
  void kill(std::uint32_t id) { nodes[id].reset(); }
  TestNode& operator[](std::uint32_t id) { return *nodes.at(id); }
  NodeSettings settings(std::uint32_t id) const;
  // Runs the control plane until `condition`; false after ten seconds.
  bool run_until(const std::function<bool()>& condition);
  void run_for(Duration time);
  // Every node has `n` adjacencies and has run SPF over all of them.
  bool converged();

  Authority authority;
  boost::asio::io_context io;
  std::map<std::uint32_t, std::unique_ptr<TestNode>> nodes;

 private:
  std::vector<std::pair<std::string, std::string>> names_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> links_;
  std::uint16_t base_port_;
};

wire::PrefixEntry prefix(const std::string& name, std::uint16_t instance = 1);

}  // namespace dmsc::node::test
