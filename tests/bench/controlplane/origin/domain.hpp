// A domain made up for one measurement: its keys come from a fixed seed, so that every run of the
// program makes the same, and its identities are written where the daemons look for theirs.
#pragma once
#include <string>
#include <vector>

#include "dmsc/node/settings.hpp"
#include "dmsc/runtime/identity.hpp"

namespace dmsc::bench {

class Domain {
 public:
  Domain();
  crypto::SigningKey key_of(NodeId node) const;
  Bytes certificate(NodeId node, const std::string& name, const std::string& role) const;
  // One grant of a subtree and the names directly below it.
  Bytes grant(NodeId gateway, const Name& subtree, std::uint64_t serial) const;
  node::NodeIdentity identity(NodeId node, const std::string& name, const std::string& role) const;
  // Writes STATE_DIR/identity, as enrolment would have.
  Status save(NodeId node, const std::string& name, const std::string& role,
              const std::string& state_dir) const;

 private:
  crypto::SigningKey root_key_, issuer_key_;
  Bytes root_, authority_;
  crypto::KeyChain link_keys_;
};

}  // namespace dmsc::bench
