// Adjacencies: hellos and the three-way handshake with nonces (docs/protocol.md, "Adjacency").
//
//            any hello            hello echoes our        neighbour is two-way
//           of the right node     session and nonce       or up as well
//   down ───────────────► init ───────────────► two-way ───────────────► up
//     ▲                    │                      │                      │
//     └──── hello timeout ─┴──────────────────────┴── hold time, goodbye ┘
//                                     interface down, neighbour restarted or lost us
#include <utility>

#include "dmsc/linkstate/impl.hpp"

namespace dmsc::linkstate {
namespace {

wire::HelloState wire_state(AdjacencyState state) {
  return static_cast<wire::HelloState>(static_cast<int>(state));
}

std::uint32_t whole_us(Duration d) {
  return static_cast<std::uint32_t>(
      std::max<std::int64_t>(std::chrono::duration_cast<microseconds>(d).count(), 1));
}

}  // namespace

void Engine::Impl::send_hello(Time now, Link& l) {
  wire::Hello h;
  h.domain = config.domain;
  h.nonce = l.nonce;
  if (l.state != AdjacencyState::down) {
    h.echo_session = l.peer.session;
    h.echo_nonce = l.peer.nonce;
  }
  h.state = wire_state(l.state);
  h.flags = static_cast<std::uint8_t>((synchronised ? 0 : wire::kHelloStarting) |
                                      (l.drain == DrainLevel::none ? 0 : wire::kHelloDraining));
  h.multiplier = static_cast<std::uint8_t>(l.config.liveness.multiplier);
  h.interval_us = whole_us(l.config.liveness.interval);
  h.window = kReceiveWindow;
  h.pending = static_cast<std::uint32_t>(l.flood.pending());
  h.lsa_count = static_cast<std::uint32_t>(lsdb.size());
  h.digest = lsdb.digest();
  h.data_mtu = l.config.data.mtu;
  h.worker_ports = l.config.data.worker_ports;
  h.name = config.name;
  ++counters.hellos_out;
  transmit(l, wire::PduType::hello, wire::encode(h));
  if (l.up()) l.path_mtu.confirm(now);
  bool settled = l.up() && (l.synchronised || now >= l.up_since + kFastSyncPeriod);
  Duration interval = settled ? kHelloInterval : kFastHello;
  if (l.loss_notices > 0 && --l.loss_notices > 0) interval = kLossNoticeGap;
  l.hello_due = now + random.between(interval - interval / 5, interval);
}

// An answer that was provoked by a hello: bounded, so that forged or replayed hellos gain nothing.
void Engine::Impl::reply_hello(Time now, Link& l) {
  if (now < l.hello_reply_after) return;
  l.hello_reply_after = now + kHelloReplyGap;
  send_hello(now, l);
}

void Engine::Impl::tick_hello(Time now, Link& l) {
  if (!l.interface_up) return;
  if (l.held_until && now >= *l.held_until) l.held_until.reset();
  if ((l.state == AdjacencyState::init || l.state == AdjacencyState::two_way) &&
      now >= l.hello_heard + kCandidateHold) {
    drop(now, l, "hellos stopped during the handshake");
  }
  if (now >= l.hello_due) send_hello(now, l);
  if (l.publish_after && now >= *l.publish_after) {
    l.publish_after.reset();
    if (l.up()) {
      publish_quality(now, l, true);
      update_node_lsa(now, false);
    }
  }
}

Status Engine::Impl::handle_hello(Time now, Link& l, const wire::PduHeader& header, ByteView body) {
  auto decoded = wire::decode_hello(body);
  if (!decoded) return decoded.error();
  const wire::Hello& hello = *decoded;
  ++counters.hellos_in;
  if (hello.domain != config.domain) {
    ++counters.refused_hellos;
    charge(now, l.config.id, header.sender, "hello of another domain", "");
    return Ok{};
  }
  if (!l.config.peer_name.empty() && hello.name != l.config.peer_name) {
    ++counters.refused_hellos;
    charge(now, l.config.id, header.sender, "wrong neighbour",
           "expected " + l.config.peer_name + ", heard " + hello.name);
    return Ok{};
  }
  if (l.held_until) {
    ++counters.refused_hellos;
    return Ok{};
  }
  bool known = l.state != AdjacencyState::down && header.sender == l.peer.node &&
               header.link == l.peer.link && header.session == l.peer.session;
  bool echoes = hello.echo_session == config.session && hello.echo_nonce == l.nonce;
  if (known && header.counter <= l.last_hello) {
    ++counters.replays;  // old or repeated: hellos count in their order only
    return Ok{};
  }
  if (!known && l.state >= AdjacencyState::two_way && !echoes) {
    ++counters.strangers;
    reply_hello(now, l);  // changes nothing; a restarted neighbour learns our nonce from it
    return Ok{};
  }
  if (!known && l.state >= AdjacencyState::two_way) drop(now, l, "neighbour restarted");
  if (known && l.state >= AdjacencyState::two_way && (!echoes || hello.nonce != l.peer.nonce)) {
    drop(now, l, "neighbour lost the adjacency");
  }
  adopt(now, l, header, hello);
  advance(now, l, header, hello);
  return Ok{};
}

void Engine::Impl::adopt(Time now, Link& l, const wire::PduHeader& header,
                         const wire::Hello& hello) {
  l.last_hello = header.counter;
  l.hello_heard = now;
  l.peer.node = header.sender;
  l.peer.link = header.link;
  l.peer.session = header.session;
  l.peer.nonce = hello.nonce;
  l.peer.name = hello.name;
  bool moved = l.up() && (l.peer.data.worker_ports != hello.worker_ports ||
                          l.peer.data.mtu != hello.data_mtu);
  l.peer.data = {hello.worker_ports, hello.data_mtu};
  if (moved) {
    emit(AdjacencyUp{l.config.id, l.peer.node, l.peer.name, l.peer.session, l.peer.data});
    start_path_mtu(now, l);
  }
  bool draining = (hello.flags & wire::kHelloDraining) != 0;
  if (std::exchange(l.peer.draining, draining) != draining && l.up()) update_node_lsa(now, draining);
  l.flood.set_peer_window(hello.window);
  if (l.state == AdjacencyState::down) l.state = AdjacencyState::init;
  negotiate(l, hello);
}

void Engine::Impl::advance(Time now, Link& l, const wire::PduHeader& header,
                           const wire::Hello& hello) {
  AdjacencyState before = l.state;
  bool echoes = hello.echo_session == config.session && hello.echo_nonce == l.nonce;
  if (echoes && l.state == AdjacencyState::init) {
    l.state = AdjacencyState::two_way;
    l.replay.restart(header.counter);  // whatever was sent before belongs to another adjacency
  }
  if (echoes && l.state == AdjacencyState::two_way && hello.state >= wire::HelloState::two_way) {
    bring_up(now, l);
    if (l.held_until) return;
  }
  if (l.up()) {
    l.last_heard = now;
    compare_digest(now, l, hello);
  }
  if (l.state != before) {
    send_hello(now, l);  // a state is told once at once: bounded by the changes themselves
  } else if (!echoes || hello.state < wire_state(l.state)) {
    reply_hello(now, l);
  }
}

void Engine::Impl::bring_up(Time now, Link& l) {
  if (!room_for_adjacency(now, l)) return;
  l.state = AdjacencyState::up;
  l.up_since = now;
  start_liveness(now, l);
  l.synchronised = false;
  l.mismatches = 0;
  l.repair_backoff = kRepairFirst;
  l.repair_after = now + kRepairFirst;  // the first one is about to begin
  emit(AdjacencyUp{l.config.id, l.peer.node, l.peer.name, l.peer.session, l.peer.data});
  start_path_mtu(now, l);
  l.hello_due = now;
  // One side asks, or both would send the same ranges; hellos start the other if this is lost.
  if (config.self < l.peer.node) start_repair(now, l);
  // Good news: told when the first round trip is measured, together with what else comes up now. A link
  // that flaps is told when it has stayed up for a while, so while it goes on nobody hears of it.
  l.publish_after = now + (l.flaps_free.earliest(now) > now ? kFlapHold : kUpHold);
  l.flaps_free.charge(now);
}

void Engine::Impl::drop(Time now, Link& l, const std::string& reason) {
  rest_moved = true;
  bool was_up = l.up(), was_told = l.told();
  NodeId neighbour = l.peer.node;
  l.state = AdjacencyState::down;
  l.peer = {};
  l.nonce = random.next();
  l.last_hello = 0;
  l.hello_due = now;
  l.poll_due.reset();
  l.flood.clear();
  l.acks.clear();
  l.acked_before.clear();
  l.ack_due.reset();
  l.path_mtu.stop();
  l.publish_after.reset();
  l.synchronised = false;
  waiting.forget(l.config.id);
  admission.forget(l.config.id);
  if (!was_up) return;
  ++l.flaps;
  l.loss_notices = kLossNotices;  // the other end may still hear us, and nothing else would tell it
  l.down_reason = reason;
  emit(AdjacencyDown{l.config.id, neighbour, reason});
  if (was_told) update_node_lsa(now, true);
}

void Engine::Impl::say_goodbye(Link& l, const std::string& reason) {
  if (l.state < AdjacencyState::two_way) return;
  transmit(l, wire::PduType::goodbye, wire::encode(wire::Goodbye{reason}));
}

}  // namespace dmsc::linkstate
