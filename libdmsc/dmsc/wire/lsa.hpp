// Link-state advertisements: key, version, signed envelope and the decoded body of every type.
//
//   0                   1                   2                   3
//   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//  +---------------+---------------+-------------------------------+
//  |  version (0)  |     type      |           fragment            |
//  +---------------+---------------+-------------------------------+
//  |                         origin (32)                           |
//  +---------------------------------------------------------------+
//  |                          epoch (64)                           |
//  +---------------------------------------------------------------+
//  |                        sequence (64)                          |
//  +---------------------------------------------------------------+
//  |                 signed lifetime, seconds (32)                 |
//  +-------------------------------+-------------------------------+
//  |  flags (16): 0x1 = purge      |        body length (16)       |
//  +-------------------------------+-------------------------------+
//  |                  body: TLVs {type 16, length 16, value}       |
//  +---------------------------------------------------------------+
//  |       Ed25519 signature of the origin over all before (512)   |
//  +---------------------------------------------------------------+
//
// Unknown TLVs and unknown LSA types are kept and flooded as they came (DESIGN section 4).
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "dmsc/core/bytes.hpp"
#include "dmsc/core/result.hpp"
#include "dmsc/crypto/keys.hpp"
#include "dmsc/name/name.hpp"
#include "dmsc/wire/service_port.hpp"

namespace dmsc::wire {

enum class LsaType : std::uint8_t {
  node = 1,
  prefix = 2,
  identity = 3,
  grant = 4,
  authority = 5,           // origin = issuer_origin(0), the root
  revocation = 6,          // origin = issuer_origin(issuer)
  domain_parameters = 7,   // origin = issuer_origin(0)
};
const char* to_string(LsaType type);

struct LsaKey {
  NodeId origin;
  LsaType type = LsaType::node;
  std::uint16_t fragment = 0;
  friend auto operator<=>(const LsaKey&, const LsaKey&) = default;
};

// Orders copies of one LSA: epoch first (max(stored + 1, clock) at every cold start), then sequence.
struct LsaVersion {
  std::uint64_t epoch = 0;
  std::uint64_t sequence = 0;
  friend auto operator<=>(const LsaVersion&, const LsaVersion&) = default;
};

inline constexpr std::size_t kLsaHeaderBytes = 32;
inline constexpr std::size_t kLsaSignatureBytes = 64;
inline constexpr std::size_t kMaxLsaBodyBytes = 1100;  // so that one LSA fits any control datagram
inline constexpr std::uint16_t kMaxLsaFragments = 4096;  // per origin and type; a higher one is malformed
inline constexpr std::uint16_t kLsaFlagPurge = 1;

// One LSA exactly as it travels. Immutable and shared once made.
struct Lsa {
  LsaKey key;
  LsaVersion version;
  std::uint32_t lifetime = 0;  // signed, seconds, at first flooding
  bool purge = false;
  Bytes raw;                   // header, body and signature
  crypto::Hash32 hash{};       // SHA-256 of raw: acknowledgements and digests carry its front

  ByteView body() const;
  ByteView signed_bytes() const;
  crypto::Signature signature() const;
};
using LsaPtr = std::shared_ptr<const Lsa>;

// Checks lengths and structure (origin, fragment, lifetime, the chain of TLVs), not the signature and
// not what a TLV holds. `raw` must hold exactly one LSA.
Result<LsaPtr> decode_lsa(ByteView raw);
// The length of the LSA at the front of `data`, from its header; error if it does not fit.
Result<std::size_t> lsa_length(ByteView data);
// Encodes and signs. `body` is at most kMaxLsaBodyBytes (a Result error otherwise).
Result<LsaPtr> make_lsa(const LsaKey& key, LsaVersion version, std::uint32_t lifetime, bool purge,
                        ByteView body, const crypto::SigningKey& signer);
// The same with a signature that comes from elsewhere.
using Signer = std::function<crypto::Signature(ByteView message)>;
Result<LsaPtr> make_lsa(const LsaKey& key, LsaVersion version, std::uint32_t lifetime, bool purge,
                        ByteView body, const Signer& signer);

// ---- bodies ---------------------------------------------------------------------------------

struct UnknownTlv {
  std::uint16_t type = 0;
  Bytes value;
  friend bool operator==(const UnknownTlv&, const UnknownTlv&) = default;
};

enum class NodeRole : std::uint8_t { router = 1, gateway = 2 };

// One direction of a link, as its sender sees it. Metrics are what SPF uses; quality is measured.
struct Adjacency {
  NodeId neighbour;
  std::uint32_t link = 0;            // the origin's own link id, unique per origin
  std::uint32_t neighbour_link = 0;  // the neighbour's id for the same link
  std::uint32_t metric = 0;          // 1 .. 2^24-1
  std::uint32_t delay_us = 0;        // one way (half the round trip), 0 = unknown
  std::uint32_t jitter_us = 0;
  std::uint32_t loss_ppm = 0;
  std::uint64_t bandwidth_bps = 0;   // available, 0 = unknown
  std::uint64_t capacity_bps = 0;    // 0 = unknown
  std::uint8_t flags = 0;            // kAdjacency*
  friend bool operator==(const Adjacency&, const Adjacency&) = default;
};
inline constexpr std::uint8_t kAdjacencyUsable = 1;   // carries data (data path measured alive)
inline constexpr std::uint8_t kAdjacencyStarting = 2; // the origin is not synchronised yet

// Fragment 0 carries the attributes; adjacencies may continue in fragments 1, 2, ...
struct NodeBody {
  std::string name;
  NodeRole role = NodeRole::router;
  bool overload = false;    // no transit for now: drained or not yet synchronised
  bool no_transit = false;  // never transit: a gateway
  std::vector<Adjacency> adjacencies;
  std::vector<UnknownTlv> unknown;
  friend bool operator==(const NodeBody&, const NodeBody&) = default;
};

struct PrefixInstance {
  InstanceId id;
  std::uint16_t capacity = 100;  // relative weight, 1 .. 65535; 0 = draining
  friend bool operator==(const PrefixInstance&, const PrefixInstance&) = default;
};

// A prefix at one gateway. A pool is listed as an entry under the pool's own name with the
// instances that joined it. Entries of one origin with the same name (in one fragment or several) are
// one prefix: their instances are united.
struct PrefixEntry {
  Name name;
  bool covering = false;              // also serves names below it
  std::uint16_t interface = 0;        // the gateway's pod interface it lives on (draft 4.2-3)
  std::vector<PrefixInstance> instances;
  std::vector<ServicePort> ports = {};  // what they serve; at most kMaxServicePortBytes
  friend bool operator==(const PrefixEntry&, const PrefixEntry&) = default;
};
inline constexpr std::uint16_t kPrefixEntryTlv = 1;  // in the body of a Prefix LSA: one entry
struct PrefixBody {
  std::vector<PrefixEntry> entries;
  std::vector<UnknownTlv> unknown;
  friend bool operator==(const PrefixBody&, const PrefixBody&) = default;
};

// The node's certificate, DER. Self-verifying: signed by the root, names the origin's id and key.
struct IdentityBody {
  Bytes certificate;
  std::vector<UnknownTlv> unknown;
};

Result<NodeBody> decode_node_body(ByteView body);
Result<PrefixBody> decode_prefix_body(ByteView body);
Result<IdentityBody> decode_identity_body(ByteView body);
Bytes encode(const NodeBody& body);
Bytes encode(const PrefixBody& body);
Bytes encode(const IdentityBody& body);
// Bytes one entry adds to an encoded PrefixBody or NodeBody: to fill fragments.
std::size_t encoded_size(const PrefixEntry& entry);
std::size_t encoded_size(const Adjacency& adjacency);

// Grant, authority, revocation and domain-parameter LSAs carry one signed object
// (wire/signed_objects.hpp) in TLV 1 of their body.
Bytes encode_object_body(ByteView signed_object);
Result<Bytes> decode_object_body(ByteView body);

}  // namespace dmsc::wire
