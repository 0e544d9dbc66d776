// The registry as every SPA of the domain has it: what the writer decides and replicas copy. It is a
// set of records {kind, key, JSON value}; a change replaces or removes one record, so that writer
// and replica apply the same changes by the same code and a snapshot is simply all records. View is
// the typed picture of them that decisions are made from.
#pragma once
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "dmsc/core/result.hpp"
#include "dmsc/core/time.hpp"
#include "dmsc/crypto/keys.hpp"
#include "dmsc/name/name.hpp"
#include "dmsc/wire/signed_objects.hpp"

namespace dmsc::spad {

using Json = nlohmann::ordered_json;

struct Change {
  std::string kind, key;
  std::optional<Json> value;  // none = remove
};
using Changes = std::vector<Change>;

Json to_json(const Changes& changes);
Result<Changes> changes_from_json(const Json& json);

struct NodeRecord {
  std::string name, role;
  std::uint32_t node_id = 0;   // sg and sr
  crypto::PublicKey key{};     // zero until enrolled
  std::uint64_t serial = 0;    // of its newest certificate, 0 = never enrolled
  std::uint64_t not_after = 0;
  std::string address;         // spa and scsc: what others dial
  std::string nearest_spa;     // told first at enrolment
  bool enrolled() const { return serial != 0; }
};

// "This identity may announce this subtree." An empty identity owns nothing: the rule only marks the
// subtree's name as a pool.
struct Rule {
  Name subtree;
  std::string identity;        // "pod:pod-4@sg-4": "@GATEWAY" binds it to one gateway
  std::uint8_t depth = 0;
  bool covering = false, pool = false;
  std::uint64_t since = 0;     // journal position of the last change: a block older than it is void
};

struct IssuerRecord {
  std::uint32_t id = 0;
  std::string name;
  crypto::PublicKey key{};
  DomainTime not_after;
};

enum class LinkKeyStage { staged, active, retiring };
const char* to_string(LinkKeyStage stage);
struct LinkKeyRecord {
  std::uint16_t id = 0;
  crypto::Key32 secret{};
  LinkKeyStage stage = LinkKeyStage::staged;
  std::uint64_t since = 0;     // domain time it came into this stage
};

struct RevokedGrant {
  wire::Revocation::GrantRef ref;
  std::uint64_t until = 0;     // nobody accepts the grant after that anyway
  std::string reason;
  std::uint64_t position = 0;
  // Whom it was for, if the SPA that revoked it knew: they get no new one until the rule changes.
  std::uint32_t node = 0;
  std::string identity, subtree;
};
struct RevokedNode {
  wire::Revocation::NodeRef ref;
  std::string name;
  std::uint64_t until = 0;     // end of the certificate
};

class View {
 public:
  // Error invalid, naming the record; the view is then unchanged.
  Status apply(const Change& change);

  std::string domain;
  DomainId domain_id;
  std::string writer;                     // its advertised address
  std::map<std::string, std::uint64_t> counters;  // last numbers given out: certificate, issuer, ...
  std::map<std::string, NodeRecord> nodes;
  std::map<std::uint32_t, std::string> node_ids;         // id -> name
  std::map<std::uint32_t, std::uint64_t> retired_ids;    // id -> free again after this time
  std::map<std::string, std::map<std::string, Rule>> rules;  // subtree -> identity -> rule
  std::map<std::string, std::size_t> identities;         // how many rules each has
  std::map<std::string, std::string> spellings;          // folded subtree -> as registered
  std::map<std::uint32_t, IssuerRecord> issuers;
  std::map<std::uint16_t, LinkKeyRecord> link_keys;
  std::map<std::string, Bytes> objects;                  // "authority", "parameters", "revocation/1/0"
  std::map<wire::Revocation::GrantRef, RevokedGrant> revoked_grants;
  std::map<wire::Revocation::NodeRef, RevokedNode> revoked_nodes;

  bool is_pool(const Name& name) const;
  const NodeRecord* node(const std::string& name) const;
  std::uint16_t active_link_key() const;  // 0 = none

 private:
  void put_node(const std::string& name, const std::optional<Json>& value);
  void put_rule(const std::string& key, const std::optional<Json>& value);
  void put_meta(const std::string& key, const std::optional<Json>& value);
  void put_revoked(const Change& change);
};

// The records. `key` of a rule: subtree, one space, identity.
Change record(const NodeRecord& node);
Change record(const Rule& rule);
Change record(const IssuerRecord& issuer);
Change record(const LinkKeyRecord& key);
Change record(const RevokedGrant& revoked);
Change record(const RevokedNode& revoked);
Change record_object(const std::string& key, ByteView object);
Change record_retired(std::uint32_t node_id, std::uint64_t free_after);
Change record_meta(const std::string& key, Json value);
Change removal(const std::string& kind, const std::string& key);
std::string rule_key(const std::string& subtree, const std::string& identity);

}  // namespace dmsc::spad
