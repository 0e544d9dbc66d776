// Changing and reading links at run time: one request a line over a Unix stream socket.
//
//   request  = "show" | "set" LINK WAY setting ... | "cut" LINK WAY | "heal" LINK WAY
//   WAY      = "both" | "0" (from the link's first interface) | "1" (from its second)
//   answer   = one line of JSON: {"ok":true,...} or {"ok":false,"error":"..."}
#pragma once
#include <map>
#include <string>
#include <string_view>

#include "emulator.hpp"

namespace linkem {

// Applies one request to `emulator` and returns the answer, without the newline.
std::string answer(Emulator& emulator, std::string_view request);

// Serves answer() at `path`, which it replaces and removes; used from the emulator's thread.
class ControlSocket {
 public:
  // Throws std::system_error.
  ControlSocket(Emulator& emulator, std::string path);
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

 private:
  void accept_one();
  void read_from(int client);
  void drop(int client);
  Emulator& emulator_;
  std::string path_;
  int listener_ = -1;
  std::map<int, std::string> clients_;  // what each has sent of its line so far
};

// The other end: sends one request to the emulator at `path` and returns its answer, or throws.
std::string ask(const std::string& path, const std::string& request);

}  // namespace linkem
