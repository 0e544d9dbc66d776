// What a verdict on one LSA depends on, besides the LSA itself. The owner of a TrustStore takes it from
// there (TrustStore::question) and may judge it on another thread: nothing here is shared with the store
// but the root certificate, which never changes.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "dmsc/trust/certificate.hpp"
#include "dmsc/wire/lsa.hpp"
#include "dmsc/wire/signed_objects.hpp"

namespace dmsc::trust {

enum class Verdict {
  valid,
  invalid,  // a signature or binding is wrong: drop it and charge the neighbour that sent it
  unknown,  // cannot be judged yet (identity, authority or issuer not known): ask again later
};
const char* to_string(Verdict verdict);

struct Question {
  struct Origin {
    crypto::PublicKey key{};
    crypto::Hash32 certificate{};  // SHA-256 of its DER
    std::uint64_t serial = 0;
    friend bool operator==(const Origin&, const Origin&) = default;
  };
  DomainId domain;
  std::shared_ptr<const Certificate> root;
  DomainTime newest_signed;
  std::optional<Origin> origin;                      // as the origin's identity is known
  std::optional<wire::Authority::Issuer> issuer;     // the one the LSA's signed object names
  std::vector<crypto::PublicKey> revoked;            // keys of the origin, for an identity

  // True if a verdict given on `other` holds for this. The newest signed time is left out: it ends
  // certificates, which no signature check depends on.
  bool same(const Question& other) const {
    return domain == other.domain && root == other.root && origin == other.origin &&
           issuer == other.issuer && revoked == other.revoked;
  }
};

// Pure: may run on any thread. `why`, if not null, is told the reason of any verdict but valid.
Verdict judge(const Question& question, const wire::Lsa& lsa, std::string* why = nullptr);
// The same for a signed object alone; `question.issuer` is the one its header names.
Verdict judge_object(const Question& question, ByteView object, std::string* why = nullptr);

}  // namespace dmsc::trust
