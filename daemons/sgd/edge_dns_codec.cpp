#include "sgd/edge_dns.hpp"

#include <algorithm>

namespace dmsc::sgd::dns {
namespace {

constexpr std::size_t kHeaderBytes = 12, kMaxWireName = 255;
constexpr std::uint16_t kFlagQr = 0x8000, kFlagAa = 0x0400, kFlagTc = 0x0200, kFlagRd = 0x0100,
                        kFlagRa = 0x0080, kFlagCd = 0x0010;

void append_label(std::string& out, ByteView label) {
  for (std::uint8_t c : label) {
    if (c > 32 && c < 127 && c != '.' && c != '\\') {
      out += static_cast<char>(c);
    } else {
      char digits[5] = {'\\', static_cast<char>('0' + c / 100), static_cast<char>('0' + c / 10 % 10),
                        static_cast<char>('0' + c % 10), 0};
      out += digits;
    }
  }
}

// The question's name stands first in the message: a pointer there could only point at itself or the
// header, so it is refused.
bool read_question_name(ByteReader& in, std::string& out) {
  std::size_t wire = 1;
  while (true) {
    std::uint8_t length = in.u8();
    if (!in.ok() || length > 63) return false;
    if (length == 0) return true;
    wire += 1 + length;
    ByteView label = in.bytes(length);
    if (!in.ok() || wire > kMaxWireName) return false;
    if (!out.empty()) out += '.';
    append_label(out, label);
  }
}

// Steps over a name that may be compressed; true if it is the root.
bool skip_name(ByteReader& in, bool& root) {
  root = false;
  for (std::size_t wire = 0, labels = 0;; ++labels) {
    std::uint8_t length = in.u8();
    if (!in.ok()) return false;
    if (length == 0) {
      root = labels == 0;
      return true;
    }
    if ((length & 0xc0) == 0xc0) {
      in.u8();
      return in.ok();
    }
    wire += 1 + std::size_t{length};
    if (length > 63 || wire > kMaxWireName) return false;
    in.bytes(length);
  }
}

// Finds the OPT record; false if the section is malformed.
bool read_additional(ByteReader& in, unsigned count, Parsed& out) {
  for (unsigned i = 0; i < count; ++i) {
    bool root = false;
    if (!skip_name(in, root)) return false;
    std::uint16_t type = in.u16(), klass = in.u16();
    std::uint32_t ttl = in.u32();
    in.bytes16();
    if (!in.ok()) return false;
    if (type != kTypeOpt) continue;
    if (!root || out.query.edns) return false;
    out.query.edns = true;
    out.query.udp_payload = std::max<std::uint16_t>(512, klass);
    if ((ttl >> 16 & 0xff) != 0) out.rcode = Rcode::bad_version;
  }
  return in.done();
}

void write_header(ByteWriter& out, const Query& query, std::uint16_t flags, Rcode rcode,
                  std::uint16_t questions, std::uint16_t answers, std::uint16_t authorities,
                  std::uint16_t additional = 0) {
  flags |= kFlagQr | (static_cast<std::uint16_t>(rcode) & 15);
  if (query.recursion_desired) flags |= kFlagRd;
  if (query.checking_disabled) flags |= kFlagCd;
  out.u16(query.id).u16(flags).u16(questions).u16(answers).u16(authorities);
  out.u16(additional + (query.edns ? 1 : 0));
}

void write_opt(ByteWriter& out, Rcode rcode) {
  std::uint32_t extended = static_cast<std::uint32_t>(rcode) >> 4;
  out.u8(0).u16(kTypeOpt).u16(kUdpPayload).u32(extended << 24).u16(0);
}

void write_record(ByteWriter& out, ByteView owner, std::uint16_t type, std::uint32_t ttl,
                  ByteView data) {
  out.bytes(owner).u16(type).u16(kClassIn).u32(ttl).bytes16(data);
}

Bytes soa_data(std::string_view zone, std::uint32_t minimum) {
  ByteWriter out;
  out.bytes(encode_name("ns." + std::string(zone)))
      .bytes(encode_name("hostmaster." + std::string(zone)));
  return out.u32(1).u32(3600).u32(600).u32(86400).u32(minimum).take();
}

// The sections behind the question.
struct Records {
  ByteWriter bytes, additional_bytes;
  std::uint16_t answers = 0, authorities = 0, additional = 0;
};

void write_addresses(ByteWriter& out, ByteView owner, const Answer& answer) {
  if (answer.address) {
    Bytes data = ByteWriter().u32(answer.address->value).take();
    write_record(out, owner, kTypeA, answer.ttl, data);
  }
  if (answer.address6) write_record(out, owner, kTypeAaaa, answer.ttl, *answer.address6);
}

// The target's name is written out: RFC 2782 allows no compression there.
void write_services(Records& out, ByteView owner, const Answer& answer) {
  const Bytes target = encode_name(answer.target);
  for (const Answer::Service& s : answer.services) {
    ByteWriter data;
    data.u16(0).u16(s.weight).u16(s.port).bytes(target);
    write_record(out.bytes, owner, kTypeSrv, answer.ttl, data.view());
  }
  out.answers = static_cast<std::uint16_t>(answer.services.size());
  write_addresses(out.additional_bytes, target, answer);
  out.additional = (answer.address ? 1 : 0) + (answer.address6 ? 1 : 0);
}

Records records_of(const Answer& answer, std::string_view zone) {
  const std::uint8_t owner[] = {0xc0, kHeaderBytes};  // the question's name
  Records out;
  if (!answer.services.empty()) {
    write_services(out, owner, answer);
  } else if (answer.address || answer.address6) {
    write_addresses(out.bytes, owner, answer);
    out.answers = (answer.address ? 1 : 0) + (answer.address6 ? 1 : 0);
  } else if (!answer.pointer.empty()) {
    write_record(out.bytes, owner, kTypePtr, answer.ttl, encode_name(answer.pointer));
    out.answers = 1;
  } else if (answer.soa_answer) {
    write_record(out.bytes, owner, kTypeSoa, answer.ttl, soa_data(zone, answer.ttl));
    out.answers = 1;
  }
  if (answer.soa_authority) {
    write_record(out.bytes, encode_name(zone), kTypeSoa, answer.ttl, soa_data(zone, answer.ttl));
    out.authorities = 1;
  }
  return out;
}

}  // namespace

Parsed parse_query(ByteView message) {
  Parsed out;
  ByteReader in(message);
  out.query.id = in.u16();
  std::uint16_t flags = in.u16(), questions = in.u16(), answers = in.u16(), authorities = in.u16(),
                additional = in.u16();
  out.drop = !in.ok() || (flags & kFlagQr) != 0;
  if (out.drop) return out;
  out.opcode = static_cast<std::uint8_t>(flags >> 11 & 15);
  out.query.recursion_desired = flags & kFlagRd;
  out.query.checking_disabled = flags & kFlagCd;
  if (out.opcode != 0) {
    out.rcode = Rcode::not_implemented;
    return out;
  }
  out.rcode = Rcode::format_error;
  if (questions != 1 || answers != 0 || authorities != 0) return out;
  if (!read_question_name(in, out.query.name)) return out;
  out.query.type = in.u16();
  out.query.klass = in.u16();
  if (!in.ok()) return out;
  out.query.question = to_bytes(message.subspan(kHeaderBytes, in.position() - kHeaderBytes));
  out.rcode = Rcode::no_error;
  if (!read_additional(in, additional, out)) out.rcode = Rcode::format_error;
  return out;
}

Bytes encode_name(std::string_view dotted) {
  ByteWriter out;
  while (!dotted.empty()) {
    std::size_t dot = dotted.find('.');
    out.text8(dotted.substr(0, dot));
    dotted = dot == std::string_view::npos ? std::string_view{} : dotted.substr(dot + 1);
  }
  return out.u8(0).take();
}

Bytes build_answer(const Query& query, const Answer& answer, std::string_view zone,
                   bool recursion_available, std::size_t limit) {
  std::uint16_t flags = (answer.authoritative ? kFlagAa : 0) | (recursion_available ? kFlagRa : 0);
  Records all = records_of(answer, zone);
  auto build = [&](std::uint16_t more_flags) {
    ByteWriter out;
    write_header(out, query, flags | more_flags, answer.rcode, 1, all.answers, all.authorities,
                 all.additional);
    out.bytes(query.question).bytes(all.bytes.view()).bytes(all.additional_bytes.view());
    if (query.edns) write_opt(out, answer.rcode);
    return out.take();
  };
  Bytes out = build(0);
  if (out.size() > limit && all.additional != 0) {
    all.additional = 0;
    all.additional_bytes = ByteWriter();
    out = build(0);
  }
  if (out.size() <= limit) return out;
  all = Records();
  return build(kFlagTc);
}

std::size_t udp_limit(const Query& query) {
  return query.edns ? std::min(query.udp_payload, kUdpPayload) : 512;
}

Bytes build_error(const Parsed& parsed) {
  ByteWriter out;
  bool question = !parsed.query.question.empty();
  std::uint16_t flags = static_cast<std::uint16_t>(parsed.opcode << 11);
  write_header(out, parsed.query, flags, parsed.rcode, question ? 1 : 0, 0, 0);
  out.bytes(parsed.query.question);
  if (parsed.query.edns) write_opt(out, parsed.rcode);
  return out.take();
}

}  // namespace dmsc::sgd::dns
