#include "dmsc/dataplane/outbox.hpp"

#include "dmsc/dataplane/udp_socket.hpp"

#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace dmsc::dataplane {

using forwarding::DropReason;

Outbox::Outbox(WorkerCounters& counters)
    : counters_(counters),
      arena_(new std::uint8_t[kArenaBytes]),
      packed_(new std::uint8_t[kTrains * kMaxSegments * kPackBytes]) {}

void Outbox::join(bool on) {
  flush();
  join_ = on;
}

Outbox::Slot& Outbox::slot_of(const SocketAddress& to) {
  std::uint64_t hash = reinterpret_cast<std::uintptr_t>(&to) * 0x9e3779b97f4a7c15ULL;
  constexpr std::size_t kProbes = 8;
  std::size_t at = hash >> 57;
  static_assert(2 * kTrains == 128, "seven bits of hash");
  for (std::size_t k = 0; k < kProbes; ++k) {
    Slot& slot = open_[(at + k) % open_.size()];
    if (slot.to == &to || slot.to == nullptr) return slot;
  }
  return open_[at];  // crowded: two addresses take turns, and make shorter trains
}

Outbox::Train* Outbox::open_train(int fd, const SocketAddress& to, std::size_t size) {
  const Slot& slot = slot_of(to);
  if (!join_ || slot.to != &to) return nullptr;
  Train& train = trains_[slot.train];
  if (train.closed || train.fd != fd) return nullptr;
  if (size <= train.segment && train.count < kMaxSegments &&
      train.bytes + size <= kMaxTrainBytes) {
    return &train;
  }
  return nullptr;
}

Outbox::Train& Outbox::start_train(int fd, const SocketAddress& to, std::size_t size,
                                   LinkCounters& link) {
  if (count_ == kTrains) flush();
  slot_of(to) = {&to, count_};
  Train& train = trains_[count_++];
  train = {fd, &to, &link, size, 0, 0, 0, size == 0, 0};
  return train;
}

// Returns where the datagram is now.
std::span<std::uint8_t> Outbox::append(Train& train, std::span<std::uint8_t> datagram) {
  auto& pieces = pieces_[static_cast<std::size_t>(&train - trains_.data())];
  iovec* last = train.pieces > 0 ? &pieces[train.pieces - 1] : nullptr;
  const std::uint8_t* end =
      last != nullptr ? static_cast<std::uint8_t*>(last->iov_base) + last->iov_len : nullptr;
  if (last != nullptr && end != datagram.data() && datagram.size() <= kPackBytes) {
    datagram = packed(train, datagram);
  }
  // A train that arrived as one buffer leaves as one: nothing to gather.
  if (last != nullptr && end == datagram.data()) {
    last->iov_len += datagram.size();
  } else {
    pieces[train.pieces++] = {datagram.data(), datagram.size()};
  }
  ++train.count;
  train.bytes += datagram.size();
  if (datagram.size() < train.segment) train.closed = true;  // only the last one may be shorter
  return datagram;
}

std::span<std::uint8_t> Outbox::packed(Train& train, std::span<const std::uint8_t> datagram) {
  auto number = static_cast<std::size_t>(&train - trains_.data());
  std::uint8_t* to = packed_.get() + number * kMaxSegments * kPackBytes + train.packed;
  std::memcpy(to, datagram.data(), datagram.size());
  train.packed += datagram.size();
  return {to, datagram.size()};
}

std::span<std::uint8_t> Outbox::copied(std::span<const std::uint8_t> datagram) {
  std::uint8_t* to = arena_.get() + arena_used_;
  std::memcpy(to, datagram.data(), datagram.size());
  arena_used_ += datagram.size();
  return {to, datagram.size()};
}

void Outbox::push(int fd, const SocketAddress& to, std::span<std::uint8_t> datagram, bool copy,
                  LinkCounters& link, const crypto::Key16* key) {
  if (copy && arena_used_ + datagram.size() > kArenaBytes) flush();
  Train* train = open_train(fd, to, datagram.size());
  if (train == nullptr) train = &start_train(fd, to, datagram.size(), link);
  datagram = append(*train, copy ? copied(datagram) : datagram);
  if (key == nullptr) return;
  untagged_[untagged_count_++] = {datagram.data(), key};
  if (untagged_count_ == untagged_.size()) write_tags();
}

void Outbox::write_tags() {
  forwarding::write_tags(std::span(untagged_).first(untagged_count_));
  untagged_count_ = 0;
}

void Outbox::prepare(std::size_t i) {
  const Train& train = trains_[i];
  msghdr& header = messages_[i].msg_hdr;
  messages_[i] = {};
  // sendmmsg does not write to the name: the cast only satisfies its type.
  header.msg_name = const_cast<sockaddr*>(train.to->data());
  header.msg_namelen = train.to->size();
  header.msg_iov = pieces_[i].data();
  header.msg_iovlen = train.pieces;
  if (train.count == 1) return;
  header.msg_control = controls_[i].bytes.data();
  header.msg_controllen = controls_[i].bytes.size();
  cmsghdr* control = CMSG_FIRSTHDR(&header);
  control->cmsg_level = IPPROTO_UDP;
  control->cmsg_type = UDP_SEGMENT;
  control->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
  auto segment = static_cast<std::uint16_t>(train.segment);
  std::memcpy(CMSG_DATA(control), &segment, sizeof segment);
}

void Outbox::flush() {
  write_tags();
  for (std::size_t i = 0; i < count_; ++i) prepare(i);
  std::size_t first = 0;
  while (first < count_) {
    std::size_t end = first + 1;
    while (end < count_ && trains_[end].fd == trains_[first].fd) ++end;
    flush_run(first, end);
    first = end;
  }
  if (count_ > 0) open_.fill({});
  count_ = arena_used_ = 0;
}

void Outbox::sent(const Train& train) {
  counters_.packets_out.add(train.count);
  counters_.bytes_out.add(train.bytes);
  if (train.count > 1) counters_.trains_out.add();
  train.link->packets_out.add(train.count);
  train.link->bytes_out.add(train.bytes);
}

void Outbox::lost(int error, unsigned datagrams) {
  bool full = error == EAGAIN || error == ENOBUFS;
  counters_.drop(error == EMSGSIZE ? DropReason::too_big
                 : full            ? DropReason::congestion
                                   : DropReason::link_down,
                 datagrams);
}

// The device may not cut (EIO), or a datagram be too big for the path (EINVAL for a train, where a single
// one gets EMSGSIZE): sent singly, each datagram gets the answer that is its own.
void Outbox::send_singly(const Train& train, const std::array<iovec, kMaxSegments>& pieces) {
  counters_.trains_refused.add();
  for (unsigned p = 0; p < train.pieces; ++p) {
    auto* data = static_cast<std::uint8_t*>(pieces[p].iov_base);
    for (std::size_t at = 0; at < pieces[p].iov_len; at += train.segment) {
      std::size_t size = std::min(train.segment, pieces[p].iov_len - at);
      ssize_t n = ::sendto(train.fd, data + at, size, 0, train.to->data(), train.to->size());
      if (n < 0) {
        lost(errno, 1);
      } else {
        sent({train.fd, train.to, train.link, size, size, 1, 1, true, 0});
      }
    }
  }
}

void Outbox::flush_run(std::size_t first, std::size_t end) {
  int again = 2;  // whoever forges ICMP errors costs system calls, not datagrams
  while (first < end) {
    int n = ::sendmmsg(trains_[first].fd, &messages_[first], static_cast<unsigned>(end - first), 0);
    for (int k = 0; k < n; ++k) sent(trains_[first + static_cast<std::size_t>(k)]);
    if (n > 0) {
      first += static_cast<std::size_t>(n);
      continue;
    }
    if (errno == EINTR) continue;
    if (is_earlier_error(errno) && again-- > 0) continue;
    // The error belongs to the first message; the others get their own chance.
    const Train& train = trains_[first];
    if (train.count > 1 && errno != EAGAIN && errno != ENOBUFS) {
      send_singly(train, pieces_[first]);
    } else {
      lost(errno, train.count);
    }
    ++first;
  }
}

}  // namespace dmsc::dataplane
