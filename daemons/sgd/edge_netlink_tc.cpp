// The tc filter behind Device::allow_loopback6().
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>

#include <cstring>

#include "sgd/edge_netlink.hpp"

namespace dmsc::sgd {
namespace {

constexpr std::uint32_t kIngress = TC_H_MAKE(TC_H_INGRESS, 0);
constexpr std::uint16_t kPriority = 1;

NetlinkMessage tc_message(std::uint16_t type, unsigned device, std::uint32_t handle, std::uint32_t parent,
                          std::uint32_t info, const char* kind) {
  NetlinkMessage m(type, NLM_F_ACK | NLM_F_CREATE);
  tcmsg body{};
  body.tcm_family = AF_UNSPEC;
  body.tcm_ifindex = static_cast<int>(device);
  body.tcm_handle = handle;
  body.tcm_parent = parent;
  body.tcm_info = info;
  m.body(&body, sizeof body);
  m.text(TCA_KIND, kind);
  return m;
}

// Whose 16 bytes of destination in the IPv6 header are ::1: a tc_u32_sel and its keys.
Bytes to_loopback() {
  tc_u32_sel fixed{};
  fixed.flags = TC_U32_TERMINAL;
  fixed.nkeys = 4;
  Bytes out(sizeof fixed + 4 * sizeof(tc_u32_key));
  std::memcpy(out.data(), &fixed, sizeof fixed);
  for (int i = 0; i < 4; ++i) {
    tc_u32_key key{};
    key.mask = 0xffffffff;
    key.val = i == 3 ? htonl(1) : 0;
    key.off = 24 + 4 * i;
    std::memcpy(out.data() + sizeof fixed + static_cast<std::size_t>(i) * sizeof key, &key, sizeof key);
  }
  return out;
}

}  // namespace

Status Device::allow_loopback6() {
  const unsigned loopback = ::if_nametoindex("lo");
  if (loopback == 0) return system_error("device lo");
  if (Status s = link_.request(
          {tc_message(RTM_NEWQDISC, index_, kIngress & TC_H_MAJ_MASK, TC_H_INGRESS, 0, "ingress")},
          "ingress qdisc on " + name_);
      !s) {
    return s;
  }
  NetlinkMessage m = tc_message(RTM_NEWTFILTER, index_, 0, kIngress & TC_H_MAJ_MASK,
                                TC_H_MAKE(std::uint32_t{kPriority} << 16, htons(ETH_P_IPV6)), "u32");
  const Bytes selector = to_loopback();
  tc_mirred redirect{};
  redirect.action = TC_ACT_STOLEN;
  redirect.eaction = TCA_INGRESS_REDIR;
  redirect.ifindex = loopback;
  const std::size_t options = m.open(TCA_OPTIONS);
  m.attribute(TCA_U32_SEL, selector.data(), selector.size());
  const std::size_t actions = m.open(TCA_U32_ACT), first = m.open(1);
  m.text(TCA_ACT_KIND, "mirred");
  const std::size_t parameters = m.open(TCA_ACT_OPTIONS);
  m.attribute(TCA_MIRRED_PARMS, &redirect, sizeof redirect);
  m.close(parameters);
  m.close(first);
  m.close(actions);
  m.close(options);
  return link_.request({std::move(m)}, "redirection of ::1 on " + name_);
}

}  // namespace dmsc::sgd
