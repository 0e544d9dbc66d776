// Shared helpers of the baseline programs.
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <algorithm>
#include <string>
#include <vector>
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#define DIE(...)                                \
  do {                                          \
    fprintf(stderr, __VA_ARGS__);               \
    fprintf(stderr, ": %s\n", strerror(errno)); \
    exit(1);                                    \
  } while (0)
static volatile sig_atomic_t g_stop = 0;
static inline void on_sig(int) { g_stop = 1; }
static inline void install_stop() {
  struct sigaction sa;
  memset(&sa, 0, sizeof sa);
  sa.sa_handler = on_sig;  // no SA_RESTART
  sigaction(SIGTERM, &sa, 0);
  sigaction(SIGINT, &sa, 0);
  sigaction(SIGALRM, &sa, 0);
}
static inline double now_s() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}
static inline uint64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}
static inline double cpu_s() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}
static inline void pin(int c) {
  if (c < 0) return;
  cpu_set_t s;
  CPU_ZERO(&s);
  CPU_SET(c, &s);
  if (sched_setaffinity(0, sizeof s, &s)) DIE("affinity");
}
static inline sockaddr_in addr(const std::string& hp) {  // "ip:port"
  auto k = hp.rfind(':');
  sockaddr_in a;
  memset(&a, 0, sizeof a);
  a.sin_family = AF_INET;
  a.sin_port = htons(atoi(hp.c_str() + k + 1));
  if (inet_pton(AF_INET, hp.substr(0, k).c_str(), &a.sin_addr) != 1) DIE("addr %s", hp.c_str());
  return a;
}
static inline int udp_sock(const char* bind_to, const char* connect_to) {
  int s = socket(AF_INET, SOCK_DGRAM, 0);
  if (s < 0) DIE("socket");
  int b = 4 << 20;
  setsockopt(s, SOL_SOCKET, SO_RCVBUF, &b, sizeof b);
  setsockopt(s, SOL_SOCKET, SO_SNDBUF, &b, sizeof b);
  setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &b, sizeof b);
  setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &b, sizeof b);
  if (bind_to) {
    auto a = addr(bind_to);
    int r, k = 0;
    while ((r = bind(s, (sockaddr*)&a, sizeof a)) && errno == EADDRINUSE && k++ < 40)
      usleep(50000);  // a dead io_uring process frees its sockets late
    if (r) DIE("bind %s", bind_to);
  }
  if (connect_to) {
    auto a = addr(connect_to);
    if (connect(s, (sockaddr*)&a, sizeof a)) DIE("connect %s", connect_to);
  }
  return s;
}
