#include "scscd/history.hpp"

#include <sqlite3.h>

namespace dmsc::scscd {
namespace {

// A prepared statement, finalised at the end of its scope.
class Statement {
 public:
  Statement(sqlite3* db, const char* sql) { sqlite3_prepare_v2(db, sql, -1, &stmt_, nullptr); }
  ~Statement() { sqlite3_finalize(stmt_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  explicit operator bool() const { return stmt_ != nullptr; }
  Statement& bind(int at, std::int64_t v) {
    sqlite3_bind_int64(stmt_, at, v);
    return *this;
  }
  Statement& bind(int at, const std::string& v) {
    sqlite3_bind_text(stmt_, at, v.data(), static_cast<int>(v.size()), SQLITE_TRANSIENT);
    return *this;
  }
  int step() { return sqlite3_step(stmt_); }
  std::uint64_t number(int column) const {
    return static_cast<std::uint64_t>(sqlite3_column_int64(stmt_, column));
  }
  std::string text(int column) const {
    const auto* p = sqlite3_column_text(stmt_, column);
    return p == nullptr ? "" : reinterpret_cast<const char*>(p);
  }

 private:
  sqlite3_stmt* stmt_ = nullptr;
};

Error database_error(sqlite3* db, const std::string& what) {
  return make_error(Errc::internal, "history: ", what, ": ", std::string(sqlite3_errmsg(db)));
}

}  // namespace

void History::Close::operator()(sqlite3* db) const { sqlite3_close(db); }
History::History(History&&) noexcept = default;
History::~History() = default;

Status History::run(const char* sql) const {
  if (sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    return database_error(db_.get(), sql);
  }
  return Ok{};
}

Result<History> History::open(const std::string& file, std::size_t keep) {
  sqlite3* db = nullptr;
  int rc = sqlite3_open(file.c_str(), &db);
  History history(db, keep);
  if (rc != SQLITE_OK) return make_error(Errc::unavailable, "history: cannot open ", file);
  const char* schema =
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
      "CREATE TABLE IF NOT EXISTS state(key TEXT PRIMARY KEY, value INTEGER NOT NULL);"
      "CREATE TABLE IF NOT EXISTS decisions(id INTEGER PRIMARY KEY AUTOINCREMENT,"
      " at INTEGER NOT NULL, event TEXT NOT NULL, subject TEXT NOT NULL, reason TEXT NOT NULL);";
  if (Status s = history.run(schema); !s) return s.error();
  return history;
}

Result<std::uint64_t> History::next_epoch() {
  Status s = run(
      "INSERT INTO state VALUES('epoch',1) ON CONFLICT(key) DO UPDATE SET value=value+1;");
  if (!s) return s.error();
  Statement query(db_.get(), "SELECT value FROM state WHERE key='epoch'");
  if (!query || query.step() != SQLITE_ROW) return database_error(db_.get(), "reading the epoch");
  return query.number(0);
}

Status History::add(std::uint64_t wall_seconds, const Decision& d) {
  Statement insert(db_.get(), "INSERT INTO decisions(at,event,subject,reason) VALUES(?,?,?,?)");
  if (!insert) return database_error(db_.get(), "adding a decision");
  insert.bind(1, static_cast<std::int64_t>(wall_seconds)).bind(2, d.event).bind(3, d.subject);
  insert.bind(4, d.reason);
  if (insert.step() != SQLITE_DONE) return database_error(db_.get(), "adding a decision");
  Statement trim(db_.get(), "DELETE FROM decisions WHERE id <= ?");
  trim.bind(1, sqlite3_last_insert_rowid(db_.get()) - static_cast<std::int64_t>(keep_));
  if (trim.step() != SQLITE_DONE) return database_error(db_.get(), "trimming");
  return Ok{};
}

Result<std::vector<HistoryRow>> History::last(std::size_t limit) const {
  Statement query(db_.get(),
                  "SELECT id,at,event,subject,reason FROM decisions ORDER BY id DESC LIMIT ?");
  if (!query) return database_error(db_.get(), "reading decisions");
  query.bind(1, static_cast<std::int64_t>(limit));
  std::vector<HistoryRow> rows;
  while (query.step() == SQLITE_ROW) {
    rows.push_back({query.number(0), query.number(1), query.text(2), query.text(3), query.text(4)});
  }
  return rows;
}

}  // namespace dmsc::scscd
