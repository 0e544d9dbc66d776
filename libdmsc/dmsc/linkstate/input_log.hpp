// The record of an engine's inputs: enough to run the same engine again and get the same database,
// bit by bit, and free of secrets (docs/protocol.md, "Records").
//
// A record is a string of entries: type (8 bits), length of the body (LEB128), body. It begins with a
// `start` entry, which holds a magic number, the version and the engine's configuration without its
// keys. An input is followed by what the keys contributed while it was handled: the signatures made,
// and a `bad_tag` if a datagram's link tag was wrong. Datagrams are kept without their tags. So a
// replay needs neither the link keys nor the node's signing key, and checks each signature anew.
//
// Integers are LEB128; instants are the difference from the entry before, zigzag, nanoseconds.
#pragma once
#include <optional>

#include "dmsc/linkstate/engine.hpp"
#include "dmsc/wire/pdu.hpp"

namespace dmsc::linkstate {

inline constexpr std::uint32_t kRecordMagic = 0x444d5243;  // "DMRC"
inline constexpr std::uint8_t kRecordVersion = 2;

enum class InputType : std::uint8_t {
  start = 1,
  add_link,
  remove_link,
  change_link,
  interface_state,
  receive,
  receive_runt,  // a datagram too short to have a tag, whole
  tick,
  verdict,
  retry_waiting,
  recheck,
  set_keys,
  set_certificate,
  link_hint,
  set_overload,
  set_link_quality,
  set_metric_bias,
  set_prefixes,
  set_grants,
  inject,
  shutdown,
  poll,
  set_drain,
  set_link_drain,
  undecided,
  too_many_prefixes,
  receive_waited,  // a datagram that arrived a while before
  signature = 64,  // results, after their input
  bad_tag,
  mark,            // digest and count of LSAs after the inputs so far: what a replay must reach
};
const char* to_string(InputType type);

// Takes entries as they are made, on the engine's thread.
class InputSink {
 public:
  virtual ~InputSink() = default;
  virtual void write(ByteView entry) = 0;
};

// Makes the entries. Without a sink every call does nothing.
class InputRecorder {
 public:
  InputRecorder() = default;
  InputRecorder(InputSink* sink, const EngineConfig& config, Time now);
  bool on() const { return sink_ != nullptr; }

  void plain(InputType type, Time now);
  void link(InputType type, Time now, const LinkConfig& config);
  void of_link(InputType type, Time now, LinkId link, std::uint64_t a = 0, std::uint64_t b = 0);
  void number(InputType type, Time now, std::uint64_t a, std::uint64_t b = 0);
  void bytes(InputType type, Time now, ByteView bytes);
  void datagram(Time now, LinkId link, ByteView datagram, Duration waited);
  void keys(Time now, const crypto::KeyChain& keys);
  void prefixes(Time now, const std::vector<wire::PrefixEntry>& entries);
  void grants(Time now, const std::vector<Bytes>& grants);
  void poll();
  void signature(const crypto::Signature& signature);
  void bad_tag();
  void mark(Time now, U128 digest, std::size_t lsa_count);

 private:
  class Entry;
  InputSink* sink_ = nullptr;
  Time last_{};
};

// One entry, with its results. Which fields mean something follows from the type.
struct Input {
  InputType type = InputType::poll;
  Time now{};
  LinkId link;
  std::uint64_t a = 0, b = 0;              // flag, ticket, origin, metric, bits per second, ns
  Bytes bytes;                             // datagram with a void tag, certificate, LSA
  LinkConfig config;
  crypto::KeyChain keys;                   // ids with void secrets
  std::vector<wire::PrefixEntry> entries;
  std::vector<Bytes> objects;
  U128 digest;                             // mark
  std::vector<crypto::Signature> signatures;
  bool bad_tag = false;
};

// Reads a record. Owns nothing: the record outlives it.
class InputReader {
 public:
  // Reads the `start` entry.
  static Result<InputReader> open(ByteView record);
  // The configuration of the engine: keys are void, `primitives` unset.
  const EngineConfig& config() const { return *config_; }
  const crypto::PublicKey& public_key() const { return public_key_; }
  // What the keys contributed while the engine was made. Call once, before next().
  Result<Input> take_birth();
  Time started() const { return started_; }
  // The next input with its results; nullopt at the end. A record that ends within an entry, as a
  // process that dies leaves it, ends before that entry: see truncated().
  Result<std::optional<Input>> next();
  bool truncated() const { return truncated_; }
  std::uint64_t inputs() const { return inputs_; }
  std::size_t position() const { return position_; }

 private:
  explicit InputReader(ByteView record) : record_(record) {}
  std::optional<std::pair<InputType, ByteView>> entry();
  Status read_start(ByteView body);
  Result<Input> parse(InputType type, ByteView body);
  Status take_results(Input& input);

  ByteView record_;
  std::size_t position_ = 0;
  std::optional<EngineConfig> config_;
  crypto::PublicKey public_key_{};
  Time started_{}, last_{};
  bool truncated_ = false;
  std::uint64_t inputs_ = 0;
};

// Runs a record through a new engine.
class Replay {
 public:
  static Result<Replay> open(ByteView record);
  Replay(Replay&&) noexcept;
  ~Replay();
  // What came of one input.
  struct Step {
    Input input;
    Outputs outputs;             // of a poll
    std::string diverged;        // empty = as recorded; else what differs
  };
  // The next input; nullopt at the end.
  Result<std::optional<Step>> step();
  const Engine& engine() const;
  const InputReader& reader() const;

 private:
  struct Impl;
  explicit Replay(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dmsc::linkstate
