// A registry as a YAML file: loaded at the writer's first start, and by `spactl load`.
//
//   nodes:
//     - {name: spa-2, role: spa, address: 192.0.2.11:7410, token_file: /run/dmsc/tokens/spa-2}
//     - {name: sg-1, role: sg, nearest_spa: spa-1}
//   pools: [A, B]
//   prefixes:
//     - {subtree: A/1, owner: "pod:pod-1@sg-1"}
//     - {subtree: shop, owner: "unit:shop.service", depth: 2, covering: true, pool: true}
#pragma once
#include "spad/edits.hpp"

namespace dmsc::spad {

struct RegistryFile {
  std::vector<NodeSpec> nodes;
  std::map<std::string, std::string> token_files;  // node -> where its join token is to be written
  std::vector<RuleSpec> rules;
};

// `file` names the text in errors, which list every mistake with line and column.
Result<RegistryFile> parse_registry(const std::string& text, const std::string& file);
// What makes it so: nodes that exist already keep id and key, rules replace rules of the same
// subtree and owner, nothing is removed. All or nothing.
Result<Changes> load_changes(View view, const RegistryFile& registry, Moment at);

}  // namespace dmsc::spad
