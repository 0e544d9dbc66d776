// What the edge keeps in the gateway's state_dir: `virtual-addresses` (names, and the key of all hashes),
// `client-addresses` (clients as our servers see them), `flows` (the flow table between two processes).
// May block: the keeper's thread, and the constructor of the edge.
#pragma once
#include <string>
#include <vector>

#include "sgd/edge_handover.hpp"
#include "sgd/edge_virtual.hpp"

namespace dmsc::sgd {

// "dmsc-client-addresses 1", then "ADDRESS INGRESS INSTANCE NAME" lines, then "sha256 HEX" of all before.
std::string encode_clients(const std::vector<std::pair<Ipv4, std::string>>& clients);
// The error names the line.
Result<std::vector<std::pair<Ipv4, std::string>>> decode_clients(std::string_view text);

class EdgeState {
 public:
  using Clients = std::vector<std::pair<Ipv4, std::string>>;
  // A flow table older than that is of no use to the kernels at its ends, or they have moved on.
  static constexpr Duration kFresh = minutes(2);

  // `directory` empty: nothing is kept. A file that is damaged is logged by name and ignored.
  explicit EdgeState(std::string directory) : directory_(std::move(directory)) {}

  // As saved, or a fresh key.
  SavedAddresses addresses() const;
  Clients clients() const;
  // The flows handed over, with ports numbered as in `ports`. The file is removed: it counts once.
  std::vector<HandedFlow> flows(const std::vector<std::string>& ports) const;
  // False, and a log entry, if it could not be written.
  bool save(const SavedAddresses& addresses) const;
  bool save(const Clients& clients) const;
  bool hand_over(const std::vector<std::string>& ports, std::vector<HandedFlow> flows) const;

 private:
  std::string file(const char* name) const { return directory_ + "/" + name; }
  bool write(const char* name, std::string_view content) const;
  std::string directory_;
};

}  // namespace dmsc::sgd
