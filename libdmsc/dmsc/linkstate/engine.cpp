// Inputs, outputs and deadlines; the protocol itself is in the other files.
#include "dmsc/linkstate/engine.hpp"

#include <algorithm>

#include "dmsc/linkstate/impl.hpp"

namespace dmsc::linkstate {

const char* to_string(AdjacencyState state) {
  switch (state) {
    case AdjacencyState::down: return "down";
    case AdjacencyState::init: return "init";
    case AdjacencyState::two_way: return "two-way";
    case AdjacencyState::up: return "up";
  }
  return "?";
}

const char* to_string(DrainLevel level) {
  switch (level) {
    case DrainLevel::none: return "none";
    case DrainLevel::soft: return "soft";
    case DrainLevel::hard: return "hard";
  }
  return "?";
}

namespace {
// Adjacencies of 48 bytes; fragment 0 also carries the attributes with a name of up to 255 bytes.
constexpr std::size_t kNodeFragment = 816;
constexpr std::size_t kPrefixFragment = 1024;
}  // namespace

Engine::Impl::Impl(EngineConfig c, Time now)
    : config(std::move(c)),
      primitives(config.primitives ? config.primitives : std::make_shared<Primitives>()),
      recorder(config.record_to, config, now),
      random(config.random_seed, config.session.value),
      keys(config.keys, config.domain),
      last_now(now),
      lsdb(config.random_seed ^ config.session.value, config.certificate),
      epoch(std::max(config.stored_epoch + 1, config.clock_seconds)),
      synchronise_by(now + (config.discovers ? kSyncGiveUp : kAloneGiveUp)),
      quality_due(now + kQualityPeriod),
      adjacency_fragments(kNodeFragment),
      prefix_fragments(kPrefixFragment),
      grant_fragments(1) {
  emit(Epoch{epoch});
  if (!config.certificate.empty()) {
    want(now, {config.self, wire::LsaType::identity, 0},
         wire::encode(wire::IdentityBody{config.certificate, {}}), true);
  }
  update_node_lsa(now, true);
}

void Engine::Impl::transmit(Link& l, wire::PduType type, ByteView body) {
  const crypto::HmacKey* key = keys.active();
  if (key == nullptr || !l.interface_up) return;
  wire::PduHeader header{type,          keys.active_id(), config.self, l.config.id.value,
                         config.session, l.counter++};
  Bytes datagram = primitives->take_buffer();
  wire::frame_pdu(header, body, datagram);
  std::size_t covered = datagram.size() - wire::kPduTrailerBytes;
  crypto::Hash32 tag = primitives->tag(*key, ByteView(datagram).first(covered));
  std::copy(tag.begin(), tag.end(), datagram.begin() + static_cast<std::ptrdiff_t>(covered));
  ++counters.packets_out;
  counters.bytes_out += datagram.size();
  emit(Transmit{l.config.id, std::move(datagram)});
}

void Engine::Impl::charge(Time now, LinkId id, NodeId offender, const char* kind,
                          const std::string& detail) {
  auto [it, fresh] = charged.try_emplace({id, kind}, now);
  if (!fresh && now < it->second + kMisbehaviourGap) return;
  it->second = now;
  emit(Misbehaviour{id, offender, detail.empty() ? kind : std::string(kind) + ": " + detail});
}

void Engine::Impl::receive(Time now, Link& l, ByteView datagram) {
  ++counters.packets_in;
  counters.bytes_in += datagram.size();
  auto id = wire::pdu_key_id(datagram);
  const crypto::HmacKey* key = id ? keys.find(*id) : nullptr;
  if (key == nullptr) {
    ++counters.auth_failures;
    return charge(now, l.config.id, {}, "authentication failed",
                  id ? "key id " + std::to_string(*id) + " is unknown" : id.error().message);
  }
  if (!primitives->tag_good(*key, datagram)) {
    recorder.bad_tag();
    ++counters.auth_failures;
    return charge(now, l.config.id, {}, "authentication failed", "control PDU: its HMAC is wrong");
  }
  auto pdu = wire::parse_pdu(datagram);
  if (!pdu) {
    ++counters.malformed;
    return charge(now, l.config.id, {}, "malformed packet", pdu.error().message);
  }
  if (pdu->header.sender == config.self) {
    ++counters.reflected;
    return charge(now, l.config.id, config.self,
                  pdu->header.session == config.session ? "own packet reflected"
                                                        : "another node uses our node id",
                  "");
  }
  dispatch(now, l, pdu->header, pdu->body);
}

void Engine::Impl::dispatch(Time now, Link& l, const wire::PduHeader& header, ByteView body) {
  Status done = Ok{};
  if (header.type != wire::PduType::keepalive || !l.up()) rest_moved = true;
  if (header.type == wire::PduType::announcement) {
    return charge(now, l.config.id, header.sender, "announcement on a link", "");
  }
  if (header.type == wire::PduType::hello) {
    done = handle_hello(now, l, header, body);
  } else {
    const Peer& p = l.peer;
    if (l.state < AdjacencyState::two_way || header.sender != p.node || header.link != p.link ||
        header.session != p.session) {
      ++counters.strangers;  // or a session that is over: nothing changes
      return;
    }
    if (!l.replay.accept(header.counter)) {
      ++counters.replays;
      return;
    }
    // The neighbour sends these only once it is up, and it is up only if it has heard us.
    if (!l.up()) bring_up(now, l);
    if (!l.up()) return;  // there is no room for it
    l.last_heard = std::max(l.last_heard, arrived);
    switch (header.type) {
      case wire::PduType::keepalive: done = handle_keepalive(now, l, body); break;
      case wire::PduType::update: done = handle_update(now, l, body); break;
      case wire::PduType::ack: done = handle_ack(now, l, body); break;
      case wire::PduType::digest: done = handle_digest(now, l, body); break;
      case wire::PduType::request: done = handle_request(now, l, body); break;
      case wire::PduType::mtu_probe: done = handle_mtu_probe(now, l, body); break;
      case wire::PduType::goodbye: {
        auto goodbye = wire::decode_goodbye(body);
        drop(now, l, goodbye && !goodbye->reason.empty() ? "closed by peer: " + goodbye->reason
                                                         : "closed by peer");
        break;
      }
      case wire::PduType::hello:
      case wire::PduType::announcement: break;
    }
  }
  if (done) return;
  ++counters.malformed;
  charge(now, l.config.id, header.sender, "malformed packet", done.error().message);
}

void Engine::Impl::tick(Time now) {
  settle_links();
  due_links.clear();
  link_due.visit(now, [this](const Link& l) { due_links.push_back(l.config.id); });
  // Whenever the deadlines were asked for, the same happens.
  std::sort(due_links.begin(), due_links.end());
  for (LinkId id : due_links) {
    Link& l = *link(id);
    tick_hello(now, l);
    if (l.up()) tick_liveness(now, l);
    if (l.up()) tick_flooding(now, l);
  }
  share_wakeup(now);
  if (!rest_moved && now < rest_due) return;
  rest_moved = true;
  while (auto key = lsdb.expired(now)) {
    ++counters.expired;
    remove(*key);
    if (auto it = own.find(*key); it != own.end() && !it->second.wanted) own.erase(it);
  }
  judge_next(now);
  tick_origination(now);
  if (now >= quality_due) tick_quality(now);
  if (!synchronised && now >= synchronise_by) become_synchronised(now);
}

Time Engine::Impl::rest_deadline() const {
  Time due = links.empty() ? kNever : quality_due;
  earlier(due, lsdb.next_expiry());
  earlier(due, admission.next_deadline());
  if (!own_due.empty()) due = std::min(due, own_due.begin()->first);
  if (!synchronised) due = std::min(due, synchronise_by);
  return due;
}

std::optional<Time> Engine::Impl::next_deadline() {
  if (stopped) return std::nullopt;
  settle_links();
  if (std::exchange(rest_moved, false)) rest_due = rest_deadline();
  Time due = link_due.empty() ? rest_due : std::min(rest_due, link_due.first());
  return due == kNever ? std::nullopt : std::optional<Time>(due);
}

// ---- the public face -----------------------------------------------------------------------------

Engine::Engine(EngineConfig config, Time now)
    : impl_(std::make_unique<Impl>(std::move(config), now)) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

void Engine::receive(Time now, LinkId id, ByteView datagram, Duration waited) {
  impl_->recorder.datagram(now, id, datagram, waited);
  impl_->pass(now);
  impl_->arrived = now - waited;
  Link* l = impl_->link(id);
  if (impl_->stopped || l == nullptr || !l->interface_up) return;
  impl_->receive(now, *l, datagram);
}

void Engine::tick(Time now) {
  impl_->recorder.plain(InputType::tick, now);
  impl_->pass(now);
  ++impl_->counters.ticks;
  if (!impl_->stopped) impl_->tick(now);
}

Outputs Engine::poll() {
  Outputs out;
  poll(out);
  return out;
}

void Engine::poll(Outputs& into) {
  impl_->recorder.poll();
  impl_->flush();
  into.clear();
  into.swap(impl_->outputs);
}

void Engine::recycle(Bytes datagram) { impl_->primitives->recycle(std::move(datagram)); }

std::optional<Time> Engine::next_deadline() const { return impl_->next_deadline(); }

void Engine::verdict(Time now, std::uint64_t ticket, bool valid) {
  impl_->recorder.number(InputType::verdict, now, ticket, valid ? 1 : 0);
  impl_->enter(now);
  if (impl_->stopped) return;
  impl_->verdict(now, ticket, valid);
  impl_->judge_next(now);
}

void Engine::undecided(Time now, std::uint64_t ticket) {
  impl_->recorder.number(InputType::undecided, now, ticket);
  impl_->enter(now);
  if (impl_->stopped) return;
  impl_->admission.answered(ticket);
  impl_->judge_next(now);
}

void Engine::retry_waiting(Time now) {
  impl_->recorder.plain(InputType::retry_waiting, now);
  impl_->enter(now);
  if (!impl_->stopped) impl_->retry(now, std::nullopt);
}

void Engine::recheck(Time now, NodeId origin) {
  impl_->recorder.number(InputType::recheck, now, origin.value);
  impl_->enter(now);
  std::uint64_t lo = static_cast<std::uint64_t>(origin.value) << 24, hi = lo | 0xffffff;
  impl_->lsdb.visit(lo, hi, [&](const Lsdb::Entry& entry) {
    ++impl_->counters.verify_wanted;
    wire::LsaPtr lsa = impl_->lsdb.load(entry);
    std::uint64_t ticket = impl_->waiting.add_recheck(now, lsa);
    impl_->emit(VerifyWanted{ticket, lsa});
  });
}

void Engine::set_keys(Time now, crypto::KeyChain keys) {
  impl_->recorder.keys(now, keys);
  impl_->enter(now);
  impl_->keys = ControlKeys(keys, impl_->config.domain);
  impl_->config.keys = std::move(keys);
}

void Engine::set_certificate(Time now, Bytes certificate) {
  impl_->recorder.bytes(InputType::set_certificate, now, certificate);
  impl_->enter(now);
  impl_->config.certificate = std::move(certificate);
  impl_->want(now, {impl_->config.self, wire::LsaType::identity, 0},
              wire::encode(wire::IdentityBody{impl_->config.certificate, {}}), true);
}

void Engine::inject(Time now, const wire::LsaPtr& lsa) {
  impl_->recorder.bytes(InputType::inject, now, lsa->raw);
  impl_->enter(now);
  if (!impl_->stopped) impl_->receive_lsa(now, nullptr, lsa, lsa->lifetime);
}

void Engine::set_prefixes(Time now, std::vector<wire::PrefixEntry> entries) {
  impl_->recorder.prefixes(now, entries);
  impl_->enter(now);
  impl_->set_prefixes(now, std::move(entries));
}

void Engine::set_grants(Time now, std::vector<Bytes> signed_grants) {
  impl_->recorder.grants(now, signed_grants);
  impl_->enter(now);
  impl_->set_grants(now, std::move(signed_grants));
}

void Engine::mark_record(Time now) {
  impl_->recorder.mark(now, impl_->lsdb.digest(), impl_->lsdb.size());
}

void Engine::shutdown(Time now) {
  impl_->recorder.plain(InputType::shutdown, now);
  impl_->enter(now);
  for (auto& [id, l] : impl_->links) {
    impl_->say_goodbye(l, "shutting down");
    impl_->drop(now, l, "shutting down");
  }
  impl_->stopped = true;
}

}  // namespace dmsc::linkstate
