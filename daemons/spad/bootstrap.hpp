// The writer's first start, and every later one: root, registry, own identity. Each step looks
// whether it was done before, so that a crash between two of them is mended by the next start.
#pragma once
#include "spad/config.hpp"
#include "spad/registry_file.hpp"

namespace dmsc::spad {

// STATE_DIR/root/: the domain's key and certificate. Made if the registry is empty too; a registry
// without its root is an error, never a new root.
struct Root {
  crypto::SigningKey key;
  trust::Certificate certificate;
};
Result<Root> open_root(const Config& config, const Store& store, std::uint64_t now);

// Domain id, link key 1, parameters, this node and the registry file, in one transaction; nothing if
// the registry exists.
Status found_domain(const Config& config, Store& store, const Root& root, std::uint64_t now);

// This SPA's own identity: issuer key and certificate. Renewed here when two thirds are over.
Result<runtime::Identity> own_identity(const Config& config, Store& store, Registrar& registrar,
                                       const Root& root, std::uint64_t now);

// Writes the join tokens the registry file asks for: of nodes that have not enrolled and whose token
// file is not there. Mode 0600.
Status write_token_files(const Config& config, Store& store, Registrar& registrar,
                         std::uint64_t now);
Status write_token_files(const RegistryFile& registry, Store& store, Registrar& registrar,
                         std::uint64_t now);

}  // namespace dmsc::spad
