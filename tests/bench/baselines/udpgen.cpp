// Generator:  udpgen gen TO SIZE SECONDS CORE MODE [PPS]   MODE = gso (64 packets per sendmsg,
// UDP_SEGMENT) | mmsg (sendmmsg 64) | single Sink:       udpgen sink LISTEN SECONDS CORE counts
// packets (UDP_GRO), starts its clock at the first packet
#include "common.hpp"
int main(int argc, char** argv) {
  if (argc < 5) return 2;
  install_stop();
  if (!strcmp(argv[1], "sink")) {
    pin(atoi(argv[4]));
    double dur = atof(argv[3]);
    int s = udp_sock(argv[2], nullptr), one = 1;
    setsockopt(s, SOL_UDP, UDP_GRO, &one, sizeof one);
    timeval tv{0, 200000};
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    const int B = 64;
    static char buf[B][65536];
    mmsghdr m[B];
    iovec v[B];
    char rc[B][64];
    uint64_t pk = 0, by = 0;
    double t0 = 0, t1 = 0;
    double c0 = 0;
    // warm-up: the first 0.3 s after the first packet are not counted
    double first = 0, born = now_s();
    while (!g_stop) {
      for (int i = 0; i < B; i++) {
        v[i] = {buf[i], 65536};
        memset(&m[i], 0, sizeof m[i]);
        m[i].msg_hdr.msg_iov = &v[i];
        m[i].msg_hdr.msg_iovlen = 1;
        m[i].msg_hdr.msg_control = rc[i];
        m[i].msg_hdr.msg_controllen = 64;
      }
      // MSG_TRUNC is not set: the sink pays the copy as a real receiver does
      int n = recvmmsg(s, m, B, MSG_WAITFORONE, nullptr);
      double t = now_s();
      if (n <= 0) {
        if (first || now_s() - born > 3) break;
        continue;
      }
      if (!first) first = t;
      if (!t0) {
        if (t - first > 0.3) {
          t0 = t;
          c0 = cpu_s();
        }
        continue;
      }
      for (int i = 0; i < n; i++) {
        int seg = 0;
        for (cmsghdr* c = CMSG_FIRSTHDR(&m[i].msg_hdr); c; c = CMSG_NXTHDR(&m[i].msg_hdr, c))
          if (c->cmsg_type == UDP_GRO) seg = *(int*)CMSG_DATA(c);
        pk += seg ? (m[i].msg_len + seg - 1) / seg : 1;
        by += m[i].msg_len;
      }
      t1 = t;
      if (t - t0 >= dur) break;
    }
    double w = t1 - t0;
    printf("sink packets=%lu kpps=%.1f gbps=%.3f wall=%.2f sink_cpu_pct=%.0f\n", pk,
           w > 0 ? pk / w / 1e3 : 0, w > 0 ? by * 8 / w / 1e9 : 0, w,
           w > 0 ? 100 * (cpu_s() - c0) / w : 0);
    return 0;
  }
  if (argc < 7) return 2;
  int size = atoi(argv[3]);
  double dur = atof(argv[4]);
  pin(atoi(argv[5]));
  std::string mode = argv[6];
  double pps = argc > 7 ? atof(argv[7]) : 0;
  int s = udp_sock(nullptr, argv[2]);
  int per = mode == "single" ? 1 : std::min(64, mode == "gso" ? 60000 / size : 64);
  std::vector<char> buf(size * 64, 'x');
  uint64_t pk = 0, err = 0;
  mmsghdr m[64];
  iovec v[64];
  if (mode == "gso") setsockopt(s, SOL_UDP, UDP_SEGMENT, &size, sizeof size);
  for (int i = 0; i < 64; i++) {
    v[i] = {buf.data() + i * size, (size_t)size};
    memset(&m[i], 0, sizeof m[i]);
    m[i].msg_hdr.msg_iov = &v[i];
    m[i].msg_hdr.msg_iovlen = 1;
  }
  double t0 = now_s(), c0 = cpu_s();
  if (pps && pps / per < 2000) per = std::max(1, (int)(pps / 2000));
  while (!g_stop) {
    double t = now_s();
    if (t - t0 > dur) break;
    if (pps && pk > pps * (t - t0)) {
      if (pps < 100000) {
        timespec ts{0, 20000};
        nanosleep(&ts, 0);
      }
      continue;
    }
    if (mode == "gso") {
      if (send(s, buf.data(), (size_t)size * per, 0) < 0)
        err++;
      else
        pk += per;
    } else if (mode == "mmsg") {
      int k = sendmmsg(s, m, per, 0);
      if (k < 0)
        err++;
      else
        pk += k;
    } else {
      if (send(s, buf.data(), size, 0) < 0)
        err++;
      else
        pk++;
    }
  }
  double w = now_s() - t0;
  printf("gen packets=%lu kpps=%.1f err=%lu wall=%.2f gen_cpu_pct=%.0f\n", pk, pk / w / 1e3, err, w,
         100 * (cpu_s() - c0) / w);
}
