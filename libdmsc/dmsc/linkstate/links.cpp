// Local changes of links: configuration, interface, quality, bias.
#include <algorithm>
#include <utility>

#include "dmsc/linkstate/impl.hpp"

namespace dmsc::linkstate {

void Engine::add_link(Time now, LinkConfig config) {
  impl_->recorder.link(InputType::add_link, now, config);
  impl_->remove_link(now, config.id);
  LinkId id = config.id;
  Link& l = impl_->links.emplace(id, Link(std::move(config))).first->second;
  l.nonce = impl_->random.next();
  // Rises over a warm restart that keeps the session: no link sends a datagram per nanosecond.
  l.counter = static_cast<std::uint64_t>(std::max<std::int64_t>(now.time_since_epoch().count(), 1));
  l.hello_due = now;
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
  links.erase(id);
}

void Engine::change_link(Time now, LinkConfig config) {
  impl_->recorder.link(InputType::change_link, now, config);
  impl_->enter(now);
  Link* l = impl_->link(config.id);
  if (l == nullptr) return add_link(now, std::move(config));
  bool wrong_peer = !config.peer_name.empty() && l->state != AdjacencyState::down &&
                    l->peer.name != config.peer_name;
  bool worse = config.metric > l->config.metric;
  l->config = std::move(config);
  if (wrong_peer) {
    impl_->say_goodbye(*l, "reconfigured");
    return impl_->drop(now, *l, "reconfigured: another neighbour is expected");
  }
  l->hello_due = now;  // tells the neighbour new liveness and data parameters at once
  if (l->up()) {
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
