// What the operator has drained, as it is kept on disk: the node, links by name.
#pragma once
#include <map>
#include <optional>
#include <string>

#include "dmsc/core/result.hpp"
#include "dmsc/linkstate/engine.hpp"

namespace dmsc::node {

struct Drain {
  linkstate::DrainLevel level = linkstate::DrainLevel::hard;  // never none
  std::string reason;                                         // the operator's; may be empty
  friend bool operator==(const Drain&, const Drain&) = default;
};

struct DrainState {
  std::optional<Drain> node;
  std::map<std::string, Drain> links;  // a link that is not configured now keeps its entry
  friend bool operator==(const DrainState&, const DrainState&) = default;
};

std::string encode(const DrainState& state);
// Errc::invalid names what is wrong.
Result<DrainState> decode_drain_state(std::string_view text);

}  // namespace dmsc::node
