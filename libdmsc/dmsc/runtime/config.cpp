#include "dmsc/runtime/config.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "dmsc/runtime/files.hpp"

namespace dmsc::runtime {
namespace {

struct Position {
  int line = 0, column = 0;
};

Position position(const YAML::Mark& mark) {
  if (mark.is_null()) return {};
  return {mark.line + 1, mark.column + 1};
}

std::string join_path(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : path + "." + std::string(key);
}

constexpr std::size_t kMaxConfigBytes = 16 << 20;

}  // namespace

// One YAML node somebody looked at. Maps remember which keys were asked for.
struct ConfigNode::Place {
  YAML::Node yaml;  // undefined = absent
  Position at;      // absent: of the nearest present ancestor
  std::string path;
  std::map<std::string, std::shared_ptr<Place>, std::less<>> children;  // asked for
  std::vector<std::shared_ptr<Place>> elements;
  bool elements_made = false;
};

struct ConfigDocument::State {
  std::string file;
  std::vector<ConfigError> errors;
  std::shared_ptr<ConfigNode::Place> root;

  void add(Position at, const std::string& path, std::string message) {
    errors.push_back({at.line, at.column, path, std::move(message)});
  }
  void check_unknown(const ConfigNode::Place& place);
};

namespace {

// A section may be read twice, or appear in several places by an alias: an error is told once.
bool same(const ConfigError& a, const ConfigError& b) {
  return a.line == b.line && a.column == b.column && a.message == b.message;
}

}  // namespace

void ConfigDocument::State::check_unknown(const ConfigNode::Place& place) {
  if (place.yaml.IsDefined() && place.yaml.IsMap()) {
    std::vector<std::string> known;
    for (const auto& [key, child] : place.children) known.push_back(key);
    std::map<std::string, int> seen;
    for (const auto& pair : place.yaml) {
      Position at = position(pair.first.Mark());
      if (!pair.first.IsScalar()) {
        add(at, place.path, "a key must be a word");
        continue;
      }
      std::string key = pair.first.Scalar();
      std::string path = join_path(place.path, key);
      if (auto [it, fresh] = seen.emplace(key, at.line); !fresh) {
        add(at, path, "given twice, first on line " + std::to_string(it->second));
      }
      if (place.children.count(key)) continue;
      std::string near = nearest_word(key, known);
      add(at, path, "unknown key" + (near.empty() ? "" : ": did you mean '" + near + "'?"));
    }
  }
  for (const auto& [key, child] : place.children) check_unknown(*child);
  for (const auto& element : place.elements) check_unknown(*element);
}

ConfigDocument::ConfigDocument(std::unique_ptr<State> state) : state_(std::move(state)) {}
ConfigDocument::~ConfigDocument() = default;

std::unique_ptr<ConfigDocument> ConfigDocument::parse(const std::string& text,
                                                      const std::string& file) {
  auto state = std::make_unique<State>();
  state->file = file;
  state->root = std::make_shared<ConfigNode::Place>();
  state->root->at = {1, 1};
  try {
    std::vector<YAML::Node> documents = YAML::LoadAll(text);
    YAML::Node yaml = documents.empty() ? YAML::Node() : documents.front();
    if (documents.size() > 1) {
      state->add(position(documents[1].Mark()), "", "a second document: there may be only one");
    }
    if (yaml.IsMap()) {
      state->root->yaml.reset(yaml);
    } else {
      if (!yaml.IsNull())
        state->add(position(yaml.Mark()), "", "the file must be a map of sections");
      state->root->yaml.reset(YAML::Node(YAML::NodeType::Undefined));
    }
  } catch (const YAML::Exception& e) {
    state->add(position(e.mark), "", "not YAML: " + e.msg);
    state->root->yaml.reset(YAML::Node(YAML::NodeType::Undefined));
  }
  return std::unique_ptr<ConfigDocument>(new ConfigDocument(std::move(state)));
}

Result<std::unique_ptr<ConfigDocument>> ConfigDocument::load(const std::string& file) {
  auto text = read_file(file, kMaxConfigBytes);
  if (!text) return text.error();
  return parse(*text, file);
}

ConfigNode ConfigDocument::root() { return ConfigNode(state_.get(), state_->root, ""); }

void ConfigDocument::finish() {
  // After a syntax error there is no tree: the keys reported as missing would be noise.
  auto syntax = std::find_if(state_->errors.begin(), state_->errors.end(),
                             [](const auto& e) { return e.message.rfind("not YAML", 0) == 0; });
  if (syntax != state_->errors.end()) {
    state_->errors = {*syntax};
    return;
  }
  state_->check_unknown(*state_->root);
  auto& all = state_->errors;
  std::sort(all.begin(), all.end(), [](const ConfigError& a, const ConfigError& b) {
    return std::tie(a.line, a.column, a.path, a.message) <
           std::tie(b.line, b.column, b.path, b.message);
  });
  all.erase(std::unique(all.begin(), all.end(), same), all.end());
}

bool ConfigDocument::ok() const { return state_->errors.empty(); }
const std::vector<ConfigError>& ConfigDocument::errors() const { return state_->errors; }
const std::string& ConfigDocument::file() const { return state_->file; }

std::string ConfigDocument::report() const {
  std::string out;
  for (const ConfigError& e : state_->errors) {
    out += state_->file + ":" + std::to_string(e.line) + ":" + std::to_string(e.column) + ": ";
    if (!e.path.empty()) out += e.path + ": ";
    out += e.message + "\n";
  }
  return out;
}

ConfigNode::ConfigNode(ConfigDocument::State* state, std::shared_ptr<Place> place, std::string path)
    : state_(state), place_(std::move(place)), path_(std::move(path)) {}

bool ConfigNode::present() const { return place_->yaml.IsDefined(); }

void ConfigNode::error(std::string message) const {
  state_->add(place_->at, path_, std::move(message));
}

void ConfigNode::error(std::string_view key, std::string message) const {
  child(key).error(std::move(message));
}

ConfigNode ConfigNode::child(std::string_view key) const {
  auto& slot = place_->children[std::string(key)];
  if (!slot) {
    slot = std::make_shared<Place>();
    slot->path = join_path(path_, key);
    slot->at = place_->at;
    slot->yaml.reset(YAML::Node(YAML::NodeType::Undefined));
    if (place_->yaml.IsDefined() && place_->yaml.IsMap()) {
      for (const auto& pair : place_->yaml) {
        if (!pair.first.IsScalar() || pair.first.Scalar() != key) continue;
        slot->yaml.reset(pair.second);
        // An absent value has no place of its own: the key's is the one to show.
        slot->at = position(pair.second.IsNull() ? pair.first.Mark() : pair.second.Mark());
        break;
      }
    }
  }
  return ConfigNode(state_, slot, slot->path);
}

bool ConfigNode::has(std::string_view key) const { return child(key).present(); }

ConfigNode ConfigNode::section(std::string_view key) const {
  ConfigNode node = child(key);
  if (node.present() && !node.place_->yaml.IsMap() && !node.place_->yaml.IsNull()) {
    node.error("must be a map of keys");
    node.place_->yaml.reset(YAML::Node(YAML::NodeType::Undefined));
  }
  return node;
}

std::vector<ConfigNode> ConfigNode::list(std::string_view key) const {
  ConfigNode node = child(key);
  Place& place = *node.place_;
  if (!node.present() || place.yaml.IsNull()) return {};
  if (!place.yaml.IsSequence()) {
    node.error("must be a list");
    return {};
  }
  if (!place.elements_made) {
    place.elements_made = true;
    for (const auto& yaml : place.yaml) {
      auto element = std::make_shared<Place>();
      element->path = node.path_ + "[" + std::to_string(place.elements.size()) + "]";
      element->at = position(yaml.Mark());
      element->yaml.reset(yaml);
      place.elements.push_back(std::move(element));
    }
  }
  std::vector<ConfigNode> out;
  for (const auto& element : place.elements)
    out.push_back(ConfigNode(state_, element, element->path));
  return out;
}

std::vector<std::pair<std::string, ConfigNode>> ConfigNode::entries(std::string_view key) const {
  ConfigNode node = section(key);
  std::vector<std::pair<std::string, ConfigNode>> out;
  if (!node.present() || !node.place_->yaml.IsMap()) return out;
  for (const auto& pair : node.place_->yaml) {
    if (!pair.first.IsScalar()) continue;  // finish() reports it
    out.emplace_back(pair.first.Scalar(), node.child(pair.first.Scalar()));
  }
  return out;
}

std::optional<std::string> ConfigNode::scalar() const {
  if (!present()) return std::nullopt;
  if (place_->yaml.IsScalar()) return place_->yaml.Scalar();
  error(place_->yaml.IsNull() ? "has no value" : "must be a single value");
  return std::nullopt;
}

}  // namespace dmsc::runtime
