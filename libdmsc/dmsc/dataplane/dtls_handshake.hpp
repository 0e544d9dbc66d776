// The cryptography of a sealing handshake: DTLS 1.2 (RFC 6347) with ECDHE over X25519, certificates
// on both sides (of a P-256 key of the process, signed by the node's Ed25519 key), extended master
// secret (RFC 7627), and the exporter (RFC 5705) for the secrets. No resumption, no renegotiation,
// no application data: its records end with the handshake. One thread.
#pragma once
#include <memory>

#include "dmsc/dataplane/seal_machine.hpp"
#include "dmsc/trust/certificate.hpp"

namespace dmsc::dataplane {

// Who this node is, in every handshake.
struct DtlsIdentity {
  NodeId self;
  DomainId domain;
  crypto::SigningKey key;
  Bytes certificate;  // DER
  Bytes root;         // DER: both ends' certificates are signed by it
  // Offers ChaCha20-Poly1305 first. Of both ends' wishes that one counts: who lacks AES
  // instructions pays more than who has them saves.
  bool prefer_chacha = false;
};

// What only the domain knows: is `certificate`, signed by the root and naming `peer`, one to
// believe now? An error says why not.
using PeerCheck = std::function<Status(NodeId peer, const trust::Certificate& certificate)>;

class DtlsContext {
 public:
  static Result<std::shared_ptr<DtlsContext>> create(DtlsIdentity identity, PeerCheck check);
  virtual ~DtlsContext() = default;
  // nullptr if the library has no memory.
  virtual std::unique_ptr<Handshake> shake(SealRole role, NodeId peer,
                                           std::uint32_t association) = 0;
};

}  // namespace dmsc::dataplane
