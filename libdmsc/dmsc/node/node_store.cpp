#include "dmsc/node/node_store.hpp"

#include <charconv>

#include "dmsc/runtime/log.hpp"
#include "dmsc/wire/spa_lsa.hpp"

namespace dmsc::node {
namespace {

constexpr const char* kEpochFile = "lsa-epoch";
constexpr const char* kDrainFile = "drained";
constexpr const char* kObjectsFile = "spa-objects";
constexpr const char* kTimeFile = "domain-time";
constexpr const char* kKeysFile = "link-keys";
constexpr std::uint64_t kTimeWriteSeconds = 60;

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

Result<NodeStore> NodeStore::open(const std::string& directory, DomainId domain) {
  NodeStore store;
  store.domain_ = domain;
  if (directory.empty()) return store;
  auto dir = runtime::StateDir::open(directory);
  if (!dir) return dir.error();
  store.dir_ = std::move(*dir);
  store.writer_ = std::make_unique<runtime::BackgroundWriter>();
  store.load_objects();
  store.load_drains();
  return store;
}

void NodeStore::write(std::string_view file, std::string_view content) {
  if (dir_) writer_->write(dir_->file(file), std::string(content));
}

std::uint64_t NodeStore::epoch() const {
  auto text = dir_ ? dir_->read(kEpochFile) : Result<std::string>(std::string());
  return text ? number(*text) : 0;
}

void NodeStore::set_epoch(std::uint64_t epoch) { write(kEpochFile, std::to_string(epoch) + "\n"); }

// Damage is told, and the copy that is whole counts: the state before the last change, or the last.
void NodeStore::load_drains() {
  drain_file_.emplace(dir_->file(kDrainFile));
  auto loaded = drain_file_->load();
  for (const std::string& what : loaded.damaged) {
    runtime::log::error("state-damaged", {{"what", what},
                                          {"used", loaded.content ? "the other copy" : "nothing is drained"}});
  }
  if (!loaded.content) return;
  auto drains = decode_drain_state(*loaded.content);
  if (!drains) {
    runtime::log::error("state-unreadable", {{"file", dir_->file(kDrainFile)}, {"error", drains.error()}});
    return;
  }
  drains_ = std::move(*drains);
}

void NodeStore::set_drains(const DrainState& drains, std::function<void(bool)> stored) {
  drains_ = drains;
  if (!dir_) return stored(true);
  auto copy = drain_file_->next(encode(drains));
  writer_->write(std::move(copy.path), std::move(copy.content), std::move(stored));
}

// Domain id, then objects with a 16-bit length in front.
void NodeStore::load_objects() {
  auto text = dir_->read(kObjectsFile);
  if (!text) return;
  ByteReader in(as_bytes(*text));
  if (in.u64() != domain_.value) return;
  while (in.left() > 0) {
    ByteView object = in.bytes16();
    auto lsa = wire::make_spa_lsa(object);
    if (!in.ok() || !lsa) {
      runtime::log::warning("state-unreadable", {{"file", dir_->file(kObjectsFile)}});
      return;
    }
    objects_[(*lsa)->key] = to_bytes(object);
  }
}

std::vector<Bytes> NodeStore::objects() const {
  std::vector<Bytes> out;  // the authority sorts before what its issuers signed
  for (const auto& [key, object] : objects_) {
    if (key.type == wire::LsaType::authority) out.insert(out.begin(), object);
    else out.push_back(object);
  }
  return out;
}

void NodeStore::set_object(const wire::LsaKey& key, ByteView object) {
  Bytes& held = objects_[key];
  if (held == to_bytes(object)) return;
  held = to_bytes(object);
  ByteWriter out;
  out.u64(domain_.value);
  for (const auto& [k, bytes] : objects_) out.bytes16(bytes);
  write(kObjectsFile, as_text(out.view()));
}

DomainTime NodeStore::domain_time() const {
  auto text = dir_ ? dir_->read(kTimeFile) : Result<std::string>(std::string());
  return DomainTime{text ? number(*text) : 0};
}

void NodeStore::set_domain_time(DomainTime time) {
  if (time.seconds < written_time_.seconds + kTimeWriteSeconds) return;
  written_time_ = time;
  write(kTimeFile, std::to_string(time.seconds) + "\n");
}

// Domain id, active id, then {id 16, secret}.
std::optional<crypto::KeyChain> NodeStore::link_keys() const {
  if (!dir_) return std::nullopt;
  auto text = dir_->read(kKeysFile);
  if (!text) return std::nullopt;
  ByteReader in(as_bytes(*text));
  if (in.u64() != domain_.value) return std::nullopt;
  std::uint16_t active = in.u16();
  crypto::KeyChain keys;
  while (in.left() > 0) {
    std::uint16_t id = in.u16();
    auto secret = in.array<32>();
    if (!in.ok()) return std::nullopt;
    keys.add(id, secret);
  }
  keys.set_active(active);
  if (keys.empty() || keys.active() == 0) return std::nullopt;
  return keys;
}

void NodeStore::set_link_keys(const crypto::KeyChain& keys) {
  ByteWriter out;
  out.u64(domain_.value).u16(keys.active());
  for (const auto& [id, secret] : keys.keys()) out.u16(id).bytes(secret);
  write(kKeysFile, as_text(out.view()));
}

}  // namespace dmsc::node
