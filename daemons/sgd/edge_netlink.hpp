// rtnetlink and nf_tables, as much as the edge needs to give its devices addresses and routes and to
// masquerade. Acts in the namespace of the thread that made it. Every call waits for the kernel's
// acknowledgement; errors carry the kernel's reason.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "dmsc/core/bytes.hpp"
#include "sgd/edge_ipv6.hpp"
#include "sgd/edge_netns.hpp"

namespace dmsc::sgd {

// A netlink message being written; host byte order, attributes padded to 4.
class NetlinkMessage {
 public:
  NetlinkMessage(std::uint16_t type, std::uint16_t flags);
  void body(const void* data, std::size_t size);
  void attribute(std::uint16_t type, const void* data, std::size_t size);
  void u32(std::uint16_t type, std::uint32_t value) { attribute(type, &value, sizeof value); }
  void be32(std::uint16_t type, std::uint32_t value);
  void text(std::uint16_t type, const std::string& value) {
    attribute(type, value.c_str(), value.size() + 1);
  }
  std::size_t open(std::uint16_t type);  // nested; close with what it returned
  void close(std::size_t start);
  // Header length and sequence filled in.
  const Bytes& finish(std::uint32_t sequence);

 private:
  void align();
  Bytes data_;
};

class Netlink {
 public:
  // `family` NETLINK_ROUTE or NETLINK_NETFILTER.
  static Result<Netlink> open(int family);
  // Sends the messages in one datagram and waits until each with NLM_F_ACK is answered.
  Status request(std::vector<NetlinkMessage> messages, const std::string& what);

 private:
  explicit Netlink(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
  std::uint32_t sequence_ = 1;
};

// A device of the calling thread's namespace.
class Device {
 public:
  static Result<Device> find(const std::string& name);
  Status up(std::uint32_t mtu);  // 0 = leave the MTU
  Status add_address(Ipv4Net address);
  // Replaces an equal route. `source` 0 = the kernel's choice.
  Status add_route(Ipv4Net destination, Ipv4 source);
  // IPv6: the address, at once (no detection of duplicates), and the prefix routed here.
  Status add_ipv6(const Ipv6& address, const Prefix6& prefix);
  Status add_address(const Ipv6& address);
  // Packets for ::1 that come out of this device go to the loopback device, where alone the kernel takes them
  // (it has no route_localnet for IPv6): a filter of tc on this device.
  Status allow_loopback6();
  // Lets packets to and from 127.0.0.0/8 pass on this device alone; loose source check.
  Status allow_loopback();
  Status allow_forwarding();

 private:
  Device(Netlink link, unsigned index, std::string name)
      : link_(std::move(link)), index_(index), name_(std::move(name)) {}
  Status set_conf(const std::vector<std::pair<std::uint16_t, std::uint32_t>>& values,
                  const std::string& what);
  Netlink link_;
  unsigned index_;
  std::string name_;
};

// Source NAT for pods, in an nf_tables table that the kernel removes with this object (also when the
// process dies). Packets of `pods` that leave by any device but `inside` are masqueraded; new
// connections to them through `inside` are dropped.
class Masquerade {
 public:
  static Result<Masquerade> install(const std::string& table, const std::string& inside,
                                    const std::vector<Ipv4>& pods);

 private:
  explicit Masquerade(Netlink owner) : owner_(std::move(owner)) {}
  Netlink owner_;
};

// Writes net.ipv4.ip_forward of the calling thread's namespace, if it is not set already.
Status enable_forwarding();

}  // namespace dmsc::sgd
