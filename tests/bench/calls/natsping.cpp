// The same with a NATS server between client and server, in its plain text protocol.
//   calls_natsping serve ADDRESS PORT                             echoes until killed
//   calls_natsping ping ADDRESS PORT SIZE COUNT [OUTSTANDING]
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "rounds.hpp"

namespace {

struct Message {
  std::string reply_to, payload;
};

class Connection {
 public:
  Connection(const char* address, const char* port, const std::string& subject) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
    int one = 1;
    if (::inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
        ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
      std::perror("connect");
      std::exit(1);
    }
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    write("CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB " + subject + " 1\r\nPING\r\n");
    while (!ponged_ && fill()) (void)next();
  }

  void write(std::string_view data) {
    while (!data.empty()) {
      ssize_t n = ::send(fd_, data.data(), data.size(), MSG_NOSIGNAL);
      if (n <= 0) std::exit(1);
      data.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  bool fill() {
    in_.erase(0, at_);
    at_ = 0;
    char piece[65536];
    ssize_t n = ::recv(fd_, piece, sizeof piece, 0);
    if (n <= 0) return false;
    in_.append(piece, static_cast<std::size_t>(n));
    return true;
  }
  // The next whole message held.
  std::optional<Message> next() {
    for (;;) {
      const std::size_t end = in_.find("\r\n", at_);
      if (end == std::string::npos) return std::nullopt;
      const std::string line = in_.substr(at_, end - at_);
      if (line.rfind("MSG ", 0) != 0) {
        at_ = end + 2;
        if (line == "PING") write("PONG\r\n");
        if (line == "PONG") ponged_ = true;
        continue;
      }
      const std::size_t last = line.rfind(' '), before = line.rfind(' ', last - 1);
      const auto size = static_cast<std::size_t>(std::atoi(line.c_str() + last + 1));
      if (in_.size() < end + 2 + size + 2) return std::nullopt;
      at_ = end + 2 + size + 2;
      return Message{line.substr(before + 1, last - before - 1), in_.substr(end + 2, size)};
    }
  }

 private:
  int fd_ = -1;
  bool ponged_ = false;
  std::string in_;
  std::size_t at_ = 0;
};

std::string publish(const std::string& subject, const std::string& reply_to,
                    const std::string& payload) {
  return "PUB " + subject + (reply_to.empty() ? "" : " " + reply_to) + " " +
         std::to_string(payload.size()) + "\r\n" + payload + "\r\n";
}

int serve(Connection& connection) {
  do {
    std::string out;
    while (auto message = connection.next()) out += publish(message->reply_to, "", message->payload);
    connection.write(out);
  } while (connection.fill());
  return 0;
}

int ping(Connection& connection, std::size_t size, std::size_t count, std::size_t outstanding) {
  const std::string request = publish("bench.echo", "bench.answers", std::string(size, 'x'));
  Rounds rounds(count);
  std::deque<std::uint64_t> sent;
  std::size_t started = 0;
  std::string out;
  auto start = [&] {
    sent.push_back(now_ns());
    out += request;
    ++started;
  };
  const std::uint64_t began = now_ns();
  while (started < std::min(outstanding, count)) start();
  while (rounds.seen() < count) {
    connection.write(out);
    out.clear();
    if (!connection.fill()) return 1;
    while (auto message = connection.next()) {
      rounds.add(sent.front(), now_ns());
      sent.pop_front();
      if (started < count) start();
    }
  }
  return rounds.print(began);
}

}  // namespace

int main(int argc, char** argv) {
  const bool serves = argc == 4 && std::strcmp(argv[1], "serve") == 0;
  if (!serves && (argc < 6 || std::strcmp(argv[1], "ping") != 0)) return 2;
  Connection connection(argv[2], argv[3], serves ? "bench.echo" : "bench.answers");
  if (serves) {
    std::puts("ready");
    std::fflush(stdout);
    return serve(connection);
  }
  auto number = [&](int i) { return static_cast<std::size_t>(std::atoi(argv[i])); };
  return ping(connection, number(4), number(5), argc > 6 ? number(6) : 1);
}
