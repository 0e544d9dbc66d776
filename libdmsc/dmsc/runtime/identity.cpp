#include "dmsc/runtime/identity.hpp"

#include <nlohmann/json.hpp>

#include "dmsc/runtime/files.hpp"

namespace dmsc::runtime {

namespace {

using Json = nlohmann::json;

Error bad(const std::string& file, std::string_view what) {
  return make_error(Errc::invalid, "identity: ", file, ": ", what);
}

Json hex_list(const std::vector<Bytes>& items) {
  Json out = Json::array();
  for (const Bytes& item : items) out.push_back(to_hex(item));
  return out;
}

Json texts(const std::vector<Endpoint>& endpoints) {
  Json out = Json::array();
  for (const Endpoint& e : endpoints) out.push_back(to_string(e));
  return out;
}

Json to_json(const Identity& id) {
  Json keys = Json::array();
  for (const auto& [number, secret] : id.link_keys.keys()) {
    keys.push_back({{"id", number}, {"secret", to_hex(secret)}});
  }
  return {{"domain_id", id.domain_id.value},
          {"link_keys", keys},
          {"active_link_key", id.link_keys.active()},
          {"spas", texts(id.spas)},
          {"scscs", texts(id.scscs)},
          {"authority", to_hex(id.authority)},
          {"parameters", to_hex(id.parameters)},
          {"revocations", hex_list(id.revocations)},
          {"domain_time", id.domain_time.seconds}};
}

std::vector<Endpoint> endpoints(const Json& list) {
  std::vector<Endpoint> out;
  for (const Json& item : list) {
    Result<Endpoint> e = parse_endpoint(item.get<std::string>(), 0);
    if (!e) throw std::invalid_argument(e.error().message);
    out.push_back(*e);
  }
  return out;
}

// Throws nlohmann's exceptions or invalid_argument on anything out of shape.
void from_json(const Json& json, Identity& id) {
  id.domain_id = DomainId{json.at("domain_id").get<std::uint64_t>()};
  for (const Json& item : json.at("link_keys")) {
    Bytes secret = from_hex(item.at("secret").get<std::string>());
    crypto::Key32 key;
    if (secret.size() != key.size()) throw std::invalid_argument("link key is not 32 bytes");
    std::copy(secret.begin(), secret.end(), key.begin());
    id.link_keys.add(item.at("id").get<std::uint16_t>(), key);
  }
  id.link_keys.set_active(json.at("active_link_key").get<std::uint16_t>());
  id.spas = endpoints(json.at("spas"));
  id.scscs = endpoints(json.at("scscs"));
  id.authority = from_hex(json.at("authority").get<std::string>());
  id.parameters = from_hex(json.at("parameters").get<std::string>());
  for (const Json& item : json.at("revocations")) {
    id.revocations.push_back(from_hex(item.get<std::string>()));
  }
  id.domain_time.seconds = json.at("domain_time").get<std::uint64_t>();
}

Result<trust::Certificate> load_certificate(const std::string& file) {
  Result<std::string> pem = read_file(file);
  if (!pem) return pem.error();
  Result<Bytes> der = trust::from_pem(*pem);
  if (!der) return bad(file, der.error().message);
  Result<trust::Certificate> cert = trust::parse_certificate(*der);
  if (!cert) return bad(file, cert.error().message);
  return cert;
}

Status check(const std::string& directory, const Identity& id) {
  if (id.certificate.key != id.key.public_key()) {
    return bad(directory, "cert.pem is not for the key in key.pem");
  }
  if (id.root.role != "root" || !trust::issued_by(id.certificate, id.root)) {
    return bad(directory, "cert.pem is not signed by root.pem");
  }
  return Ok{};
}

}  // namespace

std::string identity_directory(const std::string& state_dir) { return state_dir + "/identity"; }

Result<Identity> load_identity(const std::string& state_dir) {
  std::string directory = identity_directory(state_dir) + "/";
  Result<std::string> pem = read_file(directory + "key.pem");
  if (!pem) return pem.error();
  Result<crypto::SigningKey> key = trust::parse_private_key_pem(*pem);
  if (!key) return bad(directory + "key.pem", key.error().message);
  Result<trust::Certificate> cert = load_certificate(directory + "cert.pem");
  if (!cert) return cert.error();
  Result<trust::Certificate> root = load_certificate(directory + "root.pem");
  if (!root) return root.error();
  Identity id{*key, *cert, *root, {}, {}, {}, {}, {}, {}, {}, {}};
  Result<std::string> text = read_file(directory + "enrolment.json");
  if (!text) return text.error();
  try {
    from_json(Json::parse(*text), id);
  } catch (const std::exception& e) {
    return bad(directory + "enrolment.json", e.what());
  }
  Status fits = check(directory, id);
  if (!fits) return fits.error();
  return id;
}

Status save_identity(const std::string& state_dir, const Identity& id) {
  std::string directory = identity_directory(state_dir);
  Status made = make_directory(directory, 0700);
  if (!made) return made;
  std::string root = trust::to_pem(id.root.der);
  std::string chain = trust::to_pem(id.certificate.der) + root;
  struct File {
    const char* name;
    std::string content;
    unsigned mode;
  };
  for (const File& file : {File{"enrolment.json", to_json(id).dump(2) + "\n", 0600},
                           File{"root.pem", root, 0644}, File{"cert.pem", chain, 0644},
                           File{"key.pem", trust::private_key_pem(id.key), 0600}}) {
    Status written = write_file_atomically(directory + "/" + file.name, file.content, file.mode);
    if (!written) return written;
  }
  return Ok{};
}

Result<JoinToken> parse_join_token(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  std::size_t first = text.find('.'), second = text.rfind('.');
  Error wrong = make_error(Errc::invalid, "join token: not dmsc1.FINGERPRINT.SECRET");
  if (first == text.npos || second == first || text.substr(0, first) != "dmsc1") return wrong;
  Bytes fingerprint = from_hex(text.substr(first + 1, second - first - 1));
  JoinToken token;
  token.secret = text.substr(second + 1);
  if (fingerprint.size() != token.root_fingerprint.size() || from_hex(token.secret).size() < 16) {
    return wrong;
  }
  std::copy(fingerprint.begin(), fingerprint.end(), token.root_fingerprint.begin());
  return token;
}

std::string to_string(const JoinToken& token) {
  return "dmsc1." + to_hex(token.root_fingerprint) + "." + token.secret;
}

namespace {
Bytes joined(std::string_view label, std::string_view rest) {
  Bytes out = to_bytes(as_bytes(label));
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}
}  // namespace

Bytes enrol_proof_text(std::string_view token_secret) { return joined("dmsc enrol", token_secret); }
Bytes renew_proof_text(std::string_view node_name) { return joined("dmsc renew", node_name); }

}  // namespace dmsc::runtime
