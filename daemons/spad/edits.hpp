// The writer's edits of the registry: each checks itself against the view and gives the changes that
// make it so. Errors say what is wrong and change nothing.
#pragma once
#include "spad/view.hpp"

namespace dmsc::spad {

// Every edit knows when it happens: domain time, and the journal position its commit will get.
struct Moment {
  std::uint64_t time = 0;
  std::uint64_t position = 0;
};

struct NodeSpec {
  std::string name, role, address, nearest_spa;
};
// A new member; sg and sr get the lowest free node id. Its key comes when it enrols.
Result<Changes> add_node(const View& view, const NodeSpec& spec, Moment at);
// Its key is revoked everywhere, its id rests until nothing of it can be accepted any more.
Result<Changes> remove_node(const View& view, const std::string& name, Moment at);

struct RuleSpec {
  std::string subtree, identity;
  std::uint32_t depth = 0;
  bool covering = false, pool = false;
};
Result<Changes> set_rule(const View& view, const RuleSpec& spec, Moment at);
// Empty `identity`: all rules of the subtree.
Result<Changes> remove_rule(const View& view, const std::string& subtree,
                            const std::string& identity);

// `step`: add (accepted everywhere, not yet sent), activate (sent), retire (accepted no more). Each
// waits until the step before it has reached every node that can be reached.
Result<Changes> rotate_link_key(const View& view, const std::string& step,
                                const crypto::Key32& fresh_secret, Moment at);

// A serial number nobody had before; appends the change that remembers it.
std::uint64_t next_number(const View& view, const std::string& counter, Changes& changes);

// How long a step of a key rotation must have stood, in seconds: two rounds of the Follow stream.
inline constexpr std::uint64_t kRotationSettles = 10;

}  // namespace dmsc::spad
