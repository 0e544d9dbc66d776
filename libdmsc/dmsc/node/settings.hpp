// What a node is told by its configuration and its identity. The daemons fill it from YAML and the
// identity folder; tests fill it by hand.
#pragma once
#include <string>
#include <vector>

#include "dmsc/crypto/key_chain.hpp"
#include "dmsc/dataplane/offloads.hpp"
#include "dmsc/linkstate/engine.hpp"

namespace dmsc::node {

// A point-to-point UDP neighbour.
struct LinkSettings {
  std::string name;                 // unique on this node
  std::string peer;                 // the node expected there; empty = any of the domain
  std::string interface;            // its loss takes the link down at once; may be empty
  std::string local;                // numeric address of this end
  std::uint16_t local_port = 7401;  // control; data ports follow it
  std::string remote;               // address or DNS name
  std::uint16_t remote_port = 7401;
  std::uint32_t metric = 10;        // 0 = from measured delay
  std::uint64_t capacity_bps = 0;   // 0 = unknown
  linkstate::Liveness liveness;
  std::uint16_t mtu = 1400;         // largest UDP payload the underlay carries
  friend bool operator==(const LinkSettings& a, const LinkSettings& b);
};

// Neighbours found by multicast on an interface. For each there is a link named NAME.NEIGHBOUR.
struct FinderSettings {
  std::string name;                 // unique among links and finders
  std::string interface;
  std::string local;                // numeric; empty = the interface's first IPv4, or link-local IPv6
  std::uint16_t local_port = 7401;  // control, of this end; the others tell theirs
  bool ipv6 = false;                // the family of `local` and of the group
  std::size_t max_neighbours = 16;
  LinkSettings link;                // metric, capacity, liveness, mtu of the links made
  friend bool operator==(const FinderSettings& a, const FinderSettings& b);
};

// An SPA this node may ask, nearest first.
struct ServiceTarget {
  std::string host;
  std::uint16_t port = 0;
  friend bool operator==(const ServiceTarget&, const ServiceTarget&) = default;
};

// Who this node is: from its enrolment. All of it is verified by TrustStore::create and Node::create.
struct NodeIdentity {
  std::string name;
  NodeId id;
  std::string domain;               // "fig2.dmsc"
  DomainId domain_id;
  wire::NodeRole role = wire::NodeRole::router;
  crypto::Key32 key_seed{};
  Bytes certificate;                // DER
  Bytes root;                       // DER
  crypto::KeyChain link_keys;       // as of enrolment; the SPA's stream updates it
  std::vector<Bytes> signed_objects;  // authority, parameters, revocations known at enrolment
  DomainTime domain_time;           // as of enrolment
};

// A record of the engine's inputs, from the start of the process on.
struct RecordSettings {
  std::string file;                 // empty = none
  std::uint64_t limit = 1ULL << 30; // bytes
  friend bool operator==(const RecordSettings&, const RecordSettings&) = default;
};

struct NodeSettings {
  std::string daemon = "srd";       // in inspect replies and logs
  std::string state_dir;            // LSA epoch, SPA objects, drain state; empty = keep nothing
  bool no_transit = false;          // gateways
  unsigned workers = 1;
  dataplane::Offloads offloads;
  Duration busy_poll = microseconds(50);  // longest look of a gateway's worker before it sleeps; 0 = none
  std::vector<LinkSettings> links;
  std::vector<FinderSettings> finders;
  std::vector<ServiceTarget> spas;  // empty = no SPA agent
  // How long the first synchronisation may take before the node is ready without it.
  Duration ready_after = seconds(10);
  RecordSettings record;
};

}  // namespace dmsc::node
