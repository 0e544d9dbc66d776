#include "dmsc/runtime/feed.hpp"

#include <nlohmann/json.hpp>
#include <utility>

namespace dmsc::runtime {
namespace {

std::string dump(const nlohmann::ordered_json& row) {
  return row.dump(-1, ' ', false, nlohmann::detail::error_handler_t::replace);
}

std::size_t size_of(const FeedChange& change) {
  return sizeof change + change.key.size() + change.json.size();
}

}  // namespace

void Feed::changed(const std::string& key) {
  ++sequence_;
  if (followers_ == 0) return;
  auto row = source_.row(key);
  log_.push_back({sequence_, key, row ? dump(*row) : std::string()});
  bytes_ += size_of(log_.back());
  while (log_.size() > kKeptChanges || (bytes_ > kKeptBytes && log_.size() > 1)) forget_oldest();
}

void Feed::forget_oldest() {
  bytes_ -= size_of(log_.front());
  log_.pop_front();
}

Feed::Cursor::Cursor(Feed& feed, std::uint64_t id, std::uint64_t after) : feed_(feed) {
  ++feed_.followers_;
  bool known = id == feed_.id_ && after <= feed_.sequence_ && after + 1 >= feed_.oldest();
  if (known) {
    told_ = after;
    return;
  }
  if (id == feed_.id_) {
    std::uint64_t missed = feed_.sequence_ > after ? feed_.sequence_ - after : 0;
    resync_ = FeedResync{"the changes since are no longer kept", missed};
  } else if (id != 0) {
    resync_ = FeedResync{"the daemon was restarted since", 0};
  }
  start_snapshot();
}

Feed::Cursor::~Cursor() {
  if (--feed_.followers_ > 0) return;
  feed_.log_.clear();
  feed_.bytes_ = 0;
}

void Feed::Cursor::start_snapshot() {
  told_ = feed_.sequence_;
  in_snapshot_ = first_ = true;
  keys_.clear();
  at_ = 0;
  feed_.source_.keys([this](std::string_view key) {
    key = key.substr(0, 0xffff);
    keys_ += static_cast<char>(key.size() >> 8);
    keys_ += static_cast<char>(key.size() & 0xff);
    keys_ += key;
  });
}

std::optional<FeedMessage> Feed::Cursor::next() {
  if (resync_) return std::exchange(resync_, std::nullopt);
  if (told_ + 1 < feed_.oldest()) {
    std::uint64_t missed = feed_.sequence_ - told_;
    start_snapshot();
    return FeedResync{"too slow: the log of changes went on without this reader", missed};
  }
  if (in_snapshot_) return snapshot_piece();
  if (told_ == feed_.sequence_) return std::nullopt;
  return deltas();
}

FeedSnapshot Feed::Cursor::snapshot_piece() {
  FeedSnapshot out;
  out.sequence = told_;
  out.first = std::exchange(first_, false);
  std::size_t bytes = 0;
  while (at_ < keys_.size() && out.rows.size() < kRowsPerMessage && bytes < kBytesPerMessage) {
    auto byte = [this](std::size_t at) { return static_cast<unsigned char>(keys_[at]); };
    std::size_t size = static_cast<std::size_t>(byte(at_)) << 8 | byte(at_ + 1);
    std::string key = keys_.substr(at_ + 2, size);
    at_ += 2 + size;
    auto row = feed_.source_.row(key);
    if (!row) continue;  // it went meanwhile: a delta says so too
    out.rows.push_back({std::move(key), dump(*row)});
    bytes += out.rows.back().json.size();
  }
  if (at_ == keys_.size()) {
    out.last = true;
    out.exact_from = feed_.sequence_;
    in_snapshot_ = false;
    std::string().swap(keys_);
  }
  return out;
}

FeedDeltas Feed::Cursor::deltas() {
  FeedDeltas out;
  std::size_t bytes = 0;
  for (std::size_t i = told_ + 1 - feed_.oldest(); i < feed_.log_.size(); ++i) {
    if (out.changes.size() >= kRowsPerMessage || bytes >= kBytesPerMessage) break;
    out.changes.push_back(feed_.log_[i]);
    bytes += out.changes.back().json.size();
  }
  told_ = out.changes.back().sequence;
  return out;
}

}  // namespace dmsc::runtime
