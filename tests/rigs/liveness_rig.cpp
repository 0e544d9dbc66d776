#include "tests/rigs/liveness_rig.hpp"

namespace dmsc::rigs {

using namespace linkstate;

namespace {

EngineConfig config_of(std::uint32_t id, std::uint64_t seed) {
  crypto::Key32 secret;
  secret.fill(static_cast<std::uint8_t>(id));
  EngineConfig c{.self = NodeId{id},
                 .name = "n" + std::to_string(id),
                 .domain = DomainId{1},
                 .session = SessionId{seed * 2 + id},
                 .clock_seconds = 1'000'000,
                 .random_seed = seed * 2 + id,
                 .signer = crypto::SigningKey(secret),
                 .certificate = Bytes(100, 1)};
  c.keys.add(1, crypto::Key32{9});
  c.keys.set_active(1);
  return c;
}

}  // namespace

LivenessRig::LivenessRig(const Options& options)
    : options_(options), random_(options.seed * 0x9e3779b97f4a7c15ULL + 1), now_(seconds(1000)) {
  for (std::uint32_t end = 0; end < 2; ++end) {
    engines_.emplace_back(config_of(end + 1, options.seed), now_);
    LinkConfig link;
    link.id = LinkId{1};
    link.name = "link";
    link.liveness = options.liveness;
    engines_.back().add_link(now_, link);
  }
  drain(0);
  drain(1);
}

// xorshift64*: good enough to lose packets by, and a few nanoseconds.
double LivenessRig::draw() {
  random_ ^= random_ >> 12;
  random_ ^= random_ << 25;
  random_ ^= random_ >> 27;
  return static_cast<double>((random_ * 0x2545f4914f6cdd1dULL) >> 11) * 0x1p-53;
}

void LivenessRig::drain(int end) {
  std::deque<Packet>& out = towards_[1 - end];
  for (bool again = true; again;) {
    again = false;
    for (Output& output : engines_[end].poll()) {
      again = true;
      if (auto* sent = std::get_if<Transmit>(&output)) {
        if (cut_[end] || draw() < options_.loss[end]) continue;
        Time at = now_ + options_.delay;
        if (options_.jitter > Duration::zero()) {
          at += Duration(static_cast<std::int64_t>(draw() * options_.jitter.count()));
        }
        if (!out.empty()) at = std::max(at, out.back().at);
        out.push_back({at, std::move(sent->datagram)});
      } else if (auto* wanted = std::get_if<VerifyWanted>(&output)) {
        engines_[end].verdict(now_, wanted->ticket, true);
      } else if (std::holds_alternative<AdjacencyUp>(output)) {
        up_[end] = true;
      } else if (auto* down = std::get_if<AdjacencyDown>(&output)) {
        up_[end] = false;
        ++downs_;
        reasons_.push_back(down->reason);
      }
    }
  }
}

bool LivenessRig::step(Time end) {
  Time next = Time::max();
  int who = -1;
  bool packet = false;
  for (int i = 0; i < 2; ++i) {
    if (!towards_[i].empty() && towards_[i].front().at < next) {
      next = towards_[i].front().at;
      who = i;
      packet = true;
    }
    auto due = engines_[i].next_deadline();
    if (due && *due < next) {
      next = *due;
      who = i;
      packet = false;
    }
  }
  if (who < 0 || next > end) return false;
  now_ = std::max(now_, next);
  ++inputs_;
  if (packet) {
    Bytes datagram = std::move(towards_[who].front().datagram);
    towards_[who].pop_front();
    engines_[who].receive(now_, LinkId{1}, datagram);
  } else {
    engines_[who].tick(now_);
  }
  drain(who);
  return true;
}

void LivenessRig::run(Duration time) {
  Time end = now_ + time;
  while (step(end)) {
  }
  now_ = end;
}

bool LivenessRig::until_down(int end, Duration limit) {
  Time last = now_ + limit;
  while (up_[end] && step(last)) {
  }
  if (up_[end]) now_ = last;
  return !up_[end];
}

}  // namespace dmsc::rigs
