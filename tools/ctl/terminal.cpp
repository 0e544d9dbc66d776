#include "terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <sstream>
#include <vector>

namespace dmsc::ctl {

bool is_terminal() { return ::isatty(STDOUT_FILENO) != 0; }

TerminalSize terminal_size() {
  winsize size{};
  if (!is_terminal() || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return {};
  return {size.ws_col, size.ws_row};
}

std::string screenful(const std::string& text, TerminalSize size) {
  constexpr const char *kNoWrap = "\x1b[?7l", *kWrap = "\x1b[?7h";
  constexpr const char *kHome = "\x1b[H", *kRestOfLine = "\x1b[K", *kRestOfScreen = "\x1b[J";
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  std::size_t room = size.height == 0 ? lines.size() : size.height - 1;  // the cursor's line stays free
  if (lines.size() > room && room > 0) {
    std::size_t hidden = lines.size() - room + 1;
    lines.resize(room);
    lines.back() = "... and " + std::to_string(hidden) + " more lines: use show, or a larger window";
  }
  std::string out = std::string(kNoWrap) + kHome;
  for (const std::string& line : lines) out += line + kRestOfLine + "\r\n";
  return out + kRestOfScreen + kWrap;
}

}  // namespace dmsc::ctl
