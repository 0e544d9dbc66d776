#include "dmsc/wire/signed_objects.hpp"

#include <algorithm>
#include <set>

namespace dmsc::wire {

namespace {

constexpr std::uint8_t kVersion = 0;
constexpr std::size_t kSignatureBytes = 64;
constexpr std::uint8_t kFlagCovering = 1;

ByteWriter begin(ObjectKind kind, const ObjectHeader& h) {
  ByteWriter w;
  w.u8(static_cast<std::uint8_t>(kind)).u8(kVersion).u64(h.domain.value).u32(h.issuer);
  w.u64(h.serial).u64(h.issued_at.seconds);
  return w;
}

Bytes finish(ByteWriter w, const crypto::SigningKey& key) {
  w.bytes(key.sign(w.view()));
  return w.take();
}

// Reads the fields of one object; remembers the first thing that was wrong.
class Fields {
 public:
  Fields(ObjectKind kind, ByteView object) : kind_(kind), reader_(unsigned_part(object)) {
    Result<ObjectHeader> header = decode_object_header(object);
    if (!header) {
      error_ = header.error();
      return;
    }
    if (object[0] != static_cast<std::uint8_t>(kind)) {
      fail(Errc::invalid, "kind " + std::to_string(object[0]));
      return;
    }
    header_ = *header;
    reader_.bytes(kObjectHeaderBytes);
  }

  ByteReader& reader() { return reader_; }
  const ObjectHeader& header() const { return header_; }
  bool failed() const { return !error_.message.empty(); }

  void fail(Errc code, const std::string& what) {
    if (!failed()) error_ = make_error(code, to_string(kind_), " object: ", what);
  }
  // `count` entries of at least `size` bytes must still be there: refuses absurd counts early.
  bool room(std::size_t count, std::size_t size, const char* what) {
    if (!failed() && reader_.left() / size >= count) return true;
    fail(Errc::truncated, std::string(what) + " are cut short");
    return false;
  }
  Name name(const char* what) {
    Result<Name> parsed = Name::parse(reader_.text8());
    if (!reader_.ok()) fail(Errc::truncated, std::string(what) + " is cut short");
    if (!parsed) fail(Errc::invalid, std::string(what) + ": " + parsed.error().message);
    return parsed ? *parsed : Name();
  }
  template <class T>
  Result<T> end(T object) {
    if (!reader_.ok()) fail(Errc::truncated, "ends too early");
    if (!reader_.done()) fail(Errc::invalid, "has bytes left over");
    if (failed()) return error_;
    object.header = header_;
    return object;
  }

 private:
  static ByteView unsigned_part(ByteView object) {
    return object.size() < kSignatureBytes ? ByteView{} : object.first(object.size() - kSignatureBytes);
  }

  ObjectKind kind_;
  ByteReader reader_;
  ObjectHeader header_;
  Error error_;
};

// Limits under which no node could speak at all would be beyond repair: the repair must be flooded too.
void refuse_deadlock(const DomainParameters& p, Fields& f) {
  auto least = [&f](std::uint64_t value, std::uint64_t minimum, const char* what) {
    if (value >= minimum) return;
    f.fail(Errc::invalid, std::string(what) + " " + std::to_string(value) + ", at least " +
                              std::to_string(minimum));
  };
  least(p.max_adjacencies_per_node, 1, "adjacencies");
  least(p.max_lsa_lifetime, 60, "LSA lifetime");
  least(p.max_prefixes_per_node, 1, "prefixes");
  least(p.max_grants_per_node, 1, "grants");
  least(p.lsas_per_second, 1, "LSAs a second");
  least(p.lsa_burst, 1, "burst");
}

}  // namespace

const char* to_string(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::authority: return "authority";
    case ObjectKind::grant: return "grant";
    case ObjectKind::revocation: return "revocation";
    case ObjectKind::domain_parameters: return "domain parameters";
  }
  return "unknown";
}

const char* to_string(Limit limit) {
  switch (limit) {
    case Limit::prefixes: return "prefixes";
    case Limit::names: return "names";
    case Limit::lsa: return "lsa";
    case Limit::rate: return "rate";
    case Limit::neighbours: return "neighbours";
  }
  return "unknown";
}

const char* to_string(LimitAction action) {
  switch (action) {
    case LimitAction::warn: return "warn";
    case LimitAction::block: return "block";
    case LimitAction::isolate: return "isolate";
  }
  return "unknown";
}

Bytes sign(const Authority& object, const crypto::SigningKey& key) {
  ByteWriter w = begin(ObjectKind::authority, object.header);
  w.u16(object.issuers.size());
  for (const Authority::Issuer& issuer : object.issuers) {
    w.u32(issuer.id).u64(issuer.not_after.seconds).bytes(issuer.key).text8(issuer.name);
  }
  return finish(std::move(w), key);
}

Bytes sign(const Grant& object, const crypto::SigningKey& key) {
  ByteWriter w = begin(ObjectKind::grant, object.header);
  w.u32(object.node.value).u64(object.valid_until.seconds).u32(object.grace).u8(object.depth);
  w.u8(object.covering ? kFlagCovering : 0).text8(object.identity).text8(object.subtree.text());
  w.u8(object.pools.size());
  for (const Name& pool : object.pools) w.text8(pool.text());
  return finish(std::move(w), key);
}

Bytes sign(const Revocation& object, const crypto::SigningKey& key) {
  ByteWriter w = begin(ObjectKind::revocation, object.header);
  w.u16(object.part).u16(object.grants.size());
  for (const Revocation::GrantRef& ref : object.grants) w.u32(ref.issuer).u64(ref.serial);
  w.u16(object.nodes.size());
  for (const Revocation::NodeRef& ref : object.nodes) w.u32(ref.node.value).bytes(ref.key);
  return finish(std::move(w), key);
}

Bytes sign(const DomainParameters& object, const crypto::SigningKey& key) {
  ByteWriter w = begin(ObjectKind::domain_parameters, object.header);
  w.u32(object.max_prefixes_per_node).u32(object.max_instances_per_prefix);
  w.u32(object.max_adjacencies_per_node).u32(object.max_lsa_lifetime);
  w.u32(object.max_grants_per_node).u32(object.lsas_per_second).u32(object.lsa_burst);
  w.u32(object.isolate_seconds).u16(object.max_unknown_fragments);
  w.u8(object.max_name_bytes).u8(object.max_name_components);
  for (LimitAction action : object.actions) w.u8(static_cast<std::uint8_t>(action));
  return finish(std::move(w), key);
}

Result<ObjectHeader> decode_object_header(ByteView object) {
  if (object.size() < kObjectHeaderBytes + kSignatureBytes) {
    return make_error(Errc::truncated, "signed object: ", std::to_string(object.size()), " bytes");
  }
  if (object.size() > kMaxObjectBytes) {
    return make_error(Errc::limit, "signed object: ", std::to_string(object.size()),
                      " bytes, at most ", std::to_string(kMaxObjectBytes));
  }
  ByteReader r(object);
  std::uint8_t kind = r.u8();
  std::uint8_t version = r.u8();
  if (kind < 1 || kind > 4 || version != kVersion) {
    return make_error(Errc::unsupported, "signed object: kind ", std::to_string(kind), " version ",
                      std::to_string(version));
  }
  ObjectHeader h;
  h.domain = DomainId{r.u64()};
  h.issuer = r.u32();
  h.serial = r.u64();
  h.issued_at.seconds = r.u64();
  if ((h.issuer & kIssuerOriginBit) != 0) {
    return make_error(Errc::invalid, "signed object: issuer ", std::to_string(h.issuer));
  }
  return h;
}

Result<ObjectKind> object_kind(ByteView object) {
  Result<ObjectHeader> header = decode_object_header(object);
  if (!header) return header.error();
  return static_cast<ObjectKind>(object[0]);
}

Result<Authority> decode_authority(ByteView object) {
  Fields f(ObjectKind::authority, object);
  Authority a;
  std::set<std::uint32_t> seen;
  std::size_t count = f.failed() ? 0 : f.reader().u16();
  if (!f.room(count, 45, "issuers")) count = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Authority::Issuer issuer;
    issuer.id = f.reader().u32();
    issuer.not_after.seconds = f.reader().u64();
    issuer.key = f.reader().array<32>();
    issuer.name = std::string(f.reader().text8());
    if (issuer.id == 0 || (issuer.id & kIssuerOriginBit) != 0 || !seen.insert(issuer.id).second) {
      f.fail(Errc::invalid, "issuer id " + std::to_string(issuer.id));
    }
    a.issuers.push_back(std::move(issuer));
  }
  if (f.header().issuer != 0) f.fail(Errc::invalid, "not of the root");
  return f.end(std::move(a));
}

namespace {

void check_grant(Fields& f, const Grant& g, std::uint8_t flags) {
  if (g.node.value == 0 || g.node.value > kMaxNodeId) {
    f.fail(Errc::invalid, "node " + std::to_string(g.node.value));
  }
  if (f.header().issuer == 0) f.fail(Errc::invalid, "issuer 0 (the root grants nothing)");
  if (g.depth > kMaxNameComponents) f.fail(Errc::invalid, "depth " + std::to_string(g.depth));
  if (flags > kFlagCovering) f.fail(Errc::invalid, "flags " + std::to_string(flags));
  if (g.identity.empty()) f.fail(Errc::invalid, "no identity");
  bool printable = std::all_of(g.identity.begin(), g.identity.end(),
                               [](char c) { return c > ' ' && c <= '~'; });
  if (!printable) f.fail(Errc::invalid, "identity has bytes that are not printable");
}

}  // namespace

Result<Grant> decode_grant(ByteView object) {
  Fields f(ObjectKind::grant, object);
  if (f.failed()) return f.end(Grant());
  ByteReader& r = f.reader();
  Grant g;
  g.node = NodeId{r.u32()};
  g.valid_until.seconds = r.u64();
  g.grace = r.u32();
  g.depth = r.u8();
  std::uint8_t flags = r.u8();
  g.covering = (flags & kFlagCovering) != 0;
  g.identity = std::string(r.text8());
  g.subtree = f.name("subtree");
  std::size_t pools = r.u8();
  if (pools > kMaxGrantPools) f.fail(Errc::limit, std::to_string(pools) + " pools");
  for (std::size_t i = 0; i < pools && !f.failed(); ++i) g.pools.push_back(f.name("pool"));
  check_grant(f, g, flags);
  return f.end(std::move(g));
}

Result<Revocation> decode_revocation(ByteView object) {
  Fields f(ObjectKind::revocation, object);
  if (f.failed()) return f.end(Revocation());
  ByteReader& r = f.reader();
  Revocation v;
  v.part = r.u16();
  std::size_t grants = r.u16();
  if (!f.room(grants, 12, "grants")) grants = 0;
  for (std::size_t i = 0; i < grants; ++i) {
    std::uint32_t issuer = r.u32();
    v.grants.push_back({issuer, r.u64()});
  }
  std::size_t nodes = r.u16();
  if (!f.room(nodes, 36, "nodes")) nodes = 0;
  for (std::size_t i = 0; i < nodes; ++i) {
    NodeId node{r.u32()};
    v.nodes.push_back({node, r.array<32>()});
    if (node.value == 0 || node.value > kMaxNodeId) {
      f.fail(Errc::invalid, "node " + std::to_string(node.value));
    }
  }
  if (f.header().issuer == 0) f.fail(Errc::invalid, "issuer 0 (issuers revoke, not the root)");
  return f.end(std::move(v));
}

Result<DomainParameters> decode_domain_parameters(ByteView object) {
  Fields f(ObjectKind::domain_parameters, object);
  if (f.failed()) return f.end(DomainParameters());
  ByteReader& r = f.reader();
  DomainParameters p;
  p.max_prefixes_per_node = r.u32();
  p.max_instances_per_prefix = r.u32();
  p.max_adjacencies_per_node = r.u32();
  p.max_lsa_lifetime = r.u32();
  p.max_grants_per_node = r.u32();
  p.lsas_per_second = r.u32();
  p.lsa_burst = r.u32();
  p.isolate_seconds = r.u32();
  p.max_unknown_fragments = r.u16();
  p.max_name_bytes = r.u8();
  p.max_name_components = r.u8();
  for (std::size_t i = 0; i < kLimits; ++i) {
    std::uint8_t action = r.u8();
    if (action > 2) {
      f.fail(Errc::invalid, std::string("action ") + std::to_string(action) + " for " +
                                to_string(static_cast<Limit>(i)));
    }
    p.actions[i] = static_cast<LimitAction>(action);
  }
  if (r.ok()) refuse_deadlock(p, f);
  if (f.header().issuer != 0) f.fail(Errc::invalid, "not of the root");
  return f.end(std::move(p));
}

Result<ObjectHeader> decode_object(ByteView object) {
  auto header = [](auto decoded) -> Result<ObjectHeader> {
    if (!decoded) return decoded.error();
    return decoded->header;
  };
  Result<ObjectKind> kind = object_kind(object);
  if (!kind) return kind.error();
  switch (*kind) {
    case ObjectKind::authority: return header(decode_authority(object));
    case ObjectKind::grant: return header(decode_grant(object));
    case ObjectKind::revocation: return header(decode_revocation(object));
    case ObjectKind::domain_parameters: return header(decode_domain_parameters(object));
  }
  return make_error(Errc::unsupported, "signed object of an unknown kind");
}

bool verify_object(ByteView object, const crypto::PublicKey& key) {
  if (object.size() < kObjectHeaderBytes + kSignatureBytes) return false;
  crypto::Signature signature;
  std::copy(object.end() - kSignatureBytes, object.end(), signature.begin());
  return crypto::verify(key, object.first(object.size() - kSignatureBytes), signature);
}

}  // namespace dmsc::wire
