// The audit log of one issuer: every decision, each record hashed together with the hash of the one
// before, and the newest hash signed with the issuer's key. Who changes, drops or adds a record
// without the key is found by verify().
#pragma once
#include "dmsc/crypto/keys.hpp"
#include "spad/store.hpp"

namespace dmsc::spad {

struct AuditRecord {
  std::uint64_t seq = 0, time = 0;
  std::string actor;     // who asked: "sg-1", "operator", "spa-1" itself
  std::string action;    // authenticate, enrol, renew, token, node_add, prefix_set, revoke, ...
  std::string object;    // what it was about
  std::string decision;  // granted, done or a refusal code
  std::string detail;
};

class Audit {
 public:
  Audit(Store& store, crypto::SigningKey key) : store_(store), key_(std::move(key)) {}

  // Part of the transaction the caller is in, or one of its own. `record.seq` is set here.
  Status append(AuditRecord record);
  // The newest `limit` records, newest first.
  Result<std::vector<AuditRecord>> newest(std::size_t limit);
  // Walks the whole chain. Returns how many records it has; the error names the first bad one.
  Result<std::uint64_t> verify();

 private:
  struct Head {
    std::uint64_t seq = 0;
    crypto::Hash32 hash{};
  };
  // The newest record; `signed_head`: what the signature vouches for.
  Result<Head> head();
  Bytes head_text(const Head& head) const;
  Store& store_;
  crypto::SigningKey key_;
};

}  // namespace dmsc::spad
