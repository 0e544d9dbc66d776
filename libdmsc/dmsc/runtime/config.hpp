// Strict YAML. A ConfigDocument holds one parsed file and every error found in it; ConfigNodes read
// typed values out of it. Asking for a key makes it known; after everything has been read, finish()
// reports each key nobody asked for, with a suggestion. Reading never stops at the first error: a
// bad value is noted with line, column and path, and its default is returned.
//
//   auto doc = ConfigDocument::load("/etc/dmsc/srd.yaml");
//   ConfigNode dns = doc->root().section("names");
//   names.ttl = dns.duration("ttl", {.min = 1s, .fallback = 5s, .max = 1h});
//   doc->finish();
//   if (!doc->ok()) std::cerr << doc->report();     // FILE:LINE:COL: names.ttl: ...
//
// One thread at a time.
#pragma once
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dmsc/core/result.hpp"
#include "dmsc/core/time.hpp"
#include "dmsc/runtime/units.hpp"

namespace dmsc::runtime {

struct ConfigError {
  int line = 0, column = 0;  // from 1; 0 = the whole file
  std::string path;          // "links[1].metric"
  std::string message;
};

// A parameter's allowed range, ends included, and the value when the key is absent.
template <class T>
struct Bounds {
  T min, fallback, max;
};

class ConfigNode;

class ConfigDocument {
 public:
  // An unreadable file gives an error; bad YAML gives a document with one error and an empty root.
  static Result<std::unique_ptr<ConfigDocument>> load(const std::string& file);
  static std::unique_ptr<ConfigDocument> parse(const std::string& text, const std::string& file);
  ~ConfigDocument();

  ConfigNode root();
  // Reports unknown and repeated keys. Call once, after all reading.
  void finish();
  bool ok() const;
  const std::vector<ConfigError>& errors() const;  // by line and column after finish()
  // One line per error: "FILE:LINE:COL: PATH: MESSAGE\n".
  std::string report() const;
  const std::string& file() const;

  struct State;

 private:
  explicit ConfigDocument(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// A place in a document: a value, or the absence of one. Cheap to copy; valid as long as its
// document. Functions with `key` expect this node to be a map and read the value under `key`.
class ConfigNode {
 public:
  bool present() const;
  const std::string& path() const { return path_; }

  // The map under `key`; if it is absent, one in which every key is absent.
  ConfigNode section(std::string_view key) const;
  bool has(std::string_view key) const;  // makes the key known
  // The elements of the sequence under `key`; empty if absent.
  std::vector<ConfigNode> list(std::string_view key) const;
  // The pairs of the map under `key`, for maps whose keys are data.
  std::vector<std::pair<std::string, ConfigNode>> entries(std::string_view key) const;

  // Required text, not empty. Absent or empty: an error, and "".
  std::string text(std::string_view key) const;
  std::string text(std::string_view key, std::string_view fallback) const;
  bool boolean(std::string_view key, bool fallback) const;
  std::uint64_t integer(std::string_view key, Bounds<std::uint64_t> bounds) const;
  Duration duration(std::string_view key, Bounds<Duration> bounds) const;
  std::uint64_t bit_rate(std::string_view key, Bounds<std::uint64_t> bounds) const;
  std::uint64_t size(std::string_view key, Bounds<std::uint64_t> bounds) const;
  double percent(std::string_view key, Bounds<double> bounds) const;
  Endpoint endpoint(std::string_view key, std::uint16_t default_port) const;  // required
  std::vector<Endpoint> endpoints(std::string_view key, std::uint16_t default_port) const;
  std::vector<std::string> texts(std::string_view key) const;  // a sequence of scalars
  // Exactly one of `words`; returns its index.
  std::size_t choice(std::string_view key, std::initializer_list<std::string_view> words,
                     std::size_t fallback) const;

  // Any type with a parser Result<T>(std::string_view). Required (T{} after an error) ...
  template <class T>
  T required(std::string_view key, Result<T> (*parser)(std::string_view)) const;
  // ... or optional.
  template <class T>
  std::optional<T> optional(std::string_view key, Result<T> (*parser)(std::string_view)) const;
  // The scalar at this node itself (an element of a list), parsed; noted and nullopt if bad.
  template <class T>
  std::optional<T> as(Result<T> (*parser)(std::string_view)) const;

  // Notes an error at this node, or at the value (if absent: the map) under `key`.
  void error(std::string message) const;
  void error(std::string_view key, std::string message) const;

  struct Place;

 private:
  friend class ConfigDocument;
  ConfigNode(ConfigDocument::State* state, std::shared_ptr<Place> place, std::string path);
  ConfigNode child(std::string_view key) const;
  // The scalar of this node; none (error noted) if it is a map, a sequence or null.
  std::optional<std::string> scalar() const;

  ConfigDocument::State* state_;
  std::shared_ptr<Place> place_;
  std::string path_;
};

// The nearest of `known` to `word` for "did you mean"; empty if none is near.
std::string nearest_word(std::string_view word, const std::vector<std::string>& known);

template <class T>
std::optional<T> ConfigNode::as(Result<T> (*parser)(std::string_view)) const {
  auto text = scalar();
  if (!text) return std::nullopt;
  Result<T> value = parser(*text);
  if (value) return std::move(*value);
  error(value.error().message);
  return std::nullopt;
}

template <class T>
std::optional<T> ConfigNode::optional(std::string_view key,
                                      Result<T> (*parser)(std::string_view)) const {
  if (!has(key)) return std::nullopt;
  return child(key).as(parser);
}

template <class T>
T ConfigNode::required(std::string_view key, Result<T> (*parser)(std::string_view)) const {
  if (!has(key)) {
    error(key, "is required");
    return T{};
  }
  return optional(key, parser).value_or(T{});
}

}  // namespace dmsc::runtime
