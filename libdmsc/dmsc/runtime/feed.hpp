// The rows of one topic as a stream: a snapshot, then every change without a gap (docs/operations.md,
// "Following"). One log of the last changes serves all followers, and each follower is a place in it: so
// a slow one costs nothing, and when the log has gone on without it that is told ("resync") and it gets
// a new snapshot. Nothing is ever left out silently. One thread: the io_context's.
//
//   changed(key) ─► log: seq 7, 8, 9 ... (4,096 changes, 4 MiB)
//                         ▲          ▲
//                      cursor A   cursor B: behind the log ─► resync ─► snapshot ─► deltas
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace dmsc::runtime {

// Rows have a key, unique in the topic, and are JSON objects.
struct FeedSource {
  // Names every row there is now.
  std::function<void(const std::function<void(std::string_view key)>& name)> keys;
  // The row as it is now; nullopt: there is none.
  std::function<std::optional<nlohmann::ordered_json>(const std::string& key)> row;
};

struct FeedRow {
  std::string key, json;
};
// A piece of the snapshot. Its rows are as they are when it is made: changes after `sequence` may be in
// them already, and come again as deltas, which say the same.
struct FeedSnapshot {
  std::uint64_t sequence = 0;  // deltas go on from the next
  bool first = false, last = false;
  std::uint64_t exact_from = 0;  // with `last`: after this delta the follower has just what there is
  std::vector<FeedRow> rows;
};
struct FeedChange {
  std::uint64_t sequence = 0;
  std::string key, json;       // the whole row as it is now; empty: it went
};
struct FeedDeltas {
  std::vector<FeedChange> changes;  // with rising sequence, by one
};
struct FeedResync {                 // what was sent no longer counts: a snapshot follows
  std::string reason;
  std::uint64_t missed = 0;         // changes that were not told, as far as is known
};
using FeedMessage = std::variant<FeedSnapshot, FeedDeltas, FeedResync>;

class Feed {
 public:
  static constexpr std::size_t kKeptChanges = 4096, kKeptBytes = 4 << 20;
  static constexpr std::size_t kRowsPerMessage = 256, kBytesPerMessage = 256 << 10;
  static constexpr unsigned kMostFollowers = 16;

  // `id`: random per start, so that a sequence number of another life is not taken for one of this.
  Feed(std::uint64_t id, FeedSource source) : id_(id), source_(std::move(source)) {}

  // The row of that key has changed, has come or has gone. Costs nothing while nobody follows.
  void changed(const std::string& key);
  bool followed() const { return followers_ > 0; }
  std::uint64_t id() const { return id_; }
  std::uint64_t sequence() const { return sequence_; }
  std::size_t kept_bytes() const { return bytes_; }

  // One follower's place. Use with its own feed only, which outlives it.
  class Cursor {
   public:
    // `id`, `after`: where an earlier stream ended; 0: from a snapshot.
    Cursor(Feed& feed, std::uint64_t id, std::uint64_t after);
    ~Cursor();
    Cursor(const Cursor&) = delete;
    Cursor& operator=(const Cursor&) = delete;
    // What to send now; nullopt: nothing new.
    std::optional<FeedMessage> next();

   private:
    void start_snapshot();
    FeedSnapshot snapshot_piece();
    FeedDeltas deltas();
    Feed& feed_;
    std::uint64_t told_ = 0;          // the last delta the follower has
    bool in_snapshot_ = false, first_ = false;
    std::string keys_;                // names still to send: length 16 bits, name, ...
    std::size_t at_ = 0;
    std::optional<FeedResync> resync_;
  };
  bool full() const { return followers_ >= kMostFollowers; }

 private:
  void forget_oldest();
  std::uint64_t oldest() const { return sequence_ + 1 - log_.size(); }  // first in the log

  std::uint64_t id_;
  FeedSource source_;
  std::deque<FeedChange> log_;
  std::uint64_t sequence_ = 0;
  std::size_t bytes_ = 0;
  unsigned followers_ = 0;
};

}  // namespace dmsc::runtime
