#include "spad/database.hpp"

#include <sqlite3.h>
#include <sys/stat.h>

namespace dmsc::spad {

std::uint64_t Row::integer(int column) const {
  return static_cast<std::uint64_t>(sqlite3_column_int64(statement_, column));
}

std::string Row::text(int column) const {
  const unsigned char* p = sqlite3_column_text(statement_, column);
  auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return p == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(p), size);
}

Bytes Row::blob(int column) const {
  const auto* p = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
  auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return p == nullptr ? Bytes() : Bytes(p, p + size);
}

struct Database::Handle {
  sqlite3* db = nullptr;
  std::string path;
  std::unordered_map<std::string, sqlite3_stmt*> statements;
  ~Handle() {
    for (auto& [sql, statement] : statements) sqlite3_finalize(statement);
    sqlite3_close(db);
  }
};

Database::Database(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
Database::Database(Database&&) noexcept = default;
Database::~Database() = default;

Error Database::failure(std::string_view doing) const {
  return make_error(Errc::internal, handle_->path, ": ", doing, ": ", sqlite3_errmsg(handle_->db));
}

Result<Database> Database::open(const std::string& path) {
  auto handle = std::make_unique<Handle>();
  handle->path = path;
  Database db(std::move(handle));
  mode_t before = umask(0077);
  int code = sqlite3_open_v2(path.c_str(), &db.handle_->db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  umask(before);
  if (code != SQLITE_OK) return db.failure("open");
  sqlite3_busy_timeout(db.handle_->db, 2000);
  Status set = db.script("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
  if (!set) return set.error();
  return db;
}

Status Database::script(const char* sql) {
  if (sqlite3_exec(handle_->db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failure(sql);
  return Ok{};
}

Result<sqlite3_stmt*> Database::prepare(const char* sql, Values values) {
  sqlite3_stmt*& statement = handle_->statements[sql];
  if (statement == nullptr &&
      sqlite3_prepare_v2(handle_->db, sql, -1, &statement, nullptr) != SQLITE_OK) {
    return failure(sql);
  }
  sqlite3_reset(statement);
  int at = 1;
  for (const Value& v : values) {
    int code = SQLITE_OK;
    auto size = [](std::size_t n) { return static_cast<int>(n); };
    if (v.kind == Value::Kind::integer) {
      code = sqlite3_bind_int64(statement, at, static_cast<sqlite3_int64>(v.number));
    } else if (v.kind == Value::Kind::text) {
      code = sqlite3_bind_text(statement, at, v.text.data(), size(v.text.size()), SQLITE_TRANSIENT);
    } else {
      code = sqlite3_bind_blob(statement, at, v.blob.data(), size(v.blob.size()), SQLITE_TRANSIENT);
    }
    if (code != SQLITE_OK) return failure(sql);
    ++at;
  }
  return statement;
}

Status Database::run(const char* sql, Values values) {
  return query(sql, values, [](const Row&) {});
}

Status Database::query(const char* sql, Values values,
                       const std::function<void(const Row&)>& row) {
  Result<sqlite3_stmt*> statement = prepare(sql, values);
  if (!statement) return statement.error();
  int code = SQLITE_OK;
  while ((code = sqlite3_step(*statement)) == SQLITE_ROW) row(Row(*statement));
  Status status = code == SQLITE_DONE ? Status(Ok{}) : Status(failure(sql));
  sqlite3_reset(*statement);
  return status;
}

std::uint64_t Database::last_row() const {
  return static_cast<std::uint64_t>(sqlite3_last_insert_rowid(handle_->db));
}

Status Database::transaction(const std::function<Status()>& body) {
  Status begun = run("BEGIN IMMEDIATE");
  if (!begun) return begun;
  Status done = body();
  if (done) done = run("COMMIT");
  if (!done) (void)run("ROLLBACK");
  return done;
}

}  // namespace dmsc::spad
