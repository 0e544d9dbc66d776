// Minimal userspace UDP forwarder: everything that arrives on --listen goes to --to.  One thread.
//   udpfwd MODE LISTEN TO CORE [spin]
// MODE: single  recv() + sendto(), one packet per two system calls
//       mmsg    recvmmsg(64) + sendmmsg(64)
//       gso     recvmsg with UDP_GRO, one sendmsg per run with UDP_SEGMENT (a run = one GRO train)
//       gsomm   recvmmsg(64) of UDP_GRO trains, consecutive single packets of equal size are joined
//       into
//               UDP_SEGMENT runs (up to 64 segments / 60 kB), sendmmsg of the runs
//       joinmm  recvmmsg(64) without UDP_GRO, then joined as in gsomm: the case where only sending
//       is batched fanN    (fan1, fan4, fan16 ...) as joinmm, but every packet goes to a random one
//       of N peers (the last byte of the address
//               of TO counts up); the batch (FWD_BATCH, default 64) is grouped by peer before the
//               runs are made
// The last word 'spin' busy-polls instead of sleeping in the receive call.
// On SIGTERM prints packets, bytes, wall and CPU time, and CPU ns per packet.
#include <array>
#include "common.hpp"
int main(int argc, char** argv) {
  if (argc < 5) {
    fprintf(stderr, "usage: udpfwd MODE LISTEN TO CORE [spin]\n");
    return 2;
  }
  std::string mode = argv[1];
  pin(atoi(argv[4]));
  bool spin = argc > 5 && !strcmp(argv[5], "spin");
  install_stop();
  int in = udp_sock(argv[2], nullptr), out = udp_sock(nullptr, nullptr);
  sockaddr_in to = addr(argv[3]);
  uint64_t pk = 0, by = 0, calls = 0, drops = 0;
  double t0 = 0, c0 = 0, t1 = 0, c1 = 0;
  int one = 1;
  const int B = 64;
  int rf = spin ? MSG_DONTWAIT : 0, rfm = spin ? MSG_DONTWAIT : MSG_WAITFORONE;
  auto mark = [&](uint64_t n) {
    if (!t0 && n) {
      t0 = now_s();
      c0 = cpu_s();
    }
  };
  auto report_at = [&] {
    t1 = now_s();
    c1 = cpu_s();
  };
  bool gro = mode == "gso" || mode == "gsomm";
  if (gro && setsockopt(in, SOL_UDP, UDP_GRO, &one, sizeof one)) DIE("UDP_GRO");
  if (mode == "single") {
    static char buf[65536];
    while (!g_stop) {
      ssize_t n = recv(in, buf, sizeof buf, rf);
      if (n < 0) {
        if (errno == EAGAIN || errno == EINTR) continue;
        DIE("recv");
      }
      mark(1);
      calls++;
      pk++;
      by += n;
      if (sendto(out, buf, n, 0, (sockaddr*)&to, sizeof to) < 0) drops++;
    }
  } else if (mode == "mmsg" || mode == "joinmm" || mode == "gsomm") {
    bool join = mode != "mmsg";
    const size_t S = gro ? 65536 : 2048;
    char* mem = (char*)aligned_alloc(4096, B * S);
    memset(mem, 0, B * S);
    mmsghdr rm[B], sm[B];
    iovec ri[B], si[B * 64];
    char rc[B][64], sc[B][64];
    while (!g_stop) {
      for (int i = 0; i < B; i++) {
        ri[i] = {mem + i * S, S};
        memset(&rm[i], 0, sizeof rm[i]);
        rm[i].msg_hdr.msg_iov = &ri[i];
        rm[i].msg_hdr.msg_iovlen = 1;
        if (gro) {
          rm[i].msg_hdr.msg_control = rc[i];
          rm[i].msg_hdr.msg_controllen = sizeof rc[i];
        }
      }
      int n = recvmmsg(in, rm, B, rfm, nullptr);
      if (n < 0) {
        if (errno == EAGAIN || errno == EINTR) continue;
        DIE("recvmmsg");
      }
      mark(n);
      calls++;
      int ns = 0, nio = 0;
      for (int i = 0; i < n;) {
        size_t len = rm[i].msg_len;
        int seg = 0;
        if (gro)
          for (cmsghdr* c = CMSG_FIRSTHDR(&rm[i].msg_hdr); c; c = CMSG_NXTHDR(&rm[i].msg_hdr, c))
            if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) seg = *(int*)CMSG_DATA(c);
        mmsghdr& m = sm[ns++];
        memset(&m, 0, sizeof m);
        m.msg_hdr.msg_name = &to;
        m.msg_hdr.msg_namelen = sizeof to;
        m.msg_hdr.msg_iov = &si[nio];
        si[nio++] = {ri[i].iov_base, len};
        int segs = 1;
        size_t tot = len;
        if (seg) {
          segs = (len + seg - 1) / seg;
          pk += segs;
          by += len;
          i++;
        } else {
          pk++;
          by += len;
          i++;
          seg = len;
          while (join && i < n && segs < 64 && tot + rm[i].msg_len < 60000 &&
                 rm[i].msg_len <= (unsigned)seg && segs < 64) {
            if (gro && rm[i].msg_hdr.msg_controllen) break;  // itself a train
            si[nio++] = {ri[i].iov_base, rm[i].msg_len};
            segs++;
            tot += rm[i].msg_len;
            pk++;
            by += rm[i].msg_len;
            bool shorter = rm[i].msg_len < (unsigned)seg;
            i++;
            if (shorter) break;
          }
        }
        m.msg_hdr.msg_iovlen = &si[nio] - m.msg_hdr.msg_iov;
        if (segs > 1) {
          m.msg_hdr.msg_control = sc[ns - 1];
          m.msg_hdr.msg_controllen = CMSG_SPACE(2);
          cmsghdr* c = CMSG_FIRSTHDR(&m.msg_hdr);
          c->cmsg_level = SOL_UDP;
          c->cmsg_type = UDP_SEGMENT;
          c->cmsg_len = CMSG_LEN(2);
          *(uint16_t*)CMSG_DATA(c) = seg;
        }
      }
      for (int d = 0; d < ns;) {
        int k = sendmmsg(out, sm + d, ns - d, 0);
        if (k <= 0) {
          drops++;
          d++;
        } else
          d += k;
      }
    }
  } else if (mode.rfind("fan", 0) == 0) {
    const int N = std::max(1, atoi(mode.c_str() + 3)),
              K = getenv("FWD_BATCH") ? std::min(1024, atoi(getenv("FWD_BATCH"))) : 64;
    const size_t S = 2048;
    char* mem = (char*)aligned_alloc(4096, K * S);
    memset(mem, 0, K * S);
    std::vector<sockaddr_in> peer(N, to);
    for (int i = 0; i < N; i++) peer[i].sin_addr.s_addr = htonl(ntohl(to.sin_addr.s_addr) + i);
    std::vector<mmsghdr> rm(K), sm(K);
    std::vector<iovec> ri(K), si(K);
    std::vector<std::array<char, 64>> sc(K);
    std::vector<int> head(N), next(K), tail(N);
    uint64_t rng = 88172645463325252ull;
    for (int i = 0; i < K; i++) {
      ri[i] = {mem + i * S, S};
      memset(&rm[i], 0, sizeof rm[i]);
      rm[i].msg_hdr.msg_iov = &ri[i];
      rm[i].msg_hdr.msg_iovlen = 1;
    }
    while (!g_stop) {
      int n = recvmmsg(in, rm.data(), K, rfm, nullptr);
      if (n < 0) {
        if (errno == EAGAIN || errno == EINTR) continue;
        DIE("recvmmsg");
      }
      mark(n);
      calls++;
      pk += n;
      std::fill(head.begin(), head.end(), -1);
      for (int i = 0; i < n; i++) {
        rng ^= rng << 13;
        rng ^= rng >> 7;
        rng ^= rng << 17;
        int d = (rng >> 20) % N;
        next[i] = -1;
        if (head[d] < 0)
          head[d] = i;
        else
          next[tail[d]] = i;
        tail[d] = i;
        by += rm[i].msg_len;
      }
      int ns = 0, nio = 0;
      for (int d = 0; d < N; d++)
        for (int i = head[d]; i >= 0;) {
          mmsghdr& m = sm[ns];
          memset(&m, 0, sizeof m);
          m.msg_hdr.msg_name = &peer[d];
          m.msg_hdr.msg_namelen = sizeof to;
          m.msg_hdr.msg_iov = &si[nio];
          unsigned seg = rm[i].msg_len, tot = 0;
          int segs = 0;
          bool shorter = false;
          for (; i >= 0 && segs < 64 && !shorter && rm[i].msg_len <= seg &&
                 tot + rm[i].msg_len < 60000;
               i = next[i]) {
            si[nio++] = {ri[i].iov_base, rm[i].msg_len};
            segs++;
            tot += rm[i].msg_len;
            shorter = rm[i].msg_len < seg;
          }
          m.msg_hdr.msg_iovlen = segs;
          if (segs > 1) {
            m.msg_hdr.msg_control = sc[ns].data();
            m.msg_hdr.msg_controllen = CMSG_SPACE(2);
            cmsghdr* c = CMSG_FIRSTHDR(&m.msg_hdr);
            c->cmsg_level = SOL_UDP;
            c->cmsg_type = UDP_SEGMENT;
            c->cmsg_len = CMSG_LEN(2);
            *(uint16_t*)CMSG_DATA(c) = seg;
          }
          ns++;
        }
      for (int d = 0; d < ns;) {
        int k = sendmmsg(out, &sm[d], ns - d, 0);
        if (k <= 0) {
          drops++;
          d++;
        } else
          d += k;
      }
    }
  } else if (mode == "gso") {
    static char buf[65536];
    char rc[64], sc[64];
    while (!g_stop) {
      iovec v{buf, sizeof buf};
      msghdr m;
      memset(&m, 0, sizeof m);
      m.msg_iov = &v;
      m.msg_iovlen = 1;
      m.msg_control = rc;
      m.msg_controllen = sizeof rc;
      ssize_t n = recvmsg(in, &m, rf);
      if (n < 0) {
        if (errno == EAGAIN || errno == EINTR) continue;
        DIE("recvmsg");
      }
      int seg = 0;
      for (cmsghdr* c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) seg = *(int*)CMSG_DATA(c);
      int segs = seg ? (n + seg - 1) / seg : 1;
      mark(segs);
      calls++;
      pk += segs;
      by += n;
      v.iov_len = n;
      msghdr s;
      memset(&s, 0, sizeof s);
      s.msg_iov = &v;
      s.msg_iovlen = 1;
      s.msg_name = &to;
      s.msg_namelen = sizeof to;
      if (segs > 1) {
        s.msg_control = sc;
        s.msg_controllen = CMSG_SPACE(2);
        cmsghdr* c = CMSG_FIRSTHDR(&s);
        c->cmsg_level = SOL_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(2);
        *(uint16_t*)CMSG_DATA(c) = seg;
      }
      if (sendmsg(out, &s, 0) < 0) drops++;
    }
  } else {
    fprintf(stderr, "mode?\n");
    return 2;
  }
  report_at();
  double w = t1 - t0, c = c1 - c0;
  printf(
      "fwd mode=%s packets=%lu bytes=%lu calls=%lu per_call=%.1f send_err=%lu wall=%.2f cpu=%.2f "
      "cpu_pct=%.0f ns_per_packet=%.0f\n",
      mode.c_str(), pk, by, calls, calls ? (double)pk / calls : 0, drops, w, c, w ? 100 * c / w : 0,
      pk ? c * 1e9 / pk : 0);
}
