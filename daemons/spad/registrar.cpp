#include "spad/registrar.hpp"

#include <algorithm>

#include "spad/domain_limits.hpp"

namespace dmsc::spad {

namespace {

constexpr std::uint64_t kBackdate = 86400;            // TLS knows only the wall clock
constexpr std::uint64_t kIssuerLife = 365 * 86400;    // stretched at every renewal

std::string hash_of(std::string_view secret) { return to_hex(crypto::sha256(as_bytes(secret))); }

}  // namespace

Result<std::string> Registrar::new_token(const std::string& name, const crypto::Key32& secret,
                                         const std::string& actor, std::uint64_t now) {
  if (store_.view().node(name) == nullptr) {
    return make_error(Errc::not_found, "there is no node ", name);
  }
  runtime::JoinToken token{crypto::sha256(root_.der), to_hex(secret)};
  Status done = store_.db().run("DELETE FROM tokens WHERE name = ? OR expires <= ?", {name, now});
  if (done) {
    done = store_.db().run("INSERT INTO tokens (hash, name, created, expires) VALUES (?, ?, ?, ?)",
                           {hash_of(token.secret), name, now, now + policy_.token_life});
  }
  if (done) done = audit_.append({0, now, actor, "token", name, "done", ""});
  if (!done) return done.error();
  return runtime::to_string(token);
}

Status Registrar::void_tokens(const std::string& name) {
  return store_.db().run("DELETE FROM tokens WHERE name = ?", {name});
}

Result<std::vector<TokenRow>> Registrar::tokens() {
  std::vector<TokenRow> rows;
  Status read = store_.db().query(
      "SELECT name, created, expires, used_key FROM tokens ORDER BY name", {}, [&](const Row& r) {
        rows.push_back({r.text(0), r.integer(1), r.integer(2), !r.text(3).empty()});
      });
  if (!read) return read.error();
  return rows;
}

Result<TokenRow> Registrar::find_token(const std::string& hash, std::string& used_key) {
  std::optional<TokenRow> found;
  Status read =
      store_.db().query("SELECT name, created, expires, used_key FROM tokens WHERE hash = ?", {hash},
                        [&](const Row& r) {
                          used_key = r.text(3);
                          found = {r.text(0), r.integer(1), r.integer(2), !used_key.empty()};
                        });
  if (!read) return read.error();
  if (!found) return make_error(Errc::denied, "this join token is not known, or was replaced");
  return std::move(*found);
}

Result<Registrar::Certified> Registrar::refused(const std::string& who, const char* action,
                                                Error why, std::uint64_t now) {
  Status logged = audit_.append({0, now, who, action, who, to_string(why.code), why.message});
  return logged ? why : logged.error();
}

Result<Registrar::Certified> Registrar::enrol(const std::string& secret,
                                              const crypto::PublicKey& key,
                                              const crypto::Signature& proof, std::uint64_t now) {
  std::string hash = hash_of(secret), used_key, key_text = to_hex(key);
  Result<TokenRow> token = find_token(hash, used_key);
  if (!token) return token.error();  // anybody may try: nothing is written for strangers
  if (token->expires <= now) {
    return refused(token->name, "enrol", {Errc::denied, "this join token has expired"}, now);
  }
  if (token->used && used_key != key_text) {
    return refused(token->name, "enrol", {Errc::denied, "this join token was used already"}, now);
  }
  if (!crypto::verify(key, runtime::enrol_proof_text(secret), proof)) {
    return refused(token->name, "enrol", {Errc::denied, "the key's proof is wrong"}, now);
  }
  const NodeRecord* node = store_.view().node(token->name);
  if (node == nullptr) {
    return refused(token->name, "enrol", {Errc::denied, token->name + " was removed"}, now);
  }
  return finish(*node, key, "enrol", now, [&] {
    return store_.db().run("UPDATE tokens SET used_key = ? WHERE hash = ?", {key_text, hash});
  });
}

Result<Registrar::Certified> Registrar::renew(const trust::Certificate& caller,
                                              const crypto::PublicKey& key,
                                              const crypto::Signature& proof, std::uint64_t now) {
  const NodeRecord* node = store_.view().node(caller.name);
  bool current = node != nullptr && node->role == caller.role && node->key == caller.key &&
                 node->node_id == caller.node.value;
  if (!current) {
    return refused(caller.name, "renew",
                   {Errc::denied, caller.name + " is not a member under this key"}, now);
  }
  if (!crypto::verify(key, runtime::renew_proof_text(caller.name), proof)) {
    return refused(caller.name, "renew", {Errc::denied, "the key's proof is wrong"}, now);
  }
  return finish(*node, key, "renew", now, nullptr);
}

Result<Registrar::Certified> Registrar::certify(NodeRecord node, const crypto::PublicKey& key,
                                                std::uint64_t now, Changes& changes) {
  trust::CertificateRequest request;
  request.domain = store_.view().domain;
  request.role = node.role;
  request.name = node.name;
  request.node = NodeId{node.node_id};
  request.key = key;
  request.serial = next_number(store_.view(), "certificate", changes) + 1;  // the root has 1
  request.not_before = {now > kBackdate ? now - kBackdate : 0};
  request.not_after = {std::min(now + policy_.certificate_life, root_.not_after.seconds)};
  Result<Bytes> der = trust::issue_certificate(request, root_key_, root_);
  if (!der) return der.error();
  node.key = key;
  node.serial = request.serial;
  node.not_after = request.not_after.seconds;
  changes.push_back(record(node));
  if (node.role == "spa") {
    std::uint32_t id = 0;
    for (const auto& [number, issuer] : store_.view().issuers) {
      if (issuer.name == node.name) id = number;
    }
    if (id == 0) id = static_cast<std::uint32_t>(next_number(store_.view(), "issuer", changes));
    changes.push_back(record(IssuerRecord{id, node.name, key, {now + kIssuerLife}}));
  }
  return Certified{std::move(node), std::move(*der)};
}

Result<Registrar::Certified> Registrar::finish(NodeRecord node, const crypto::PublicKey& key,
                                               const char* action, std::uint64_t now,
                                               const std::function<Status()>& also) {
  Changes changes;
  if (node.enrolled() && node.key != key && node.node_id != 0) {
    changes.push_back(
        record(RevokedNode{{NodeId{node.node_id}, node.key}, node.name, node.not_after}));
  }
  Result<Certified> certified = certify(node, key, now, changes);
  if (!certified) return certified;
  std::string detail = "certificate " + std::to_string(certified->node.serial);
  Status done = store_.commit(changes, now, [&] {
    Status own = also ? also() : Status(Ok{});
    return own ? audit_.append({0, now, node.name, action, node.name, "done", detail}) : own;
  });
  if (!done) return done.error();
  Result<bool> authority = refresh_authority(now);
  if (!authority) return authority.error();
  return certified;
}

Result<bool> Registrar::refresh_authority(std::uint64_t now) {
  const View& view = store_.view();
  wire::Authority wanted;
  for (const auto& [id, issuer] : view.issuers) {
    wanted.issuers.push_back({id, issuer.name, issuer.key, issuer.not_after});
  }
  auto held = view.objects.find("authority");
  if (held != view.objects.end()) {
    Result<wire::Authority> old = wire::decode_authority(held->second);
    if (old && old->issuers == wanted.issuers) return false;
  }
  Changes changes;
  wanted.header = {view.domain_id, 0, next_number(view, "authority", changes), {now}};
  changes.push_back(record_object("authority", wire::sign(wanted, root_key_)));
  Status done = store_.commit(changes, now);
  if (!done) return done.error();
  return true;
}

Result<bool> Registrar::refresh_parameters(wire::DomainParameters limits, std::uint64_t now) {
  const View& view = store_.view();
  limits.header = {view.domain_id, 0, 1, {now}};
  auto held = view.objects.find("parameters");
  if (held != view.objects.end()) {
    Result<wire::DomainParameters> old = wire::decode_domain_parameters(held->second);
    if (old && same_limits(*old, limits)) return false;
    Result<wire::ObjectHeader> header = wire::decode_object_header(held->second);
    if (!header) return with_context("the signed domain parameters", header.error());
    limits.header.serial = header->serial + 1;
  }
  Status done = store_.commit({record_object("parameters", wire::sign(limits, root_key_))}, now, [&] {
    return audit_.append({0, now, "configuration", "limits", view.domain, "done",
                          "serial " + std::to_string(limits.header.serial)});
  });
  if (!done) return done.error();
  return true;
}

}  // namespace dmsc::spad
