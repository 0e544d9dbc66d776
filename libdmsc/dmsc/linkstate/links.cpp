// Links: how they are found, when one is due, and local changes of them: configuration, interface, quality,
// bias.
#include <algorithm>
#include <utility>

#include "dmsc/linkstate/impl.hpp"

namespace dmsc::linkstate {

Link* Engine::Impl::find_link(LinkId id) {
  if (id.value < links_by_id.size()) return links_by_id[id.value];
  if (id.value < kIndexedLinks) return nullptr;
  auto it = links.find(id);
  return it == links.end() ? nullptr : &it->second;
}

Link& Engine::Impl::insert_link(LinkConfig c) {
  LinkId id = c.id;
  Link& l = links.emplace(id, Link(std::move(c))).first->second;
  if (id.value < kIndexedLinks) {
    if (id.value >= links_by_id.size()) links_by_id.resize(id.value + 1, nullptr);
    links_by_id[id.value] = &l;
  }
  return l;
}

void Engine::Impl::erase_link(Link& l) {
  link_due.remove(l);
  touched_links.erase(std::remove(touched_links.begin(), touched_links.end(), &l), touched_links.end());
  LinkId id = l.config.id;
  if (id.value < links_by_id.size()) links_by_id[id.value] = nullptr;
  links.erase(id);
}

void Engine::Impl::settle_links() {
  std::size_t kept = 0;
  for (Link* l : touched_links) {
    if (std::exchange(l->moved, false)) enter_deadline(*l);
    l->touched = l->to_pump;
    if (l->to_pump) touched_links[kept++] = l;
  }
  touched_links.resize(kept);
}

void Engine::Impl::enter_deadline(Link& l) {
  Time due = link_deadline(l);
  if (due == l.due) return;
  l.due = due;
  if (due == kNever) {
    link_due.remove(l);
  } else {
    link_due.set(l, due);
  }
}

Time Engine::Impl::link_deadline(const Link& l) const {
  Time due = l.interface_up ? l.hello_due : kNever;
  if (l.state == AdjacencyState::init || l.state == AdjacencyState::two_way) {
    due = std::min(due, l.hello_heard + kCandidateHold);
  }
  earlier(due, l.publish_after);
  if (!l.up()) return due;
  due = std::min({due, l.keepalive_due, l.last_heard + l.interval * l.multiplier});
  earlier(due, l.poll_due);
  earlier(due, l.ack_due);
  earlier(due, l.path_mtu.due());
  if (l.flood.pending() != 0) earlier(due, l.flood.next_deadline(last_now));
  return due;
}

void Engine::add_link(Time now, LinkConfig config) {
  impl_->recorder.link(InputType::add_link, now, config);
  impl_->remove_link(now, config.id);
  Link& l = impl_->insert_link(std::move(config));
  l.nonce = impl_->random.next();
  // Rises over a warm restart that keeps the session: no link sends a datagram per nanosecond.
  l.counter = static_cast<std::uint64_t>(std::max<std::int64_t>(now.time_since_epoch().count(), 1));
  l.hello_due = now;
  impl_->touch(l);
  if (!impl_->synchronised) impl_->synchronise_by = now + kSyncGiveUp;
}

void Engine::remove_link(Time now, LinkId id) {
  impl_->recorder.of_link(InputType::remove_link, now, id);
  impl_->remove_link(now, id);
}

void Engine::Impl::remove_link(Time now, LinkId id) {
  enter(now);
  Link* l = link(id);
  if (l == nullptr) return;
  say_goodbye(*l, "link removed");
  drop(now, *l, "link removed");
  erase_link(*l);
}

void Engine::change_link(Time now, LinkConfig config) {
  impl_->recorder.link(InputType::change_link, now, config);
  impl_->enter(now);
  Link* l = impl_->link(config.id);
  if (l == nullptr) return add_link(now, std::move(config));
  bool wrong_peer = !config.peer_name.empty() && l->state != AdjacencyState::down &&
                    l->peer.name != config.peer_name;
  bool worse = config.metric > l->config.metric;
  bool other_mtu = config.data.mtu != l->config.data.mtu;
  l->config = std::move(config);
  if (wrong_peer) {
    impl_->say_goodbye(*l, "reconfigured");
    return impl_->drop(now, *l, "reconfigured: another neighbour is expected");
  }
  l->hello_due = now;  // tells the neighbour new liveness and data parameters at once
  if (l->up()) {
    if (other_mtu) impl_->start_path_mtu(now, *l);
    impl_->publish_quality(now, *l, true);
    impl_->update_node_lsa(now, worse);
  }
}

void Engine::interface_state(Time now, LinkId id, bool up) {
  impl_->recorder.of_link(InputType::interface_state, now, id, up ? 1 : 0);
  impl_->enter(now);
  Link* l = impl_->link(id);
  if (l == nullptr || l->interface_up == up) return;
  l->interface_up = up;
  if (up) {
    l->hello_due = now;
  } else {
    impl_->drop(now, *l, "interface down");
  }
}

void Engine::link_hint(Time now, LinkId id) {
  impl_->recorder.of_link(InputType::link_hint, now, id);
  impl_->enter(now);
  Link* l = impl_->link(id);
  if (l != nullptr && l->up()) impl_->start_polls(now, *l);
}

void Engine::set_overload(Time now, bool overload) {
  impl_->recorder.number(InputType::set_overload, now, overload ? 1 : 0);
  impl_->enter(now);
  if (impl_->overload == overload) return;
  impl_->overload = overload;
  impl_->update_node_lsa(now, overload);
}

void Engine::set_drain(Time now, DrainLevel level) {
  impl_->recorder.number(InputType::set_drain, now, static_cast<std::uint64_t>(level));
  impl_->enter(now);
  DrainLevel was = std::exchange(impl_->drained, level);
  if (was != level) impl_->update_node_lsa(now, level > was);
}

void Engine::set_link_drain(Time now, LinkId id, DrainLevel level) {
  impl_->recorder.of_link(InputType::set_link_drain, now, id, static_cast<std::uint64_t>(level));
  impl_->enter(now);
  Link* l = impl_->link(id);
  if (l == nullptr || l->drain == level) return;
  DrainLevel was = std::exchange(l->drain, level);
  l->hello_due = now;  // the neighbour hears it at once
  if (l->up()) impl_->update_node_lsa(now, level > was);
}

void Engine::set_link_quality(Time now, LinkId id, std::uint64_t available_bps, bool usable) {
  impl_->recorder.of_link(InputType::set_link_quality, now, id, available_bps, usable ? 1 : 0);
  impl_->enter(now);
  Link* l = impl_->link(id);
  if (l == nullptr) return;
  l->available_bps = available_bps;
  if (l->usable == usable) return;
  l->usable = usable;
  if (!l->up()) return;
  impl_->publish_quality(now, *l, true);
  impl_->update_node_lsa(now, !usable);
}

void Engine::set_metric_bias(Time now, LinkId id, std::uint32_t bias) {
  impl_->recorder.of_link(InputType::set_metric_bias, now, id, bias);
  impl_->enter(now);
  Link* l = impl_->link(id);
  if (l == nullptr || l->bias == bias) return;
  bool worse = bias > l->bias;
  l->bias = bias;
  if (l->up()) impl_->update_node_lsa(now, worse);
}

}  // namespace dmsc::linkstate
