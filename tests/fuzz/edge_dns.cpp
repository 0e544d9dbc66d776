// DNS queries from programs, and the saved table of virtual addresses.
#include "sgd/edge_dns.hpp"

#include "harness.hpp"

using namespace dmsc;
using namespace dmsc::sgd;

void fuzz::one_input(ByteView bytes) {
  (void)decode_saved(as_text(bytes));
  dns::Parsed parsed = dns::parse_query(bytes);
  if (parsed.drop) return;
  if (parsed.rcode != dns::Rcode::no_error) {
    (void)dns::build_error(parsed);
    return;
  }
  static const Ipv4Net range{{0x64600000}, 13};
  static dns::Directory directory;
  if (directory.size() == 0) {
    directory.set(*Name::parse("B/4"), false);
    directory.set(*Name::parse("files"), true);
    directory.set_ports(*Name::parse("B/4"), {{"http", 80, wire::kPortTcp, 9}, {"", 81, 3, 1}});
  }
  VirtualAddresses addresses(range, {0x64600001}, crypto::Key16{});
  static const Prefix6 prefix6 = *Prefix6::parse("fdc0:646d:7363::/64");
  dns::Zone zone("svc.dmsc", range, prefix6, 5, directory, addresses);
  auto answer = zone.answer(parsed.query, Time{}, true);
  if (!answer) return;
  const std::size_t limit = dns::udp_limit(parsed.query);
  Bytes built = dns::build_answer(parsed.query, *answer, zone.zone(), true, limit);
  require(limit >= 512 && built.size() <= limit, "an answer fits what was asked for");
  require(dns::parse_query(built).drop, "an answer is no query");
}

void fuzz::seeds(SeedWriter& out) {
  for (const char* name : {"4.b.svc.dmsc", "_http._tcp.4.b.svc.dmsc", "x.files.svc.dmsc", "4.3.96.100.in-addr.arpa"}) {
    ByteWriter w;
    w.u16(1).u16(0x0100).u16(1).u16(0).u16(0).u16(1).bytes(dns::encode_name(name));
    w.u16(name[0] == 'x' ? dns::kTypeAaaa : name[0] == '_' ? dns::kTypeSrv : dns::kTypeA).u16(dns::kClassIn);
    w.u8(0).u16(dns::kTypeOpt).u16(1232).u32(0).u16(0);
    out(w.view());
  }
  SavedAddresses saved{crypto::Key16{1}, {{{0x64600105}, "B/4"}}};
  out(as_bytes(encode_saved(saved)));
}
