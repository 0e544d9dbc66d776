// Who this daemon is in its domain: key, certificate, root, and what else enrolment told, kept in
// STATE_DIR/identity/:
//
//   key.pem         private key, PKCS #8, mode 0600
//   cert.pem        own certificate, then the root: what a TLS server presents
//   root.pem        the root alone
//   enrolment.json  domain id, link keys, SPAs, SCSCs, signed objects; mode 0600
//
// Files are replaced one by one, each atomically; cert.pem names the key it belongs to, so that a
// crash in between is found at the next start (load_identity) and not at the first handshake.
#pragma once
#include <string>
#include <vector>

#include "dmsc/crypto/key_chain.hpp"
#include "dmsc/runtime/units.hpp"
#include "dmsc/trust/certificate.hpp"

namespace dmsc::runtime {

struct Identity {
  crypto::SigningKey key;
  trust::Certificate certificate;     // name, role, node id, domain
  trust::Certificate root;
  DomainId domain_id;
  crypto::KeyChain link_keys;         // as of enrolment; the SPA's stream updates it
  std::vector<Endpoint> spas, scscs;  // nearest first
  Bytes authority, parameters;        // signed objects as of enrolment, empty if none
  std::vector<Bytes> revocations;
  DomainTime domain_time;             // as of enrolment
};

std::string identity_directory(const std::string& state_dir);
// Error not_found if this state directory never held an identity; invalid, naming the file, if what
// is there does not fit together.
Result<Identity> load_identity(const std::string& state_dir);
Status save_identity(const std::string& state_dir, const Identity& identity);

// "dmsc1.<sha256 of the root's DER>.<secret>", both in hexadecimal.
struct JoinToken {
  crypto::Hash32 root_fingerprint{};
  std::string secret;  // hexadecimal, as it is sent
};
Result<JoinToken> parse_join_token(std::string_view text);
std::string to_string(const JoinToken& token);

// What a joining or renewing node signs with the key to be certified.
Bytes enrol_proof_text(std::string_view token_secret);
Bytes renew_proof_text(std::string_view node_name);

}  // namespace dmsc::runtime
