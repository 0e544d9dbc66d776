// SQLite with values instead of pointers and codes. Statements are prepared once and kept by their
// text. One thread.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "dmsc/core/bytes.hpp"
#include "dmsc/core/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace dmsc::spad {

// One row of a result while the callback of Database::query runs.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  std::uint64_t integer(int column) const;
  std::string text(int column) const;
  Bytes blob(int column) const;

 private:
  sqlite3_stmt* statement_;
};

class Database {
 public:
  struct Value {
    enum class Kind { integer, text, blob } kind;
    std::uint64_t number = 0;
    std::string_view text;
    ByteView blob;
    Value(std::uint64_t n) : kind(Kind::integer), number(n) {}          // NOLINT: implicit on purpose
    Value(std::string_view t) : kind(Kind::text), text(t) {}            // NOLINT
    Value(const std::string& t) : kind(Kind::text), text(t) {}          // NOLINT
    Value(const char* t) : kind(Kind::text), text(t) {}                 // NOLINT
    Value(ByteView b) : kind(Kind::blob), blob(b) {}                    // NOLINT
  };
  using Values = std::initializer_list<Value>;

  // Opens or creates the file, mode 0600; every commit is on disk when it returns.
  static Result<Database> open(const std::string& path);
  Database(Database&&) noexcept;
  Database& operator=(Database&&) = delete;
  ~Database();

  // Several statements without values or results: the schema.
  Status script(const char* sql);
  // One statement, `?` standing for `values`.
  Status run(const char* sql, Values values = {});
  // One statement; `row` is called for each row of the result.
  Status query(const char* sql, Values values, const std::function<void(const Row&)>& row);
  std::uint64_t last_row() const;

  // Runs `body` in one transaction: all of it or, if it fails, nothing. Not nested.
  Status transaction(const std::function<Status()>& body);

 private:
  struct Handle;
  explicit Database(std::unique_ptr<Handle> handle);
  Result<sqlite3_stmt*> prepare(const char* sql, Values values);
  Error failure(std::string_view doing) const;
  std::unique_ptr<Handle> handle_;
};

}  // namespace dmsc::spad
