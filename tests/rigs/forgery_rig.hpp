// Forged packets against a live engine: everything node B heard in some seconds of a busy domain A - B - C is
// recorded, then replayed, cut, flipped and forged against B, and after each case B must be as it was.
// Soaks and unit tests share it.
#pragma once
#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dmsc/linkstate/auth.hpp"
#include "dmsc/linkstate/engine.hpp"
#include "dmsc/wire/pdu.hpp"

namespace dmsc::rigs {

enum class Forgery : std::uint8_t {
  // By whoever has no key: the whole state must stay.
  replayed,         // heard before, in this session or one that is over
  replayed_elsewhere,  // heard before on another link
  reflected,        // sent by B itself
  truncated,
  extended,
  flipped,          // one to eight bits
  cross_domain,     // of a domain that was given the same link key
  // By a neighbour, with its keys and session: the database must stay.
  forged_origin,    // an LSA of C signed by A
  forged_own,       // an LSA of B signed by A
  forged_purge,     // a purge of what C or B said, signed by A; or C's LSA made one
  tampered_lsa,     // a bit flipped in C's LSA
  stale_lsa,        // what C said before
  forged_issuer,    // authority or revocations signed by A
};
inline constexpr std::size_t kForgeries = 13;
const char* to_string(Forgery kind);

class ForgeryRig {
 public:
  explicit ForgeryRig(std::uint64_t seed);
  // Runs `cases` more. Cases that changed state, or raised not just one counter of refusal.
  std::vector<std::string> run(std::uint64_t cases);
  const std::array<std::uint64_t, kForgeries>& count() const { return count_; }
  std::size_t recorded() const { return heard_.size(); }

 private:
  struct Heard {
    LinkId link;
    Bytes datagram;
  };
  struct Wire {
    std::size_t node = 0;
    LinkId link;
  };
  struct InFlight {
    Time at;
    Wire to;
    Bytes datagram;
  };
  void record(std::uint64_t seed);
  void add_node(std::uint32_t id, std::uint64_t session, DomainId domain);
  void join(std::size_t a, LinkId la, std::size_t b, LinkId lb);
  void run_for(Duration time);
  void drain(std::size_t node);
  void judge(std::size_t node, const linkstate::VerifyWanted& wanted);
  bool verify(const wire::Lsa& lsa) const;
  std::uint64_t draw();
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(draw() % n); }

  Heard forge(Forgery kind);
  Bytes forge_lsa(Forgery kind);
  Heard insider_update(ByteView lsa);
  std::string check(Forgery kind, const Heard& packet);

  std::uint64_t random_;
  Time now_;
  std::vector<std::unique_ptr<linkstate::Engine>> engines_;
  std::vector<std::map<LinkId, Wire>> wires_;
  std::multimap<Time, InFlight> flying_;
  std::vector<Heard> heard_, sent_, foreign_;
  std::vector<wire::LsaPtr> current_, stale_;   // of C, as B holds and held them
  std::uint64_t a_session_ = 0, a_counter_ = 1ULL << 62;
  linkstate::ControlKeys keys_;

  std::array<std::uint64_t, kForgeries> count_{};
};

}  // namespace dmsc::rigs
