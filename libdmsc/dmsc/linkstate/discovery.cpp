#include "dmsc/linkstate/discovery.hpp"

#include <algorithm>
#include <utility>

namespace dmsc::linkstate {
namespace {

constexpr Duration kRefusalGap = seconds(10);
constexpr Duration kLongestHold = seconds(60);  // whatever a neighbour says
constexpr std::size_t kMostRemembered = 1024;   // neighbours lost, by their last counter

Duration clamp_hold(std::uint32_t milliseconds_told) {
  return std::clamp<Duration>(milliseconds(milliseconds_told), Discovery::kInterval, kLongestHold);
}

}  // namespace

Discovery::Discovery(DiscoveryConfig config, Time now)
    : config_(std::move(config)),
      keys_(config_.keys, config_.domain),
      random_(config_.random_seed, config_.session.value),
      // Rises over a restart that keeps the session, as link counters do.
      counter_(static_cast<std::uint64_t>(std::max<std::int64_t>(now.time_since_epoch().count(), 1))) {}

void Discovery::set_keys(crypto::KeyChain keys) {
  keys_ = ControlKeys(keys, config_.domain);
  config_.keys = std::move(keys);
}

void Discovery::interface_up(Time now, UnicastEndpoint own) {
  if (own_ == own) return;
  own_ = std::move(own);
  first_left_ = kFirstCount;
  announce_due_ = now;
}

void Discovery::interface_down(Time, const std::string& reason) {
  own_.reset();
  for (const auto& [node, neighbour] : std::exchange(neighbours_, {})) lose(node, neighbour, reason);
}

// Its counter is kept, so that a record of what it said does not bring it back.
void Discovery::lose(NodeId node, const Neighbour& neighbour, const std::string& reason) {
  if (lost_.size() >= kMostRemembered) lost_.erase(lost_.begin());
  lost_[node] = {neighbour.session, neighbour.counter};
  outputs_.push_back(NeighbourLost{node, reason});
}

void Discovery::announce(Time now) {
  Duration interval = first_left_ > 0 ? kFirstInterval : kInterval;
  if (first_left_ > 0) --first_left_;
  announce_due_ = now + random_.between(interval - interval / 5, interval);
  const crypto::HmacKey* key = keys_.active();
  if (key == nullptr) return;
  wire::Announcement a;
  a.domain = config_.domain;
  a.hold_ms = static_cast<std::uint32_t>(kHold / milliseconds(1));
  a.address = own_->address;
  a.port = own_->port;
  a.name = config_.name;
  wire::PduHeader header{wire::PduType::announcement, keys_.active_id(), config_.self, 0,
                         config_.session, ++counter_};
  outputs_.push_back(SendAnnouncement{wire::seal_pdu(header, wire::encode(a), *key)});
}

void Discovery::refuse(Time now, const std::string& kind, const std::string& detail) {
  auto [it, fresh] = refused_.try_emplace(kind, now);
  if (!fresh && now < it->second + kRefusalGap) return;
  it->second = now;
  outputs_.push_back(AnnouncementRefused{detail.empty() ? kind : kind + ": " + detail});
}

Result<wire::OpenedPdu> Discovery::open(ByteView datagram) const {
  auto id = wire::pdu_key_id(datagram);
  if (!id) return id.error();
  const crypto::HmacKey* key = keys_.find(*id);
  if (key == nullptr) {
    return make_error(Errc::unauthenticated, "key id ", std::to_string(*id), " is unknown");
  }
  return wire::open_pdu(datagram, *key);
}

void Discovery::receive(Time now, ByteView source, unsigned hops, ByteView datagram) {
  if (!own_) return;
  if (hops != kDiscoveryHops) {
    return refuse(now, "announcement from beyond the interface", "hop limit " + std::to_string(hops));
  }
  auto pdu = open(datagram);
  if (!pdu) return refuse(now, "announcement not authentic", pdu.error().message);
  const wire::PduHeader& header = pdu->header;
  if (header.type != wire::PduType::announcement) {
    return refuse(now, "not an announcement", wire::to_string(header.type));
  }
  if (header.sender == config_.self) {
    if (header.session == config_.session) return;  // our own, looped back
    return refuse(now, "another node uses our node id", "");
  }
  auto announcement = wire::decode_announcement(pdu->body);
  if (!announcement) return refuse(now, "malformed announcement", announcement.error().message);
  if (announcement->domain != config_.domain) return refuse(now, "announcement of another domain", "");
  if (!std::equal(source.begin(), source.end(), announcement->address.begin(),
                  announcement->address.end())) {
    return refuse(now, "announcement from another address than it names", announcement->name);
  }
  heard(now, header, *announcement);
}

void Discovery::heard(Time now, const wire::PduHeader& header,
                      const wire::Announcement& announcement) {
  UnicastEndpoint at{announcement.address, announcement.port};
  auto it = neighbours_.find(header.sender);
  if (it == neighbours_.end()) {
    auto before = lost_.find(header.sender);
    bool recorded = before != lost_.end() && before->second.first == header.session &&
                    header.counter <= before->second.second;
    if (recorded) return;
    if (neighbours_.size() >= config_.max_neighbours) {
      return refuse(now, "too many neighbours",
                    announcement.name + " is over the limit of " +
                        std::to_string(config_.max_neighbours));
    }
    it = neighbours_.emplace(header.sender, Neighbour{}).first;
    if (before != lost_.end()) lost_.erase(before);
    // So that a newcomer need not wait; at random, because everybody has heard it.
    announce_due_ = std::min(announce_due_, now + random_.between(Duration(0), kAnswerWithin));
  }
  Neighbour& n = it->second;
  bool same_session = n.session == header.session;
  if (same_session && header.counter <= n.counter) return;  // repeated or reordered
  bool moved = n.at != at || n.name != announcement.name;
  // An adjacency that lives proves where the neighbour is; a recorded announcement proves nothing.
  if (moved && n.adjacent) return;
  n.session = header.session;
  n.counter = header.counter;
  n.heard = now;
  n.hold = clamp_hold(announcement.hold_ms);
  if (!moved) return;
  n.at = std::move(at);
  n.name = announcement.name;
  outputs_.push_back(NeighbourFound{header.sender, n.name, n.at});
}

void Discovery::adjacency(Time now, NodeId node, bool up) {
  auto it = neighbours_.find(node);
  if (it == neighbours_.end() || it->second.adjacent == up) return;
  it->second.adjacent = up;
  if (!up) it->second.heard = std::max(it->second.heard, now - it->second.hold + kInterval);
}

void Discovery::tick(Time now) {
  if (own_ && now >= announce_due_) announce(now);
  for (auto it = neighbours_.begin(); it != neighbours_.end();) {
    if (it->second.adjacent || now < it->second.heard + it->second.hold) {
      ++it;
      continue;
    }
    lose(it->first, it->second, "no announcement within its hold time");
    it = neighbours_.erase(it);
  }
}

std::optional<Time> Discovery::next_deadline() const {
  if (!own_) return std::nullopt;
  Time due = announce_due_;
  for (const auto& [node, n] : neighbours_) {
    if (!n.adjacent) due = std::min(due, n.heard + n.hold);
  }
  return due;
}

std::deque<DiscoveryOutput> Discovery::poll() { return std::exchange(outputs_, {}); }

}  // namespace dmsc::linkstate
