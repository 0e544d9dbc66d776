// Rules SE-15 to SE-17 of docs/protocol.md, "Sealing": what the handshake proves, with real DTLS.
#include "dmsc/dataplane/dtls_handshake.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/trust/domain.hpp"

using namespace dmsc;
using namespace dmsc::dataplane;

namespace {

Status anybody(NodeId, const trust::Certificate&) { return Ok{}; }

struct Ends {
  std::unique_ptr<Handshake> initiator, responder;
  Status outcome = Ok{};
  std::size_t datagrams = 0, largest = 0;
  std::function<bool(std::size_t)> lose = [](std::size_t) { return false; };

  // Carries datagrams to and fro; a flight is sent again whole when nothing moves any more.
  void run(int rounds = 20) {
    std::vector<Bytes> to_responder, to_initiator, flight_i, flight_r;
    take(initiator->advance({}, to_responder));
    flight_i = to_responder;
    for (int i = 0; i < rounds && outcome.ok() && !(initiator->done() && responder->done()); ++i) {
      if (to_responder.empty() && to_initiator.empty()) {
        to_responder = flight_i;
        to_initiator = flight_r;
      }
      deliver(*responder, to_responder, to_initiator, flight_r);
      deliver(*initiator, to_initiator, to_responder, flight_i);
    }
  }
  void deliver(Handshake& to, std::vector<Bytes>& in, std::vector<Bytes>& out,
               std::vector<Bytes>& flight) {
    std::vector<Bytes> said;
    for (Bytes& bytes : std::exchange(in, {})) {
      largest = std::max(largest, bytes.size());
      if (lose(datagrams++)) continue;
      if (outcome.ok()) take(to.advance(bytes, said));
    }
    if (!said.empty()) flight = said;
    out.insert(out.end(), said.begin(), said.end());
  }
  void take(Status status) {
    if (!status && outcome.ok()) outcome = std::move(status);
  }
};

struct Gateways {
  test::Domain domain;
  std::shared_ptr<DtlsContext> context(std::uint32_t node, bool chacha = false,
                                       PeerCheck check = anybody) const {
    auto key = static_cast<std::uint8_t>(node);
    return *DtlsContext::create({NodeId{node}, domain.id, test::key_of(key),
                                 domain.certificate(node, key, node), domain.root.der, chacha},
                                std::move(check));
  }
  Ends ends(std::shared_ptr<DtlsContext> a, std::shared_ptr<DtlsContext> b) const {
    Ends out;
    out.initiator = a->shake(SealRole::initiator, NodeId{4}, 77);
    out.responder = b->shake(SealRole::responder, NodeId{1}, 77);
    return out;
  }
};

}  // namespace

TEST_CASE("SE-15 DTLS: two gateways of a domain share two secrets, one each way, new every time") {
  Gateways g;
  crypto::Key32 before{};
  for (int i = 0; i < 2; ++i) {
    Ends e = g.ends(g.context(1), g.context(4));
    e.run();
    INFO((e.outcome ? std::string() : e.outcome.error().message));
    REQUIRE(e.initiator->done());
    REQUIRE(e.responder->done());
    SealSecrets a = e.initiator->secrets(), b = e.responder->secrets();
    CHECK(a.send == b.receive);
    CHECK(a.receive == b.send);
    CHECK(a.send != a.receive);
    CHECK(a.send != before);
    before = a.send;
    CHECK(a.algorithm == crypto::AeadAlgorithm::aes_128_gcm);
    CHECK(b.algorithm == a.algorithm);
    CHECK(e.datagrams <= 8);
    CHECK(e.largest <= wire::kHandshakeDatagramMax);
  }
}

TEST_CASE("SE-15 DTLS: one end without AES instructions is enough for ChaCha20-Poly1305") {
  Gateways g;
  const std::pair<bool, bool> kinds[] = {{true, false}, {false, true}, {true, true}};
  for (auto [a, b] : kinds) {
    Ends e = g.ends(g.context(1, a), g.context(4, b));
    e.run();
    REQUIRE(e.initiator->done());
    CHECK(e.initiator->secrets().algorithm == crypto::AeadAlgorithm::chacha20_poly1305);
    CHECK(e.responder->secrets().algorithm == crypto::AeadAlgorithm::chacha20_poly1305);
  }
}

TEST_CASE(
    "SE-16 DTLS: a certificate of another node, domain, role or root is refused, either side's") {
  Gateways g;
  Gateways stranger;
  stranger.domain.use_root(210);
  auto refused = [](Ends e, std::string_view why) {
    e.run();
    CHECK_FALSE((e.initiator->done() && e.responder->done()));
    REQUIRE_FALSE(e.outcome.ok());
    INFO(e.outcome.error().message);
    CHECK(e.outcome.error().message.find(why) != std::string::npos);
  };
  refused(g.ends(g.context(1), g.context(5)), "expected is gateway 4");  // answers for another
  refused(g.ends(g.context(2), g.context(4)), "expected is gateway 1");
  refused(g.ends(g.context(1), stranger.context(4)), "not signed by the domain's root");
  refused(g.ends(stranger.context(1), g.context(4)), "not signed by the domain's root");
  auto router = [&](std::uint32_t node) {
    trust::CertificateRequest r;
    r.domain = "fig2.dmsc";
    r.role = "sr";
    r.name = "sr-9";
    r.node = NodeId{node};
    r.key = test::key_of(9).public_key();
    r.serial = 9;
    r.not_before = DomainTime{1600000000};
    r.not_after = DomainTime{2000000000};
    Bytes der = *trust::issue_certificate(r, g.domain.root_key, g.domain.root);
    return *DtlsContext::create(
        {NodeId{node}, g.domain.id, test::key_of(9), der, g.domain.root.der, false}, anybody);
  };
  refused(g.ends(g.context(1), router(4)), "expected is gateway 4");
}

TEST_CASE(
    "SE-16 DTLS: what the domain says against a certificate ends the handshake with its words") {
  Gateways g;
  auto revoked = [](NodeId, const trust::Certificate& c) -> Status {
    return make_error(Errc::denied, "the key of ", c.name, " is revoked");
  };
  for (bool initiator_checks : {true, false}) {
    Ends e = g.ends(initiator_checks ? g.context(1, false, revoked) : g.context(1),
                    initiator_checks ? g.context(4) : g.context(4, false, revoked));
    e.run();
    REQUIRE_FALSE(e.outcome.ok());
    CHECK(e.outcome.error().message.find("is revoked") != std::string::npos);
  }
}

TEST_CASE("SE-17 DTLS: another association number or domain gives other secrets") {
  Gateways g;
  auto a = g.context(1), b = g.context(4);
  Ends e;
  e.initiator = a->shake(SealRole::initiator, NodeId{4}, 77);
  e.responder = b->shake(SealRole::responder, NodeId{1}, 79);
  e.run();
  REQUIRE(e.initiator->done());
  CHECK(e.initiator->secrets().send != e.responder->secrets().receive);
  Gateways other;
  other.domain.id = DomainId{43};
  Ends f = g.ends(g.context(1), other.context(4));
  f.run();
  REQUIRE(f.initiator->done());
  CHECK(f.initiator->secrets().send != f.responder->secrets().receive);
}

TEST_CASE("SE-8 DTLS: datagrams lost, repeated or of nobody do not end it") {
  Gateways g;
  for (std::size_t lost = 0; lost < 6; ++lost) {
    Ends e = g.ends(g.context(1), g.context(4));
    e.lose = [lost](std::size_t n) { return n == lost; };
    e.run();
    INFO("datagram " << lost << (e.outcome ? std::string() : ": " + e.outcome.error().message));
    CHECK(e.initiator->done());
    CHECK(e.responder->done());
    if (e.initiator->done() && e.responder->done()) {
      CHECK(e.initiator->secrets().send == e.responder->secrets().receive);
    }
  }
  Ends e = g.ends(g.context(1), g.context(4));
  std::vector<Bytes> none;
  for (const char* junk : {"x", "not a record at all", ""}) {
    CHECK(e.responder->advance(as_bytes(junk), none).ok());
  }
  e.run();
  CHECK(e.responder->done());
}

TEST_CASE("DTLS: an identity that does not fit together is refused at the start") {
  Gateways g;
  DtlsIdentity wrong{NodeId{1},         g.domain.id, test::key_of(2), g.domain.certificate(1, 1, 1),
                     g.domain.root.der, false};
  CHECK_FALSE(DtlsContext::create(wrong, anybody).ok());
  wrong.key = test::key_of(1);
  wrong.root = Bytes{1, 2, 3};
  CHECK_FALSE(DtlsContext::create(wrong, anybody).ok());
  wrong.root = g.domain.root.der;
  wrong.certificate.resize(40);
  CHECK_FALSE(DtlsContext::create(wrong, anybody).ok());
}
