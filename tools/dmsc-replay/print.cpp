#include "print.hpp"

#include "dmsc/wire/pdu.hpp"

namespace dmsc::replay {
namespace {

using linkstate::Input;
using linkstate::InputType;
using linkstate::Output;

std::string number(std::uint64_t v) { return std::to_string(v); }
std::string on_link(LinkId link) { return " link " + number(link.value); }

std::string text(const wire::LsaKey& key) {
  std::string origin = is_issuer_origin(key.origin)
                           ? "issuer " + number(key.origin.value & ~kIssuerOriginBit)
                           : "node " + number(key.origin.value);
  return std::string(wire::to_string(key.type)) + "/" + number(key.fragment) + " of " + origin;
}

std::string text(const wire::Lsa& lsa) {
  return text(lsa.key) + " version " + number(lsa.version.epoch) + "." + number(lsa.version.sequence) +
         (lsa.purge ? " purge" : "");
}

std::string describe_body(const wire::OpenedPdu& pdu) {
  std::string out;
  if (pdu.header.type == wire::PduType::update) {
    auto entries = wire::decode_update(pdu.body);
    if (!entries) return " malformed";
    for (const wire::UpdateEntry& entry : *entries) {
      auto lsa = wire::decode_lsa(entry.raw);
      out += "; " + (lsa ? text(**lsa) : "malformed: " + lsa.error().message);
    }
  } else if (pdu.header.type == wire::PduType::ack) {
    auto acks = wire::decode_acks(pdu.body);
    if (acks) out = " of " + number(acks->size()) + " LSAs";
  } else if (pdu.header.type == wire::PduType::hello) {
    auto hello = wire::decode_hello(pdu.body);
    if (hello) out = " from " + hello->name + ", " + number(hello->lsa_count) + " LSAs";
  } else if (pdu.header.type == wire::PduType::goodbye) {
    auto goodbye = wire::decode_goodbye(pdu.body);
    if (goodbye) out = ": " + goodbye->reason;
  }
  return out;
}

std::string describe_datagram(ByteView datagram) {
  auto pdu = wire::parse_pdu(datagram);
  if (!pdu) return " malformed: " + pdu.error().message;
  return std::string(" ") + wire::to_string(pdu->header.type) + " of node " + number(pdu->header.sender.value) +
         " counter " + number(pdu->header.counter) + ", " + number(datagram.size()) + " bytes" + describe_body(*pdu);
}

std::string details(const Input& in) {
  switch (in.type) {
    case InputType::receive:
    case InputType::receive_runt:
    case InputType::receive_waited:
      return on_link(in.link) + describe_datagram(in.bytes) + (in.bad_tag ? " BAD TAG" : "");
    case InputType::add_link:
    case InputType::change_link:
      return on_link(in.config.id) + " " + in.config.name + " to " + in.config.peer_name + ", metric " +
             number(in.config.metric);
    case InputType::remove_link:
    case InputType::link_hint: return on_link(in.link);
    case InputType::interface_state: return on_link(in.link) + (in.a != 0 ? " up" : " down");
    case InputType::set_link_quality:
      return on_link(in.link) + " " + number(in.a) + " bit/s" + (in.b != 0 ? "" : ", not usable");
    case InputType::set_metric_bias: return on_link(in.link) + " " + number(in.a);
    case InputType::verdict: return " ticket " + number(in.a) + (in.b != 0 ? " valid" : " invalid");
    case InputType::recheck: return " node " + number(in.a);
    case InputType::set_overload: return in.a != 0 ? " on" : " off";
    case InputType::set_keys: return " " + number(in.keys.size()) + " keys, active " + number(in.keys.active());
    case InputType::set_prefixes: return " " + number(in.entries.size());
    case InputType::set_grants: return " " + number(in.objects.size());
    case InputType::inject: {
      auto lsa = wire::decode_lsa(in.bytes);
      return " " + (lsa ? text(**lsa) : lsa.error().message);
    }
    case InputType::mark: return " " + number(in.a) + " LSAs";
    default: return "";
  }
}

}  // namespace

std::string describe(const Input& input) {
  std::string out = linkstate::to_string(input.type) + details(input);
  if (!input.signatures.empty()) out += " (" + number(input.signatures.size()) + " signed)";
  return out;
}

std::string describe(const Output& output) {
  if (auto* t = std::get_if<linkstate::Transmit>(&output)) {
    return "send" + on_link(t->link) + describe_datagram(t->datagram);
  }
  if (auto* v = std::get_if<linkstate::VerifyWanted>(&output)) {
    return "judge ticket " + number(v->ticket) + ": " + text(*v->lsa);
  }
  if (auto* up = std::get_if<linkstate::AdjacencyUp>(&output)) {
    return "adjacency up" + on_link(up->link) + " with " + up->neighbour_name;
  }
  if (auto* down = std::get_if<linkstate::AdjacencyDown>(&output)) {
    return "adjacency down" + on_link(down->link) + ": " + down->reason;
  }
  if (auto* change = std::get_if<linkstate::LsdbChanged>(&output)) {
    const char* kind = change->kind == linkstate::ChangeKind::installed   ? "installed "
                       : change->kind == linkstate::ChangeKind::refreshed ? "refreshed "
                                                                          : "removed ";
    return kind + text(*change->lsa);
  }
  if (std::get_if<linkstate::Synchronised>(&output) != nullptr) return "synchronised";
  if (auto* epoch = std::get_if<linkstate::Epoch>(&output)) return "epoch " + number(epoch->value);
  if (auto* m = std::get_if<linkstate::Misbehaviour>(&output)) {
    return "misbehaviour" + on_link(m->link) + ": " + m->what;
  }
  return "output of a kind this program does not know";
}

bool is_routine(const Input& in) {
  if (in.type == InputType::tick || in.type == InputType::poll || in.type == InputType::mark) {
    return in.signatures.empty();
  }
  if (in.type != InputType::receive || in.bad_tag) return false;
  auto pdu = wire::parse_pdu(in.bytes);
  return pdu && (pdu->header.type == wire::PduType::keepalive || pdu->header.type == wire::PduType::hello ||
                 pdu->header.type == wire::PduType::ack);
}

bool is_routine(const Output& output) { return std::get_if<linkstate::Transmit>(&output) != nullptr; }

}  // namespace dmsc::replay
