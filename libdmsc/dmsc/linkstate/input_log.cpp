// Writing the record.
#include "dmsc/linkstate/input_log.hpp"

#include "dmsc/linkstate/input_codec.hpp"

namespace dmsc::linkstate {

const char* to_string(InputType type) {
  switch (type) {
    case InputType::start: return "start";
    case InputType::add_link: return "add-link";
    case InputType::remove_link: return "remove-link";
    case InputType::change_link: return "change-link";
    case InputType::interface_state: return "interface";
    case InputType::receive: return "receive";
    case InputType::receive_runt: return "receive-runt";
    case InputType::receive_waited: return "receive-waited";
    case InputType::tick: return "tick";
    case InputType::verdict: return "verdict";
    case InputType::undecided: return "undecided";
    case InputType::too_many_prefixes: return "too-many-prefixes";
    case InputType::retry_waiting: return "retry-waiting";
    case InputType::recheck: return "recheck";
    case InputType::set_keys: return "set-keys";
    case InputType::set_certificate: return "set-certificate";
    case InputType::link_hint: return "link-hint";
    case InputType::set_overload: return "set-overload";
    case InputType::set_link_quality: return "set-link-quality";
    case InputType::set_metric_bias: return "set-metric-bias";
    case InputType::set_drain: return "set-drain";
    case InputType::set_link_drain: return "set-link-drain";
    case InputType::set_prefixes: return "set-prefixes";
    case InputType::set_grants: return "set-grants";
    case InputType::inject: return "inject";
    case InputType::shutdown: return "shutdown";
    case InputType::poll: return "poll";
    case InputType::signature: return "signature";
    case InputType::bad_tag: return "bad-tag";
    case InputType::mark: return "mark";
  }
  return "?";
}

// One entry being made; written when it goes.
class InputRecorder::Entry {
 public:
  Entry(InputRecorder& recorder, InputType type, std::optional<Time> now)
      : recorder_(recorder), type_(type) {
    if (!now) return;
    body.svarint((*now - recorder.last_).count());
    recorder.last_ = *now;
  }
  ~Entry() {
    RecordWriter head;
    head.u8(static_cast<std::uint8_t>(type_)).varint(body.size());
    head.raw(body.view());
    recorder_.sink_->write(head.view());
  }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;
  RecordWriter body;

 private:
  InputRecorder& recorder_;
  InputType type_;
};

namespace {

void write_keys(RecordWriter& w, const crypto::KeyChain& keys) {
  w.varint(keys.active()).varint(keys.size());
  for (const auto& [id, secret] : keys.keys()) w.varint(id);  // never the secret
}

// Names every member, so that a new one does not compile before it is recorded.
void write_link(RecordWriter& w, const LinkConfig& link) {
  const auto& [id, name, peer_name, liveness, metric, capacity_bps, mtu, data] = link;
  const auto& [interval, multiplier] = liveness;
  const auto& [worker_ports, data_mtu] = data;
  w.varint(id.value).text(name).text(peer_name).svarint(interval.count()).varint(multiplier);
  w.varint(metric).varint(capacity_bps).varint(mtu).varint(worker_ports.size());
  for (std::uint16_t port : worker_ports) w.varint(port);
  w.varint(data_mtu);
}

}  // namespace

InputRecorder::InputRecorder(InputSink* sink, const EngineConfig& config, Time now) : sink_(sink) {
  if (sink_ == nullptr) return;
  const auto& [self, name, role, no_transit, domain, session, stored_epoch, clock_seconds, random_seed,
               signer, certificate, keys, lsa_lifetime, discovers, primitives,
               record_to] = config;
  Entry e(*this, InputType::start, std::nullopt);
  e.body.fixed32(kRecordMagic).u8(kRecordVersion).svarint(now.time_since_epoch().count());
  e.body.varint(self.value).text(name).varint(static_cast<std::uint8_t>(role)).u8(no_transit ? 1 : 0);
  e.body.varint(domain.value).varint(session.value).varint(stored_epoch).varint(clock_seconds);
  e.body.varint(random_seed).raw(signer.public_key()).blob(certificate);
  write_keys(e.body, keys);
  e.body.varint(lsa_lifetime).u8(discovers ? 1 : 0);
  last_ = now;
}

void InputRecorder::plain(InputType type, Time now) {
  if (on()) Entry(*this, type, now);
}

void InputRecorder::link(InputType type, Time now, const LinkConfig& config) {
  if (!on()) return;
  Entry e(*this, type, now);
  write_link(e.body, config);
}

void InputRecorder::of_link(InputType type, Time now, LinkId link, std::uint64_t a, std::uint64_t b) {
  if (!on()) return;
  Entry e(*this, type, now);
  e.body.varint(link.value).varint(a).varint(b);
}

void InputRecorder::number(InputType type, Time now, std::uint64_t a, std::uint64_t b) {
  if (!on()) return;
  Entry e(*this, type, now);
  e.body.varint(a).varint(b);
}

void InputRecorder::bytes(InputType type, Time now, ByteView bytes) {
  if (!on()) return;
  Entry e(*this, type, now);
  e.body.blob(bytes);
}

void InputRecorder::datagram(Time now, LinkId link, ByteView datagram, Duration waited) {
  if (!on()) return;
  bool whole = datagram.size() < wire::kPduOverhead;
  InputType type = whole                       ? InputType::receive_runt  // changes nothing, whenever it came
                   : waited == Duration::zero() ? InputType::receive
                                                : InputType::receive_waited;
  Entry e(*this, type, now);
  e.body.varint(link.value);
  if (type == InputType::receive_waited) e.body.varint(static_cast<std::uint64_t>(waited.count()));
  e.body.raw(whole ? datagram : datagram.first(datagram.size() - wire::kPduTrailerBytes));
}

void InputRecorder::keys(Time now, const crypto::KeyChain& keys) {
  if (!on()) return;
  Entry e(*this, InputType::set_keys, now);
  write_keys(e.body, keys);
}

void InputRecorder::prefixes(Time now, const std::vector<wire::PrefixEntry>& entries) {
  if (!on()) return;
  Entry e(*this, InputType::set_prefixes, now);
  e.body.varint(entries.size());
  for (const auto& [name, covering, interface, instances, ports] : entries) {
    e.body.text(name.text()).u8(covering ? 1 : 0).varint(interface).varint(instances.size());
    for (const auto& [id, capacity] : instances) e.body.varint(id.value).varint(capacity);
    e.body.varint(ports.size());
    for (const auto& [label, port, protocols, capacity] : ports) {
      e.body.text(label).varint(port).u8(protocols).varint(capacity);
    }
  }
}

void InputRecorder::grants(Time now, const std::vector<Bytes>& grants) {
  if (!on()) return;
  Entry e(*this, InputType::set_grants, now);
  e.body.varint(grants.size());
  for (const Bytes& grant : grants) e.body.blob(grant);
}

void InputRecorder::poll() {
  if (on()) Entry(*this, InputType::poll, std::nullopt);
}

void InputRecorder::signature(const crypto::Signature& signature) {
  if (!on()) return;
  Entry e(*this, InputType::signature, std::nullopt);
  e.body.raw(signature);
}

void InputRecorder::bad_tag() {
  if (on()) Entry(*this, InputType::bad_tag, std::nullopt);
}

void InputRecorder::mark(Time now, U128 digest, std::size_t lsa_count) {
  if (!on()) return;
  Entry e(*this, InputType::mark, now);
  e.body.varint(digest.hi).varint(digest.lo).varint(lsa_count);
}

}  // namespace dmsc::linkstate
