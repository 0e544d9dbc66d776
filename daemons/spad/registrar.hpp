// What only the writer does: certifies members under the root, by one-time join token or renewal,
// and states with the root's key which issuers the domain has (DESIGN section 8).
#pragma once
#include "dmsc/runtime/identity.hpp"
#include "dmsc/trust/certificate.hpp"
#include "spad/audit.hpp"
#include "spad/edits.hpp"

namespace dmsc::spad {

struct IdentityPolicy {
  std::uint64_t certificate_life = 30 * 86400, token_life = 86400;  // seconds
  friend bool operator==(const IdentityPolicy&, const IdentityPolicy&) = default;
};

struct TokenRow {
  std::string name;
  std::uint64_t created = 0, expires = 0;
  bool used = false;
};

class Registrar {
 public:
  Registrar(Store& store, Audit& audit, crypto::SigningKey root_key, trust::Certificate root,
            IdentityPolicy policy)
      : store_(store),
        audit_(audit),
        root_key_(std::move(root_key)),
        root_(std::move(root)),
        policy_(policy) {}

  // A join token for a node of the registry, drawn from `secret`; older unused ones of it are void.
  // Only its hash is kept. `also` of the caller's transaction. The text is shown once.
  Result<std::string> new_token(const std::string& name, const crypto::Key32& secret,
                                const std::string& actor, std::uint64_t now);
  // A removed node's tokens must not serve a later node of that name.
  Status void_tokens(const std::string& name);
  Result<std::vector<TokenRow>> tokens();

  struct Certified {
    NodeRecord node;
    Bytes certificate;
  };
  // Turns a token into a certificate for `key`. The very same key may come again until the token
  // expires: its first answer may have been lost. A key that replaces another revokes it.
  Result<Certified> enrol(const std::string& secret, const crypto::PublicKey& key,
                          const crypto::Signature& proof, std::uint64_t now);
  // A new certificate for `caller`, whose current one has been verified, and for `key`.
  Result<Certified> renew(const trust::Certificate& caller, const crypto::PublicKey& key,
                          const crypto::Signature& proof, std::uint64_t now);
  // Signs a new authority if the issuers have changed. True if it did.
  Result<bool> refresh_authority(std::uint64_t now);
  // Signs new domain parameters if `limits` are not those that are signed. True if it did.
  Result<bool> refresh_parameters(wire::DomainParameters limits, std::uint64_t now);

  const trust::Certificate& root() const { return root_; }
  void set_policy(IdentityPolicy policy) { policy_ = policy; }
  // The changes and certificate that make `key` the key of `node`; also used for the writer itself.
  Result<Certified> certify(NodeRecord node, const crypto::PublicKey& key, std::uint64_t now,
                            Changes& changes);

 private:
  Result<TokenRow> find_token(const std::string& hash, std::string& used_key);
  Result<Certified> finish(NodeRecord node, const crypto::PublicKey& key, const char* action,
                           std::uint64_t now, const std::function<Status()>& also);
  Result<Certified> refused(const std::string& who, const char* action, Error why,
                            std::uint64_t now);

  Store& store_;
  Audit& audit_;
  crypto::SigningKey root_key_;
  trust::Certificate root_;
  IdentityPolicy policy_;
};

}  // namespace dmsc::spad
