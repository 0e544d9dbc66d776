// Rate limits of prefixes (docs/protocol.md, U15): what pods send to their names waits, or is dropped.
#include <algorithm>

#include "sgd/edge_path.hpp"

namespace dmsc::sgd {
namespace {

bool covers(const Name& prefix, const Name& name) {
  const std::string &p = prefix.text(), &n = name.text();
  return n == p || (n.size() > p.size() && n[p.size()] == '/' && n.compare(0, p.size(), p) == 0);
}

}  // namespace

void EdgePath::set_limits(const std::vector<RateLimit>& rules) {
  std::vector<std::unique_ptr<Limit>> next;
  for (const RateLimit& rule : rules) {
    auto held = std::find_if(limits_.begin(), limits_.end(),
                             [&](const auto& l) { return l != nullptr && l->rule == rule; });
    next.push_back(held != limits_.end()
                       ? std::move(*held)
                       : std::make_unique<Limit>(Limit{rule, FairShaper(rule.bits_per_second)}));
  }
  std::sort(next.begin(), next.end(), [](const auto& a, const auto& b) {
    return a->rule.prefix.text().size() > b->rule.prefix.text().size();
  });
  limits_ = std::move(next);
  for (auto& [key, flow] : out_) flow->limit = limit_for(flow->destination);
}

FairShaper* EdgePath::limit_for(const Name& destination) const {
  for (const auto& limit : limits_) {
    if (covers(limit->rule.prefix, destination)) return &limit->shaper;
  }
  return nullptr;
}

// False: the packet waits, as it would leave, or is dropped.
bool EdgePath::within_limit(OutFlow& flow, const Ip4Packet& packet) {
  std::size_t size = packet.l4.size() + kIpHeaderBytes;
  switch (flow.limit->offer(io_.now(), ports_[flow.key.port].sender, size)) {
    case FairShaper::Answer::pass: return true;
    case FairShaper::Answer::drop: count(Count::rate_limited); return false;
    case FairShaper::Answer::wait: break;
  }
  FairShaper::Waiting waiting{flow.id, packet.tos, Bytes(kHeadroom), static_cast<std::uint32_t>(size)};
  waiting.buffer.insert(waiting.buffer.end(), packet.l4.begin(), packet.l4.end());
  flow.limit->push(ports_[flow.key.port].sender, std::move(waiting));
  return false;
}

// What a pod says in messages takes the share of its packets; who has no device has a share of its own.
std::uint32_t EdgePath::message_sender(std::string_view source) const {
  constexpr std::uint32_t kNoDevice = 0x8000'0000;
  for (const PathPort& port : ports_) {
    if (port.open && !source.empty() && port.source.text() == source) return port.sender;
  }
  return kNoDevice | static_cast<std::uint32_t>(std::hash<std::string_view>{}(source));
}

FairShaper::Answer EdgePath::limit_message(Bytes& datagram) {
  constexpr std::size_t kUdpHeaderBytes = 8;
  auto packet = wire::ServicePacket::parse(datagram);
  const bool segment = packet && packet->payload_protocol() == wire::PayloadProtocol::message;
  auto name = segment ? Name::parse(packet->destination()) : Result<Name>(Error{});
  FairShaper* limit = name ? limit_for(*name) : nullptr;
  if (limit == nullptr) return FairShaper::Answer::pass;
  const std::size_t size = packet->payload().size() + kUdpHeaderBytes + kIpHeaderBytes;
  const std::uint32_t sender = message_sender(packet->source());
  auto answer = limit->offer(io_.now(), sender, size);
  if (answer == FairShaper::Answer::drop) count(Count::rate_limited);
  if (answer == FairShaper::Answer::wait) {
    limit->push(sender, {0, 0, std::move(datagram), static_cast<std::uint32_t>(size), true});
  }
  return answer;
}

std::optional<Time> EdgePath::release_limited() {
  std::optional<Time> next;
  for (const auto& limit : limits_) {
    limit->shaper.release(io_.now(), [this](FairShaper::Waiting& waiting) {
      if (waiting.message) {
        io_.originate(waiting.buffer);  // a drop is made good by retransmission
        return;
      }
      auto it = out_by_id_.find(waiting.flow);
      if (it == out_by_id_.end()) return count(Count::rate_limited);  // its flow has ended meanwhile
      sent(*it->second, send(*it->second, std::span(waiting.buffer).subspan(kHeadroom), waiting.tos));
    });
    auto due = limit->shaper.due();
    if (due && (!next || *due < *next)) next = due;
  }
  return next;
}

}  // namespace dmsc::sgd
