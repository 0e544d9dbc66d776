#include "dmsc/dataplane/outbox.hpp"

#include <cerrno>
#include <cstring>

namespace dmsc::dataplane {

using forwarding::DropReason;

Outbox::Outbox(WorkerCounters& counters)
    : counters_(counters),
      copies_(std::make_unique<std::array<std::array<std::uint8_t, kMaxDatagram>, kSlots>>()) {}

void Outbox::push(int fd, const SocketAddress& to, std::span<std::uint8_t> datagram, bool copy,
                  LinkCounters& link) {
  if (count_ == kSlots) flush();
  std::size_t i = count_++;
  std::uint8_t* data = datagram.data();
  if (copy) {
    data = (*copies_)[i].data();
    std::memcpy(data, datagram.data(), datagram.size());
  }
  fds_[i] = fd;
  links_[i] = &link;
  iov_[i] = {data, datagram.size()};
  messages_[i] = {};
  // sendmmsg does not write to the name: the cast only satisfies its type.
  messages_[i].msg_hdr.msg_name = const_cast<sockaddr*>(to.data());
  messages_[i].msg_hdr.msg_namelen = to.size();
  messages_[i].msg_hdr.msg_iov = &iov_[i];
  messages_[i].msg_hdr.msg_iovlen = 1;
}

void Outbox::flush() {
  std::size_t first = 0;
  while (first < count_) {
    std::size_t end = first + 1;
    while (end < count_ && fds_[end] == fds_[first]) ++end;
    flush_run(first, end);
    first = end;
  }
  count_ = 0;
}

void Outbox::sent(std::size_t i) {
  counters_.packets_out.add();
  counters_.bytes_out.add(iov_[i].iov_len);
  links_[i]->packets_out.add();
  links_[i]->bytes_out.add(iov_[i].iov_len);
}

void Outbox::flush_run(std::size_t first, std::size_t end) {
  while (first < end) {
    int n = ::sendmmsg(fds_[first], &messages_[first], static_cast<unsigned>(end - first), 0);
    for (int k = 0; k < n; ++k) sent(first + static_cast<std::size_t>(k));
    if (n > 0) {
      first += static_cast<std::size_t>(n);
      continue;
    }
    if (errno == EINTR) continue;
    // The error belongs to the first message; the others get their own chance.
    bool full = errno == EAGAIN || errno == ENOBUFS;
    counters_.drop(errno == EMSGSIZE ? DropReason::too_big
                   : full            ? DropReason::congestion
                                     : DropReason::link_down);
    ++first;
  }
}

}  // namespace dmsc::dataplane
