// The configuration sections that several daemons share (docs/operations.md, "Configuration").
// Daemons read these with the functions below and their own sections with ConfigNode.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "dmsc/linkstate/engine.hpp"
#include "dmsc/runtime/config.hpp"
#include "dmsc/runtime/log.hpp"

namespace dmsc::runtime {

inline constexpr std::uint16_t kControlPort = 7401;  // UDP, link-state PDUs
inline constexpr std::uint16_t kDataPort = 7402;     // UDP, worker 0; worker n has kDataPort + n
inline constexpr std::uint16_t kSpaPort = 7410;      // gRPC
inline constexpr std::uint16_t kScscPort = 7420;     // gRPC

struct NodeSection {  // node:
  std::string name;   // as in the certificate; 1-63 of a-z 0-9 -
  std::string state_dir;
  std::string run_dir;
  friend bool operator==(const NodeSection&, const NodeSection&) = default;
};

struct EnrolSection {  // enrol:
  std::vector<Endpoint> spa;
  std::string token_file;  // empty = an identity must already be in state_dir
  friend bool operator==(const EnrolSection&, const EnrolSection&) = default;
};

struct LinkSection {                 // links[]: a point-to-point UDP neighbour
  std::string name;                  // unique on this node
  std::string peer;                  // node expected there; empty = any of the domain
  std::string interface;             // empty = whatever the route to the remote uses
  Endpoint local;                    // numeric
  Endpoint remote;                   // numeric or DNS name
  std::uint32_t metric = 10;         // 0 = auto, from measured delay
  std::uint64_t bandwidth_bps = 0;   // capacity; 0 = unknown
  std::optional<std::uint16_t> mtu;  // of control and data datagrams; none = the interface's
  linkstate::Liveness liveness;
  // Neighbours are found by multicast on `interface`, each over a link of its own with these settings;
  // `peer` and `remote` are empty, `local` may be: then the interface's first IPv4 or, with `ipv6`, its
  // link-local IPv6 address.
  bool discover = false;
  bool ipv6 = false;
  unsigned max_neighbours = 16;
};
// Same link in every respect that a reload can only change by closing and opening it.
bool same_endpoints(const LinkSection& a, const LinkSection& b);

enum class PayloadSecurity { sealed, none };
enum class UnsealedPolicy { refuse, by_name, accept };

struct DataplaneSection {  // dataplane:
  unsigned workers = 1;
  bool udp_segment = true;       // offloads:, each can be switched off at any time
  bool udp_gro = true;
  bool tun_tso = true;           // of gateways, which have TUN devices
  bool tun_uso = true;
  Duration busy_poll = microseconds(50);  // of gateways: longest look before a worker sleeps; 0 = none
  // Of gateways; a router passes on what it is given.
  PayloadSecurity security = PayloadSecurity::sealed;
  UnsealedPolicy unsealed = UnsealedPolicy::refuse;  // what is taken that is not sealed
};

struct LogSection {  // log:
  log::Level level = log::Level::info;
};

struct RecordSection {           // record: the inputs of the link-state engine, for dmsc-replay
  std::string file;              // empty = nothing is recorded
  std::uint64_t limit = 0;       // bytes
};

// Everything a router node (srd, sgd) has in common.
struct RouterConfig {
  NodeSection node;
  EnrolSection enrol;
  std::vector<LinkSection> links;
  DataplaneSection dataplane;
  std::vector<Endpoint> spa;  // overrides enrolment's answer
  std::vector<Endpoint> scsc;
  LogSection log;
  RecordSection record;
};

// Each takes the root of the document and reads its own section; errors go to the document.
// `daemon` gives the default directories, /var/lib/dmsc/DAEMON and /run/dmsc/DAEMON.
NodeSection read_node_section(const ConfigNode& root, std::string_view daemon);
EnrolSection read_enrol_section(const ConfigNode& root);
std::vector<LinkSection> read_links_section(const ConfigNode& root);
DataplaneSection read_dataplane_section(const ConfigNode& root, std::string_view daemon);
LogSection read_log_section(const ConfigNode& root);
RecordSection read_record_section(const ConfigNode& root);
RouterConfig read_router_config(const ConfigNode& root, std::string_view daemon);

}  // namespace dmsc::runtime
