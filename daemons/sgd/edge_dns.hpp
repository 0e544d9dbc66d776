// DNS as the edge speaks it (RFC 1035, 2308, 3596, 6891, 8020): a strict parser of queries, a builder
// of answers, and the zone that turns names into virtual addresses. Pure: no sockets.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dmsc/core/bytes.hpp"
#include "dmsc/name/name.hpp"
#include "dmsc/wire/service_port.hpp"
#include "sgd/edge_ipv6.hpp"
#include "sgd/edge_virtual.hpp"

namespace dmsc::sgd::dns {

enum class Rcode : std::uint8_t {
  no_error = 0, format_error = 1, server_failure = 2, name_error = 3, not_implemented = 4,
  refused = 5, bad_version = 16,
};
inline constexpr std::uint16_t kTypeA = 1, kTypeSoa = 6, kTypePtr = 12, kTypeAaaa = 28,
                               kTypeSrv = 33, kTypeOpt = 41, kTypeAny = 255, kClassIn = 1;
inline constexpr std::uint16_t kUdpPayload = 1232;  // what we offer with EDNS
inline constexpr std::size_t kMaxServices = 64;     // SRV records of one answer

struct Query {
  std::uint16_t id = 0;
  bool recursion_desired = false, checking_disabled = false;
  // Dotted, in the query's own case, without the last dot; a '.' or '\' inside a label, and bytes
  // outside 33-126, are escaped as \DDD, so that they never pass for a separator.
  std::string name;
  std::uint16_t type = 0, klass = 0;
  Bytes question;              // as it came, for the answer
  bool edns = false;
  std::uint16_t udp_payload = 512;
};
// What to do with a datagram: answer `query`, answer with an error, or nothing (no header, or itself
// an answer).
struct Parsed {
  bool drop = false;
  Rcode rcode = Rcode::no_error;
  std::uint8_t opcode = 0;
  Query query;
};
Parsed parse_query(ByteView message);

struct Answer {
  Rcode rcode = Rcode::no_error;
  bool authoritative = false;
  std::optional<Ipv4> address;
  std::optional<Ipv6> address6;
  std::string pointer;         // PTR
  // SRV (RFC 2782): all with priority 0 and this target, whose addresses are told besides.
  struct Service {
    std::uint16_t weight = 0, port = 0;
    friend bool operator==(const Service&, const Service&) = default;
  };
  std::vector<Service> services;
  std::string target;
  bool soa_answer = false;     // the question was for the SOA
  bool soa_authority = false;  // negative answer: how long to remember it
  std::uint32_t ttl = 0;
};
// At most `limit` bytes (512 at least): what is additional is left out first, then all records, with the TC
// bit set (RFC 2181 9), so that who asks comes again by TCP.
Bytes build_answer(const Query& query, const Answer& answer, std::string_view zone,
                   bool recursion_available, std::size_t limit = 65535);
// What may be sent by UDP in answer to it (RFC 6891 6.2.5).
std::size_t udp_limit(const Query& query);
// For parse errors: header alone (and the question if it was readable).
Bytes build_error(const Parsed& parsed);
// Text to wire labels; only for names we made ourselves or checked (labels 1-63 bytes).
Bytes encode_name(std::string_view dotted);

// Prefixes of the RIB for case-insensitive look-up.
class Directory {
 public:
  void set(const Name& prefix, bool covering);
  void remove(const Name& prefix);
  // Of a known prefix; of any other nothing is kept.
  void set_ports(const Name& prefix, std::vector<wire::ServicePort> ports);
  // Of the prefix that `name` (as resolve() gives it) is or lies below.
  std::vector<wire::ServicePort> ports(const Name& name) const;
  bool holds(const Name& query) const { return prefixes_.count(query.folded()) != 0; }
  // The canonical name a query stands for: exact, else below the longest covering prefix.
  std::optional<Name> resolve(const Name& query) const;
  // True if a known prefix lies below: an empty non-terminal, no NXDOMAIN (RFC 8020).
  bool has_below(const Name& query) const;
  std::size_t size() const { return prefixes_.size(); }

 private:
  struct Entry {
    Name canonical;
    bool covering = false;
    std::unique_ptr<const std::vector<wire::ServicePort>> ports;  // null: none
  };
  const Entry* find(const Name& query) const;
  std::map<std::string, Entry> prefixes_;  // by folded text
};

class Zone {
 public:
  // `addresses` and `directory` outlive it. `zone` in lower case without a last dot.
  Zone(std::string zone, Ipv4Net range, std::optional<Prefix6> prefix6, std::uint32_t ttl,
       const Directory& directory, VirtualAddresses& addresses);
  // nullopt: not below the zone and no reverse name of the range: forward or refuse. `ipv6`: who asks can
  // reach the IPv6 addresses; else names have none.
  std::optional<Answer> answer(const Query& query, Time now, bool ipv6);
  const std::string& zone() const { return zone_; }

 private:
  Answer forward_lookup(const Query& query, Time now, bool ipv6);
  // For "_NAME._tcp.X" and "_tcp.X" where X is known; nullopt for any other name.
  std::optional<Answer> service_lookup(const Query& query, Time now, bool ipv6);
  Answer reverse_lookup(const Query& query, Ipv4 address) const;
  std::string zone_;
  Ipv4Net range_;
  std::optional<Prefix6> prefix6_;
  std::uint32_t ttl_;
  const Directory& directory_;
  VirtualAddresses& addresses_;
};

}  // namespace dmsc::sgd::dns
