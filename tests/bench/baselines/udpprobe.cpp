// udpprobe NAMESPACE_A NAMESPACE_B SOURCE TARGET INTERVAL_US MAX_SECONDS: a steady UDP stream from
// one network namespace to another, sent and received by one thread; stops on SIGINT, SIGTERM or
// after MAX_SECONDS. Prints one line of JSON: how much was lost and when (CLOCK_MONOTONIC seconds
// of sending).
#include <fcntl.h>

#include "common.hpp"

namespace {

int socket_inside(const char* name) {
  std::string path = std::string("/run/netns/") + name;
  int inside = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (inside < 0 || setns(inside, CLONE_NEWNET)) DIE("%s", path.c_str());
  close(inside);
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) DIE("socket");
  return fd;
}

struct Sent {
  double at;
  bool got = false;
};

struct Stream {
  std::vector<Sent> sent;
  size_t received = 0, late = 0;

  void receive(int fd) {
    char buffer[64];
    for (ssize_t n; (n = recv(fd, buffer, sizeof buffer, 0)) >= 12;) {
      uint32_t number;
      memcpy(&number, buffer, 4);
      if (number >= sent.size() || sent[number].got) continue;
      sent[number].got = true;
      ++received;
      late += now_s() - sent[number].at > 0.02;
    }
  }

  // What was lost before the first one came does not count: the way was not there yet.
  void report(double interval_ms) const {
    size_t first = 0, lost = 0, run = 0, longest = 0;
    double first_lost = 0, last_lost = 0;
    while (first < sent.size() && !sent[first].got) ++first;
    for (size_t i = first; i < sent.size(); ++i) {
      run = sent[i].got ? 0 : run + 1;
      longest = std::max(longest, run);
      if (sent[i].got) continue;
      if (lost++ == 0) first_lost = sent[i].at;
      last_lost = sent[i].at;
    }
    printf(
        "{\"sent\":%zu,\"answered\":%zu,\"lost\":%zu,\"interval_ms\":%.3f,\"outage_ms\":%.1f,"
        "\"longest_ms\":%.1f,\"first_lost_us\":%.0f,\"last_lost_us\":%.0f,\"late\":%zu,"
        "\"last_answered\":%s}\n",
        sent.size(), received, lost, interval_ms, static_cast<double>(lost) * interval_ms,
        static_cast<double>(longest) * interval_ms, first_lost * 1e6, last_lost * 1e6, late,
        sent.size() > first && sent.back().got ? "true" : "false");
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7) {
    fprintf(stderr,
            "usage: udpprobe NAMESPACE_A NAMESPACE_B SOURCE TARGET INTERVAL_US MAX_SECONDS\n");
    return 2;
  }
  int out = socket_inside(argv[1]), in = socket_inside(argv[2]);
  long interval_us = atol(argv[5]);
  double most = atof(argv[6]);
  int buffer = 4 << 20;
  setsockopt(in, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  sockaddr_in from = addr(std::string(argv[3]) + ":40001"),
              to = addr(std::string(argv[4]) + ":40002");
  if (bind(out, reinterpret_cast<sockaddr*>(&from), sizeof from) ||
      bind(in, reinterpret_cast<sockaddr*>(&to), sizeof to)) {
    DIE("bind");
  }
  install_stop();
  // As punctual as it can be beside daemons that use both cores.
  sched_param priority{};
  priority.sched_priority = 1;
  sched_setscheduler(0, SCHED_FIFO, &priority);
  Stream stream;
  timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  for (double start = now_s(); !g_stop && now_s() - start < most;) {
    char packet[64] = {};
    uint32_t number = static_cast<uint32_t>(stream.sent.size());
    memcpy(packet, &number, 4);
    stream.sent.push_back({now_s()});
    // Without a route the packet is lost like any other.
    (void)!sendto(out, packet, sizeof packet, 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
    next.tv_nsec += interval_us * 1000;
    next.tv_sec += next.tv_nsec / 1000000000;
    next.tv_nsec %= 1000000000;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, nullptr);
    stream.receive(in);
  }
  usleep(300000);
  stream.receive(in);
  stream.report(static_cast<double>(interval_us) / 1000.0);
  return 0;
}
