#include "control.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>
#include <vector>

namespace linkem {
namespace {

using nlohmann::json;
constexpr std::size_t kMostRequest = 4096;
constexpr std::size_t kMostClients = 32;

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw std::system_error(errno, std::generic_category(), path + ": " + what);
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    fail(path, "socket path");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

json show_way(const Link& link, int side, Nanoseconds now) {
  const Link::Way& way = link.ways[side];
  const Counters& c = way.direction.counters();
  return {{"from", link.ports[side]->interface()},
          {"settings", describe(way.direction.parameters())},
          {"frames", c.frames},
          {"bytes", c.bytes},
          {"cut", c.cut},
          {"lost", c.lost},
          {"duplicated", c.duplicated},
          {"queue_full", c.queue_full},
          {"waiting", way.waiting.size()},
          {"backlog_bytes", way.direction.backlog(now)},
          {"send_failed", link.ports[1 - side]->counters().send_failed}};
}

json show(Emulator& emulator) {
  json links = json::array();
  const Nanoseconds now = Emulator::now();
  for (const auto& [name, link] : emulator.links()) {
    links.push_back({{"name", name}, {"ways", {show_way(*link, 0, now), show_way(*link, 1, now)}}});
  }
  return {{"ok", true}, {"links", links}};
}

json error(const std::string& text) { return {{"ok", false}, {"error", text}}; }

json change(Emulator& emulator, const std::vector<std::string>& words) {
  if (words.size() < 3) return error("usage: " + words[0] + " LINK both|0|1 [key=value ...]");
  Link* link = emulator.find(words[1]);
  if (link == nullptr) return error("no link '" + words[1] + "'");
  std::vector<int> sides;
  if (words[2] == "both")
    sides = {0, 1};
  else if (words[2] == "0" || words[2] == "1")
    sides = {words[2] == "1"};
  else
    return error("way '" + words[2] + "' is not both, 0 or 1");
  std::vector<std::string> settings(words.begin() + 3, words.end());
  if (words[0] == "cut") settings = {"cut=on"};
  if (words[0] == "heal") settings = {"cut=off"};
  if (settings.empty()) return error("set needs at least one key=value");
  std::vector<Parameters> changed;
  for (const int side : sides) {
    changed.push_back(link->ways[side].direction.parameters());
    for (const std::string& setting : settings) {
      const std::string wrong = apply_setting(setting, changed.back());
      if (!wrong.empty()) return error(wrong);
    }
  }
  for (std::size_t i = 0; i < sides.size(); ++i) {
    emulator.configure(link->ways[sides[i]], changed[i]);
  }
  return {{"ok", true}};
}

}  // namespace

std::string answer(Emulator& emulator, std::string_view request) {
  std::istringstream in{std::string(request)};
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  if (words.empty()) return error("empty request").dump();
  if (words[0] == "show") return show(emulator).dump();
  if (words[0] == "set" || words[0] == "cut" || words[0] == "heal") {
    return change(emulator, words).dump();
  }
  return error("unknown request '" + words[0] + "' (known: show set cut heal)").dump();
}

ControlSocket::ControlSocket(Emulator& emulator, std::string path)
    : emulator_(emulator), path_(std::move(path)) {
  const sockaddr_un address = address_of(path_);
  listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener_ < 0) fail(path_, "socket");
  unlink(path_.c_str());
  if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener_, 16) != 0) {
    fail(path_, "listen");
  }
  emulator_.watch(listener_, [this] { accept_one(); });
}

ControlSocket::~ControlSocket() {
  while (!clients_.empty()) drop(clients_.begin()->first);
  emulator_.forget(listener_);
  close(listener_);
  unlink(path_.c_str());
}

void ControlSocket::accept_one() {
  const int client = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (client < 0) return;
  if (clients_.size() >= kMostClients) {
    close(client);
    return;
  }
  clients_[client];
  emulator_.watch(client, [this, client] { read_from(client); });
}

void ControlSocket::drop(int client) {
  emulator_.forget(client);
  clients_.erase(client);
  close(client);
}

void ControlSocket::read_from(int client) {
  char buffer[1024];
  const ssize_t count = read(client, buffer, sizeof buffer);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) return drop(client);
  std::string& line = clients_[client];
  line.append(buffer, static_cast<std::size_t>(count));
  for (std::size_t end; (end = line.find('\n')) != std::string::npos;) {
    const std::string reply = answer(emulator_, std::string_view(line).substr(0, end)) + "\n";
    line.erase(0, end + 1);
    // Answers are small; a client that does not read them is not waited for.
    if (send(client, reply.data(), reply.size(), MSG_NOSIGNAL | MSG_DONTWAIT) !=
        static_cast<ssize_t>(reply.size())) {
      return drop(client);
    }
  }
  if (line.size() > kMostRequest) drop(client);
}

std::string ask(const std::string& path, const std::string& request) {
  const sockaddr_un address = address_of(path);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail(path, "socket");
  const std::string line = request + "\n";
  std::string reply;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(fd);
    fail(path, "is a linkem running there?");
  }
  char buffer[4096];
  ssize_t count = send(fd, line.data(), line.size(), MSG_NOSIGNAL);
  while (count > 0 && reply.find('\n') == std::string::npos) {
    count = read(fd, buffer, sizeof buffer);
    if (count > 0) reply.append(buffer, static_cast<std::size_t>(count));
  }
  close(fd);
  if (reply.empty() || reply.back() != '\n') fail(path, "the emulator closed the connection");
  reply.pop_back();
  return reply;
}

}  // namespace linkem
