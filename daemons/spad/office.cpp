#include "spad/office.hpp"

#include <algorithm>

namespace dmsc::spad {

namespace {

GrantRow row_of(const Row& r) {
  return {r.integer(0),
          r.integer(1),
          static_cast<std::uint32_t>(r.integer(2)),
          r.text(3),
          r.text(4),
          r.text(5),
          r.blob(6)};
}

#define DMSC_GRANT_COLUMNS "serial, accepted_until, node, gateway, identity, subtree, object"

bool same_rights(const wire::Grant& a, const wire::Grant& b) {
  return a.node == b.node && a.identity == b.identity && a.subtree == b.subtree &&
         a.depth == b.depth && a.covering == b.covering && a.pools == b.pools;
}

}  // namespace

Office::Office(Store& store, Audit& audit, std::uint32_t issuer, std::string name,
               crypto::SigningKey key, GrantPolicy policy, bool writer)
    : store_(store),
      audit_(audit),
      issuer_(issuer),
      name_(std::move(name)),
      key_(std::move(key)),
      policy_(policy),
      writer_(writer) {
  (void)store_.db().query("SELECT key, value FROM own WHERE key LIKE 'revocation/%'", {},
                          [this](const Row& r) { own_lists_[r.text(0)] = from_hex(r.text(1)); });
}

Result<Verdict> Office::answer(const Question& q, std::uint64_t now) {
  ++counters_.asked;
  Decision d = decide(store_.view(), q);
  if (d.granted()) {
    Result<std::string> other = other_spelling(q, now);
    if (!other) return other.error();
    if (!other->empty()) {
      d.refusal = "name_conflict";
      d.reason = q.prefix + " looks like " + *other + ", which is granted";
    } else if (blocked(q, d.rule)) {
      d.refusal = "revoked";
      d.reason = "the grant of " + d.rule.subtree.text() + " to " + q.identity + " was revoked";
    }
  }
  if (!d.granted()) {
    ++counters_.refused[d.refusal];
    Status logged = audit_.append({0, now, q.gateway, "authenticate", q.identity + " " + q.prefix,
                                   d.refusal, d.reason});
    if (!logged) return logged.error();
    return Verdict{{}, d.refusal, d.reason};
  }
  return issue(q, d, now);
}

Result<Verdict> Office::issue(const Question& q, const Decision& d, std::uint64_t now) {
  wire::Grant grant;
  grant.node = NodeId{q.node_id};
  grant.identity = q.identity;
  grant.subtree = d.rule.subtree;
  grant.depth = d.rule.depth;
  grant.covering = d.rule.covering;
  grant.pools = d.pools;
  Result<Bytes> object = reusable(grant, now);
  if (!object) return object.error();
  std::string detail = "same grant";
  if (object->empty()) {
    std::uint64_t serial = store_.own_number("grant_serial") + 1;
    grant.header = {store_.view().domain_id, issuer_, serial, {now}};
    grant.valid_until = {now + policy_.valid_for};
    grant.grace = static_cast<std::uint32_t>(policy_.grace);
    *object = wire::sign(grant, key_);
    if (!wire::decode_grant(*object)) {
      return Verdict{{}, "too_long", "a grant of " + q.prefix + " with its pools is too long"};
    }
    detail = "grant " + std::to_string(issuer_) + "/" + std::to_string(serial);
    Status kept = store_.set_own("grant_serial", std::to_string(serial));
    if (kept) {
      kept = store_.db().run("INSERT INTO grants VALUES (?, ?, ?, ?, ?, ?, ?)",
                             {serial, std::uint64_t{q.node_id}, q.gateway, q.identity,
                              grant.subtree.text(), now + policy_.valid_for + policy_.grace,
                              ByteView(*object)});
    }
    if (!kept) return kept.error();
  } else {
    ++counters_.reused;
  }
  ++counters_.granted;
  Result<Name> name = Name::parse(q.prefix);
  Status done = store_.db().run("INSERT OR REPLACE INTO spellings VALUES (?, ?, ?)",
                                {name->folded(), q.prefix, now + policy_.valid_for + policy_.grace});
  if (done) {
    done = audit_.append(
        {0, now, q.gateway, "authenticate", q.identity + " " + q.prefix, "granted", detail});
  }
  if (!done) return done.error();
  return Verdict{*object, "", ""};
}

// A grant with the same rights, still good for long enough and not revoked; empty if there is none.
Result<Bytes> Office::reusable(const wire::Grant& wanted, std::uint64_t now) {
  Bytes found;
  Status read = store_.db().query(
      "SELECT object FROM grants WHERE node = ? AND identity = ? AND subtree = ? AND "
      "accepted_until > ? ORDER BY serial",
      {std::uint64_t{wanted.node.value}, wanted.identity, wanted.subtree.text(), now},
      [&](const Row& r) {
        Result<wire::Grant> g = wire::decode_grant(r.blob(0));
        if (!g || !same_rights(*g, wanted)) return;
        if (g->valid_until.seconds < now + policy_.renew_before) return;
        if (store_.view().revoked_grants.count({issuer_, g->header.serial}) != 0) return;
        found = r.blob(0);
      });
  if (!read) return read.error();
  return found;
}

Result<std::string> Office::other_spelling(const Question& q, std::uint64_t now) {
  std::string other;
  Result<Name> name = Name::parse(q.prefix);
  Status read = store_.db().query(
      "SELECT name FROM spellings WHERE folded = ? AND until > ?", {name->folded(), now},
      [&](const Row& r) {
        if (r.text(0) != q.prefix) other = r.text(0);
      });
  if (!read) return read.error();
  return other;
}

// Somebody revoked a grant of just this right, and the rule has not been set again since.
bool Office::blocked(const Question& q, const Rule& rule) {
  for (const auto& [ref, revoked] : store_.view().revoked_grants) {
    if (revoked.position <= rule.since) continue;
    bool same = revoked.node == q.node_id && revoked.identity == q.identity &&
                revoked.subtree == rule.subtree.text();
    if (!same && ref.issuer == issuer_) {
      Result<GrantRow> row = find_grant(ref.serial);
      same = row && row->node == q.node_id && row->identity == q.identity &&
             row->subtree == rule.subtree.text();
    }
    if (same) return true;
  }
  return false;
}

Result<std::vector<GrantRow>> Office::live_grants(std::uint64_t now) {
  std::vector<GrantRow> rows;
  Status read = store_.db().query("SELECT " DMSC_GRANT_COLUMNS
                                  " FROM grants WHERE accepted_until > ? ORDER BY serial",
                                  {now}, [&](const Row& r) { rows.push_back(row_of(r)); });
  if (!read) return read.error();
  return rows;
}

Result<GrantRow> Office::find_grant(std::uint64_t serial) {
  std::optional<GrantRow> found;
  Status read =
      store_.db().query("SELECT " DMSC_GRANT_COLUMNS " FROM grants WHERE serial = ?", {serial},
                        [&](const Row& r) { found = row_of(r); });
  if (!read) return read.error();
  if (found) return std::move(*found);
  return make_error(Errc::not_found, "this SPA issued no grant ", std::to_string(issuer_), "/",
                    std::to_string(serial), " that still counts");
}

Status Office::expire(std::uint64_t now) {
  Status done = store_.db().run("DELETE FROM grants WHERE accepted_until <= ?", {now});
  return done ? store_.db().run("DELETE FROM spellings WHERE until <= ?", {now}) : done;
}

}  // namespace dmsc::spad
