#include "dmsc/node/keepalive_socket.hpp"

#include <linux/filter.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "dmsc/runtime/clock.hpp"
#include "dmsc/wire/pdu.hpp"

namespace dmsc::node {
namespace {

using dataplane::SocketAddress;
using dataplane::UniqueFd;

constexpr unsigned kBatch = 16;
constexpr std::size_t kMostBytes = 512;  // of a keepalive of any version

Error failed(const char* what) {
  return make_error(Errc::unsupported, "keepalive socket: ", what, ": ", std::strerror(errno));
}

// Which socket of the group a datagram goes to: 0 = main, 1 = keepalives. What is too short for a load is
// for the main socket.
bool attach(int fd, bool sorts) {
  constexpr std::uint32_t kType = 1, kFlags = wire::kPduHeaderBytes;
  std::array<sock_filter, 6> sorting{{
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kType),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(wire::PduType::keepalive), 0, 3),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kFlags),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
  }};
  sock_filter to_main = BPF_STMT(BPF_RET | BPF_K, 0);
  sock_fprog program{static_cast<unsigned short>(sorts ? sorting.size() : 1), sorts ? sorting.data() : &to_main};
  return ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0;
}

bool set(int fd, int option, int value) {
  return ::setsockopt(fd, SOL_SOCKET, option, &value, sizeof value) == 0;
}

Duration wall_now() {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return seconds(t.tv_sec) + Duration(t.tv_nsec);
}

// When the kernel received it, by the wall clock.
std::optional<Duration> stamp_of(msghdr& message) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS) continue;
    timespec t{};
    std::memcpy(&t, CMSG_DATA(c), sizeof t);
    return seconds(t.tv_sec) + Duration(t.tv_nsec);
  }
  return std::nullopt;
}

}  // namespace

struct KeepaliveSocket::Buffers {
  std::array<std::array<std::uint8_t, kMostBytes>, kBatch> bytes;
  std::array<sockaddr_storage, kBatch> names;
  struct alignas(cmsghdr) Control {
    char bytes[CMSG_SPACE(sizeof(timespec))];
  };
  std::array<Control, kBatch> controls;
  std::array<iovec, kBatch> parts;
  std::array<mmsghdr, kBatch> messages;

  unsigned receive(int fd) {
    for (unsigned i = 0; i < kBatch; ++i) {
      parts[i] = {bytes[i].data(), bytes[i].size()};
      messages[i] = {};
      msghdr& m = messages[i].msg_hdr;
      m.msg_name = &names[i];
      m.msg_namelen = sizeof names[i];
      m.msg_iov = &parts[i];
      m.msg_iovlen = 1;
      m.msg_control = controls[i].bytes;
      m.msg_controllen = sizeof controls[i].bytes;
    }
    int n = ::recvmmsg(fd, messages.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (n < 0 && dataplane::is_earlier_error(errno)) {
      n = ::recvmmsg(fd, messages.data(), kBatch, MSG_DONTWAIT, nullptr);
    }
    return n > 0 ? static_cast<unsigned>(n) : 0;
  }
};

KeepaliveSocket::KeepaliveSocket(UniqueFd fd)
    : fd_(std::move(fd)), read_to_end_(runtime::now()), buffers_(std::make_unique<Buffers>()) {}
KeepaliveSocket::~KeepaliveSocket() = default;

// The main socket was bound without SO_REUSEPORT, so that an address in use by others is an error; set
// now, it lets in one more socket of this user.
Result<std::unique_ptr<KeepaliveSocket>> KeepaliveSocket::open(int main, const SocketAddress& local,
                                                               const dataplane::UdpOptions& options) {
  if (!set(main, SO_REUSEPORT, 1)) return failed("SO_REUSEPORT");
  auto made = beside(local, options);
  if (!made) set(main, SO_REUSEPORT, 0);
  return made;
}

Result<std::unique_ptr<KeepaliveSocket>> KeepaliveSocket::beside(const SocketAddress& local,
                                                                 dataplane::UdpOptions options) {
  options.share_port = true;
  auto fd = dataplane::open_udp(local, options);
  if (!fd) return fd.error();
  // The second socket makes the group that takes the program; what comes in between may be in either.
  if (!attach(fd->get(), false)) return failed("SO_ATTACH_REUSEPORT_CBPF");
  if (!set(fd->get(), SO_TIMESTAMPNS, 1)) return failed("SO_TIMESTAMPNS");
  return std::unique_ptr<KeepaliveSocket>(new KeepaliveSocket(std::move(*fd)));
}

void KeepaliveSocket::sort(bool on) {
  if (on == sorts_ || !attach(fd_.get(), on)) return;
  sorts_ = on;
  empty_ = false;
}

std::size_t KeepaliveSocket::read(Time now, std::size_t most_datagrams, const Use& use) {
  if (empty_) return 0;
  Duration wall = wall_now(), longest = std::max(now - read_to_end_, Duration::zero());
  std::size_t count = 0;
  while (count < most_datagrams) {
    unsigned n = buffers_->receive(fd_.get());
    for (unsigned i = 0; i < n; ++i) {
      msghdr& m = buffers_->messages[i].msg_hdr;
      if ((m.msg_flags & MSG_TRUNC) != 0) continue;  // no keepalive of ours
      // The wall clock may be set meanwhile: never longer than since there was nothing here.
      Duration waited = std::clamp(wall - stamp_of(m).value_or(wall), Duration::zero(), longest);
      use(SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&buffers_->names[i]), m.msg_namelen),
          ByteView(buffers_->bytes[i].data(), buffers_->messages[i].msg_len), waited);
    }
    count += n;
    if (n == kBatch) continue;
    read_to_end_ = now;
    empty_ = !sorts_;
    break;
  }
  return count;
}

}  // namespace dmsc::node
