#include "dmsc/dataplane/receive_batch.hpp"

#include <netinet/udp.h>

#include <cstring>

namespace dmsc::dataplane {

ReceiveBatch::ReceiveBatch() : memory_(new std::uint8_t[kSize * kStride]) {
  for (unsigned i = 0; i < kSize; ++i) {
    iov_[i] = {memory_.get() + i * kStride, kBufferBytes};
    messages_[i] = {};
    messages_[i].msg_hdr.msg_name = &names_[i];
    messages_[i].msg_hdr.msg_iov = &iov_[i];
    messages_[i].msg_hdr.msg_iovlen = 1;
    messages_[i].msg_hdr.msg_control = controls_[i].bytes.data();
  }
}

unsigned ReceiveBatch::receive(int fd) {
  for (unsigned i = 0; i < kSize; ++i) {  // what the kernel writes, and only that
    messages_[i].msg_hdr.msg_namelen = sizeof names_[i];
    messages_[i].msg_hdr.msg_controllen = controls_[i].bytes.size();
  }
  int n = ::recvmmsg(fd, messages_.data(), kSize, MSG_DONTWAIT, nullptr);
  return n > 0 ? static_cast<unsigned>(n) : 0;
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
