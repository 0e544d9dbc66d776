// A minimal TUN <-> UDP tunnel end.   tuntun MODE IFNAME LOCAL PEER CORE [any]
// With 'any' the socket is not connected: what comes back may come from elsewhere (a forwarder).
//   plain  one read / one send, one recv / one write per packet
//   batch  up to 64 tun reads, joined to UDP_SEGMENT runs when sizes allow; UDP_GRO on receive; one
//   write per packet tso    IFF_VNET_HDR + TSO4/checksum offload: 64 kB TCP super-packets are read,
//   split into MTU-size datagrams (each a whole
//          IP packet, so loss costs one packet), sent with UDP_SEGMENT; on receive a UDP_GRO train
//          is coalesced again and written as one super-packet.  TCP checksums are left to the
//          offload flag (the tunnel has its own integrity).
// Each datagram: 4-byte header (first byte bit 0: the inner checksum is partial), then one IP
// packet.
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include "common.hpp"
#define class class_  // the C header uses it as a field name
#include <linux/virtio_net.h>
#undef class
#include <sys/ioctl.h>
#include <sys/uio.h>
typedef uint8_t u8;
static inline uint16_t g16(const u8* p) { return p[0] << 8 | p[1]; }
static inline void p16(u8* p, unsigned v) {
  p[0] = v >> 8;
  p[1] = v;
}
static inline uint32_t g32(const u8* p) { return (uint32_t)g16(p) << 16 | g16(p + 2); }
static inline void p32(u8* p, uint32_t v) {
  p16(p, v >> 16);
  p16(p + 2, v & 65535);
}
static uint32_t sum(const u8* p, size_t n, uint32_t s = 0) {
  for (; n > 1; n -= 2, p += 2) s += g16(p);
  if (n) s += p[0] << 8;
  return s;
}
static uint16_t fold(uint32_t s) {
  while (s >> 16) s = (s & 65535) + (s >> 16);
  return s;
}
static void ipsum(u8* ip) {
  p16(ip + 10, 0);
  p16(ip + 10, ~fold(sum(ip, 20)));
}
static void tcppseudo(u8* ip, int ihl, unsigned tcplen) {
  p16(ip + ihl + 16, fold(sum(ip + 12, 8, 6 + tcplen)));
}
static int tun, udp;
static sockaddr_in* g_to;  // of an unconnected socket
static uint64_t n_rd, n_wr, n_tx, n_rx;
static void send_run(iovec* v, int nv, int seg, int segs) {
  msghdr m;
  memset(&m, 0, sizeof m);
  m.msg_iov = v;
  m.msg_iovlen = nv;
  if (g_to) {
    m.msg_name = g_to;
    m.msg_namelen = sizeof *g_to;
  }
  char c[64];
  if (segs > 1) {
    m.msg_control = c;
    m.msg_controllen = CMSG_SPACE(2);
    cmsghdr* h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_UDP;
    h->cmsg_type = UDP_SEGMENT;
    h->cmsg_len = CMSG_LEN(2);
    *(uint16_t*)CMSG_DATA(h) = seg;
  }
  n_tx += segs;
  if (sendmsg(udp, &m, 0) < 0) { /* dropped */
  }
}
int main(int argc, char** argv) {
  if (argc < 6) return 2;
  std::string mode = argv[1];
  pin(atoi(argv[5]));
  install_stop();
  bool tso = mode == "tso", plain = mode == "plain";
  tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  if (tun < 0) DIE("tun");
  ifreq r;
  memset(&r, 0, sizeof r);
  strncpy(r.ifr_name, argv[2], IFNAMSIZ - 1);
  r.ifr_flags = IFF_TUN | IFF_NO_PI | (tso ? IFF_VNET_HDR : 0);
  if (ioctl(tun, TUNSETIFF, &r)) DIE("TUNSETIFF");
  if (tso && ioctl(tun, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4)) DIE("TUNSETOFFLOAD");
  static sockaddr_in to = addr(argv[4]);
  const bool any = argc > 6 && !strcmp(argv[6], "any");
  udp = udp_sock(argv[3], any ? nullptr : argv[4]);
  if (any) g_to = &to;
  int one = 1;
  if (!plain) setsockopt(udp, SOL_UDP, UDP_GRO, &one, sizeof one);
  const int B = 64;
  static u8 big[70000], rx[70000], hdrs[B][160], pk[B][2048];
  const int VH = sizeof(virtio_net_hdr);
  iovec v[2 * B + 2];
  double t0 = now_s();
  while (!g_stop) {
    pollfd p[2] = {{tun, POLLIN, 0}, {udp, POLLIN, 0}};
    if (poll(p, 2, 1000) < 0) continue;
    if (p[0].revents & POLLIN) {
      if (plain) {
        u8 b[2048];
        ssize_t n = read(tun, b + 4, 2040);
        if (n > 0) {
          n_rd++;
          memset(b, 0, 4);
          n_tx++;
          if (send(udp, b, n + 4, MSG_DONTWAIT) < 0) {
          }
        }
      } else if (!tso) {
        int k = 0;
        ssize_t len[B];
        for (; k < B; k++) {
          ssize_t n = read(tun, pk[k] + 4, 2040);
          if (n <= 0) break;
          memset(pk[k], 0, 4);
          len[k] = n + 4;
          n_rd++;
        }
        for (int i = 0; i < k;) {
          int nv = 0;
          size_t tot = 0;
          ssize_t seg = len[i];
          bool last = false;
          while (i < k && !last && len[i] <= seg && tot + len[i] < 65000 && nv < 64) {
            last = len[i] < seg;
            tot += len[i];
            v[nv++] = {pk[i], (size_t)len[i]};
            i++;
          }
          send_run(v, nv, seg, nv);
        }
      } else
        for (int rep = 0; rep < 8; rep++) {
          ssize_t n = read(tun, big, sizeof big);
          if (n <= VH) break;
          n_rd++;
          virtio_net_hdr* vh = (virtio_net_hdr*)big;
          u8* ip = big + VH;
          n -= VH;
          int ihl = (ip[0] & 15) * 4;
          bool part = vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
          if ((vh->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) != VIRTIO_NET_HDR_GSO_TCPV4) {
            memset(hdrs[0], 0, 4);
            hdrs[0][0] = part && ip[9] == 6;
            if (part && ip[9] != 6) { /* finish other checksums here */
              u8* s = ip + vh->csum_start;
              u8* c = s + vh->csum_offset;
              uint16_t x = ~fold(sum(s, n - vh->csum_start));
              p16(c, x ? x : 0xffff);
            }
            v[0] = {hdrs[0], 4};
            v[1] = {ip, (size_t)n};
            send_run(v, 2, 0, 1);
            continue;
          }
          int hl = ihl + (ip[ihl + 12] >> 4) * 4, mss = vh->gso_size, pl = n - hl,
              segsz = 4 + hl + mss, maxs = std::min(B, 65000 / segsz);
          uint32_t seq = g32(ip + ihl + 4);
          uint16_t id = g16(ip + 4);
          u8 fl = ip[ihl + 13];
          for (int off = 0, idx = 0; off < pl;) {
            int nv = 0, s = 0;
            for (; s < maxs && off < pl; s++, idx++) {
              int l = std::min(mss, pl - off);
              u8* h = hdrs[s];
              memset(h, 0, 4);
              h[0] = 1;
              memcpy(h + 4, ip, hl);
              u8* q = h + 4;
              p16(q + 2, hl + l);
              p16(q + 4, id + idx);
              p32(q + ihl + 4, seq + off);
              q[ihl + 13] = off + l < pl ? fl & ~(1 | 8) : fl;
              ipsum(q);
              v[nv++] = {h, (size_t)(4 + hl)};
              v[nv++] = {ip + hl + off, (size_t)l};
              off += l;
            }
            send_run(v, nv, segsz, s);
          }
        }
    }
    if (p[1].revents & POLLIN)
      for (int rep = 0; rep < (plain ? 1 : 8); rep++) {
        iovec iv{rx, sizeof rx};
        char rc[64];
        msghdr m;
        memset(&m, 0, sizeof m);
        m.msg_iov = &iv;
        m.msg_iovlen = 1;
        m.msg_control = rc;
        m.msg_controllen = sizeof rc;
        ssize_t n = recvmsg(udp, &m, MSG_DONTWAIT);
        if (n < 0) break;
        int seg = 0;
        for (cmsghdr* c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
          if (c->cmsg_type == UDP_GRO) seg = *(int*)CMSG_DATA(c);
        if (!seg) seg = n;
        if (n < 24) continue;
        if (!tso) {
          for (ssize_t o = 0; o < n; o += seg) {
            n_rx++;
            n_wr++;
            ssize_t l = std::min<ssize_t>(seg, n - o);
            if (write(tun, rx + o + 4, l - 4) < 0) {
            }
          }
          continue;
        }
        for (ssize_t o = 0; o < n;) {
          ssize_t l = std::min<ssize_t>(seg, n - o);
          u8* ip = rx + o + 4;
          ssize_t len = l - 4;
          bool part = rx[o] & 1;
          n_rx++;
          o += l;
          virtio_net_hdr vh;
          memset(&vh, 0, sizeof vh);
          int nv = 0;
          v[nv++] = {&vh, (size_t)VH};
          v[nv++] = {ip, (size_t)len};
          if (part && ip[9] == 6) {
            int ihl = (ip[0] & 15) * 4, hl = ihl + (ip[ihl + 12] >> 4) * 4, mss = len - hl;
            size_t tot = len;
            int segs = 1;
            uint32_t seq = g32(ip + ihl + 4) + mss;
            if (mss > 0 && (ip[ihl + 13] & ~8) == 16)
              while (o < n && nv < 64) {
                ssize_t l2 = std::min<ssize_t>(seg, n - o);
                u8* q = rx + o + 4;
                int pl = l2 - 4 - hl;
                if (!(rx[o] & 1) || pl <= 0 || pl > mss || q[9] != 6 ||
                    memcmp(q + 12, ip + 12, 8) || memcmp(q + ihl, ip + ihl, 4) ||
                    g32(q + ihl + 4) != seq || memcmp(q + ihl + 8, ip + ihl + 8, 4) ||
                    (q[ihl + 13] & ~8) != 16 || q[ihl + 12] != ip[ihl + 12] ||
                    memcmp(q + ihl + 20, ip + ihl + 20, hl - ihl - 20) || tot + pl > 65500)
                  break;
                ip[ihl + 13] |= q[ihl + 13] & 8;
                v[nv++] = {q + hl, (size_t)pl};
                tot += pl;
                segs++;
                seq += pl;
                o += l2;
                n_rx++;
                if (pl < mss) break;
              }
            if (segs > 1) {
              p16(ip + 2, tot);
              ipsum(ip);
              vh.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
              vh.gso_size = mss;
              vh.hdr_len = hl;
            }
            vh.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
            vh.csum_start = ihl;
            vh.csum_offset = 16;
            tcppseudo(ip, ihl, tot - ihl);
          }
          n_wr++;
          if (writev(tun, v, nv) < 0) {
          }
        }
      }
  }
  double c = cpu_s();
  printf(
      "tuntun mode=%s tun_reads=%lu udp_tx=%lu udp_rx=%lu tun_writes=%lu wall=%.2f cpu=%.2f "
      "ns_per_datagram=%.0f\n",
      mode.c_str(), n_rd, n_tx, n_rx, n_wr, now_s() - t0, c, c * 1e9 / (n_tx + n_rx + 1));
}
