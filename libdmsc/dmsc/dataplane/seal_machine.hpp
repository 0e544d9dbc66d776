// Who shares keys with whom: the associations of one gateway with its peers and the handshakes that
// make them (docs/protocol.md, "Sealing", SE-1 ...). Sans-I/O: instants, frames and wishes come in;
// frames and events come out. The cryptography of a handshake is behind the interface Handshake.
//
//               want()/unknown()/old age                    hello of the peer
//                      │                                         │ cookie, stateless
//   initiator: ──► asking ─cookie─► shaking ─done─► send         ▼ dtls with a good cookie
//                     ▲ lower node id wins glare      responder: shaking ─done─► unconfirmed
//                     ─opened()─► send
//
// What is sent is sent again, byte for byte, until the peer goes on: a flight that is lost costs
// one resend interval. An association is never changed: a new one takes its place.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dmsc/core/result.hpp"
#include "dmsc/core/time.hpp"
#include "dmsc/crypto/aead.hpp"
#include "dmsc/wire/handshake.hpp"

namespace dmsc::dataplane {

enum class SealRole : std::uint8_t { initiator, responder };

// What a handshake yields: one secret per direction.
struct SealSecrets {
  crypto::AeadAlgorithm algorithm = crypto::AeadAlgorithm::aes_128_gcm;
  crypto::Key32 send{}, receive{};
};

class Handshake {
 public:
  virtual ~Handshake() = default;
  // Takes one datagram of the peer (empty at the initiator's start) and appends what is to be sent.
  // Datagrams seen before and foreign ones change nothing. An error ends the handshake.
  virtual Status advance(ByteView datagram, std::vector<Bytes>& out) = 0;
  virtual bool done() const = 0;
  virtual SealSecrets secrets() const = 0;  // once done
};

struct SealConfig {
  NodeId self;
  crypto::Key32 cookie_secret{};        // random per process
  std::uint32_t first_association = 0;  // random per process
  std::function<std::unique_ptr<Handshake>(SealRole, NodeId peer, std::uint32_t association)> shake;
  // When a packet was last sealed or opened under an association.
  std::function<Time(NodeId peer, std::uint32_t association)> last_used;
};

struct SealEvent {
  enum class Kind : std::uint8_t {
    installed,  // packets under it are opened from now on
    activated,  // and ours are sealed under it
    confirm,    // initiator: seal an empty packet, so that the responder may go on
    retired,    // ours are not sealed under it any more
    removed,    // nor opened
    failed,     // no keys with this peer for now: what waits for them is dropped
  };
  Kind kind = Kind::failed;
  NodeId peer;
  std::uint32_t association = 0;
  SealSecrets secrets;  // installed
  std::string reason;   // failed
};

struct SealFrame {
  NodeId peer;
  Bytes payload;
};

struct SealMachineCounters {
  std::uint64_t started = 0, answered = 0, established = 0, failed = 0, rekeyed = 0;
  std::uint64_t resent = 0, malformed = 0, bad_cookie = 0, glare_won = 0, glare_lost = 0;
  std::uint64_t unknown_key_hints = 0;
};

class SealMachine {
 public:
  static constexpr Duration kResendFirst = milliseconds(100), kResendMost = seconds(2);
  static constexpr Duration kAttemptLife = seconds(10);
  static constexpr Duration kRetryAfter = seconds(1);  // after a failure, and between two hints
  static constexpr Duration kRekeyAfter =
      minutes(10);  // if used; at the higher node id kRekeySlack later
  static constexpr Duration kRekeySlack = seconds(30);
  static constexpr Duration kLife = minutes(15);    // ours are not sealed under it any longer
  static constexpr Duration kLinger = seconds(60);  // and theirs opened so much longer
  static constexpr Duration kCookieBucket = seconds(30);

  explicit SealMachine(SealConfig config) : config_(std::move(config)) {}

  // A packet for `peer` has no keys, or those there are are nearly used up (`renew`).
  void want(Time now, NodeId peer, bool renew = false);
  // The payload of a handshake packet that says it is from `peer`.
  void receive(Time now, NodeId peer, ByteView payload);
  // A packet of `peer` was opened under `association`.
  void opened(Time now, NodeId peer, std::uint32_t association);
  // An error says that `peer` does not know `association`. A hint: the association stays until
  // another takes its place.
  void unknown(Time now, NodeId peer, std::uint32_t association);
  // `peer` has left the domain or lost its key: everything shared with it goes at once.
  void forget(NodeId peer);
  void tick(Time now);  // at or after deadline()
  std::optional<Time> deadline() const;

  std::vector<SealFrame> take_frames() { return std::exchange(frames_, {}); }
  std::vector<SealEvent> take_events() { return std::exchange(events_, {}); }

  struct View {
    NodeId peer;
    std::string state;              // asking, shaking, unconfirmed, established, failed
    std::uint32_t association = 0;  // the one in use, 0 = none
    SealRole role = SealRole::initiator;
    Duration age{};
    std::size_t associations = 0;
    std::string problem;  // of the last attempt, if it failed
  };
  std::vector<View> views(Time now) const;
  const SealMachineCounters& counters() const { return counters_; }

 private:
  struct Association {
    std::uint32_t number = 0;
    SealRole role = SealRole::initiator;
    Time made{};
    bool sending = false, retired = false;
    Time rekey_at{}, retire_at{}, remove_at{};
  };
  enum class Stage : std::uint8_t { asking, shaking, unconfirmed };
  struct Attempt {
    SealRole role = SealRole::initiator;
    Stage stage = Stage::asking;
    std::uint32_t number = 0;
    wire::HandshakeCookie cookie{};
    std::unique_ptr<Handshake> shake;
    std::vector<Bytes> flight;  // frames, as sent last
    Duration wait{};
    Time resend_at{}, ends{};
  };
  struct Peer {
    std::optional<Attempt> attempt;
    std::vector<Association> associations;  // oldest first
    Time not_before{};                      // no attempt of ours earlier
    std::string problem;
  };
  using Peers = std::map<NodeId, Peer>;

  void start(Time now, NodeId id, Peer& peer);
  void on_hello(Time now, NodeId id, const wire::HandshakeFrame& frame);
  void on_cookie(Time now, NodeId id, Peer& peer, const wire::HandshakeFrame& frame);
  void on_dtls(Time now, NodeId id, const wire::HandshakeFrame& frame);
  bool respond(Time now, NodeId id, const wire::HandshakeFrame& frame);
  void advance(Time now, NodeId id, Peer& peer, ByteView datagram);
  void finish(Time now, NodeId id, Peer& peer);
  void activate(NodeId id, Peer& peer, std::uint32_t number, Time now);
  void fail(Time now, NodeId id, Peer& peer, std::string reason);
  void send_flight(NodeId id, const Attempt& attempt);
  void set_flight(Time now, NodeId id, Attempt& attempt, std::vector<Bytes> frames);
  void age(Time now, NodeId id, Peer& peer);
  void resend_or_give_up(Time now, NodeId id, Peer& peer);
  bool wins_glare(NodeId peer) const { return config_.self < peer; }
  std::uint32_t fresh_number(NodeId peer);
  bool ours(NodeId peer, std::uint32_t number) const;
  void drop_attempt(NodeId id, Peer& peer);
  void retire(NodeId id, Association& association, Time now);
  void remove(NodeId id, Peer& peer, std::uint32_t number);
  wire::HandshakeCookie cookie_for(NodeId peer, std::uint32_t number, std::int64_t bucket) const;
  bool good_cookie(Time now, NodeId peer, const wire::HandshakeFrame& frame) const;
  Association* find(Peer& peer, std::uint32_t number);
  void emit(SealEvent::Kind kind, NodeId peer, std::uint32_t number);

  SealConfig config_;
  Peers peers_;
  std::uint32_t used_numbers_ = 0;
  std::vector<SealFrame> frames_;
  std::vector<SealEvent> events_;
  SealMachineCounters counters_;
};

}  // namespace dmsc::dataplane
