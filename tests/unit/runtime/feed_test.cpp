#include "dmsc/runtime/feed.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

using namespace dmsc;
using namespace dmsc::runtime;
using nlohmann::ordered_json;

namespace {

using Table = std::map<std::string, std::string>;  // key -> row as JSON text

// The truth, and a feed of it.
struct Subject {
  std::map<std::string, int> rows;
  Feed feed{77, {[this](const auto& name) {
                   for (const auto& [key, value] : rows) name(key);
                 },
                 [this](const std::string& key) -> std::optional<ordered_json> {
                   auto it = rows.find(key);
                   if (it == rows.end()) return std::nullopt;
                   return ordered_json{{"key", key}, {"value", it->second}};
                 }}};
  std::mt19937 random{3};
  void change() {
    std::string key = "k" + std::to_string(random() % 500);
    if (random() % 3 == 0) {
      rows.erase(key);
    } else {
      rows[key] = static_cast<int>(random() % 1000);
    }
    feed.changed(key);
  }
  Table truth() const {
    Table out;
    for (const auto& [key, value] : rows) out[key] = ordered_json{{"key", key}, {"value", value}}.dump();
    return out;
  }
};

// What a reader makes of the messages; fails at a gap.
struct Reader {
  Table table;
  std::uint64_t at = 0, exact_from = 0;
  std::size_t snapshots = 0, resyncs = 0, deltas = 0;
  std::uint64_t missed = 0;
  bool whole = false, in_snapshot = false;

  void take(const FeedMessage& message) {
    if (const auto* resync = std::get_if<FeedResync>(&message)) {
      REQUIRE_FALSE(resync->reason.empty());
      ++resyncs;
      missed += resync->missed;
      whole = in_snapshot = false;
    } else if (const auto* piece = std::get_if<FeedSnapshot>(&message)) {
      if (piece->first) {
        table.clear();
        at = piece->sequence;
        in_snapshot = true;
      }
      REQUIRE(in_snapshot);
      REQUIRE(piece->sequence == at);
      for (const FeedRow& row : piece->rows) table[row.key] = row.json;
      if (piece->last) {
        ++snapshots;
        whole = true;
        in_snapshot = false;
        exact_from = piece->exact_from;
      }
    } else {
      REQUIRE(whole);
      for (const FeedChange& change : std::get<FeedDeltas>(message).changes) {
        REQUIRE(change.sequence == at + 1);  // no gap, nothing twice
        at = change.sequence;
        ++deltas;
        if (change.json.empty()) {
          table.erase(change.key);
        } else {
          table[change.key] = change.json;
        }
      }
    }
  }
};

}  // namespace

TEST_CASE("EV1 feed: a snapshot, then every change: at every exact moment the reader has the truth") {
  Subject s;
  for (int i = 0; i < 2000; ++i) s.change();
  Feed::Cursor cursor(s.feed, 0, 0);
  Reader reader;
  for (int i = 0; i < 20000; ++i) {
    if (i % 3 == 0) s.change();  // during the snapshot's pieces too
    if (auto message = cursor.next()) reader.take(*message);
    if (reader.whole && reader.at >= reader.exact_from && reader.at == s.feed.sequence()) {
      REQUIRE(reader.table == s.truth());
    }
  }
  while (auto message = cursor.next()) reader.take(*message);
  CHECK(reader.table == s.truth());
  CHECK(reader.snapshots == 1);
  CHECK(reader.resyncs == 0);
  CHECK(reader.deltas > 6000);
}

TEST_CASE("EV2 feed: deltas applied to a snapshot make the later snapshot") {
  Subject s;
  for (int i = 0; i < 1000; ++i) s.change();
  Feed::Cursor early(s.feed, 0, 0);
  Reader reader;
  while (auto message = early.next()) reader.take(*message);
  for (int i = 0; i < 3000; ++i) s.change();
  while (auto message = early.next()) reader.take(*message);
  Feed::Cursor late(s.feed, 0, 0);
  Reader fresh;
  while (auto message = late.next()) fresh.take(*message);
  CHECK(fresh.deltas == 0);
  CHECK(reader.table == fresh.table);
  CHECK(reader.at == fresh.at);
}

TEST_CASE("EV3 feed: a reader too slow is told so and gets a new snapshot; memory stays bounded") {
  Subject s;
  Feed::Cursor slow(s.feed, 0, 0), quick(s.feed, 0, 0);
  Reader slow_reader, quick_reader;
  while (auto message = slow.next()) slow_reader.take(*message);
  std::uint64_t told = 0;
  for (int round = 0; round < 5; ++round) {
    std::size_t changes = Feed::kKeptChanges + 1000;
    for (std::size_t i = 0; i < changes; ++i) {
      s.change();
      if (i % 100 == 0) {
        while (auto message = quick.next()) quick_reader.take(*message);
      }
      REQUIRE(s.feed.kept_bytes() <= Feed::kKeptBytes);
    }
    told += changes;
    while (auto message = slow.next()) slow_reader.take(*message);
    CHECK(slow_reader.resyncs == static_cast<std::size_t>(round + 1));
    CHECK(slow_reader.table == s.truth());
  }
  // The counts add up: every change was either a delta or told to be missed.
  CHECK(slow_reader.missed + slow_reader.deltas == told);
  while (auto message = quick.next()) quick_reader.take(*message);
  CHECK(quick_reader.resyncs == 0);
  CHECK(quick_reader.deltas == told);
  CHECK(quick_reader.table == s.truth());
}

TEST_CASE("EV3 feed: a reader too slow for its snapshot gets another one") {
  Subject s;
  for (int i = 0; i < 5000; ++i) s.change();
  Feed::Cursor cursor(s.feed, 0, 0);
  Reader reader;
  reader.take(*cursor.next());  // a first piece
  REQUIRE_FALSE(reader.whole);
  for (std::size_t i = 0; i <= Feed::kKeptChanges; ++i) s.change();
  while (auto message = cursor.next()) reader.take(*message);
  CHECK(reader.resyncs == 1);
  CHECK(reader.table == s.truth());
}

TEST_CASE("EV4 feed: a stream goes on from its number while the log reaches back, else it says why not") {
  Subject s;
  Feed::Cursor other(s.feed, 0, 0);  // keeps the log
  for (int i = 0; i < 100; ++i) s.change();
  Feed::Cursor same(s.feed, s.feed.id(), 40);
  auto message = same.next();
  REQUIRE(std::holds_alternative<FeedDeltas>(*message));
  CHECK(std::get<FeedDeltas>(*message).changes.front().sequence == 41);
  auto first_of = [](Feed& feed, std::uint64_t id, std::uint64_t after) {
    Feed::Cursor cursor(feed, id, after);
    auto resync = cursor.next();
    CHECK(std::holds_alternative<FeedSnapshot>(*cursor.next()));
    return std::get<FeedResync>(*resync).reason;
  };
  CHECK(first_of(s.feed, s.feed.id() + 1, 40) == "the daemon was restarted since");
  CHECK(first_of(s.feed, s.feed.id(), 4000) == "the changes since are no longer kept");
  for (std::size_t i = 0; i < Feed::kKeptChanges; ++i) s.change();
  CHECK(first_of(s.feed, s.feed.id(), 40) == "the changes since are no longer kept");
}

TEST_CASE("EV5 feed: nobody follows, nothing is kept and no row is made") {
  int made = 0;
  Feed feed(1, {[](const auto&) {}, [&](const std::string&) -> std::optional<ordered_json> {
                  ++made;
                  return std::nullopt;
                }});
  for (int i = 0; i < 1000; ++i) feed.changed("x");
  CHECK(made == 0);
  CHECK(feed.kept_bytes() == 0);
  CHECK(feed.sequence() == 1000);
  {
    Feed::Cursor cursor(feed, 0, 0);
    feed.changed("x");
    CHECK(made == 1);
  }
  CHECK(feed.kept_bytes() == 0);
}
