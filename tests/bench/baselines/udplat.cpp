// Round-trip latency, closed loop, one outstanding:
//   udplat echo LISTEN REPLY_TO CORE [spin]                 sends what it gets to REPLY_TO (or back
//   to the sender with '-') udplat ping LISTEN TO SIZE COUNT CORE [spin]            prints
//   min/p50/p90/p99/p99.9/max in microseconds
#include "common.hpp"
int main(int argc, char** argv) {
  install_stop();
  if (argc < 5) return 2;
  static char buf[65536];
  if (!strcmp(argv[1], "echo")) {
    pin(atoi(argv[4]));
    int f = argc > 5 && !strcmp(argv[5], "spin") ? MSG_DONTWAIT : 0;
    int s = udp_sock(argv[2], nullptr);
    sockaddr_in to, fr;
    bool back = !strcmp(argv[3], "-");
    if (!back) to = addr(argv[3]);
    while (!g_stop) {
      socklen_t l = sizeof fr;
      ssize_t n = recvfrom(s, buf, sizeof buf, f, (sockaddr*)&fr, &l);
      if (n < 0) continue;
      sendto(s, buf, n, 0, (sockaddr*)(back ? &fr : &to), sizeof fr);
    }
    return 0;
  }
  if (argc < 7) return 2;
  int size = atoi(argv[4]), cnt = atoi(argv[5]);
  pin(atoi(argv[6]));
  bool spin = argc > 7 && !strcmp(argv[7], "spin");
  int s = udp_sock(argv[2], nullptr);
  sockaddr_in to = addr(argv[3]);
  timeval tv{0, 200000};
  setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
  std::vector<uint32_t> r;
  r.reserve(cnt);
  int lost = 0;
  double w0 = now_s();
  for (int i = 0; i < cnt + cnt / 10 && !g_stop; i++) {
    uint64_t a = now_ns();
    memcpy(buf, &a, 8);
    sendto(s, buf, size, 0, (sockaddr*)&to, sizeof to);
    ssize_t n;
    for (;;) {
      n = recv(s, buf, sizeof buf, spin ? MSG_DONTWAIT : 0);
      if (n < 0 && spin && errno == EAGAIN && now_ns() - a < 200000000) continue;
      uint64_t b = 0;
      if (n >= 8) {
        memcpy(&b, buf, 8);
        if (b != a) continue;
      }
      break;
    }
    if (n < 0) {
      lost++;
      if (lost > 20) break;
      continue;
    }
    if (i >= cnt / 10) r.push_back(now_ns() - a);
  }
  if (r.empty()) {
    printf("lat none lost=%d\n", lost);
    return 1;
  }
  std::sort(r.begin(), r.end());
  auto q = [&](double p) { return r[std::min(r.size() - 1, (size_t)(p * r.size()))] / 1e3; };
  printf(
      "lat n=%zu lost=%d min=%.1f p50=%.1f p90=%.1f p99=%.1f p999=%.1f max=%.1f us rate=%.0f/s\n",
      r.size(), lost, r[0] / 1e3, q(.5), q(.9), q(.99), q(.999), r.back() / 1e3,
      r.size() / (now_s() - w0));
}
