// Everything one SPA keeps, in one SQLite file: the registry's records and its journal, which all
// SPAs of the domain have alike, and what is this SPA's own: grants issued, spellings seen, tokens,
// audit log, numbers. Registry changes go through commit() on the writer and replay() on a replica.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "spad/database.hpp"
#include "spad/view.hpp"

namespace dmsc::spad {

struct JournalRow {
  std::uint64_t position = 0, time = 0;
  bool snapshot = false;  // `changes` are all records; the receiver drops what it has
  Changes changes;
};

class Store {
 public:
  // Opens or creates `path` and reads the view.
  static Result<Store> open(const std::string& path);

  const View& view() const { return view_; }
  Database& db() { return db_; }
  std::uint64_t position() const { return position_; }
  std::uint64_t last_time() const { return last_time_; }
  // True once a registry is in it.
  bool initialised() const { return view_.domain_id.value != 0; }

  // The writer: applies `changes` as the next journal entry, together with `also` (own tables), in
  // one transaction.
  Status commit(const Changes& changes, std::uint64_t time,
                const std::function<Status()>& also = nullptr);
  // A replica: applies an entry as it came. Its position must be the next one, or it a snapshot.
  Status replay(const JournalRow& row);
  // Entries after `position`, at most `limit`. If they are no longer kept, or `position` is not of
  // this journal's past, one snapshot instead.
  Result<std::vector<JournalRow>> after(std::uint64_t position, std::size_t limit);
  // How many journal entries are kept; older ones are dropped at commit.
  static constexpr std::uint64_t kKeep = 10000;

  // Own numbers and texts, for example the last grant serial. Empty and 0 if never set.
  std::string own_text(const std::string& key);
  std::uint64_t own_number(const std::string& key);
  Status set_own(const std::string& key, const std::string& value);

 private:
  explicit Store(Database db) : db_(std::move(db)) {}
  Status reload();
  Status write_records(const Changes& changes, bool replace_all);
  Status write_journal(const JournalRow& row);
  Status apply(const JournalRow& row, const std::function<Status()>& also);
  Result<JournalRow> snapshot();

  Database db_;
  View view_;
  std::uint64_t position_ = 0, last_time_ = 0;
};

}  // namespace dmsc::spad
