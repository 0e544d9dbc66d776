// The state the engine's files share. One chapter of the protocol per .cpp; see engine.hpp.
#pragma once
#include <algorithm>
#include <map>
#include <set>

#include "dmsc/linkstate/admission.hpp"
#include "dmsc/linkstate/auth.hpp"
#include "dmsc/linkstate/due_heap.hpp"
#include "dmsc/linkstate/engine.hpp"
#include "dmsc/linkstate/flood_queue.hpp"
#include "dmsc/linkstate/fragments.hpp"
#include "dmsc/linkstate/input_log.hpp"
#include "dmsc/linkstate/limits.hpp"
#include "dmsc/linkstate/lsdb.hpp"
#include "dmsc/linkstate/path_mtu.hpp"
#include "dmsc/linkstate/primitives.hpp"
#include "dmsc/linkstate/random.hpp"
#include "dmsc/linkstate/throttle.hpp"
#include "dmsc/linkstate/waiting.hpp"
#include "dmsc/measure/estimator.hpp"
#include "dmsc/wire/pdu.hpp"

namespace dmsc::linkstate {

// Timers and bounds of the protocol; docs/protocol.md, "Parameters", lists them with their reasons.
inline constexpr Duration kHelloInterval = seconds(1);
inline constexpr Duration kFastHello = milliseconds(100);     // not up, or not yet synchronised
inline constexpr Duration kHelloReplyGap = milliseconds(20);  // between triggered hellos
inline constexpr unsigned kLossNotices = 3;                   // hellos that tell of a lost adjacency
inline constexpr Duration kLossNoticeGap = milliseconds(10);
inline constexpr Duration kUpHold = milliseconds(50);         // before a new adjacency is advertised
inline constexpr Duration kFlapHold = milliseconds(300);      // the same if the link flaps
inline constexpr Duration kCandidateHold = milliseconds(1500);  // hellos missing before up
inline constexpr Duration kFastSyncPeriod = seconds(10);
inline constexpr Duration kAckDelay = milliseconds(10);
inline constexpr std::size_t kAckBatch = 32;
inline constexpr Duration kRepeatAcks = seconds(10);          // after a sign of a lost acknowledgement
inline constexpr std::uint16_t kReceiveWindow = 512;          // LSAs, told in the hello
inline constexpr Duration kRepairFirst = milliseconds(200), kRepairMost = seconds(8);
inline constexpr std::size_t kSharedUpdates = 64;             // bodies kept while neighbours are served
inline constexpr std::uint32_t kMinRemaining = 2;             // seconds; below it an LSA is not sent
inline constexpr Duration kSyncGiveUp = seconds(10);          // then starting ends without a neighbour
inline constexpr Duration kAloneGiveUp = milliseconds(500);   // the same if no link is configured
inline constexpr Duration kQualityPeriod = seconds(1), kQualityDamping = seconds(30);
inline constexpr Duration kMisbehaviourGap = seconds(10);
inline constexpr unsigned kPolls = 3;
inline constexpr Time kNever = Time::max();
inline constexpr std::uint32_t kIndexedLinks = 4096;  // of a larger id a link is found less quickly
inline constexpr Duration kShareWakeup = milliseconds(7);     // how much earlier a keepalive may leave
inline constexpr std::uint32_t kMaxMetric = (1U << 24) - 1;      // of a drained link alone
inline constexpr std::uint32_t kMaxUsedMetric = kMaxMetric - 1;  // of any other

inline void earlier(Time& due, std::optional<Time> candidate) {
  if (candidate && *candidate < due) due = *candidate;
}

// What is known of the node at the other end. Meaningful while `state` is not down.
struct Peer {
  NodeId node;
  std::uint32_t link = 0;
  SessionId session;
  std::uint64_t nonce = 0;
  std::string name;
  DataEndpoint data;
  bool draining = false;            // it drains this link
};

// What the Node LSA says of a link; kept apart from what is measured, so that noise floods nothing.
struct PublishedQuality {
  std::uint32_t metric = 0, delay_us = 0, jitter_us = 0, loss_ppm = 0;
  std::uint64_t bandwidth_bps = 0;
  Time since;
  bool settled = false;             // once put right after the guesses of the first moment
};

struct Link {
  explicit Link(LinkConfig c) : config(std::move(c)) {}

  // What every keepalive touches stands in front: a few lines of the processor's cache for each link.
  AdjacencyState state = AdjacencyState::down;   // adjacency.cpp
  bool interface_up = true;
  bool touched = false;             // engine.cpp: it is in Impl::touched_links;
  bool moved = false;               // its deadline is to be looked at
  bool to_pump = false;             // its queue is
  std::uint32_t due_place = DueHeap<Link>::kNowhere;
  Time due = kNever;                // as entered in Impl::link_due
  LinkConfig config;
  Peer peer;
  std::uint64_t counter = 0;        // of the next datagram sent

  // liveness.cpp
  Time last_heard, keepalive_due, hello_due;
  Duration interval = milliseconds(50);
  unsigned multiplier = 6;
  std::uint32_t keepalive_sequence = 0, heard_sequence = 0;
  std::uint64_t echo_sent = 0, echo_received = 0;
  std::optional<Time> poll_due;     // next poll, or the verdict after the last one
  std::optional<Time> ack_due, publish_after;
  measure::DelayEstimator delay;
  measure::RecentMinimum least_delay;  // what a metric from delay is made of
  measure::LossWindow loss;
  measure::SteadyLossWindow steady_loss;  // what the Node LSA tells
  void count_keepalive(bool lost) {
    loss.add(lost);
    steady_loss.add(lost);
  }
  ReplayWindow replay;
  PathMtuSearch path_mtu;
  std::uint16_t carries = 0;        // as told, while up
  FloodQueue flood;

  // adjacency.cpp
  std::uint64_t nonce = 0;
  std::uint64_t last_hello = 0;     // counter of the newest hello of the peer's session
  Time hello_reply_after, hello_heard, up_since;
  unsigned loss_notices = 0;        // hellos still to be sent at once after another
  std::uint64_t flaps = 0;
  std::string down_reason;
  std::optional<Time> held_until;   // no adjacency before

  // liveness.cpp
  unsigned polls_left = 0;
  Time polls_since{};               // what arrived before is no answer
  Duration poll_gap{};

  // flooding.cpp
  std::vector<wire::LsaRef> acks, acked_before;  // to send; sent last
  bool ack_now = false;             // with the next poll()
  Time repeat_acks_until;

  // sync.cpp
  bool synchronised = false;
  unsigned mismatches = 0;
  Time repair_after;
  Duration repair_backoff = kRepairFirst;

  // node_lsa.cpp
  std::uint32_t bias = 0;
  std::uint64_t available_bps = 0;
  bool usable = true;
  DrainLevel drain = DrainLevel::none;
  PublishedQuality published;
  Throttle flaps_free{2, seconds(3)};   // coming up more often than this is flapping

  bool up() const { return state == AdjacencyState::up; }
  // The Node LSA lists it.
  bool told() const { return up() && !publish_after; }
};

// One LSA this node originates, or has purged.
struct Own {
  Bytes body;
  bool wanted = false;
  bool out = false;                 // the LSDB holds `body`, not a purge
  std::optional<Bytes> next;        // good news waiting for `throttle`
  Time next_due, refresh_due;
  Throttle throttle{4, milliseconds(200)};
};

// The body of an update as it was built for one neighbour, kept for the others until the end of poll().
struct UpdateBody {
  std::vector<std::uint64_t> lsas;  // key numbers
  std::uint64_t generation = 0;     // of the LSDB
  Bytes bytes;
};

struct Engine::Impl {
  Impl(EngineConfig c, Time now);

  // engine.cpp
  Link* find_link(LinkId id);
  Link* link(LinkId id) {            // for an input: the link counts as touched
    Link* l = find_link(id);
    if (l != nullptr) touch(*l);
    return l;
  }
  Link& insert_link(LinkConfig c);
  void erase_link(Link& link);
  void touch(Link& l) {
    l.moved = l.to_pump = true;
    if (!std::exchange(l.touched, true)) touched_links.push_back(&l);
  }
  void settle_links();
  void enter_deadline(Link& link);
  template <class T>
  void emit(T&& output) {
    outputs.emplace_back(std::forward<T>(output));
  }
  void transmit(Link& link, wire::PduType type, ByteView body);
  void charge(Time now, LinkId link, NodeId offender, const char* kind, const std::string& detail);
  void receive(Time now, Link& link, ByteView datagram);
  void dispatch(Time now, Link& link, const wire::PduHeader& header, ByteView body);
  void tick(Time now);
  void remove_link(Time now, LinkId id);
  Time link_deadline(const Link& link) const;  // kNever: only an input can change anything
  Time rest_deadline() const;
  std::optional<Time> next_deadline();

  // adjacency.cpp
  void send_hello(Time now, Link& link);
  void reply_hello(Time now, Link& link);
  Status handle_hello(Time now, Link& link, const wire::PduHeader& header, ByteView body);
  void adopt(Time now, Link& link, const wire::PduHeader& header, const wire::Hello& hello);
  void advance(Time now, Link& link, const wire::PduHeader& header, const wire::Hello& hello);
  void bring_up(Time now, Link& link);
  void drop(Time now, Link& link, const std::string& reason);
  void say_goodbye(Link& link, const std::string& reason);
  void tick_hello(Time now, Link& link);

  // liveness.cpp
  void enter(Time now) {  // first of all with every input
    pass(now);
    rest_moved = true;
  }
  void pass(Time now) {   // the same with packets and timers, most of which are of keepalives
    Duration gap = now - std::exchange(last_now, now);
    if (gap > 2 * quickest) stood_still(now, gap);  // as a rule: no walk over the links with every datagram
  }
  void stood_still(Time now, Duration gap);
  void start_liveness(Time now, Link& link);
  void negotiate(Link& link, const wire::Hello& hello);
  void send_keepalive(Time now, Link& link, std::uint8_t flags);
  Status handle_keepalive(Time now, Link& link, ByteView body);
  Time arrived{};  // the datagram being received
  void start_path_mtu(Time now, Link& link);
  void tick_path_mtu(Time now, Link& link);
  void note_path_mtu(Time now, Link& link);
  Status handle_mtu_probe(Time now, Link& link, ByteView body);
  void tick_liveness(Time now, Link& link);
  void send_due_keepalive(Time now, Link& link);
  void share_wakeup(Time now);
  bool together(Time now, const Link& link) const;
  Time drawn_at{}, drawn_due{};  // the last keepalive that left by itself, and its next
  Duration drawn_for{};          // its interval
  void tick_polls(Time now, Link& link);
  void start_polls(Time now, Link& link);

  // flooding.cpp
  Status handle_update(Time now, Link& link, ByteView body);
  Status handle_ack(Time now, Link& link, ByteView body);
  void receive_lsa(Time now, Link* from, const wire::LsaPtr& lsa, std::uint32_t remaining);
  void receive_own(Time now, Link* from, const wire::LsaPtr& lsa, std::uint32_t remaining);
  void want_verdict(Time now, Link* from, const wire::LsaPtr& lsa, std::uint32_t remaining);
  void verdict(Time now, std::uint64_t ticket, bool valid);
  void install(Time now, const wire::LsaPtr& lsa, std::uint32_t remaining,
               const std::vector<LinkId>& holders);
  void remove(std::uint64_t key);
  void retry(Time now, std::optional<NodeId> origin);
  void judge_next(Time now);
  void push(Link& link, const Lsdb::Entry& entry, bool news = false);
  void acknowledge(Time now, Link& link, const wire::Lsa& lsa);
  void flush_acks(Time now, Link& link);
  void pump(Time now, Link& link);
  const Bytes& update_of(Time now, const std::vector<std::uint64_t>& lsas);
  void flush();
  void tick_flooding(Time now, Link& link);

  // sync.cpp
  void compare_digest(Time now, Link& link, const wire::Hello& hello);
  void start_repair(Time now, Link& link);
  wire::DigestRange summary(std::uint64_t lo, std::uint64_t hi) const;
  void split_range(const wire::DigestRange& ours, std::vector<wire::DigestRange>& answer) const;
  Status handle_digest(Time now, Link& link, ByteView body);
  void answer_sum(Time now, Link& link, const wire::DigestRange& theirs,
                  std::vector<wire::DigestRange>& answer);
  void answer_list(Time now, Link& link, const wire::DigestRange& theirs,
                   std::vector<wire::LsaKey>& wanted);
  Status handle_request(Time now, Link& link, ByteView body);
  void send_ranges(Link& link, const std::vector<wire::DigestRange>& ranges);
  void become_synchronised(Time now);

  // origination.cpp
  void want(Time now, const wire::LsaKey& key, Bytes body, bool bad_news);
  void unwant(Time now, const wire::LsaKey& key);
  void originate(Time now, std::uint64_t key, Own& own);
  void purge(Time now, std::uint64_t key);
  void outbid(Time now, const wire::Lsa& met);
  void unschedule(std::uint64_t key);
  void forget_own(std::map<std::uint64_t, Own>::iterator it);
  void tick_origination(Time now);
  void schedule(std::uint64_t key, const Own& own);
  Result<wire::LsaPtr> sign_lsa(const wire::LsaKey& key, std::uint32_t lifetime, bool purge,
                                ByteView body);

  // limits.cpp
  bool within_limits(Time now, const wire::Lsa& lsa);
  wire::LimitAction exceeded(Time now, wire::Limit limit, NodeId offender, const std::string& detail);
  void isolate(Time now, NodeId offender, wire::Limit limit);
  void hold(Time now, Link& link, const std::string& reason, Duration time);
  bool room_for_adjacency(Time now, Link& link);
  void blame_rate(Time now, const WaitingTable::Item& item);
  void set_limits(Time now, const wire::Lsa& lsa);
  void apply_limits_to_own(Time now);
  std::uint32_t own_lifetime() const;

  // node_lsa.cpp
  void update_node_lsa(Time now, bool bad_news);
  void originate_node(Time now);
  bool publish_quality(Time now, Link& link, bool force);
  wire::Adjacency adjacency_of(const Link& link) const;
  void tick_quality(Time now);

  // prefix_lsa.cpp
  void set_prefixes(Time now, std::vector<wire::PrefixEntry> entries);
  void set_grants(Time now, std::vector<Bytes> grants);
  void rebuild_prefix_fragment(Time now, std::uint16_t fragment, bool bad_news);

  EngineConfig config;
  std::shared_ptr<Primitives> primitives;
  InputRecorder recorder;
  Random random;
  ControlKeys keys;
  std::map<LinkId, Link> links;
  std::vector<Link*> links_by_id;    // those below kIndexedLinks
  // So that an input or a timer of one link costs nothing for the others.
  DueHeap<Link> link_due;
  std::vector<Link*> touched_links;  // since when deadlines were settled and packets left
  // Of share_wakeup(), kept for their memory alone.
  std::vector<Link*> near_links, greeted_links;
  std::vector<LinkId> due_links;     // of tick(), the same
  Duration quickest = Duration::max() / 4;  // at most the interval of every link that is up
  Outputs outputs;
  // The earliest of what is due apart from links, looked for anew when something but a keepalive came.
  Time rest_due = kNever;
  bool rest_moved = true;
  EngineCounters counters;
  Time last_now;                     // of the newest input: flush() runs in poll(), which has no time
  bool stopped = false;

  Lsdb lsdb;
  WaitingTable waiting;
  std::deque<UpdateBody> updates;
  Admission admission;
  wire::DomainParameters limits;         // as flooded; the defaults until then
  std::map<std::pair<NodeId, wire::Limit>, Time> blamed;

  std::uint64_t epoch = 0, sequence = 0;
  std::map<std::uint64_t, Own> own;
  std::set<std::pair<Time, std::uint64_t>> own_due;
  std::map<std::uint64_t, Time> own_due_of;

  bool overload = false;
  DrainLevel drained = DrainLevel::none;
  bool synchronised = false;
  Time synchronise_by;
  Time quality_due;
  FragmentMap adjacency_fragments, prefix_fragments, grant_fragments;
  std::set<std::uint16_t> node_fragments;
  std::set<std::string> advertised;      // ids of links in the Node LSA
  bool node_dirty = false, node_bad_news = false;
  std::map<std::string, wire::PrefixEntry> prefixes;  // by fragment map id
  std::vector<wire::PrefixEntry> prefixes_cut;        // beyond the limits: not announced
  std::set<Bytes> grants;
  std::map<std::pair<LinkId, std::string>, Time> charged;
};

}  // namespace dmsc::linkstate
