// Objects signed by an SPA issuer or the root: authority, grant, revocation, domain parameters.
// protobuf and LSAs carry them as opaque bytes. All integers are big-endian; text has an 8-bit
// length in front. docs/protocol.md, "Signed objects", is the specification.
//
//  +---------------+---------------+-----------------------------------------------+
//  |  kind (8)     |  version (8)  |  domain id (64) ...
//  +---------------+---------------+-----------------------------------------------+
//  |  issuer (32)  |  serial (64)  |  issued at, domain seconds (64)
//  +---------------+---------------+-----------------------------------------------+
//  |  fields of the kind
//  +-------------------------------------------------------------------------------+
//  |  Ed25519 signature by the issuer over all before (512)
//  +-------------------------------------------------------------------------------+
//
//  authority          count 16, { issuer 32, not after 64, key 256, name text }
//  grant              node 32, valid until 64, grace 32, depth 8, flags 8 (1 = covering),
//                     identity text, subtree text, pools 8, { pool text }
//  revocation         part 16, grants 16, { issuer 32, serial 64 }, nodes 16, { node 32, key 256 }
//  domain parameters  prefixes 32, instances 32, adjacencies 32, LSA lifetime 32, grants 32,
//                     LSAs a second 32, burst 32, isolation 32, fragments of unknown types 16,
//                     name bytes 8, name components 8, one action 8 for each Limit
#pragma once
#include <array>
#include <vector>

#include "dmsc/core/bytes.hpp"
#include "dmsc/core/result.hpp"
#include "dmsc/core/time.hpp"
#include "dmsc/crypto/keys.hpp"
#include "dmsc/name/name.hpp"

namespace dmsc::wire {

enum class ObjectKind : std::uint8_t {
  authority = 1,
  grant = 2,
  revocation = 3,
  domain_parameters = 4,
};

inline constexpr std::size_t kObjectHeaderBytes = 30;
// An object rides in one TLV of an LSA body (wire/lsa.hpp, kMaxLsaBodyBytes): none is larger.
inline constexpr std::size_t kMaxObjectBytes = 1096;
inline constexpr std::size_t kMaxGrantPools = 16;
// How much one object can name within kMaxObjectBytes whatever the names are.
inline constexpr std::size_t kMaxRevokedGrantsPerPart = 40;
inline constexpr std::size_t kMaxRevokedNodesPerPart = 14;
inline constexpr std::size_t kMaxIssuers = 9;

struct ObjectHeader {
  DomainId domain;
  std::uint32_t issuer = 0;  // 0 = root
  std::uint64_t serial = 0;  // per issuer and kind, rising
  DomainTime issued_at;
  friend bool operator==(const ObjectHeader&, const ObjectHeader&) = default;
};

// The SPA issuers the root trusts now. Signed by the root key.
struct Authority {
  ObjectHeader header;
  struct Issuer {
    std::uint32_t id = 0;  // >= 1
    std::string name;
    crypto::PublicKey key{};
    DomainTime not_after;
    friend bool operator==(const Issuer&, const Issuer&) = default;
  };
  std::vector<Issuer> issuers;
  friend bool operator==(const Authority&, const Authority&) = default;
};

// "This identity, at this gateway, may announce this subtree" (DESIGN section 8).
struct Grant {
  ObjectHeader header;
  NodeId node;                   // the gateway
  std::string identity;          // the pod's identity
  Name subtree;
  std::uint8_t depth = 0;        // components allowed below subtree: 0 = the name itself only
  bool covering = false;         // prefixes under it may be announced as covering
  std::vector<Name> pools;       // pools its instances may join
  DomainTime valid_until;
  std::uint32_t grace = 0;       // seconds it is still accepted after valid_until
  friend bool operator==(const Grant&, const Grant&) = default;
};

// The newest list of one (issuer, part) replaces its older ones. A list too long for one object is
// cut into parts 0, 1, ...; an issuer never leaves out a part it once used but sends it empty.
struct Revocation {
  ObjectHeader header;
  std::uint16_t part = 0;        // also the fragment of the LSA that carries it
  struct GrantRef {
    std::uint32_t issuer = 0;
    std::uint64_t serial = 0;
    friend auto operator<=>(const GrantRef&, const GrantRef&) = default;
  };
  std::vector<GrantRef> grants;
  struct NodeRef {
    NodeId node;
    crypto::PublicKey key{};  // LSAs of this node under this key are dropped
    friend auto operator<=>(const NodeRef&, const NodeRef&) = default;
  };
  std::vector<NodeRef> nodes;
  friend bool operator==(const Revocation&, const Revocation&) = default;
};

// What a limit bounds. The order is that of the actions on the wire.
enum class Limit : std::uint8_t {
  prefixes,    // names of one origin, and so the fragments it may fill
  names,       // length and depth of a name
  lsa,         // lifetime of an LSA, and fragments of types other than node and prefix
  rate,        // LSAs of one origin in a second
  neighbours,  // adjacencies of one node
};
inline constexpr std::size_t kLimits = 5;
const char* to_string(Limit limit);

// What happens beyond it: only told; not taken as well; not taken, and the offender's neighbours drop
// their adjacency with it for a while.
enum class LimitAction : std::uint8_t { warn = 0, block = 1, isolate = 2 };
const char* to_string(LimitAction action);

// Limits every node applies alike. Signed by the root.
struct DomainParameters {
  ObjectHeader header;
  std::uint32_t max_prefixes_per_node = 100000;
  std::uint32_t max_instances_per_prefix = 64;
  std::uint32_t max_adjacencies_per_node = 1024;
  std::uint32_t max_lsa_lifetime = 86400;   // seconds
  std::uint32_t max_grants_per_node = 4096;
  std::uint32_t lsas_per_second = 1000;     // of one origin, after a burst of
  std::uint32_t lsa_burst = 10000;
  std::uint32_t isolate_seconds = 60;       // how long an offender's neighbours keep away from it
  std::uint16_t max_unknown_fragments = 16; // of each type a node does not know
  std::uint8_t max_name_bytes = 255;
  std::uint8_t max_name_components = 16;
  std::array<LimitAction, kLimits> actions{LimitAction::block, LimitAction::block, LimitAction::block,
                                           LimitAction::block, LimitAction::block};
  LimitAction action(Limit limit) const { return actions[static_cast<std::size_t>(limit)]; }
  friend bool operator==(const DomainParameters&, const DomainParameters&) = default;
};

Bytes sign(const Authority& object, const crypto::SigningKey& key);
Bytes sign(const Grant& object, const crypto::SigningKey& key);
Bytes sign(const Revocation& object, const crypto::SigningKey& key);
Bytes sign(const DomainParameters& object, const crypto::SigningKey& key);

const char* to_string(ObjectKind kind);

// Structure only; check the signature with verify_object. Errors name the field.
Result<ObjectKind> object_kind(ByteView signed_object);
Result<ObjectHeader> decode_object_header(ByteView signed_object);
// The header of an object of any kind all of whose fields are in order.
Result<ObjectHeader> decode_object(ByteView signed_object);
Result<Authority> decode_authority(ByteView signed_object);
Result<Grant> decode_grant(ByteView signed_object);
Result<Revocation> decode_revocation(ByteView signed_object);
Result<DomainParameters> decode_domain_parameters(ByteView signed_object);
// True if the signature at the object's end is valid under `key`.
bool verify_object(ByteView signed_object, const crypto::PublicKey& key);

}  // namespace dmsc::wire
