// Masquerade: the nf_tables rules, written as netlink messages (the kernel's uapi is the reference:
// linux/netfilter/nf_tables.h). In nft's language:
//
//   table ip TABLE { flags owner;
//     chain post { type nat hook postrouting priority srcnat;
//       oifname != INSIDE ip saddr POD masquerade }
//     chain fwd { type filter hook forward priority filter;
//       oifname INSIDE ip daddr POD ct state invalid,new drop } }
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <net/if.h>

#include <array>
#include <cstring>

#include "sgd/edge_netlink.hpp"

namespace dmsc::sgd {
namespace {

constexpr std::uint32_t kTableOwner = 2;  // NFT_TABLE_F_OWNER, Linux 5.12
constexpr std::uint16_t kIpSource = 12, kIpDestination = 16;
// ct state bits as the kernel's `ct state` gives them: 1 = invalid, established 2, related 4, new 8.
constexpr std::uint32_t kStateInvalid = 1, kStateNew = 8;

NetlinkMessage nft_message(std::uint16_t type, std::uint16_t flags) {
  NetlinkMessage m(static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type),
                   static_cast<std::uint16_t>(flags | NLM_F_ACK));
  nfgenmsg body{NFPROTO_IPV4, NFNETLINK_V0, 0};
  m.body(&body, sizeof body);
  return m;
}

NetlinkMessage batch(std::uint16_t type) {
  NetlinkMessage m(type, 0);
  nfgenmsg body{AF_UNSPEC, NFNETLINK_V0, htons(NFNL_SUBSYS_NFTABLES)};
  m.body(&body, sizeof body);
  return m;
}

NetlinkMessage chain(const std::string& table, const std::string& name, const std::string& type,
                     std::uint32_t hook, std::int32_t priority) {
  NetlinkMessage m = nft_message(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
  m.text(NFTA_CHAIN_TABLE, table);
  m.text(NFTA_CHAIN_NAME, name);
  std::size_t at = m.open(NFTA_CHAIN_HOOK);
  m.be32(NFTA_HOOK_HOOKNUM, hook);
  m.be32(NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(priority));
  m.close(at);
  m.text(NFTA_CHAIN_TYPE, type);
  return m;
}

// One rule, expression by expression; register 1 carries every value.
class Rule {
 public:
  Rule(const std::string& table, const std::string& chain_name)
      : m_(nft_message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND)) {
    m_.text(NFTA_RULE_TABLE, table);
    m_.text(NFTA_RULE_CHAIN, chain_name);
    list_ = m_.open(NFTA_RULE_EXPRESSIONS);
  }
  Rule& out_device(std::uint32_t operation, const std::string& name) {
    std::array<char, IFNAMSIZ> padded{};
    std::memcpy(padded.data(), name.data(), std::min(name.size(), padded.size() - 1));
    expression("meta", [&] {
      m_.be32(NFTA_META_DREG, NFT_REG_1);
      m_.be32(NFTA_META_KEY, NFT_META_OIFNAME);
    });
    return compare(operation, padded.data(), padded.size());
  }
  Rule& address(std::uint32_t offset, Ipv4 value) {
    expression("payload", [&] {
      m_.be32(NFTA_PAYLOAD_DREG, NFT_REG_1);
      m_.be32(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
      m_.be32(NFTA_PAYLOAD_OFFSET, offset);
      m_.be32(NFTA_PAYLOAD_LEN, 4);
    });
    std::uint32_t wire = htonl(value.value);
    return compare(NFT_CMP_EQ, &wire, sizeof wire);
  }
  Rule& state(std::uint32_t mask) {
    const std::uint32_t zero = 0;
    expression("ct", [&] {
      m_.be32(NFTA_CT_DREG, NFT_REG_1);
      m_.be32(NFTA_CT_KEY, NFT_CT_STATE);
    });
    expression("bitwise", [&] {
      m_.be32(NFTA_BITWISE_SREG, NFT_REG_1);
      m_.be32(NFTA_BITWISE_DREG, NFT_REG_1);
      m_.be32(NFTA_BITWISE_LEN, 4);
      data(NFTA_BITWISE_MASK, &mask, sizeof mask);
      data(NFTA_BITWISE_XOR, &zero, sizeof zero);
    });
    return compare(NFT_CMP_NEQ, &zero, sizeof zero);
  }
  Rule& drop() {
    expression("immediate", [&] {
      m_.be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
      std::size_t value = m_.open(NFTA_IMMEDIATE_DATA);
      std::size_t verdict = m_.open(NFTA_DATA_VERDICT);
      m_.be32(NFTA_VERDICT_CODE, NF_DROP);
      m_.close(verdict);
      m_.close(value);
    });
    return *this;
  }
  Rule& masquerade() {
    expression("masq", [] {});
    return *this;
  }
  NetlinkMessage take() {
    m_.close(list_);
    return std::move(m_);
  }

 private:
  template <class Fill>
  void expression(const char* name, Fill fill) {
    std::size_t element = m_.open(NFTA_LIST_ELEM);
    m_.text(NFTA_EXPR_NAME, name);
    std::size_t body = m_.open(NFTA_EXPR_DATA);
    fill();
    m_.close(body);
    m_.close(element);
  }
  void data(std::uint16_t type, const void* value, std::size_t size) {
    std::size_t at = m_.open(type);
    m_.attribute(NFTA_DATA_VALUE, value, size);
    m_.close(at);
  }
  Rule& compare(std::uint32_t operation, const void* value, std::size_t size) {
    expression("cmp", [&] {
      m_.be32(NFTA_CMP_SREG, NFT_REG_1);
      m_.be32(NFTA_CMP_OP, operation);
      data(NFTA_CMP_DATA, value, size);
    });
    return *this;
  }
  NetlinkMessage m_;
  std::size_t list_ = 0;
};

}  // namespace

Result<Masquerade> Masquerade::install(const std::string& table, const std::string& inside,
                                       const std::vector<Ipv4>& pods) {
  auto link = Netlink::open(NETLINK_NETFILTER);
  if (!link) return link.error();
  std::vector<NetlinkMessage> messages;
  messages.push_back(batch(NFNL_MSG_BATCH_BEGIN));
  NetlinkMessage make = nft_message(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
  make.text(NFTA_TABLE_NAME, table);
  make.be32(NFTA_TABLE_FLAGS, kTableOwner);
  messages.push_back(std::move(make));
  messages.push_back(chain(table, "post", "nat", NF_INET_POST_ROUTING, 100));
  messages.push_back(chain(table, "fwd", "filter", NF_INET_FORWARD, 0));
  for (Ipv4 pod : pods) {
    messages.push_back(Rule(table, "post")
                           .out_device(NFT_CMP_NEQ, inside)
                           .address(kIpSource, pod)
                           .masquerade()
                           .take());
    messages.push_back(Rule(table, "fwd")
                           .out_device(NFT_CMP_EQ, inside)
                           .address(kIpDestination, pod)
                           .state(kStateInvalid | kStateNew)
                           .drop()
                           .take());
  }
  messages.push_back(batch(NFNL_MSG_BATCH_END));
  Status status = link->request(std::move(messages), "install nf_tables table " + table);
  if (!status) return status.error();
  return Masquerade(std::move(*link));
}

}  // namespace dmsc::sgd
