// What a node keeps over restarts, in its state directory. Without a directory everything is
// forgotten: tests. Writes happen in the background; failures are logged and do not stop the node.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dmsc/core/bytes.hpp"
#include "dmsc/core/time.hpp"
#include "dmsc/crypto/key_chain.hpp"
#include "dmsc/node/drain_state.hpp"
#include "dmsc/runtime/background_writer.hpp"
#include "dmsc/runtime/files.hpp"
#include "dmsc/runtime/state_file.hpp"
#include "dmsc/wire/lsa.hpp"

namespace dmsc::node {

class NodeStore {
 public:
  // `domain`: state of another domain is not used.
  static Result<NodeStore> open(const std::string& directory, DomainId domain);

  std::uint64_t epoch() const;                 // 0 = none stored
  void set_epoch(std::uint64_t epoch);
  // What was drained; if a copy of it is damaged that was logged by open().
  const DrainState& drains() const { return drains_; }
  // `stored` runs on another thread when it is on disk (true), or could not be put there. Without a
  // directory it runs at once.
  void set_drains(const DrainState& drains, std::function<void(bool)> stored);
  // Signed objects of the SPA by the key of the LSA that carries them, and the newest domain time.
  std::vector<Bytes> objects() const;
  void set_object(const wire::LsaKey& key, ByteView object);
  DomainTime domain_time() const;
  void set_domain_time(DomainTime time);       // written at most once a minute of domain time
  std::optional<crypto::KeyChain> link_keys() const;
  void set_link_keys(const crypto::KeyChain& keys);

 private:
  NodeStore() = default;
  void load_objects();
  void load_drains();
  void write(std::string_view file, std::string_view content);
  std::optional<runtime::StateDir> dir_;
  std::unique_ptr<runtime::BackgroundWriter> writer_;
  std::optional<runtime::StateFile> drain_file_;
  DrainState drains_;
  DomainId domain_;
  std::map<wire::LsaKey, Bytes> objects_;
  DomainTime written_time_;
};

}  // namespace dmsc::node
