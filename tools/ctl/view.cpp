#include "view.hpp"

#include <algorithm>
#include <ctime>

#include "layout.hpp"

namespace dmsc::ctl {
namespace {

bool is_table(const Json& value) {
  return value.is_array() && !value.empty() &&
         std::all_of(value.begin(), value.end(), [](const Json& row) { return row.is_object(); });
}

// A row that is a record, with tables or records of its own, not a line of a table.
bool nests(const Json& row) {
  return std::any_of(row.begin(), row.end(), [](const Json& value) {
    return is_table(value) ||
           (value.is_object() && std::any_of(value.begin(), value.end(), [](const Json& inner) {
              return inner.is_structured();
            }));
  });
}

bool blank(const Json& value) {
  return value.is_null() || (value.is_string() && value.get_ref<const std::string&>().empty()) ||
         (value.is_structured() && value.empty());
}

// A moment of the daemon's clock, beside which its age is told: only programs can do something with it.
bool told_as_age(const Json& value, const std::string& key) {
  constexpr std::string_view kUnit = "_us";
  if (key.size() <= kUnit.size() || key.compare(key.size() - kUnit.size(), kUnit.size(), kUnit) != 0) return false;
  return value.contains(key.substr(0, key.size() - kUnit.size()) + "_ago_ms");
}

// The keys to show as columns: the layout's first, then the others as they come.
std::vector<std::string> columns_of(const Layout& layout, const Json& rows, bool wide) {
  std::vector<std::string> present;
  for (const Json& row : rows) {
    for (const auto& [key, value] : row.items()) {
      if (!wide && blank(value)) continue;  // a column of nothing but blanks is left out
      if (std::find(present.begin(), present.end(), key) == present.end()) present.push_back(key);
    }
  }
  std::vector<std::string> out;
  auto has = [](const std::vector<std::string>& all, const std::string& key) {
    return std::find(all.begin(), all.end(), key) != all.end();
  };
  for (const std::string& key : layout.first) {
    if (has(present, key)) out.push_back(key);
  }
  for (const std::string& key : present) {
    if (!has(out, key) && (wide || !has(layout.hidden, key))) out.push_back(key);
  }
  return out;
}

bool less(const Json& a, const Json& b) {
  if (a.is_string() && b.is_string())
    return natural_less(a.get<std::string>(), b.get<std::string>());
  return a < b;
}

std::vector<const Json*> sorted(const Layout& layout, const Json& rows) {
  std::vector<const Json*> out;
  for (const Json& row : rows) out.push_back(&row);
  std::stable_sort(out.begin(), out.end(), [&](const Json* a, const Json* b) {
    for (const std::string& key : layout.sort) {
      const Json left = a->value(key, Json()), right = b->value(key, Json());
      if (less(left, right)) return true;
      if (less(right, left)) return false;
    }
    return false;
  });
  return out;
}

Column column_of(const std::string& key, const std::vector<const Json*>& rows) {
  Column column{column_header(key), Align::left, false};
  bool numbers = true, any = false, texts = false;
  for (const Json* row : rows) {
    auto found = row->find(key);
    if (found == row->end() || found->is_null()) continue;
    any = true;
    numbers = numbers && found->is_number();
    texts = texts || found->is_string() || found->is_structured();
  }
  if (any && numbers) column.align = Align::right;
  column.shrinks = texts;
  return column;
}

std::string render_event(const Json& event, const Style& style) {
  std::time_t at = event.value("time", std::time_t{0});
  std::tm local{};
  localtime_r(&at, &local);
  char when[32];
  std::strftime(when, sizeof when, "%b %d %H:%M:%S", &local);
  std::string level = event.value("level", "info");
  Tone tone = level == "error" ? Tone::bad : level == "warning" ? Tone::warn : Tone::plain;
  return paint(when, Tone::dim, style) + "  " +
         paint(printable(event.value("line", "")), tone, style) + "\n";
}

void append_section(std::string& out, const std::string& key, const std::string& text,
                    const Style& style) {
  if (!out.empty()) out += "\n";
  out += paint(header_of(key), Tone::strong, style) + "\n" + text;
}

}  // namespace

std::string render_rows(const std::string& topic, const Json& rows, const ViewOptions& options) {
  if (rows.empty()) return paint("no " + header_of(topic), Tone::dim, options.style) + "\n";
  if (!is_table(rows)) {
    std::string out;
    for (const Json& item : rows) out += cell_of("", item).text + "\n";
    return out;
  }
  if (topic == "events") {
    std::string out;
    for (const Json& event : rows) out += render_event(event, options.style);
    return out;
  }
  const Layout& layout = layout_of(topic);
  std::vector<const Json*> ordered = sorted(layout, rows);
  if (std::any_of(rows.begin(), rows.end(), nests)) {
    std::string out;
    for (const Json* row : ordered) out += (out.empty() ? "" : "\n") + render_value(*row, options);
    return out;
  }
  Table table;
  std::vector<std::string> keys = columns_of(layout, rows, options.wide);
  for (const std::string& key : keys) table.columns.push_back(column_of(key, ordered));
  Json group;
  for (const Json* row : ordered) {
    std::vector<Cell> cells;
    for (const std::string& key : keys) {
      auto found = row->find(key);
      bool blank_cell = found == row->end() || (key == layout.group && *found == group);
      cells.push_back(blank_cell ? Cell{} : cell_of(key, *found));
    }
    if (!layout.group.empty()) group = row->value(layout.group, Json());
    table.rows.push_back(std::move(cells));
  }
  return render(table, options.style);
}

std::string render_value(const Json& value, const ViewOptions& options) {
  if (!value.is_object()) return cell_of("", value).text + "\n";
  std::vector<std::pair<std::string, Cell>> pairs;
  for (const auto& [key, item] : value.items()) {
    if (is_table(item) || (item.is_object() && !item.empty())) continue;
    if (!options.wide && item.is_array() && item.empty()) continue;
    if (told_as_age(value, key)) continue;
    pairs.emplace_back(header_of(key), cell_of(key, item));
  }
  bool counters =
      std::all_of(value.begin(), value.end(), [](const Json& v) { return v.is_number(); });
  std::string out = render_pairs(pairs, options.style, counters ? Align::right : Align::left);
  for (const auto& [key, item] : value.items()) {
    if (is_table(item)) {
      append_section(out, key, render_rows(key, item, options), options.style);
    } else if (item.is_object() && !item.empty()) {
      append_section(out, key, render_value(item, options), options.style);
    }
  }
  return out;
}

std::string render_document(const Json& document, const ViewOptions& options) {
  if (!document.is_object()) return document.dump(2) + "\n";
  std::string topic;
  if (auto it = document.find("topic"); it != document.end() && it->is_string()) topic = *it;
  if (auto rows = document.find("rows"); rows != document.end() && rows->is_array()) {
    return render_rows(topic, *rows, options);
  }
  auto value = document.find("value");
  if (value == document.end()) return document.dump(2) + "\n";
  if (topic == "metrics" && value->is_object() && value->contains("text")) {
    return value->value("text", "");
  }
  return render_value(*value, options);
}

}  // namespace dmsc::ctl
