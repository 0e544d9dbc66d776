#include "dmsc/dataplane/receive_batch.hpp"

#include <netinet/udp.h>

#include <cerrno>
#include <cstring>

namespace dmsc::dataplane {

ReceiveBatch::ReceiveBatch()
    : memory_(new std::uint8_t[kSize * kStride]), close_(new std::uint8_t[kSize * kCloseStride]) {
  for (unsigned i = 0; i < kSize; ++i) {
    messages_[i] = {};
    messages_[i].msg_hdr.msg_iov = iov_[i].data();
    messages_[i].msg_hdr.msg_control = controls_[i].bytes.data();
  }
  lay_out(true);
}

void ReceiveBatch::lay_out(bool together) {
  together_ = together;
  for (unsigned i = 0; i < kSize; ++i) {
    if (together) {
      iov_[i] = {iovec{close(i), kCloseBytes}, iovec{wide(i) + kCloseBytes, kBufferBytes - kCloseBytes}};
    } else {
      iov_[i] = {iovec{wide(i), kBufferBytes}, iovec{}};
    }
    messages_[i].msg_hdr.msg_iovlen = together ? 2 : 1;
  }
}

ReceiveBatch::Received ReceiveBatch::receive(int fd, bool sources) {
  const unsigned first = used_, room = this->room();
  for (unsigned i = first; i < first + room; ++i) {  // what the kernel writes, and only that
    msghdr& header = messages_[i].msg_hdr;
    header.msg_name = sources ? &names_[i] : nullptr;
    header.msg_namelen = sources ? sizeof names_[i] : 0;
    header.msg_controllen = controls_[i].bytes.size();
  }
  int n = ::recvmmsg(fd, &messages_[first], room, MSG_DONTWAIT, nullptr);
  if (n <= 0) return {first, 0, false, n < 0 && errno == EAGAIN};
  const auto count = static_cast<unsigned>(n);
  take(first, count);
  used_ += count;
  return {first, count, count == room, count < room};
}

// Finds each message in one piece, and the layout that suits the next ones.
void ReceiveBatch::take(unsigned first, unsigned count) {
  bool small = true;
  for (unsigned i = first; i < first + count; ++i) {
    bool fits = messages_[i].msg_len <= kCloseBytes;
    small = small && fits;
    data_[i] = together_ && fits ? close(i) : wide(i);
    if (together_ && !fits) std::memcpy(wide(i), close(i), kCloseBytes);
  }
  if (small != together_) lay_out(small);
}

bool ReceiveBatch::same_source(unsigned i, unsigned j) const {
  socklen_t size = messages_[i].msg_hdr.msg_namelen;
  return size == messages_[j].msg_hdr.msg_namelen && std::memcmp(&names_[i], &names_[j], size) == 0;
}

std::size_t ReceiveBatch::segment(unsigned i) const {
  msghdr& header = const_cast<msghdr&>(messages_[i].msg_hdr);  // CMSG_NXTHDR wants it so
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO) continue;
    int size = 0;
    std::memcpy(&size, CMSG_DATA(c), sizeof size);
    if (size > 0) return static_cast<std::size_t>(size);
  }
  return messages_[i].msg_len;
}

}  // namespace dmsc::dataplane
