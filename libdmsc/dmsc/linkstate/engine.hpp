// The link-state protocol engine (DESIGN section 4), sans-I/O: packets, instants, local changes and
// verification results go in; packets, verification requests and events come out. It owns no socket,
// clock, thread or random source: the same inputs give the same outputs. One thread drives it.
//
//   receive ─┐                         ┌─ Transmit (datagram for a link)
//   tick  ───┤    ┌───────────────┐    ├─ VerifyWanted (judge this LSA)
//   local ───┼──► │    Engine     │ ──►┤  AdjacencyUp / AdjacencyDown
//   verdict ─┘    └───────────────┘    └─ LsdbChanged (installed, refreshed, removed)
//
// Files, by chapter of docs/protocol.md:
//   auth         control keys, replay window            flood_queue  what a neighbour must still get
//   adjacency    hellos, three-way handshake            flooding     updates, acknowledgements
//   liveness     keepalives, hold time, polls           waiting      LSAs not judged yet
//   path_mtu     MTU search                             sync         digest ranges, repair
//   lsdb         verified LSAs, digest, expiry          origination  own LSAs, damping, refresh
//   discovery    neighbours by multicast (apart)
//   node_lsa     adjacencies into LSAs                  prefix_lsa   prefixes and grants into LSAs
//   limits       what one origin may say                admission    in which order LSAs are judged
//   impl         the state they share                   engine       inputs, outputs, deadlines
//   input_log    the record of all inputs               replay       runs a record again
//   views, fingerprint    what can be seen from outside
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "dmsc/core/time.hpp"
#include "dmsc/crypto/key_chain.hpp"
#include "dmsc/wire/lsa.hpp"
#include "dmsc/wire/signed_objects.hpp"

namespace dmsc::linkstate {

class Primitives;  // primitives.hpp
class InputSink;   // input_log.hpp

struct Liveness {
  Duration interval = milliseconds(50);
  unsigned multiplier = 6;
};

// What data-plane parameters each side tells the other in its hello.
struct DataEndpoint {
  std::vector<std::uint16_t> worker_ports;  // UDP port of each worker's socket on this link
  std::uint16_t mtu = 1400;                 // largest datagram the local interface carries
};

struct LinkConfig {
  LinkId id;
  std::string name;              // unique on this node; also in logs
  std::string peer_name;         // the node expected there; empty = any node of the domain
  Liveness liveness;
  std::uint32_t metric = 10;     // configured; 0 = from measured delay
  std::uint64_t capacity_bps = 0;
  std::size_t mtu = 1400;        // bytes of the largest control datagram to send
  DataEndpoint data;
};

// How far a node or a link is taken out of use, without losing a packet (docs/protocol.md, "Drain").
//   soft  its metric is the largest: who has another way takes it, who has none stays
//   hard  out of transit (a node), or out of the graph (a link)
enum class DrainLevel : std::uint8_t { none, soft, hard };
const char* to_string(DrainLevel level);

struct EngineConfig {
  NodeId self;
  std::string name;
  wire::NodeRole role = wire::NodeRole::router;
  bool no_transit = false;
  DomainId domain;
  SessionId session;                    // 64 random bits per start
  std::uint64_t stored_epoch = 0;       // LSA epoch = max(stored_epoch + 1, clock_seconds)
  std::uint64_t clock_seconds = 0;
  std::uint64_t random_seed = 0;        // jitter and nonces only
  crypto::SigningKey signer;
  Bytes certificate;                    // DER, flooded as the identity LSA
  crypto::KeyChain keys;                // empty = refuse everything: authentication is always on
  std::uint32_t lsa_lifetime = 3600;    // seconds
  bool discovers = false;               // links come later: wait for a first neighbour all the same
  std::shared_ptr<Primitives> primitives;  // null = the real ones
  InputSink* record_to = nullptr;       // takes a record of every input; outlives the engine
};

// ---- outputs --------------------------------------------------------------------------------

struct Transmit {
  LinkId link;
  Bytes datagram;
};
// The driver judges `lsa` (trust::TrustStore::judge) and answers with Engine::verdict().
struct VerifyWanted {
  std::uint64_t ticket = 0;
  wire::LsaPtr lsa;
};
// Repeated when the neighbour's data endpoint changes while the adjacency is up.
struct AdjacencyUp {
  LinkId link;
  NodeId neighbour;
  std::string neighbour_name;
  SessionId session;             // the neighbour's, for hop keys
  DataEndpoint data;             // the neighbour's
};
// Follows AdjacencyUp, and every change of what the link carries as measured (RFC 8899).
struct LinkCarries {
  LinkId link;
  std::uint16_t mtu = 0;         // bytes of the largest datagram
};
struct AdjacencyDown {
  LinkId link;
  NodeId neighbour;
  std::string reason;            // "hold time expired", "closed by peer", "interface down", ...
};
enum class ChangeKind { installed, refreshed, removed };  // refreshed: same content, new version
struct LsdbChanged {
  ChangeKind kind = ChangeKind::installed;
  wire::LsaPtr lsa;              // removed: the last copy held
};
struct Synchronised {};          // the database equals a neighbour's (or there is no neighbour)
struct Epoch {                   // store it: next start passes it as stored_epoch
  std::uint64_t value = 0;
};
struct Misbehaviour {            // one log line, already rate limited per neighbour and kind
  LinkId link;
  NodeId offender;
  std::string what;
};
// A node exceeds a limit of the domain (docs/protocol.md, "Limits"); one line in ten seconds for each
// offender and limit. The action has been taken already.
struct LimitExceeded {
  NodeId offender;               // by its own signature; ourselves: a neighbour too many
  wire::Limit limit = wire::Limit::lsa;
  wire::LimitAction action = wire::LimitAction::block;
  std::string detail;
};
using Output = std::variant<Transmit, VerifyWanted, AdjacencyUp, AdjacencyDown, LsdbChanged,
                            Synchronised, Epoch, Misbehaviour, LimitExceeded, LinkCarries>;
using Outputs = std::vector<Output>;  // in the order in which they were made

// ---- read-only views for show commands and the simulator ----------------------------------------

enum class AdjacencyState { down, init, two_way, up };
const char* to_string(AdjacencyState state);

struct NeighbourView {
  LinkId link;
  std::string link_name;
  AdjacencyState state = AdjacencyState::down;
  NodeId neighbour;
  std::string neighbour_name;
  SessionId session;
  Duration up_for{};
  Duration rtt{}, jitter{};       // smoothed, zero = unknown
  double loss = 0;                // share of keepalives lost, smoothed
  bool synchronised = false;
  std::size_t unacknowledged = 0; // LSAs in the window
  std::size_t queued = 0;
  std::uint32_t metric = 0;
  std::uint64_t flaps = 0;
  std::string last_down_reason;
  DataEndpoint data;
  DrainLevel drain = DrainLevel::none;  // of this link, here
  bool neighbour_drains = false;  // the neighbour has said that it drains the link
  Duration held_for{};            // until an adjacency may be tried again: a limit was exceeded
  std::uint16_t path_mtu = 0;     // largest datagram measured to pass towards the neighbour, bytes
};

struct LsdbEntryView {
  wire::LsaPtr lsa;
  std::uint32_t remaining = 0;    // seconds
  bool verified = false;
  std::uint32_t held_bytes = 0;   // what the database takes for it, its share of the indices included
};

// What the verified database takes.
struct LsdbMemory {
  std::size_t lsas = 0;
  std::size_t wire_bytes = 0;     // of all LSAs as they travel
  std::size_t held_bytes = 0;     // in memory, with indices: packed, so often less
  std::uint64_t steps = 0;        // entries the ordered index has looked at since the start
};

struct EngineCounters {
  std::uint64_t packets_in = 0, packets_out = 0, bytes_in = 0, bytes_out = 0;
  // A packet refused raises just one of these (the last one after its LSA was judged).
  std::uint64_t auth_failures = 0, replays = 0, malformed = 0;
  std::uint64_t strangers = 0;       // authentic, but of no adjacency of ours: another session or link
  std::uint64_t reflected = 0;       // our own, or another node with our node id
  std::uint64_t refused_hellos = 0;  // of another domain, or not the neighbour expected
  std::uint64_t hellos_in = 0, hellos_out = 0, keepalives_in = 0, keepalives_out = 0;
  std::uint64_t lsas_in = 0, lsas_new = 0, lsas_duplicate = 0, lsas_older = 0, lsas_out = 0;
  std::uint64_t acks_in = 0, acks_out = 0, retransmissions = 0;
  std::uint64_t verify_wanted = 0, verify_failed = 0;
  std::uint64_t updates_out = 0;   // datagrams with LSAs
  std::uint64_t lsas_encoded = 0;  // put into a datagram's body; lsas_out counts each neighbour
  std::uint64_t ticks = 0;         // wake-ups by timer
  // LSAs and adjacencies beyond a limit of the domain, by what was done about them; LSAs that waited for
  // the rate of their origin.
  std::uint64_t limit_warned = 0, limit_blocked = 0, limit_isolated = 0, lsas_over_rate = 0;
  std::uint64_t digest_repairs = 0, originated = 0, purged = 0, expired = 0;
};

// What packets can change, in two parts: `links` (adjacencies, what was heard on them, queues, LSAs not
// judged) and `database` (LSAs held and own). Equal fingerprints: the packets in between changed nothing.
struct Fingerprint {
  U128 links, database;
  friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};

class Engine {
 public:
  explicit Engine(EngineConfig config, Time now);
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  // Inputs. None blocks; outputs pile up until poll().
  void add_link(Time now, LinkConfig link);               // replaces one of the same id
  void remove_link(Time now, LinkId link);
  void change_link(Time now, LinkConfig link);            // metric, liveness, capacity
  void interface_state(Time now, LinkId link, bool up);   // down is proof and acts at once
  // `waited`: how long ago it arrived, if nobody looked at once (LS-V8): keepalives count from then.
  void receive(Time now, LinkId link, ByteView datagram, Duration waited = {});
  void tick(Time now);                                    // call at or after next_deadline()
  // `valid`: install; `!valid`: drop and charge.
  void verdict(Time now, std::uint64_t ticket, bool valid);
  // It cannot be judged yet: the LSA waits, and VerifyWanted is repeated after retry_waiting(), or when its
  // origin's identity or something of an issuer is installed. Not to answer at all means the same, but the
  // engine waits 20 ms for it before it hands out others in its place.
  void undecided(Time now, std::uint64_t ticket);
  void retry_waiting(Time now);
  // Asks for a new verdict on every installed LSA of `origin` (its key was revoked or replaced);
  // `!valid` removes the LSA here, without a purge: every node decides alike.
  void recheck(Time now, NodeId origin);
  void set_keys(Time now, crypto::KeyChain keys);
  // A renewed certificate of the same key: re-floods the identity LSA.
  void set_certificate(Time now, Bytes certificate);
  // A hint that the neighbour may be gone (an ICMP error): starts three rapid polls.
  void link_hint(Time now, LinkId link);
  void set_overload(Time now, bool overload);             // no transit, whatever set_drain() says
  // Operator's drains. Go by way of `soft` and wait until traffic has moved, or `hard` breaks before it
  // makes. A link's drain is told to the neighbour, which raises its metric too.
  void set_drain(Time now, DrainLevel level);
  void set_link_drain(Time now, LinkId link, DrainLevel level);
  // The driver has counted the prefixes that `origin` may announce, of LSAs found valid, and there are more
  // than the domain allows. The limit's action is taken as for an LSA beyond it.
  void too_many_prefixes(Time now, NodeId origin, std::uint64_t count);
  // Measured data-path quality of a link; `usable` false takes it out of the Node LSA.
  void set_link_quality(Time now, LinkId link, std::uint64_t available_bps, bool usable);
  // The SCSC's bias on a link's metric, added to it; 0 withdraws it.
  void set_metric_bias(Time now, LinkId link, std::uint32_t bias);
  // The whole set of prefixes this node originates; the engine assigns them to stable fragments and
  // re-floods only fragments that changed.
  void set_prefixes(Time now, std::vector<wire::PrefixEntry> entries);
  // The grants this node floods (encoded signed objects), keyed by (issuer, serial) inside.
  void set_grants(Time now, std::vector<Bytes> signed_grants);
  // Injects an SPA-origin LSA (authority, revocation, domain parameters) as it came from the SPA.
  void inject(Time now, const wire::LsaPtr& lsa);
  // Tells neighbours good-bye and purges nothing: they drop the adjacency at once. Inputs after it
  // are ignored.
  void shutdown(Time now);
  // Writes the digest into the record, if there is one: what a replay must have reached here.
  void mark_record(Time now);

  Outputs poll();                                         // everything produced since the last call
  // The same into `into`, whose elements are dropped and whose memory serves for what comes next.
  void poll(Outputs& into);
  // The memory of a datagram that has been sent, for another to be made in it. No input: changes nothing.
  void recycle(Bytes datagram);
  std::optional<Time> next_deadline() const;

  std::vector<NeighbourView> neighbours(Time now) const;
  std::vector<LsdbEntryView> lsdb(Time now) const;        // sorted by key
  // The verified database in key order, one LSA decoded at a time: for databases too large to copy.
  // `use` gives no input to the engine.
  void visit_lsdb(Time now, const std::function<void(const LsdbEntryView&)>& use) const;
  LsdbMemory lsdb_memory() const;
  wire::LsaPtr find(const wire::LsaKey& key) const;       // verified, not purged; else nullptr
  // The same with what is left of its life; nullopt if there is none.
  std::optional<LsdbEntryView> entry(Time now, const wire::LsaKey& key) const;
  U128 digest() const;
  Fingerprint fingerprint() const;                        // O(links)
  std::size_t lsa_count() const;                          // verified, tombstones included
  bool synchronised() const;
  const EngineCounters& counters() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dmsc::linkstate
