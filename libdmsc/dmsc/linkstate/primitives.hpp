// The costly and the secret operations of the engine, which a driver may do in its place: the simulator
// stubs link tags and shares decoded LSAs among its nodes, a replay takes tags and signatures from the
// record. The default does everything for real.
#pragma once
#include "dmsc/wire/pdu.hpp"

namespace dmsc::linkstate {

class Primitives {
 public:
  virtual ~Primitives() = default;
  // The link tag over `covered`, and whether the tag at the end of `datagram` is right.
  virtual crypto::Hash32 tag(const crypto::HmacKey& key, ByteView covered) { return key.tag(covered); }
  virtual bool tag_good(const crypto::HmacKey& key, ByteView datagram) {
    return wire::pdu_tag_good(datagram, key);
  }
  virtual crypto::Signature sign(const crypto::SigningKey& key, ByteView message) {
    return key.sign(message);
  }
  virtual crypto::PublicKey public_key(const crypto::SigningKey& key) { return key.public_key(); }
  virtual Result<wire::LsaPtr> decode_lsa(ByteView raw) { return wire::decode_lsa(raw); }

  // Memory for a datagram, whatever it holds, and that of one that was sent, for another.
  Bytes take_buffer() {
    if (spare_.empty()) return {};
    Bytes out = std::move(spare_.back());
    spare_.pop_back();
    return out;
  }
  void recycle(Bytes buffer) {
    if (spare_.size() < kMostSpare && buffer.capacity() != 0) spare_.push_back(std::move(buffer));
  }

 private:
  static constexpr std::size_t kMostSpare = 64;
  std::vector<Bytes> spare_;  // what was used last is in the processor's cache
};

}  // namespace dmsc::linkstate
