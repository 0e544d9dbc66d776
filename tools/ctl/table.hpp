// Tables of text: columns as wide as they need to be, numbers on the right, and never wider than
// the terminal: the widest columns that may shrink give way first. Knows nothing of where cells
// come from.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace dmsc::ctl {

enum class Align { left, right };
enum class Tone { plain, good, warn, bad, dim, strong };

struct Cell {
  std::string text;
  Tone tone = Tone::plain;
};

struct Column {
  std::string header;
  Align align = Align::left;
  bool shrinks = false;  // may be cut ("shop/ca…") when the terminal is narrow
};

struct Style {
  std::size_t width = 0;  // of the terminal; 0 = unlimited
  bool color = false;
};

struct Table {
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;  // each as long as `columns`
};

// With one line of headers, and a line break after every row.
std::string render(const Table& table, const Style& style);
// "key  value" lines, keys aligned, values too.
std::string render_pairs(const std::vector<std::pair<std::string, Cell>>& pairs, const Style& style,
                         Align align = Align::left);

// Columns of a terminal a UTF-8 text takes; each code point counts one.
std::size_t display_width(const std::string& text);
// Cuts to `width` columns, the last one an ellipsis.
std::string shorten(const std::string& text, std::size_t width);
std::string paint(const std::string& text, Tone tone, const Style& style);
// Control characters as "\x1b": names come from the network and must not drive the terminal.
std::string printable(const std::string& text);

}  // namespace dmsc::ctl
