// The terminal that standard output is, if it is one.
#pragma once
#include <cstddef>
#include <string>

namespace dmsc::ctl {

struct TerminalSize {
  std::size_t width = 0, height = 0;  // 0: no terminal, no limit
};
TerminalSize terminal_size();  // as it is now: a window may be resized
bool is_terminal();

// What draws `text` over the screen's former content without flicker: from the top, line by line, the rest
// cleared. What does not fit is cut, on the right and at the bottom, where the last line then says so.
std::string screenful(const std::string& text, TerminalSize size);

}  // namespace dmsc::ctl
