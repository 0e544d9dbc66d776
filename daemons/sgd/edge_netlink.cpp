#include "sgd/edge_netlink.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/ip.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace dmsc::sgd {

NetlinkMessage::NetlinkMessage(std::uint16_t type, std::uint16_t flags) {
  nlmsghdr header{};
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<std::uint16_t>(flags | NLM_F_REQUEST);
  body(&header, sizeof header);
}

void NetlinkMessage::align() { data_.resize((data_.size() + 3) / 4 * 4); }

void NetlinkMessage::body(const void* data, std::size_t size) {
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  data_.insert(data_.end(), bytes, bytes + size);
  align();
}

void NetlinkMessage::attribute(std::uint16_t type, const void* data, std::size_t size) {
  nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + size), type};
  body(&header, sizeof header);
  body(data, size);
}

void NetlinkMessage::be32(std::uint16_t type, std::uint32_t value) {
  std::uint32_t swapped = htonl(value);
  attribute(type, &swapped, sizeof swapped);
}

std::size_t NetlinkMessage::open(std::uint16_t type) {
  std::size_t start = data_.size();
  attribute(static_cast<std::uint16_t>(type | NLA_F_NESTED), nullptr, 0);
  return start;
}

void NetlinkMessage::close(std::size_t start) {
  auto length = static_cast<std::uint16_t>(data_.size() - start);
  std::memcpy(&data_[start], &length, sizeof length);
}

const Bytes& NetlinkMessage::finish(std::uint32_t sequence) {
  auto length = static_cast<std::uint32_t>(data_.size());
  std::memcpy(&data_[offsetof(nlmsghdr, nlmsg_len)], &length, sizeof length);
  std::memcpy(&data_[offsetof(nlmsghdr, nlmsg_seq)], &sequence, sizeof sequence);
  return data_;
}

Result<Netlink> Netlink::open(int family) {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family));
  if (!fd) return system_error("netlink socket");
  timeval patience{5, 0};  // the kernel answers at once; never hang on a lost answer
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_nl self{};
  self.nl_family = AF_NETLINK;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&self), sizeof self) != 0) {
    return system_error("bind netlink socket");
  }
  return Netlink(std::move(fd));
}

Status Netlink::request(std::vector<NetlinkMessage> messages, const std::string& what) {
  Bytes out;
  std::size_t wanted = 0;
  std::uint32_t first = sequence_;
  for (NetlinkMessage& message : messages) {
    const Bytes& bytes = message.finish(sequence_++);
    nlmsghdr header;
    std::memcpy(&header, bytes.data(), sizeof header);
    if ((header.nlmsg_flags & NLM_F_ACK) != 0) ++wanted;
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  if (::send(fd_.get(), out.data(), out.size(), 0) < 0) return system_error(what);
  std::array<std::uint8_t, 16384> buffer;
  while (wanted > 0) {
    ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return system_error(what);
    std::size_t left = static_cast<std::size_t>(n);
    for (auto* h = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(h, left);
         h = NLMSG_NEXT(h, left)) {
      if (h->nlmsg_type != NLMSG_ERROR || h->nlmsg_seq < first) continue;
      int error = -static_cast<nlmsgerr*>(NLMSG_DATA(h))->error;
      if (error != 0) {
        errno = error;
        return system_error(what);
      }
      --wanted;
    }
  }
  return Ok{};
}

Result<Device> Device::find(const std::string& name) {
  unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) return system_error("device " + name);
  auto link = Netlink::open(NETLINK_ROUTE);
  if (!link) return link.error();
  return Device(std::move(*link), index, name);
}

Status Device::up(std::uint32_t mtu) {
  NetlinkMessage m(RTM_NEWLINK, NLM_F_ACK);
  ifinfomsg info{};
  info.ifi_index = static_cast<int>(index_);
  info.ifi_flags = IFF_UP;
  info.ifi_change = IFF_UP;
  m.body(&info, sizeof info);
  if (mtu != 0) m.u32(IFLA_MTU, mtu);
  return link_.request({std::move(m)}, "bring up " + name_);
}

Status Device::add_address(Ipv4Net address) {
  NetlinkMessage m(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
  ifaddrmsg info{};
  info.ifa_family = AF_INET;
  info.ifa_prefixlen = address.length;
  info.ifa_index = index_;
  m.body(&info, sizeof info);
  m.be32(IFA_LOCAL, address.address.value);
  m.be32(IFA_ADDRESS, address.address.value);
  return link_.request({std::move(m)}, "address " + to_string(address) + " on " + name_);
}

Status Device::add_route(Ipv4Net destination, Ipv4 source) {
  NetlinkMessage m(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
  rtmsg info{};
  info.rtm_family = AF_INET;
  info.rtm_dst_len = destination.length;
  info.rtm_table = RT_TABLE_MAIN;
  info.rtm_protocol = RTPROT_STATIC;
  info.rtm_scope = RT_SCOPE_LINK;
  info.rtm_type = RTN_UNICAST;
  m.body(&info, sizeof info);
  if (destination.length > 0) m.be32(RTA_DST, destination.network().value);
  if (source) m.be32(RTA_PREFSRC, source.value);
  m.u32(RTA_OIF, index_);
  return link_.request({std::move(m)}, "route " + to_string(destination) + " by " + name_);
}

Status Device::add_address(const Ipv6& address) {
  NetlinkMessage m(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
  ifaddrmsg info{};
  info.ifa_family = AF_INET6;
  info.ifa_prefixlen = 128;
  info.ifa_flags = IFA_F_NODAD;
  info.ifa_index = index_;
  m.body(&info, sizeof info);
  m.attribute(IFA_LOCAL, address.data(), address.size());
  m.attribute(IFA_ADDRESS, address.data(), address.size());
  return link_.request({std::move(m)}, "address " + to_string(address) + " on " + name_);
}

Status Device::add_ipv6(const Ipv6& address, const Prefix6& prefix) {
  NetlinkMessage r(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
  rtmsg route{};
  route.rtm_family = AF_INET6;
  route.rtm_dst_len = 96;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = RTPROT_STATIC;
  route.rtm_scope = RT_SCOPE_UNIVERSE;
  route.rtm_type = RTN_UNICAST;
  r.body(&route, sizeof route);
  Ipv6 network = prefix.of({});
  r.attribute(RTA_DST, network.data(), network.size());
  r.attribute(RTA_PREFSRC, address.data(), address.size());
  r.u32(RTA_OIF, index_);
  if (Status s = add_address(address); !s) return s;
  return link_.request({std::move(r)}, "route " + prefix.text() + " by " + name_);
}

Status Device::set_conf(const std::vector<std::pair<std::uint16_t, std::uint32_t>>& values,
                        const std::string& what) {
  NetlinkMessage m(RTM_SETLINK, NLM_F_ACK);
  ifinfomsg info{};
  info.ifi_index = static_cast<int>(index_);
  m.body(&info, sizeof info);
  std::size_t spec = m.open(IFLA_AF_SPEC);
  std::size_t inet = m.open(AF_INET);
  std::size_t conf = m.open(1);  // IFLA_INET_CONF
  for (auto [key, value] : values) m.u32(key, value);
  m.close(conf);
  m.close(inet);
  m.close(spec);
  return link_.request({std::move(m)}, what + " on " + name_);
}

Status Device::allow_loopback() {
  return set_conf({{IPV4_DEVCONF_ROUTE_LOCALNET, 1}, {IPV4_DEVCONF_RP_FILTER, 0}},
                  "allow loopback addresses");
}

Status Device::allow_forwarding() {
  return set_conf({{IPV4_DEVCONF_FORWARDING, 1}}, "allow forwarding");
}

Status enable_forwarding() {
  const char* path = "/proc/sys/net/ipv4/ip_forward";
  Fd fd(::open(path, O_RDWR | O_CLOEXEC));
  char value = 0;
  if (fd && ::read(fd.get(), &value, 1) == 1 && value == '1') return Ok{};
  if (fd && ::pwrite(fd.get(), "1\n", 2, 0) == 2) return Ok{};
  // A hardened unit sees /proc/sys read-only; sysctl.d may have set it all the same.
  Fd read_only(::open(path, O_RDONLY | O_CLOEXEC));
  if (read_only && ::read(read_only.get(), &value, 1) == 1 && value == '1') return Ok{};
  return system_error("set net.ipv4.ip_forward=1 (put it into sysctl.d)");
}

}  // namespace dmsc::sgd
