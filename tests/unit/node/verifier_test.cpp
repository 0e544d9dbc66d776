// docs/protocol.md, "Node" (N4): signatures are checked off the control thread, each content once.
#include <boost/asio/executor_work_guard.hpp>
#include <catch2/catch.hpp>
#include <map>

#include "dmsc/node/verifier.hpp"
#include "tests/unit/node/test_domain.hpp"

using namespace dmsc;
using namespace dmsc::node;
using namespace dmsc::node::test;

namespace {

struct Bench {
  Bench() : trust(*trust::TrustStore::create(kDomain, authority.root)) {
    REQUIRE(trust.learn_object(authority.authority_object).ok());
  }
  wire::LsaPtr lsa(const NodeIdentity& of, wire::LsaType type, std::uint16_t fragment,
                   const Bytes& body) const {
    return *wire::make_lsa({of.id, type, fragment}, {1, 1}, 3600, false, body,
                           crypto::SigningKey(of.key_seed));
  }
  wire::LsaPtr identity_lsa(const NodeIdentity& of) const {
    return lsa(of, wire::LsaType::identity, 0, wire::encode(wire::IdentityBody{of.certificate, {}}));
  }
  wire::LsaPtr forged(const wire::LsaPtr& good) const {
    Bytes raw = good->raw;
    raw.back() ^= 1;
    return *wire::decode_lsa(raw);
  }
  // Runs what is asked until all is answered.
  std::map<std::uint64_t, trust::Verdict> settle(Verifier& verifier) {
    for (const auto& a : verifier.run()) verdicts[a.ticket] = a.verdict;
    while (verifier.pending() != 0) io.run_one_for(std::chrono::milliseconds(20));
    return verdicts;
  }
  Verifier make(unsigned threads = 2) {
    return Verifier(io, trust, threads, [this](const std::vector<Verifier::Answer>& answers) {
      for (const auto& a : answers) verdicts[a.ticket] = a.verdict;
    });
  }

  Authority authority;
  trust::TrustStore trust;
  boost::asio::io_context io;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  std::map<std::uint64_t, trust::Verdict> verdicts;
};

}  // namespace

TEST_CASE("N4 many signatures are checked on other threads, forged ones found") {
  Bench b;
  NodeIdentity sg = b.authority.identity("sg-1", 4, "sg");
  REQUIRE(b.trust.learn(*b.identity_lsa(sg)));
  Verifier verifier = b.make();
  constexpr std::uint64_t kMany = 1500;  // more than may be in flight
  for (std::uint64_t i = 1; i <= kMany; ++i) {
    wire::LsaPtr good = b.lsa(sg, wire::LsaType::prefix, static_cast<std::uint16_t>(i), {});
    verifier.ask({i, i % 3 == 0 ? b.forged(good) : good});
  }
  CHECK(verifier.run().empty());  // none on this thread
  auto verdicts = b.settle(verifier);
  REQUIRE(verdicts.size() == kMany);
  for (const auto& [ticket, verdict] : verdicts) {
    CHECK(verdict == (ticket % 3 == 0 ? trust::Verdict::invalid : trust::Verdict::valid));
  }
  CHECK(verifier.checked() == kMany);
}

TEST_CASE("N4 a few are judged at once when nothing waits") {
  Bench b;
  NodeIdentity sg = b.authority.identity("sg-1", 4, "sg");
  REQUIRE(b.trust.learn(*b.identity_lsa(sg)));
  Verifier verifier = b.make();
  verifier.ask({1, b.lsa(sg, wire::LsaType::node, 0, {})});
  auto answers = verifier.run();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].verdict == trust::Verdict::valid);
  CHECK(verifier.pending() == 0);
}

TEST_CASE("N4 the same LSA is checked once, however often it comes") {
  Bench b;
  NodeIdentity sg = b.authority.identity("sg-1", 4, "sg");
  REQUIRE(b.trust.learn(*b.identity_lsa(sg)));
  Verifier verifier = b.make();
  wire::LsaPtr good = b.lsa(sg, wire::LsaType::prefix, 0, {}), bad = b.forged(good);
  for (std::uint64_t ticket = 1; ticket <= 20; ticket += 2) {
    verifier.ask({ticket, good});
    verifier.ask({ticket + 1, bad});
    b.settle(verifier);
  }
  CHECK(verifier.checked() == 2);
  CHECK(verifier.from_memory() == 18);
  CHECK(b.verdicts.at(19) == trust::Verdict::valid);
  CHECK(b.verdicts.at(20) == trust::Verdict::invalid);
}

TEST_CASE("N4 what cannot be judged yet is not kept, and asked again when its identity is known") {
  Bench b;
  NodeIdentity sg = b.authority.identity("sg-1", 4, "sg");
  Verifier verifier = b.make();
  wire::LsaPtr node = b.lsa(sg, wire::LsaType::node, 0, {});
  verifier.ask({1, node});
  CHECK(verifier.run().empty());
  CHECK(verifier.pending() == 0);
  REQUIRE(b.trust.learn(*b.identity_lsa(sg)));
  verifier.ask({1, node});
  auto answers = verifier.run();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].verdict == trust::Verdict::valid);
}

TEST_CASE("N4 a verdict under a key that was replaced meanwhile does not count") {
  Bench b;
  NodeIdentity old = b.authority.identity("sg-1", 4, "sg");
  REQUIRE(b.trust.learn(*b.identity_lsa(old)));
  Verifier verifier = b.make(1);
  for (std::uint64_t i = 1; i <= 40; ++i) {
    verifier.ask({i, b.lsa(old, wire::LsaType::prefix, static_cast<std::uint16_t>(i), {})});
  }
  CHECK(verifier.run().empty());
  // While the threads are at it, the key is revoked: no identity is left.
  REQUIRE(b.trust.learn_object(b.authority.revocation(
      1, {}, {{old.id, crypto::SigningKey(old.key_seed).public_key()}})));
  b.settle(verifier);
  CHECK(b.verdicts.empty());
  CHECK(verifier.pending() == 0);
}

TEST_CASE("N4 a verifier ends while its threads are busy") {
  Bench b;
  NodeIdentity sg = b.authority.identity("sg-1", 4, "sg");
  REQUIRE(b.trust.learn(*b.identity_lsa(sg)));
  {
    Verifier verifier = b.make(2);
    for (std::uint64_t i = 1; i <= 400; ++i) {
      verifier.ask({i, b.lsa(sg, wire::LsaType::prefix, static_cast<std::uint16_t>(i), {})});
    }
    verifier.run();
  }
  b.io.run_for(std::chrono::milliseconds(5));
  CHECK(b.verdicts.size() < 400);  // what comes late is dropped, and nobody is called
}
