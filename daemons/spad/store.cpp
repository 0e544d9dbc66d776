#include "spad/store.hpp"

namespace dmsc::spad {

namespace {

constexpr const char* kSchema = R"(
  CREATE TABLE IF NOT EXISTS records (
    kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS journal (
    position INTEGER PRIMARY KEY, time INTEGER NOT NULL, changes TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS own (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS grants (
    serial INTEGER PRIMARY KEY, node INTEGER NOT NULL, gateway TEXT NOT NULL, identity TEXT NOT NULL,
    subtree TEXT NOT NULL, accepted_until INTEGER NOT NULL, object BLOB NOT NULL);
  CREATE INDEX IF NOT EXISTS grants_by_holder ON grants (node, identity, subtree);
  CREATE INDEX IF NOT EXISTS grants_by_end ON grants (accepted_until);
  CREATE TABLE IF NOT EXISTS spellings (
    folded TEXT PRIMARY KEY, name TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS tokens (
    hash TEXT PRIMARY KEY, name TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL,
    used_key TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS audit (
    seq INTEGER PRIMARY KEY, record TEXT NOT NULL, hash TEXT NOT NULL);
)";

Result<Changes> parse_changes(const std::string& text) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return make_error(Errc::invalid, "registry change: not JSON");
  return changes_from_json(json);
}

}  // namespace

Result<Store> Store::open(const std::string& path) {
  Result<Database> db = Database::open(path);
  if (!db) return db.error();
  Store store(std::move(*db));
  Status made = store.db_.script(kSchema);
  if (made) made = store.reload();
  if (!made) return made.error();
  return store;
}

Status Store::reload() {
  View fresh;
  Status bad = Ok{};
  Status read = db_.query("SELECT kind, key, value FROM records", {}, [&](const Row& row) {
    Json value = Json::parse(row.text(2), nullptr, false);
    Status applied = fresh.apply({row.text(0), row.text(1), std::move(value)});
    if (!applied && bad) bad = applied;
  });
  if (read && bad) {
    view_ = std::move(fresh);
    read = db_.query("SELECT coalesce(max(position), 0), coalesce(max(time), 0) FROM journal", {},
                     [this](const Row& row) {
                       position_ = row.integer(0);
                       last_time_ = row.integer(1);
                     });
  }
  return read ? bad : read;
}

Status Store::write_records(const Changes& changes, bool replace_all) {
  Status done = replace_all ? db_.run("DELETE FROM records") : Status(Ok{});
  for (const Change& c : changes) {
    if (!done) break;
    done = c.value ? db_.run("INSERT OR REPLACE INTO records VALUES (?, ?, ?)",
                             {c.kind, c.key, c.value->dump()})
                   : db_.run("DELETE FROM records WHERE kind = ? AND key = ?", {c.kind, c.key});
  }
  return done;
}

Status Store::write_journal(const JournalRow& row) {
  Status done = row.snapshot ? db_.run("DELETE FROM journal") : Status(Ok{});
  // A replica that holds a snapshot cannot replay it to others: it keeps its place only.
  std::string text = row.snapshot ? "[]" : to_json(row.changes).dump();
  if (done) {
    done = db_.run("INSERT INTO journal VALUES (?, ?, ?)", {row.position, row.time, text});
  }
  if (done && row.position > kKeep) {
    done = db_.run("DELETE FROM journal WHERE position <= ?", {row.position - kKeep});
  }
  return done;
}

Status Store::apply(const JournalRow& row, const std::function<Status()>& also) {
  View next;
  bool copied = row.snapshot;
  Status done = db_.transaction([&]() -> Status {
    Status step = write_records(row.changes, row.snapshot);
    if (step) step = write_journal(row);
    if (step && also) step = also();
    View& target = copied ? next : view_;
    for (std::size_t i = 0; step && i < row.changes.size(); ++i) step = target.apply(row.changes[i]);
    return step;
  });
  if (!done) {
    (void)reload();  // the view may have taken half of it
    return done;
  }
  if (copied) view_ = std::move(next);
  position_ = row.position;
  last_time_ = std::max(last_time_, row.time);
  return Ok{};
}

Status Store::commit(const Changes& changes, std::uint64_t time,
                     const std::function<Status()>& also) {
  return apply({position_ + 1, time, false, changes}, also);
}

Status Store::replay(const JournalRow& row) {
  if (!row.snapshot && row.position != position_ + 1) {
    return make_error(Errc::conflict, "journal entry ", std::to_string(row.position), " after ",
                      std::to_string(position_));
  }
  return apply(row, nullptr);
}

Result<JournalRow> Store::snapshot() {
  JournalRow row{position_, last_time_, true, {}};
  Status read = db_.query("SELECT kind, key, value FROM records", {}, [&](const Row& r) {
    row.changes.push_back({r.text(0), r.text(1), Json::parse(r.text(2), nullptr, false)});
  });
  if (!read) return read.error();
  return row;
}

Result<std::vector<JournalRow>> Store::after(std::uint64_t position, std::size_t limit) {
  std::vector<JournalRow> rows;
  if (position == position_) return rows;
  Status bad = Ok{};
  Status read = db_.query(
      "SELECT position, time, changes FROM journal WHERE position > ? ORDER BY position LIMIT ?",
      {position, std::uint64_t{limit}}, [&](const Row& r) {
        Result<Changes> changes = parse_changes(r.text(2));
        if (!changes) bad = changes.error();
        if (changes) rows.push_back({r.integer(0), r.integer(1), false, std::move(*changes)});
      });
  if (!read) return read.error();
  if (!bad) return bad.error();
  bool gap = position == 0 || position > position_ || rows.empty() ||
             rows.front().position != position + 1;
  if (!gap) return rows;
  Result<JournalRow> all = snapshot();
  if (!all) return all.error();
  return std::vector<JournalRow>{std::move(*all)};
}

std::string Store::own_text(const std::string& key) {
  std::string value;
  (void)db_.query("SELECT value FROM own WHERE key = ?", {key},
                  [&](const Row& row) { value = row.text(0); });
  return value;
}

std::uint64_t Store::own_number(const std::string& key) {
  std::string text = own_text(key);
  return text.empty() ? 0 : std::stoull(text);
}

Status Store::set_own(const std::string& key, const std::string& value) {
  return db_.run("INSERT OR REPLACE INTO own VALUES (?, ?)", {key, value});
}

}  // namespace dmsc::spad
