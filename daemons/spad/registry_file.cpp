#include "spad/registry_file.hpp"

#include "dmsc/runtime/config.hpp"

namespace dmsc::spad {

namespace {

RuleSpec read_rule(const runtime::ConfigNode& node) {
  RuleSpec r;
  r.subtree = node.text("subtree");
  r.identity = node.text("owner");
  r.depth = static_cast<std::uint32_t>(node.integer("depth", {0, 0, kMaxNameComponents}));
  r.covering = node.boolean("covering", false);
  r.pool = node.boolean("pool", false);
  return r;
}

// Each edit sees the view with all edits before it.
Status step(View& view, Result<Changes> edit, Changes& all) {
  if (!edit) return edit.error();
  for (const Change& c : *edit) {
    Status applied = view.apply(c);
    if (!applied) return applied;
    all.push_back(c);
  }
  return Ok{};
}

Result<Changes> put_node(const View& view, const NodeSpec& spec, Moment at) {
  const NodeRecord* old = view.node(spec.name);
  if (old == nullptr) return add_node(view, spec, at);
  if (old->role != spec.role) {
    return make_error(Errc::conflict, spec.name, " is of role ", old->role, " already");
  }
  NodeRecord node = *old;
  node.address = spec.address;
  node.nearest_spa = spec.nearest_spa;
  return Changes{record(node)};
}

}  // namespace

Result<RegistryFile> parse_registry(const std::string& text, const std::string& file) {
  auto document = runtime::ConfigDocument::parse(text, file);
  runtime::ConfigNode root = document->root();
  RegistryFile out;
  for (const runtime::ConfigNode& node : root.list("nodes")) {
    NodeSpec n;
    n.name = node.text("name");
    n.role = node.text("role");
    n.address = node.text("address", "");
    n.nearest_spa = node.text("nearest_spa", "");
    std::string token_file = node.text("token_file", "");
    if (!token_file.empty()) out.token_files[n.name] = token_file;
    out.nodes.push_back(std::move(n));
  }
  for (const std::string& pool : root.texts("pools")) out.rules.push_back({pool, "", 0, false, true});
  for (const runtime::ConfigNode& node : root.list("prefixes")) out.rules.push_back(read_rule(node));
  document->finish();
  if (!document->ok()) return make_error(Errc::invalid, document->report());
  return out;
}

Result<Changes> load_changes(View view, const RegistryFile& registry, Moment at) {
  Changes all;
  for (const NodeSpec& node : registry.nodes) {
    Status done = step(view, put_node(view, node, at), all);
    if (!done) return with_context("node " + node.name, done.error());
  }
  for (const RuleSpec& rule : registry.rules) {
    Status done = step(view, set_rule(view, rule, at), all);
    if (!done) return with_context("prefix " + rule.subtree, done.error());
  }
  return all;
}

}  // namespace dmsc::spad
