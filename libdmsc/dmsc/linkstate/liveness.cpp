// Liveness and link measurement: keepalives with four timestamps, hold time, rapid polls, MTU
// probes (docs/protocol.md, "Liveness").
#include "dmsc/linkstate/impl.hpp"

namespace dmsc::linkstate {
namespace {

std::uint64_t clock_of(Time now) {
  return static_cast<std::uint64_t>(now.time_since_epoch().count());
}

constexpr Duration kMinPollGap = milliseconds(2);
constexpr Duration kOneInstant = milliseconds(2);  // a driver reads its clock more than once in a turn
constexpr std::uint32_t kLossCountLimit = 64;  // one outage is not counted for ever

// A wake-up costs more than a keepalive: what would be due in a moment leaves in this one.
bool keepalive_near(Time now, const Link& l) {
  return l.up() && now + std::min<Duration>(l.interval / 8, kShareWakeup) >= l.keepalive_due;
}

}  // namespace

// The slower of both sides rules, for the interval and for the count.
void Engine::Impl::negotiate(Link& l, const wire::Hello& hello) {
  l.interval = std::max<Duration>(l.config.liveness.interval, microseconds(hello.interval_us));
  l.multiplier = std::max<unsigned>(l.config.liveness.multiplier, hello.multiplier);
  if (l.up()) quickest = std::min(quickest, l.interval);
}

// While a link is up the engine is called at least once per interval, for the next keepalive. If it
// was not, this node itself stood still (stopped, not scheduled, a machine frozen with all of its
// nodes): that time is no silence of the neighbour.
void Engine::Impl::stood_still(Time now, Duration gap) {
  quickest = Duration::max() / 4;
  for (auto& [id, l] : links) {
    if (!l.up()) continue;
    quickest = std::min(quickest, l.interval);
    if (gap > 2 * l.interval) l.last_heard = std::min(now, l.last_heard + gap - l.interval);
  }
}

void Engine::Impl::start_liveness(Time now, Link& l) {
  quickest = std::min(quickest, l.interval);
  l.last_heard = now;
  l.keepalive_due = now;
  l.keepalive_sequence = l.heard_sequence = 0;
  l.echo_sent = l.echo_received = 0;
  l.delay = {};
  l.least_delay = {};
  l.loss = {};
  l.steady_loss = {};
  l.poll_due.reset();
}

void Engine::Impl::send_keepalive(Time now, Link& l, std::uint8_t flags) {
  wire::Keepalive k{flags, ++l.keepalive_sequence, clock_of(now), l.echo_sent, l.echo_received};
  ++counters.keepalives_out;
  transmit(l, wire::PduType::keepalive, wire::encode(k));
}

Status Engine::Impl::handle_keepalive(Time now, Link& l, ByteView body) {
  auto k = wire::decode_keepalive(body);
  if (!k) return k.error();
  ++counters.keepalives_in;
  if (arrived >= l.polls_since) l.poll_due.reset();  // whatever was suspected, the neighbour is alive
  if (k->sequence > l.heard_sequence) {
    std::uint32_t missing = k->sequence - l.heard_sequence - 1;
    for (std::uint32_t i = 0; i < std::min(missing, kLossCountLimit); ++i) l.count_keepalive(true);
    l.count_keepalive(false);
    l.heard_sequence = k->sequence;
    l.echo_sent = k->sent;
    l.echo_received = clock_of(arrived);
  }
  if (k->echo_sent != 0 && k->echo_sent <= clock_of(arrived)) {
    Duration round_trip = measure::round_trip({static_cast<std::int64_t>(k->echo_sent),
                                               static_cast<std::int64_t>(k->echo_received),
                                               static_cast<std::int64_t>(k->sent),
                                               static_cast<std::int64_t>(clock_of(arrived))});
    l.delay.add(round_trip);
    l.least_delay.add(round_trip);
  }
  if ((k->flags & wire::kKeepalivePoll) != 0) {
    send_keepalive(now, l, wire::kKeepaliveFinal);
  } else if (keepalive_near(now, l)) {
    send_due_keepalive(now, l);
  }
  return Ok{};
}

void Engine::Impl::send_due_keepalive(Time now, Link& l) {
  send_keepalive(now, l, 0);
  // One draw for all that leave at this instant: then they are due at one instant again.
  if (!together(now, l)) {
    drawn_at = now;
    drawn_for = l.interval;
    drawn_due = now + random.between(l.interval - l.interval / 8, l.interval);
  }
  l.keepalive_due = drawn_due;
}

// Whether keepalives of this link's interval are leaving now.
bool Engine::Impl::together(Time now, const Link& l) const {
  return l.interval == drawn_for && now < drawn_at + std::min<Duration>(kOneInstant, l.interval / 8);
}

// A timer has fired: the keepalives of the other links leave with it. Of links with the interval of one
// whose keepalive is leaving also those due within half of it: once early, and from then on together. Hellos
// due within an interval go along.
void Engine::Impl::share_wakeup(Time now) {
  near_links.clear();
  greeted_links.clear();
  link_due.visit(now + std::max(kShareWakeup, drawn_for / 2), [this, now](Link& l) {
    if (!l.up()) return;
    bool same = together(now, l);
    if ((same && l.keepalive_due <= now + l.interval / 2) || keepalive_near(now, l)) near_links.push_back(&l);
    bool unhurried = l.synchronised && l.loss_notices == 0;
    if (same && unhurried && l.hello_due <= now + l.interval) greeted_links.push_back(&l);
  });
  auto by_id = [](const Link* a, const Link* b) { return a->config.id < b->config.id; };
  std::sort(near_links.begin(), near_links.end(), by_id);
  for (Link* l : near_links) {
    touch(*l);
    send_due_keepalive(now, *l);
  }
  std::sort(greeted_links.begin(), greeted_links.end(), by_id);
  for (Link* l : greeted_links) {
    touch(*l);
    send_hello(now, *l);
  }
}

void Engine::Impl::start_polls(Time now, Link& l) {
  if (l.poll_due) return;
  l.polls_left = kPolls;
  l.polls_since = now;
  l.poll_gap = std::max<Duration>(kMinPollGap, 2 * l.delay.mean());
  l.poll_due = now;
  tick_polls(now, l);
}

void Engine::Impl::tick_polls(Time now, Link& l) {
  if (!l.poll_due || now < *l.poll_due) return;
  if (l.polls_left == 0) return drop(now, l, "rapid polls unanswered");
  --l.polls_left;
  l.poll_due = now + l.poll_gap;
  send_keepalive(now, l, wire::kKeepalivePoll);
}

void Engine::Impl::tick_liveness(Time now, Link& l) {
  if (now >= l.last_heard + l.interval * l.multiplier) return drop(now, l, "hold time expired");
  if (now >= l.keepalive_due) send_due_keepalive(now, l);
  tick_polls(now, l);
  if (!l.up()) return;
  tick_path_mtu(now, l);
}

// From the least that every link carries upwards, within what both ends' interfaces say.
void Engine::Impl::start_path_mtu(Time now, Link& l) {
  l.path_mtu.start(now, std::min(l.config.data.mtu, l.peer.data.mtu));
  l.carries = 0;
  note_path_mtu(now, l);
}

void Engine::Impl::tick_path_mtu(Time now, Link& l) {
  if (auto size = l.path_mtu.next(now)) {
    wire::MtuProbe probe{false, *size, *size};
    transmit(l, wire::PduType::mtu_probe, wire::encode(probe));
  }
  note_path_mtu(now, l);
}

// What a link carries concerns its data plane at once, and by the Node LSA everybody whose paths use it.
void Engine::Impl::note_path_mtu(Time now, Link& l) {
  std::uint16_t mtu = l.path_mtu.mtu();
  std::uint16_t before = std::exchange(l.carries, mtu);
  if (mtu == before) return;
  emit(LinkCarries{l.config.id, mtu});
  if (before != 0) update_node_lsa(now, mtu < before);
}

Status Engine::Impl::handle_mtu_probe(Time now, Link& l, ByteView body) {
  auto probe = wire::decode_mtu_probe(body);
  if (!probe) return probe.error();
  if (probe->reply) {
    l.path_mtu.answered(now, probe->size);
    if (l.up()) note_path_mtu(now, l);
  } else {
    transmit(l, wire::PduType::mtu_probe,
             wire::encode(wire::MtuProbe{true, probe->id, probe->size}));
  }
  return Ok{};
}

}  // namespace dmsc::linkstate
