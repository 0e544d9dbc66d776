// Finding neighbours on an interface by multicast (docs/protocol.md, "Discovery"), sans-I/O: announcements
// of others and instants go in; announcements to send and neighbours found and lost come out. It opens no
// adjacency: for whom it finds, the driver makes an ordinary point-to-point link, whose three-way
// handshake decides. One object per interface; one thread.
//
//               announcement                     adjacency up
//   unknown ───────────────────► found (a link) ──────────────► held while it is up
//      ▲                           │    ▲  adjacency down, hold   │
//      └── hold time over, lost ◄──┘    └─────────────────────────┘
#pragma once
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <variant>

#include "dmsc/core/time.hpp"
#include "dmsc/linkstate/auth.hpp"
#include "dmsc/linkstate/random.hpp"
#include "dmsc/wire/pdu.hpp"

namespace dmsc::linkstate {

struct DiscoveryConfig {
  NodeId self;
  std::string name;
  DomainId domain;
  SessionId session;
  crypto::KeyChain keys;            // empty = nothing is sent and nothing believed
  std::uint64_t random_seed = 0;    // jitter only
  std::size_t max_neighbours = 16;  // found ones at a time; more are refused
};

// Where a node takes unicast PDUs: 4 or 16 bytes of address, network order, and a UDP port.
struct UnicastEndpoint {
  Bytes address;
  std::uint16_t port = 0;
  friend bool operator==(const UnicastEndpoint&, const UnicastEndpoint&) = default;
};

struct SendAnnouncement {
  Bytes datagram;                   // to the group, with hop limit kDiscoveryHops
};
struct NeighbourFound {             // also when its endpoint has changed: the link is made anew
  NodeId node;
  std::string name;
  UnicastEndpoint at;
};
struct NeighbourLost {
  NodeId node;
  std::string reason;
};
struct AnnouncementRefused {        // one line for the log, rate limited per kind
  std::string what;
};
using DiscoveryOutput =
    std::variant<SendAnnouncement, NeighbourFound, NeighbourLost, AnnouncementRefused>;

// Datagrams that have passed a router have less: they are not from this interface (RFC 5082).
inline constexpr unsigned kDiscoveryHops = 255;

class Discovery {
 public:
  Discovery(DiscoveryConfig config, Time now);

  // Starts announcing `own`; a changed endpoint is announced at once.
  void interface_up(Time now, UnicastEndpoint own);
  // Whoever was found is lost at once.
  void interface_down(Time now, const std::string& reason);
  // `source`: the datagram's address, as in UnicastEndpoint; `hops`: its hop limit on arrival.
  void receive(Time now, ByteView source, unsigned hops, ByteView datagram);
  // The adjacency on the link made for `node`.
  void adjacency(Time now, NodeId node, bool up);
  void set_keys(crypto::KeyChain keys);
  void tick(Time now);
  std::optional<Time> next_deadline() const;
  std::deque<DiscoveryOutput> poll();

  struct Neighbour {
    std::string name;
    UnicastEndpoint at;
    SessionId session;
    std::uint64_t counter = 0;      // of the newest announcement of that session
    Time heard;
    Duration hold{};
    bool adjacent = false;
  };
  const std::map<NodeId, Neighbour>& neighbours() const { return neighbours_; }
  bool is_up() const { return own_.has_value(); }

  static constexpr Duration kInterval = seconds(1), kHold = milliseconds(3500);
  static constexpr Duration kFirstInterval = milliseconds(100);  // the first few, after coming up
  static constexpr Duration kAnswerWithin = milliseconds(50);    // of hearing somebody new
  static constexpr unsigned kFirstCount = 3;

 private:
  Result<wire::OpenedPdu> open(ByteView datagram) const;
  void heard(Time now, const wire::PduHeader& header, const wire::Announcement& announcement);
  void announce(Time now);
  void lose(NodeId node, const Neighbour& neighbour, const std::string& reason);
  void refuse(Time now, const std::string& kind, const std::string& detail);

  DiscoveryConfig config_;
  ControlKeys keys_;
  Random random_;
  std::optional<UnicastEndpoint> own_;
  Time announce_due_;
  unsigned first_left_ = 0;
  std::uint64_t counter_ = 0;
  std::map<NodeId, Neighbour> neighbours_;
  std::map<NodeId, std::pair<SessionId, std::uint64_t>> lost_;
  std::map<std::string, Time> refused_;
  std::deque<DiscoveryOutput> outputs_;
};

}  // namespace dmsc::linkstate
