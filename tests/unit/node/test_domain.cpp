#include "tests/unit/node/test_domain.hpp"

#include <unistd.h>

#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include "dmsc/trust/certificate.hpp"

namespace dmsc::node::test {
namespace {

crypto::Key32 seed(std::uint8_t n) {
  crypto::Key32 out{};
  out.fill(n);
  return out;
}
constexpr DomainTime kBefore{kNow.seconds - 86400}, kAfter{kNow.seconds + 10 * 365 * 86400};
constexpr std::uint32_t kIssuer = 1;

// Loopback addresses of this process's own, so that test programs run side by side.
std::string address(std::uint32_t node) {
  auto pid = static_cast<unsigned>(::getpid());
  return "127." + std::to_string(pid >> 8 & 127) + "." + std::to_string(pid & 255) + "." +
         std::to_string(node);
}

}  // namespace

Authority::Authority() : root_key(seed(100)), issuer_key(seed(101)) {
  root = *trust::issue_root("test.dmsc", root_key, kBefore, kAfter);
  wire::Authority object;
  object.header = {kDomain, 0, 1, kNow};
  object.issuers.push_back({kIssuer, "spa-1", issuer_key.public_key(), kAfter});
  authority_object = wire::sign(object, root_key);
  link_keys.add(1, seed(50));
  link_keys.set_active(1);
}

NodeIdentity Authority::identity(const std::string& name, std::uint32_t id,
                                 const std::string& role) const {
  NodeIdentity out;
  out.name = name;
  out.id = NodeId{id};
  out.domain = "test.dmsc";
  out.domain_id = kDomain;
  out.role = role == "sg" ? wire::NodeRole::gateway : wire::NodeRole::router;
  out.key_seed = seed(static_cast<std::uint8_t>(id));
  trust::CertificateRequest request;
  request.domain = out.domain;
  request.role = role;
  request.name = name;
  request.node = out.id;
  request.key = crypto::SigningKey(out.key_seed).public_key();
  request.serial = id;
  request.not_before = kBefore;
  request.not_after = kAfter;
  out.certificate = *trust::issue_certificate(request, root_key, *trust::parse_certificate(root));
  out.root = root;
  out.link_keys = link_keys;
  out.signed_objects = {authority_object};
  out.domain_time = kNow;
  return out;
}

Bytes Authority::grant(std::uint32_t gateway, const std::string& subtree, std::uint8_t depth,
                       std::vector<std::string> pools, std::uint64_t serial,
                       std::uint64_t valid_s) const {
  wire::Grant grant;
  grant.header = {kDomain, kIssuer, serial, kNow};
  grant.node = NodeId{gateway};
  grant.identity = "uid:0";
  grant.subtree = *Name::parse(subtree);
  grant.depth = depth;
  for (const std::string& pool : pools) grant.pools.push_back(*Name::parse(pool));
  grant.valid_until = kNow + valid_s;
  return wire::sign(grant, issuer_key);
}

Bytes Authority::revocation(std::uint64_t serial, std::vector<std::uint64_t> grant_serials,
                            std::vector<wire::Revocation::NodeRef> revoked_nodes) const {
  wire::Revocation object;
  object.header = {kDomain, kIssuer, serial, kNow};
  for (std::uint64_t s : grant_serials) object.grants.push_back({kIssuer, s});
  object.nodes = std::move(revoked_nodes);
  return wire::sign(object, issuer_key);
}

void RecordingSink::deliver(wire::ServicePacket& packet, LinkId) {
  Packet p{packet.kind(), std::string(packet.destination()), std::string(as_text(packet.payload())),
           packet.recorded_hops(), std::nullopt};
  if (auto tlv = packet.tlv(wire::HeaderTlv::error)) {
    p.error = static_cast<wire::ErrorCode>(ByteReader(*tlv).u16());
  }
  std::lock_guard lock(mutex);
  got.push_back(std::move(p));
}

std::vector<RecordingSink::Packet> RecordingSink::packets() {
  std::lock_guard lock(mutex);
  return got;
}

TestNode::TestNode(boost::asio::io_context& context, NodeSettings settings, NodeIdentity identity)
    : io(context) {
  auto made = Node::create(io, std::move(settings), std::move(identity));
  if (!made) FAIL(made.error().message);
  node = std::move(*made);
  auto started = node->start();
  if (!started) FAIL(started.error().message);
  for (dataplane::Worker* worker : node->workers()) {
    worker->post([this, worker] { worker->set_sink(&sink); });
  }
}

TestNode::~TestNode() { node.reset(); }

forwarding::Verdict TestNode::send(const wire::ServicePacketSpec& spec, std::string_view payload) {
  std::promise<forwarding::Verdict> verdict;
  dataplane::Worker* worker = node->workers()[0];
  worker->post([&] {
    auto packet = wire::build_service_packet(spec, as_bytes(payload));
    verdict.set_value(packet.ok() ? worker->originate(*packet) : forwarding::Verdict{});
  });
  return verdict.get_future().get();
}

Json TestNode::show(const std::string& topic, const std::vector<std::string>& arguments) {
  const TopicHandler* handler = node->topic(topic);
  REQUIRE(handler != nullptr);
  std::optional<Result<Json>> answer;
  (*handler)(arguments, [&](Result<Json> r) { answer.emplace(std::move(r)); });
  while (!answer) io.run_one_for(std::chrono::milliseconds(100));
  if (!answer->ok()) return Json{{"error", answer->error().message}};
  return **answer;
}

TestDomain::TestDomain(std::vector<std::pair<std::string, std::string>> names_and_roles,
                       std::vector<std::pair<std::uint32_t, std::uint32_t>> links)
    : names_(std::move(names_and_roles)), links_(std::move(links)),
      base_port_(7401) {
  crypto::init();
  for (std::uint32_t id = 1; id <= names_.size(); ++id) start(id);
}

// Each link has a port of its own at both ends, so that one address per node serves all its links.
NodeSettings TestDomain::settings(std::uint32_t id) const {
  NodeSettings out;
  out.no_transit = names_[id - 1].second == "sg";
  for (std::size_t i = 0; i < links_.size(); ++i) {
    auto [a, b] = links_[i];
    if (a != id && b != id) continue;
    std::uint32_t other = a == id ? b : a;
    LinkSettings link;
    link.name = "to-" + names_[other - 1].first;
    link.peer = names_[other - 1].first;
    link.local = address(id);
    link.remote = address(other);
    link.local_port = link.remote_port = static_cast<std::uint16_t>(base_port_ + 10 * i);
    link.liveness = {milliseconds(100), 10};  // a loaded machine must not look like a lost neighbour
    out.links.push_back(link);
  }
  return out;
}

void TestDomain::start(std::uint32_t id, const std::string& state_dir) {
  NodeSettings s = settings(id);
  s.state_dir = state_dir;
  nodes[id] = std::make_unique<TestNode>(
      io, s, authority.identity(names_[id - 1].first, id, names_[id - 1].second));
}

bool TestDomain::run_until(const std::function<bool()>& condition) {
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    io.run_one_for(std::chrono::milliseconds(20));
    io.restart();
  }
  return condition();
}

void TestDomain::run_for(Duration time) {
  auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
    io.run_one_for(std::chrono::milliseconds(5));
    io.restart();
  }
}

bool TestDomain::converged() {
  return run_until([&] {
    for (auto& [id, from] : nodes) {
      if (!from) continue;
      for (auto& [other, to] : nodes) {
        if (!to) continue;
        if (!from->node->rib().destination(NodeId{other})) return false;
      }
    }
    return true;
  });
}

wire::PrefixEntry prefix(const std::string& name, std::uint16_t instance) {
  wire::PrefixEntry entry;
  entry.name = *Name::parse(name);
  entry.instances.push_back({InstanceId{instance}, 100});
  return entry;
}

}  // namespace dmsc::node::test
