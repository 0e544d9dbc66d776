#include "spad/bootstrap.hpp"

#include <unistd.h>

#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/enrol.hpp"
#include "dmsc/runtime/files.hpp"
#include "dmsc/runtime/log.hpp"

namespace dmsc::spad {

namespace {

constexpr std::uint64_t kRootLife = 20ULL * 365 * 86400;
constexpr std::uint64_t kBackdate = 86400;

Result<crypto::SigningKey> read_or_make_key(const std::string& file, bool may_make) {
  Result<std::string> pem = runtime::read_file(file);
  if (pem) return trust::parse_private_key_pem(*pem);
  if (pem.error().code != Errc::not_found) return pem.error();
  if (!may_make) return make_error(Errc::not_found, file, " is gone, but the registry is not");
  crypto::SigningKey key(runtime::random_array<32>());
  Status kept = runtime::write_file_atomically(file, trust::private_key_pem(key), 0600);
  if (!kept) return kept.error();
  return key;
}

Result<std::string> read_or_make_root(const std::string& file, bool may_make,
                                      const std::string& domain, const crypto::SigningKey& key,
                                      std::uint64_t now) {
  Result<std::string> pem = runtime::read_file(file);
  if (pem || pem.error().code != Errc::not_found || !may_make) return pem;
  Result<Bytes> der = trust::issue_root(domain, key, {now - kBackdate}, {now + kRootLife});
  if (!der) return der.error();
  Status kept = runtime::write_file_atomically(file, trust::to_pem(*der), 0644);
  if (!kept) return kept.error();
  return trust::to_pem(*der);
}

Result<RegistryFile> read_registry_file(const Config& config) {
  if (config.registry_file.empty()) return RegistryFile{};
  Result<std::string> text = runtime::read_file(config.registry_file);
  if (!text) return text.error();
  return parse_registry(*text, config.registry_file);
}

}  // namespace

Result<Root> open_root(const Config& config, const Store& store, std::uint64_t now) {
  std::string folder = config.node.state_dir + "/root";
  Status made = runtime::make_directory(folder, 0700);
  if (!made) return made.error();
  bool fresh = !store.initialised();
  Result<crypto::SigningKey> key = read_or_make_key(folder + "/key.pem", fresh);
  if (!key) return key.error();
  Result<std::string> pem =
      read_or_make_root(folder + "/cert.pem", fresh, config.domain, *key, now);
  if (!pem) return pem.error();
  Result<Bytes> der = trust::from_pem(*pem);
  if (!der) return with_context(folder + "/cert.pem", der.error());
  Result<trust::Certificate> cert = trust::parse_certificate(*der);
  if (!cert) return with_context(folder + "/cert.pem", cert.error());
  if (cert->key != key->public_key()) {
    return make_error(Errc::invalid, folder, ": cert.pem is not for the key in key.pem");
  }
  if (cert->domain != config.domain) {
    return make_error(Errc::conflict, "domain: the root in ", folder, " is of ", cert->domain);
  }
  return Root{*key, std::move(*cert)};
}

Status found_domain(const Config& config, Store& store, const Root& root, std::uint64_t now) {
  if (store.initialised()) return Ok{};
  Result<RegistryFile> registry = read_registry_file(config);
  if (!registry) return registry.error();
  DomainId domain{runtime::random_u64() | 1};
  wire::DomainParameters parameters = config.limits;
  parameters.header = {domain, 0, 1, {now}};
  Changes changes{record_meta("domain", config.domain), record_meta("domain_id", domain.value),
                  record_meta("writer", runtime::to_string(config.advertise)),
                  record(LinkKeyRecord{1, runtime::random_array<32>(), LinkKeyStage::active, now}),
                  record_object("parameters", wire::sign(parameters, root.key))};
  View view;
  Moment at{now, store.position() + 1};
  Result<Changes> self = add_node(
      view, {config.node.name, "spa", runtime::to_string(config.advertise), ""}, at);
  if (!self) return self.error();
  changes.insert(changes.end(), self->begin(), self->end());
  for (const Change& c : changes) {
    Status applied = view.apply(c);
    if (!applied) return applied;
  }
  for (NodeSpec& node : registry->nodes) {
    if (node.name == config.node.name && node.address.empty()) {
      node.address = runtime::to_string(config.advertise);
    }
  }
  Result<Changes> loaded = load_changes(view, *registry, at);
  if (!loaded) return with_context(config.registry_file, loaded.error());
  changes.insert(changes.end(), loaded->begin(), loaded->end());
  Status done = store.commit(changes, now);
  if (done) runtime::log::info("domain-founded", {{"domain", config.domain}, {"id", domain.value}});
  return done;
}

Result<runtime::Identity> own_identity(const Config& config, Store& store, Registrar& registrar,
                                       const Root& root, std::uint64_t now) {
  Result<runtime::Identity> held = runtime::load_identity(config.node.state_dir);
  if (!held && held.error().code != Errc::not_found) return held;
  if (held && held->certificate.name != config.node.name) {
    return make_error(Errc::conflict, "node.name: this state directory belongs to ",
                      held->certificate.name);
  }
  const NodeRecord* node = store.view().node(config.node.name);
  if (node == nullptr) return make_error(Errc::not_found, config.node.name, " is not registered");
  bool current = held && node->key == held->key.public_key() && node->serial == held->certificate.serial;
  if (current && runtime::until_renewal(held->certificate, now) > Duration{}) return held;
  crypto::SigningKey key = held ? held->key : crypto::SigningKey(runtime::random_array<32>());
  Changes changes;
  Result<Registrar::Certified> own = registrar.certify(*node, key.public_key(), now, changes);
  if (!own) return own.error();
  Result<trust::Certificate> cert = trust::parse_certificate(own->certificate);
  if (!cert) return cert.error();
  runtime::Identity identity{key, *cert, root.certificate, store.view().domain_id, {}, {}, {}, {},
                             {},  {},    {now}};
  Status saved = store.commit(changes, now);
  if (saved) saved = runtime::save_identity(config.node.state_dir, identity);
  if (!saved) return saved.error();
  return identity;
}

Status write_token_files(const RegistryFile& registry, Store& store, Registrar& registrar,
                         std::uint64_t now) {
  for (const auto& [name, path] : registry.token_files) {
    const NodeRecord* node = store.view().node(name);
    if (node == nullptr || node->enrolled() || ::access(path.c_str(), F_OK) == 0) continue;
    std::size_t slash = path.rfind('/');
    Status done = slash == path.npos || slash == 0
                      ? Status(Ok{})
                      : runtime::make_directory(path.substr(0, slash), 0700);
    if (!done) return done;
    Result<std::string> token = make_error(Errc::internal, "");
    done = store.db().transaction([&]() -> Status {
      token = registrar.new_token(name, runtime::random_array<32>(), "registry_file", now);
      return token ? Status(Ok{}) : Status(token.error());
    });
    if (done) done = runtime::write_file_atomically(path, *token + "\n", 0600);
    if (!done) return with_context("token_file of " + name, done.error());
  }
  return Ok{};
}

Status write_token_files(const Config& config, Store& store, Registrar& registrar,
                         std::uint64_t now) {
  Result<RegistryFile> registry = read_registry_file(config);
  if (!registry && registry.error().code == Errc::not_found) return Ok{};  // it has done its work
  return registry ? write_token_files(*registry, store, registrar, now) : Status(registry.error());
}

}  // namespace dmsc::spad
