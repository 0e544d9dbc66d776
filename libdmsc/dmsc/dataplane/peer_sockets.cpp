#include "dmsc/dataplane/peer_sockets.hpp"

#include <algorithm>

namespace dmsc::dataplane {

const PeerSockets::Held* PeerSockets::find(const Source& peer) const {
  auto it = std::find_if(held_.begin(), held_.end(), [&](const Held& h) { return h.peer == peer; });
  return it == held_.end() ? nullptr : &*it;
}

std::vector<int> PeerSockets::of(const Source& peer) const {
  const Held* held = find(peer);
  return held != nullptr ? held->fds : std::vector<int>{};
}

void PeerSockets::end(const Held& held) {
  for (std::size_t i = 0; i < held.fds.size(); ++i) workers_[i]->remove_peer_socket(held.fds[i]);
}

std::optional<PeerSockets::Held> PeerSockets::make(const Source& peer, const SocketGroup& group,
                                                   UdpOptions options) {
  options.interface = group.interface;
  std::vector<UniqueFd> opened;
  for (int shared : group.fds) {
    auto fd = open_beside(shared, peer.address, options);
    if (!fd) {
      runtime::log::info("peer-socket-missing",
                         {{"peer", peer.address.text()}, {"error", fd.error().message}});
      return std::nullopt;
    }
    opened.push_back(std::move(*fd));
  }
  Held held{peer, {}};
  for (std::size_t i = 0; i < opened.size(); ++i) {
    held.fds.push_back(opened[i].get());
    workers_[i]->add_peer_socket(peer.sockets, peer.address, std::move(opened[i]));
  }
  return held;
}

void PeerSockets::follow(const std::vector<Source>& wanted,
                         const std::vector<std::optional<SocketGroup>>& groups, const UdpOptions& options) {
  auto unwanted = std::partition(held_.begin(), held_.end(), [&](const Held& held) {
    return std::find(wanted.begin(), wanted.end(), held.peer) != wanted.end();
  });
  std::for_each(unwanted, held_.end(), [&](const Held& held) { end(held); });
  held_.erase(unwanted, held_.end());
  for (const Source& peer : wanted) {
    if (held_.size() >= kMost || find(peer) != nullptr || !groups[peer.sockets]) continue;
    if (auto made = make(peer, *groups[peer.sockets], options)) held_.push_back(std::move(*made));
  }
}

}  // namespace dmsc::dataplane
