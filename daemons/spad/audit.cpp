#include "spad/audit.hpp"

namespace dmsc::spad {

namespace {

std::string text_of(const AuditRecord& r) {
  return Json::array({r.seq, r.time, r.actor, r.action, r.object, r.decision, r.detail})
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<AuditRecord> parse(const std::string& text) {
  try {
    Json j = Json::parse(text);
    return AuditRecord{j.at(0), j.at(1), j.at(2), j.at(3), j.at(4), j.at(5), j.at(6)};
  } catch (const std::exception& e) {
    return make_error(Errc::invalid, "audit record: ", e.what());
  }
}

crypto::Hash32 chain(const crypto::Hash32& before, const std::string& record) {
  Bytes text(before.begin(), before.end());
  text.insert(text.end(), record.begin(), record.end());
  return crypto::sha256(text);
}

}  // namespace

Bytes Audit::head_text(const Head& head) const {
  ByteWriter w;
  w.bytes(as_bytes("dmsc audit")).u64(head.seq).bytes(head.hash);
  return w.take();
}

Result<Audit::Head> Audit::head() {
  Head head;
  Status read = store_.db().query("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", {},
                                  [&](const Row& row) {
                                    head.seq = row.integer(0);
                                    Bytes hash = from_hex(row.text(1));
                                    hash.resize(head.hash.size());
                                    std::copy(hash.begin(), hash.end(), head.hash.begin());
                                  });
  if (!read) return read.error();
  return head;
}

Status Audit::append(AuditRecord record) {
  Result<Head> last = head();
  if (!last) return last.error();
  record.seq = last->seq + 1;
  std::string text = text_of(record);
  Head next{record.seq, chain(last->hash, text)};
  Status done = store_.db().run("INSERT INTO audit VALUES (?, ?, ?)",
                                {next.seq, text, to_hex(next.hash)});
  if (done) done = store_.set_own("audit_head", to_hex(key_.sign(head_text(next))));
  return done;
}

Result<std::vector<AuditRecord>> Audit::newest(std::size_t limit) {
  std::vector<AuditRecord> out;
  Status bad = Ok{};
  Status read = store_.db().query("SELECT record FROM audit ORDER BY seq DESC LIMIT ?",
                                  {std::uint64_t{limit}}, [&](const Row& row) {
                                    Result<AuditRecord> r = parse(row.text(0));
                                    r ? out.push_back(std::move(*r)) : void(bad = r.error());
                                  });
  if (!read) return read.error();
  if (!bad) return bad.error();
  return out;
}

Result<std::uint64_t> Audit::verify() {
  Head walked;
  Status bad = Ok{};
  Status read = store_.db().query(
      "SELECT seq, record, hash FROM audit ORDER BY seq", {}, [&](const Row& row) {
        if (!bad) return;
        Head next{row.integer(0), chain(walked.hash, row.text(1))};
        Result<AuditRecord> record = parse(row.text(1));
        if (next.seq != walked.seq + 1 || to_hex(next.hash) != row.text(2) || !record ||
            record->seq != next.seq) {
          bad = make_error(Errc::invalid, "audit record ", std::to_string(walked.seq + 1),
                           " is missing or was changed");
        }
        walked = next;
      });
  if (!read) return read.error();
  if (!bad) return bad.error();
  if (walked.seq == 0 && store_.own_text("audit_head").empty()) return walked.seq;
  Bytes raw = from_hex(store_.own_text("audit_head"));
  crypto::Signature signature{};
  if (raw.size() == signature.size()) std::copy(raw.begin(), raw.end(), signature.begin());
  if (crypto::verify(key_.public_key(), head_text(walked), signature)) return walked.seq;
  return make_error(Errc::invalid, "audit log ends at record ", std::to_string(walked.seq),
                    ", which is not the end this issuer signed");
}

}  // namespace dmsc::spad
