// The worker's sockets: coming, going, and what they are told.
#include "dmsc/dataplane/receive_batch.hpp"
#include "dmsc/dataplane/worker_impl.hpp"
#include "dmsc/runtime/clock.hpp"

namespace dmsc::dataplane {

void WorkerImpl::add_socket(unsigned sockets, UniqueFd fd) {
  auto shared = std::make_shared<UniqueFd>(std::move(fd));
  post([this, sockets, shared] {
    if (sockets >= sockets_.size()) sockets_.resize(sockets + 1);
    int raw = shared->get();
    sockets_[sockets] = std::move(*shared);
    auto socket = std::make_shared<DataSocket>(raw, sockets);
    watch(raw, EPOLLIN, [this, socket](std::uint32_t) { receive_ready(*socket); });
  });
}

void WorkerImpl::remove_socket(unsigned sockets) {
  post([this, sockets] {
    if (sockets >= sockets_.size() || !sockets_[sockets]) return;
    outbox_.flush();
    unwatch_fd(sockets_[sockets].get());
    sockets_[sockets].reset();
  });
}

void WorkerImpl::add_peer_socket(unsigned sockets, const SocketAddress& peer, UniqueFd fd) {
  auto shared = std::make_shared<UniqueFd>(std::move(fd));
  post([this, sockets, peer, shared] {
    int raw = shared->get();
    peer_sockets_[raw] = std::move(*shared);
    auto socket = std::make_shared<DataSocket>(raw, sockets, peer, runtime::now());
    watch(raw, EPOLLIN, [this, socket](std::uint32_t) { receive_ready(*socket); });
  });
}

void WorkerImpl::remove_peer_socket(int fd) {
  post([this, fd] {
    auto watched = watches_.find(fd);
    if (watched == watches_.end()) return;
    receive_turns_ = DataSocket::kQueued / ReceiveBatch::kSize;
    watched->second->ready(EPOLLIN);
    finish_batch();
    unwatch_fd(fd);
    peer_sockets_.erase(fd);
  });
}

void WorkerImpl::set_offloads(const Offloads& offloads) {
  post([this, offloads] {
    outbox_.join(offloads.segment);
    for (const UniqueFd& socket : sockets_) {
      if (socket) (void)receive_trains(socket.get(), offloads.receive);
    }
    for (const auto& [fd, socket] : peer_sockets_) (void)receive_trains(fd, offloads.receive);
  });
}

}  // namespace dmsc::dataplane
