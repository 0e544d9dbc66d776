// What the scheduling center decided and why, kept in SQLite over restarts, and its start counter
// (the policies' epoch). One thread.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "dmsc/core/result.hpp"
#include "scscd/decider.hpp"

struct sqlite3;

namespace dmsc::scscd {

struct HistoryRow {
  std::uint64_t id = 0;
  std::uint64_t wall_seconds = 0;
  std::string event, subject, reason;
};

class History {
 public:
  // Opens or makes `file`; keeps the newest `keep` rows.
  static Result<History> open(const std::string& file, std::size_t keep = 100'000);
  History(History&&) noexcept;
  ~History();

  // Raises and returns the epoch: once per start.
  Result<std::uint64_t> next_epoch();
  Status add(std::uint64_t wall_seconds, const Decision& decision);
  // Newest first, at most `limit`.
  Result<std::vector<HistoryRow>> last(std::size_t limit) const;

 private:
  struct Close {
    void operator()(sqlite3* db) const;
  };
  History(sqlite3* db, std::size_t keep) : db_(db), keep_(keep) {}
  Status run(const char* sql) const;
  std::unique_ptr<sqlite3, Close> db_;
  std::size_t keep_;
};

}  // namespace dmsc::scscd
