#include "table.hpp"

#include <algorithm>
#include <cstdio>

namespace dmsc::ctl {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kLeastWidth = 6;  // of a shrunken column

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

std::vector<std::size_t> natural_widths(const Table& table) {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    std::size_t width = display_width(table.columns[c].header);
    for (const auto& row : table.rows) width = std::max(width, display_width(row[c].text));
    widths.push_back(width);
  }
  return widths;
}

void fit(const Table& table, std::vector<std::size_t>& widths, std::size_t limit) {
  if (limit == 0 || widths.empty()) return;
  std::size_t total = kGap * (widths.size() - 1);
  for (std::size_t w : widths) total += w;
  while (total > limit) {
    std::size_t widest = widths.size();
    for (std::size_t c = 0; c < widths.size(); ++c) {
      if (!table.columns[c].shrinks || widths[c] <= kLeastWidth) continue;
      if (widest == widths.size() || widths[c] > widths[widest]) widest = c;
    }
    if (widest == widths.size()) return;  // nothing gives way any more: let the terminal wrap
    --widths[widest];
    --total;
  }
}

std::string pad(const Cell& cell, std::size_t width, Align align, bool last, const Style& style) {
  std::string text = shorten(cell.text, width);
  std::string fill(width - display_width(text), ' ');
  std::string painted = paint(text, cell.tone, style);
  if (align == Align::right) return fill + painted;
  return last ? painted : painted + fill;
}

std::string line(const Table& table, const std::vector<Cell>& cells,
                 const std::vector<std::size_t>& widths, const Style& style) {
  std::string out;
  for (std::size_t c = 0; c < cells.size(); ++c) {
    if (c) out.append(kGap, ' ');
    out += pad(cells[c], widths[c], table.columns[c].align, c + 1 == cells.size(), style);
  }
  out.erase(out.find_last_not_of(' ') + 1);
  return out + "\n";
}

}  // namespace

std::string render(const Table& table, const Style& style) {
  std::vector<std::size_t> widths = natural_widths(table);
  fit(table, widths, style.width);
  std::vector<Cell> headers;
  for (const Column& c : table.columns) headers.push_back({c.header, Tone::dim});
  std::string out = line(table, headers, widths, style);
  for (const auto& row : table.rows) out += line(table, row, widths, style);
  return out;
}

std::string render_pairs(const std::vector<std::pair<std::string, Cell>>& pairs, const Style& style,
                         Align align) {
  std::size_t width = 0, values = 0;
  for (const auto& [key, value] : pairs) {
    width = std::max(width, display_width(key));
    values = std::max(values, display_width(value.text));
  }
  std::string out;
  for (const auto& [key, value] : pairs) {
    std::size_t fill = align == Align::right ? values - display_width(value.text) : 0;
    out += paint(key, Tone::dim, style) +
           std::string(width - display_width(key) + kGap + fill, ' ') +
           paint(value.text, value.tone, style) + "\n";
  }
  return out;
}

std::size_t display_width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

std::string shorten(const std::string& text, std::size_t width) {
  if (display_width(text) <= width) return text;
  if (width == 0) return "";
  std::size_t end = 0;
  for (std::size_t points = 0; end < text.size(); ++end) {
    if (!continues(text[end]) && points++ == width - 1) break;
  }
  return text.substr(0, end) + "\u2026";
}

std::string paint(const std::string& text, Tone tone, const Style& style) {
  if (!style.color || text.empty()) return text;
  const char* code = "";
  switch (tone) {
    case Tone::plain:
      return text;
    case Tone::good:
      code = "32";
      break;
    case Tone::warn:
      code = "33";
      break;
    case Tone::bad:
      code = "31";
      break;
    case Tone::dim:
      code = "2";
      break;
    case Tone::strong:
      code = "1";
      break;
  }
  return "\x1b[" + std::string(code) + "m" + text + "\x1b[0m";
}

std::string printable(const std::string& text) {
  std::string out;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (byte >= ' ' && byte != 0x7f) {
      out += c;
      continue;
    }
    char hex[8];
    std::snprintf(hex, sizeof hex, "\\x%02x", byte);
    out += hex;
  }
  return out;
}

}  // namespace dmsc::ctl
