// Reading a record. Records come from disk, perhaps cut short by a crash: every bound is checked.
#include "dmsc/linkstate/input_codec.hpp"
#include "dmsc/linkstate/input_log.hpp"

namespace dmsc::linkstate {
namespace {

// In a socket, in nanoseconds: a day. What is longer is damage.
constexpr std::uint64_t kMostWaited = 86'400'000'000'000;

Error broken(const char* what, std::size_t at) {
  return make_error(Errc::invalid, "record: entry at byte ", std::to_string(at), ": ", what,
                    " is malformed");
}

bool is_drain_level(std::uint64_t value) {
  return value <= static_cast<std::uint64_t>(DrainLevel::hard);
}

crypto::KeyChain read_keys(RecordReader& r) {
  crypto::KeyChain keys;
  auto active = r.number<std::uint16_t>();
  std::size_t count = r.count();
  for (std::size_t i = 0; i < count && r.ok(); ++i) keys.add(r.number<std::uint16_t>(), {});
  keys.set_active(active);
  return keys;
}

LinkConfig read_link(RecordReader& r) {
  LinkConfig link;
  link.id = LinkId{r.number<std::uint32_t>()};
  link.name = r.text();
  link.peer_name = r.text();
  link.liveness.interval = Duration(r.svarint());
  link.liveness.multiplier = r.number<unsigned>();
  link.metric = r.number<std::uint32_t>();
  link.capacity_bps = r.varint();
  link.mtu = r.varint();
  std::size_t ports = r.count();
  for (std::size_t i = 0; i < ports && r.ok(); ++i) {
    link.data.worker_ports.push_back(r.number<std::uint16_t>());
  }
  link.data.mtu = r.number<std::uint16_t>();
  return link;
}

bool read_prefixes(RecordReader& r, std::vector<wire::PrefixEntry>& out) {
  std::size_t count = r.count();
  for (std::size_t i = 0; i < count && r.ok(); ++i) {
    auto name = Name::parse(r.text());
    if (!name) return false;
    wire::PrefixEntry entry;
    entry.name = *name;
    entry.covering = r.u8() != 0;
    entry.interface = r.number<std::uint16_t>();
    std::size_t instances = r.count();
    for (std::size_t k = 0; k < instances && r.ok(); ++k) {
      InstanceId id{r.number<std::uint16_t>()};
      entry.instances.push_back({id, r.number<std::uint16_t>()});
    }
    std::size_t ports = r.count();
    for (std::size_t k = 0; k < ports && r.ok(); ++k) {
      wire::ServicePort port;
      port.name = r.text();
      port.port = r.number<std::uint16_t>();
      port.protocols = r.u8();
      port.capacity = r.number<std::uint16_t>();
      entry.ports.push_back(std::move(port));
    }
    out.push_back(std::move(entry));
  }
  return true;
}

bool has_time(InputType type) {
  return type != InputType::poll && type != InputType::signature && type != InputType::bad_tag;
}

}  // namespace

// The next entry; nullopt at the end, or where the record has been cut.
std::optional<std::pair<InputType, ByteView>> InputReader::entry() {
  if (position_ == record_.size()) return std::nullopt;
  RecordReader r(record_.subspan(position_));
  auto type = static_cast<InputType>(r.u8());
  ByteView body = r.raw(r.varint());
  if (!r.ok()) {
    truncated_ = true;
    return std::nullopt;
  }
  position_ += r.position();
  return std::make_pair(type, body);
}

Result<InputReader> InputReader::open(ByteView record) {
  InputReader reader(record);
  auto first = reader.entry();
  if (!first || first->first != InputType::start) {
    return make_error(Errc::invalid, "record: it does not begin with a start entry");
  }
  if (Status ok = reader.read_start(first->second); !ok) return ok.error();
  return reader;
}

Status InputReader::read_start(ByteView body) {
  RecordReader r(body);
  if (r.fixed32() != kRecordMagic) return make_error(Errc::invalid, "record: no magic number");
  if (std::uint8_t version = r.u8(); version != kRecordVersion) {
    return make_error(Errc::unsupported, "record: version ", std::to_string(version),
                      ", this program reads ", std::to_string(kRecordVersion));
  }
  started_ = last_ = Time(Duration(r.svarint()));
  NodeId self{r.number<std::uint32_t>()};
  std::string name = r.text();
  auto role = static_cast<wire::NodeRole>(r.number<std::uint8_t>());
  bool no_transit = r.u8() != 0;
  DomainId domain{r.varint()};
  SessionId session{r.varint()};
  std::uint64_t stored_epoch = r.varint(), clock_seconds = r.varint(), random_seed = r.varint();
  ByteView key = r.raw(public_key_.size());
  if (!r.ok()) return broken("start", 0);
  std::copy(key.begin(), key.end(), public_key_.begin());
  Bytes certificate = r.blob();
  crypto::KeyChain keys = read_keys(r);
  auto lifetime = r.number<std::uint32_t>();
  bool discovers = r.varint() != 0;
  if (!r.done()) return broken("start", 0);
  config_ = EngineConfig{self,          name,        role,
                         no_transit,    domain,      session,
                         stored_epoch,  clock_seconds, random_seed,
                         crypto::SigningKey(crypto::Key32{}), std::move(certificate), std::move(keys),
                         lifetime,      discovers,   nullptr,
                         nullptr};
  return Ok{};
}

Result<Input> InputReader::take_birth() {
  Input birth;
  birth.type = InputType::start;
  birth.now = started_;
  if (Status ok = take_results(birth); !ok) return ok.error();
  return birth;
}

Result<std::optional<Input>> InputReader::next() {
  std::size_t at = position_;
  auto found = entry();
  if (!found) return std::optional<Input>();
  if (found->first == InputType::signature || found->first == InputType::bad_tag ||
      found->first == InputType::start) {
    return broken(to_string(found->first), at);  // results without an input, or a second start
  }
  auto input = parse(found->first, found->second);
  if (!input) return input.error();
  if (Status ok = take_results(*input); !ok) return ok.error();
  if (input->type != InputType::mark) ++inputs_;
  return std::optional<Input>(std::move(input).value());
}

// The signatures made and the tags refused while the input was handled.
Status InputReader::take_results(Input& input) {
  for (;;) {
    std::size_t at = position_;
    auto found = entry();
    if (!found) return Ok{};
    if (found->first == InputType::bad_tag) {
      input.bad_tag = true;
    } else if (found->first == InputType::signature) {
      crypto::Signature signature;
      if (found->second.size() != signature.size()) return broken("signature", at);
      std::copy(found->second.begin(), found->second.end(), signature.begin());
      input.signatures.push_back(signature);
    } else {
      position_ = at;
      return Ok{};
    }
  }
}

Result<Input> InputReader::parse(InputType type, ByteView body) {
  RecordReader r(body);
  Input in;
  in.type = type;
  if (has_time(type)) last_ += Duration(r.svarint());
  in.now = last_;
  bool good = true;
  switch (type) {
    case InputType::poll:
    case InputType::tick:
    case InputType::retry_waiting:
    case InputType::shutdown: break;
    case InputType::add_link:
    case InputType::change_link: in.config = read_link(r); break;
    case InputType::remove_link:
    case InputType::interface_state:
    case InputType::link_hint:
    case InputType::set_link_quality:
    case InputType::set_metric_bias:
    case InputType::set_link_drain:
      in.link = LinkId{r.number<std::uint32_t>()};
      in.a = r.varint();
      in.b = r.varint();
      good = type != InputType::set_link_drain || is_drain_level(in.a);
      break;
    case InputType::receive:
    case InputType::receive_runt:
    case InputType::receive_waited:
      in.link = LinkId{r.number<std::uint32_t>()};
      if (type == InputType::receive_waited) in.a = r.varint();
      good = in.a <= kMostWaited;
      in.bytes = to_bytes(r.rest());
      if (type != InputType::receive_runt) in.bytes.resize(in.bytes.size() + wire::kPduTrailerBytes);
      break;
    case InputType::verdict:
    case InputType::undecided:
    case InputType::too_many_prefixes:
    case InputType::recheck:
    case InputType::set_overload:
    case InputType::set_drain:
      in.a = r.varint();
      in.b = r.varint();
      good = type != InputType::set_drain || is_drain_level(in.a);
      break;
    case InputType::set_certificate:
    case InputType::inject: in.bytes = r.blob(); break;
    case InputType::set_keys: in.keys = read_keys(r); break;
    case InputType::set_prefixes: good = read_prefixes(r, in.entries); break;
    case InputType::set_grants:
      for (std::size_t n = r.count(); n > 0 && r.ok(); --n) in.objects.push_back(r.blob());
      break;
    case InputType::mark:
      in.digest.hi = r.varint();
      in.digest.lo = r.varint();
      in.a = r.varint();
      break;
    default:
      return make_error(Errc::unsupported, "record: entry of type ",
                        std::to_string(static_cast<unsigned>(type)));
  }
  if (!good || !r.done()) return broken(to_string(type), position_);
  return in;
}

}  // namespace dmsc::linkstate
