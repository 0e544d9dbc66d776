// The typed readers of ConfigNode, and suggestions for misspelt words.
#include <algorithm>
#include <functional>
#include <numeric>

#include "dmsc/runtime/config.hpp"

namespace dmsc::runtime {
namespace {

template <class T>
std::string show(T value, std::string (*format)(T)) {
  return format(value);
}

// Notes an error unless min <= value <= max.
template <class T, class Format>
T bounded(const ConfigNode& node, std::string_view key, std::optional<T> value, Bounds<T> bounds,
          Format format) {
  if (!value) return bounds.fallback;
  if (*value >= bounds.min && *value <= bounds.max) return *value;
  node.error(
      key, format(*value) + " is not between " + format(bounds.min) + " and " + format(bounds.max));
  return bounds.fallback;
}

std::string percent_text(double share) {
  std::string text = std::to_string(share * 100);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text + "%";
}

std::string integer_text(std::uint64_t value) { return std::to_string(value); }

Result<std::string> any_text(std::string_view text) { return std::string(text); }

Result<std::string> some_text(std::string_view text) {
  if (text.empty()) return make_error(Errc::invalid, "must not be empty");
  return std::string(text);
}

}  // namespace

std::string ConfigNode::text(std::string_view key) const { return required(key, some_text); }

std::string ConfigNode::text(std::string_view key, std::string_view fallback) const {
  return optional(key, any_text).value_or(std::string(fallback));
}

bool ConfigNode::boolean(std::string_view key, bool fallback) const {
  return optional(key, parse_bool).value_or(fallback);
}

std::uint64_t ConfigNode::integer(std::string_view key, Bounds<std::uint64_t> bounds) const {
  return bounded(*this, key, optional(key, parse_integer), bounds, integer_text);
}

Duration ConfigNode::duration(std::string_view key, Bounds<Duration> bounds) const {
  return bounded(*this, key, optional(key, parse_duration), bounds, format_duration);
}

std::uint64_t ConfigNode::bit_rate(std::string_view key, Bounds<std::uint64_t> bounds) const {
  return bounded(*this, key, optional(key, parse_bit_rate), bounds, format_bit_rate);
}

std::uint64_t ConfigNode::size(std::string_view key, Bounds<std::uint64_t> bounds) const {
  return bounded(*this, key, optional(key, parse_size), bounds, format_size);
}

double ConfigNode::percent(std::string_view key, Bounds<double> bounds) const {
  return bounded(*this, key, optional(key, parse_percent), bounds, percent_text);
}

Endpoint ConfigNode::endpoint(std::string_view key, std::uint16_t default_port) const {
  std::string written = text(key);
  if (written.empty()) return {};
  auto parsed = parse_endpoint(written, default_port);
  if (parsed) return *parsed;
  error(key, parsed.error().message);
  return {};
}

std::vector<Endpoint> ConfigNode::endpoints(std::string_view key,
                                            std::uint16_t default_port) const {
  std::vector<Endpoint> out;
  for (const ConfigNode& element : list(key)) {
    auto written = element.as(some_text);
    if (!written) continue;
    auto parsed = parse_endpoint(*written, default_port);
    if (parsed) {
      out.push_back(*parsed);
    } else {
      element.error(parsed.error().message);
    }
  }
  return out;
}

std::vector<std::string> ConfigNode::texts(std::string_view key) const {
  std::vector<std::string> out;
  for (const ConfigNode& element : list(key)) {
    if (auto written = element.as(some_text)) out.push_back(*written);
  }
  return out;
}

std::size_t ConfigNode::choice(std::string_view key, std::initializer_list<std::string_view> words,
                               std::size_t fallback) const {
  auto written = optional(key, any_text);
  if (!written) return fallback;
  std::vector<std::string> known(words.begin(), words.end());
  auto found = std::find(known.begin(), known.end(), *written);
  if (found != known.end()) return static_cast<std::size_t>(found - known.begin());
  std::string list = std::accumulate(
      std::next(known.begin()), known.end(), known.front(),
      [](std::string all, const std::string& word) { return std::move(all) + ", " + word; });
  error(key, "'" + *written + "' is not one of " + list);
  return fallback;
}

std::string nearest_word(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : known) {
    // Optimal string alignment: insert, delete, replace, swap two neighbours.
    std::size_t columns = candidate.size() + 1;
    std::vector<std::vector<std::size_t>> d(word.size() + 1, std::vector<std::size_t>(columns));
    for (std::size_t i = 0; i <= word.size(); ++i) d[i][0] = i;
    for (std::size_t j = 0; j < columns; ++j) d[0][j] = j;
    for (std::size_t i = 1; i <= word.size(); ++i) {
      for (std::size_t j = 1; j < columns; ++j) {
        std::size_t replace = d[i - 1][j - 1] + (word[i - 1] == candidate[j - 1] ? 0 : 1);
        d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, replace});
        bool swapped =
            i > 1 && j > 1 && word[i - 1] == candidate[j - 2] && word[i - 2] == candidate[j - 1];
        if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
    if (d[word.size()][columns - 1] < best_distance) {
      best_distance = d[word.size()][columns - 1];
      best = candidate;
    }
  }
  return best;
}

}  // namespace dmsc::runtime
