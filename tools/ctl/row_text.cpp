#include "row_text.hpp"

#include <algorithm>
#include <map>

#include "layout.hpp"

namespace dmsc::ctl {
namespace {

const std::vector<std::string>& label_keys(const std::string& topic) {
  static const std::map<std::string, std::vector<std::string>> all{
      {"lsdb", {"origin", "type", "fragment"}},
      {"routes", {"prefix"}},
      {"paths", {"node"}},
      {"neighbors", {"link"}},
  };
  static const std::vector<std::string> none;
  auto found = all.find(topic);
  return found == all.end() ? none : found->second;
}

bool nested(const Json& value) {
  bool list = value.is_array() && std::any_of(value.begin(), value.end(), [](const Json& v) { return v.is_structured(); });
  return value.is_object() || list;
}

void add(std::string& out, const std::string& text) { out += (out.empty() ? "" : ", ") + text; }

// "links" + "metric": where in the row something is. "body" says nothing.
std::string place(const std::string& above, const std::string& key) {
  std::string own = key == "body" ? "" : printable(column_header(key));
  return above + (above.empty() || own.empty() ? "" : " ") + own;
}

// What tells an element of a list from its neighbours.
std::string identity(const Json& element) {
  if (!element.is_object() || element.empty()) return cell_of("", element).text;
  return cell_of(element.begin().key(), *element.begin()).text;
}

void compare(std::string& out, const std::string& at, const std::string& key, const Json& before, const Json& after);

void compare_objects(std::string& out, const std::string& at, const Json& before, const Json& after) {
  for (const auto& [key, value] : after.items()) {
    auto old = before.find(key);
    compare(out, place(at, key), key, old == before.end() ? Json() : *old, value);
  }
  for (const auto& [key, value] : before.items()) {
    if (!after.contains(key)) compare(out, place(at, key), key, value, Json());
  }
}

// The n-th of an identity is compared with the n-th of the same.
void compare_lists(std::string& out, const std::string& at, const Json& before, const Json& after) {
  std::multimap<std::string, const Json*> left;
  for (const Json& element : before) left.emplace(identity(element), &element);
  for (const Json& element : after) {
    std::string id = identity(element);
    auto old = left.find(id);
    if (old == left.end()) {
      add(out, at + " + " + id);
      continue;
    }
    compare(out, at + " " + id, "", *old->second, element);
    left.erase(old);
  }
  for (const auto& [id, element] : left) add(out, at + " - " + id);
}

void compare(std::string& out, const std::string& at, const std::string& key, const Json& before, const Json& after) {
  if (before == after) return;
  if (before.is_object() && after.is_object()) return compare_objects(out, at, before, after);
  if (nested(before) || nested(after)) {
    if (before.is_array() && after.is_array()) return compare_lists(out, at, before, after);
    return add(out, at + (after.is_null() ? " gone" : before.is_null() ? " came" : " changed"));
  }
  add(out, at + " " + cell_of(key, before).text + " \u2192 " + cell_of(key, after).text);
}

}  // namespace

std::string row_label(const std::string& topic, const std::string& key, const Json& row) {
  std::string out;
  for (const std::string& part : label_keys(topic)) {
    if (row.is_object() && row.contains(part)) out += (out.empty() ? "" : " ") + cell_of(part, row[part]).text;
  }
  return out.empty() ? printable(key) : out;
}

std::string row_fields(const std::string& topic, const Json& row, bool wide) {
  if (!row.is_object()) return cell_of("", row).text;
  const auto& label = label_keys(topic);
  std::string out;
  for (const auto& [key, value] : row.items()) {
    if (std::find(label.begin(), label.end(), key) != label.end()) continue;
    if (!wide && (value.is_object() || value.is_null() || value == "")) continue;
    add(out, printable(column_header(key)) + " " + cell_of(key, value).text);
  }
  return out;
}

std::string row_changes(const Json& before, const Json& after) {
  std::string out;
  compare(out, "", "", before, after);
  return out;
}

}  // namespace dmsc::ctl
