// Two SealMachines on a network that loses, repeats and delays what the test says, under virtual
// time, with handshakes of two round trips in place of DTLS.
#pragma once
#include <map>
#include <set>

#include "dmsc/dataplane/seal_machine.hpp"

namespace dmsc::dataplane::test {

// Messages: "i1" and "i2" of the initiator, "r1" and "r2" of the responder, each with the
// association.
class FakeHandshake final : public Handshake {
 public:
  FakeHandshake(SealRole role, std::uint32_t association, bool refuse)
      : role_(role), association_(association), refuse_(refuse) {}
  Status advance(ByteView datagram, std::vector<Bytes>& out) override {
    const std::string text(as_text(datagram));
    const std::string want =
        role_ == SealRole::initiator ? next("", "r1", "r2") : next("i1", "i2", "");
    if (text != (want.empty() ? "" : want + std::to_string(association_)))
      return Ok{};  // seen before
    ++step_;
    if (refuse_ && step_ == 2) return make_error(Errc::denied, "certificate is of somebody else");
    const std::string say =
        role_ == SealRole::initiator ? said("i1", "i2", "") : said("r1", "r2", "");
    if (!say.empty()) out.push_back(to_bytes(as_bytes(say + std::to_string(association_))));
    return Ok{};
  }
  bool done() const override { return step_ == (role_ == SealRole::initiator ? 3 : 2); }
  SealSecrets secrets() const override {
    SealSecrets s;
    const bool first = role_ == SealRole::initiator;
    s.send.fill(static_cast<std::uint8_t>(association_ * 2 + (first ? 0 : 1)));
    s.receive.fill(static_cast<std::uint8_t>(association_ * 2 + (first ? 1 : 0)));
    return s;
  }

 private:
  std::string next(const char* a, const char* b, const char* c) const {
    return step_ == 0 ? a : step_ == 1 ? b : step_ == 2 ? c : "never";
  }
  std::string said(const char* a, const char* b, const char* c) const {
    return step_ == 1 ? a : step_ == 2 ? b : c;
  }
  SealRole role_;
  std::uint32_t association_;
  bool refuse_;
  int step_ = 0;
};

struct SealPair {
  struct Side {
    NodeId id;
    std::unique_ptr<SealMachine> machine;
    std::map<std::uint32_t, SealSecrets> installed;
    std::optional<std::uint32_t> sending;
    std::vector<std::string> failures;
    Time last_used{};
    std::size_t delivered = 0, unknown = 0, waiting = 0;
  };
  struct Flight {
    Time at;
    std::uint64_t order = 0;
    std::function<void()> arrive;
    bool operator<(const Flight& o) const { return at != o.at ? at < o.at : order < o.order; }
  };
  Time now{seconds(1000)};
  Duration delay = milliseconds(5);
  std::multiset<Flight> flights;
  std::uint64_t order = 0;
  std::size_t frames = 0;
  std::function<bool(NodeId from, const wire::HandshakeFrame&)> lose = [](NodeId, const auto&) {
    return false;
  };
  bool lose_confirm = false, twice = false, refuse = false;
  unsigned restarts = 0;
  Side a, b;

  SealPair() {
    a.id = NodeId{3};
    b.id = NodeId{8};
    start(a);
    start(b);
  }
  Side& other(Side& side) { return &side == &a ? b : a; }
  void start(Side& side) {
    SealConfig config;
    config.self = side.id;
    config.cookie_secret.fill(static_cast<std::uint8_t>(side.id.value + ++restarts));
    config.first_association = 100 * restarts;
    config.shake = [this](SealRole role, NodeId, std::uint32_t association) {
      return std::make_unique<FakeHandshake>(role, association, refuse);
    };
    config.last_used = [&side](NodeId, std::uint32_t) { return side.last_used; };
    side.machine = std::make_unique<SealMachine>(config);
    side.installed.clear();
    side.sending.reset();
  }
  void later(std::function<void()> arrive) {
    flights.insert(Flight{now + delay, ++order, std::move(arrive)});
  }

  // Everything the machine has to say, as its gateway would do it.
  void pump(Side& side) {
    for (SealFrame& frame : side.machine->take_frames()) {
      ++frames;
      auto decoded = wire::decode_handshake(frame.payload);
      if (!decoded.ok() || lose(side.id, *decoded)) continue;
      for (int copy = twice ? 2 : 1; copy > 0; --copy) {
        later([this, &side, payload = frame.payload] {
          other(side).machine->receive(now, side.id, payload);
        });
      }
    }
    for (SealEvent& event : side.machine->take_events()) on(side, event);
  }
  void on(Side& side, SealEvent& event) {
    using Kind = SealEvent::Kind;
    switch (event.kind) {
      case Kind::installed:
        side.installed[event.association] = event.secrets;
        break;
      case Kind::activated:
        side.sending = event.association;
        break;
      case Kind::confirm:
        if (!lose_confirm) sealed(side, event.association);
        break;
      case Kind::removed:
        side.installed.erase(event.association);
        [[fallthrough]];
      case Kind::retired:
        if (side.sending == event.association) side.sending.reset();
        break;
      case Kind::failed:
        side.failures.push_back(event.reason);
        break;
    }
  }
  // A sealed packet on its way.
  void sealed(Side& side, std::uint32_t number) {
    SealSecrets keys = side.installed.at(number);
    later([this, &side, number, keys] {
      Side& to = other(side);
      auto known = to.installed.find(number);
      if (known != to.installed.end() && known->second.receive == keys.send) {
        ++to.delivered;
        to.last_used = now;
        return to.machine->opened(now, side.id, number);
      }
      ++to.unknown;
      later([this, &side, number] { side.machine->unknown(now, other(side).id, number); });
    });
  }
  void send(Side& side) {
    if (side.sending) {
      side.last_used = now;
      return sealed(side, *side.sending);
    }
    ++side.waiting;
    side.machine->want(now, other(side).id);
  }

  void run(Duration time) {
    const Time end = now + time;
    for (;;) {
      pump(a);
      pump(b);
      std::optional<Time> next;
      auto take = [&next](std::optional<Time> at) {
        if (at && (!next || *at < *next)) next = at;
      };
      if (!flights.empty()) take(flights.begin()->at);
      take(a.machine->deadline());
      take(b.machine->deadline());
      if (!next || *next > end) break;
      now = std::max(now, *next);
      for (Side* side : {&a, &b}) {
        auto at = side->machine->deadline();
        if (at && *at <= now) side->machine->tick(now);
      }
      while (!flights.empty() && flights.begin()->at <= now) {
        auto arrive = flights.begin()->arrive;
        flights.erase(flights.begin());
        arrive();
        pump(a);
        pump(b);
      }
    }
    now = end;
  }
  // Both seal under an association whose keys the other has.
  bool agreed() {
    auto fits = [](Side& from, Side& to) {
      if (!from.sending) return false;
      auto mine = from.installed.find(*from.sending), theirs = to.installed.find(*from.sending);
      return mine != from.installed.end() && theirs != to.installed.end() &&
             mine->second.send == theirs->second.receive;
    };
    return fits(a, b) && fits(b, a);
  }
};

}  // namespace dmsc::dataplane::test
