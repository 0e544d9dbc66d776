// Becoming and staying a member of the domain (DESIGN section 8, docs/protocol.md "Certificates").
#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "dmsc/core/time.hpp"
#include "dmsc/runtime/identity.hpp"
#include "dmsc/runtime/node_config.hpp"

namespace dmsc::runtime {

// Connects, looks at the chain the server presents, and returns the DER of the root in it whose
// SHA-256 is `fingerprint`. Nothing is sent but the TLS handshake. Blocks up to `timeout`. Errors:
// unavailable (cannot connect), denied (another root: somebody else's server).
Result<Bytes> fetch_root(const Endpoint& server, const crypto::Hash32& fingerprint,
                         Duration timeout);

// One attempt to enrol `key` with `token` at one SPA. Blocks up to `timeout`. What comes back is
// checked: root, certificate, key. Nothing is stored. May be repeated with the same key if the answer
// was lost: a token is good once, for one key.
Result<Identity> enrol(const Endpoint& spa, const JoinToken& token, const crypto::SigningKey& key,
                       Duration timeout);
// One attempt to get a new certificate for the same key. Link keys and the like come fresh too.
Result<Identity> renew(const Endpoint& spa, const Identity& current, Duration timeout);

// The identity in `state_dir`, or, if there is none, enrols at the SPAs of `section` in turn, again
// and again until one answers, and stores it. Ends at once on answers that waiting cannot change: a
// refused token, another name or role than configured. `waiting` is told why it tries again; it
// returns false to give up (Errc::unavailable). Blocks. The new key is stored before it is sent, so
// that a crash in between costs no token.
Result<Identity> obtain_identity(const std::string& state_dir, const EnrolSection& section,
                                 std::string_view name, std::string_view role,
                                 const std::function<bool(const Error&)>& waiting);

// obtain_identity() beside a running io_context, on whose thread both callbacks run: a daemon stays
// responsive while it waits for its SPA. `done` runs once, also if the identity was there already.
class IdentityAgent {
 public:
  IdentityAgent(boost::asio::io_context& io, std::string state_dir, EnrolSection section,
                std::string name, std::string role, std::function<void(const Error&)> waiting,
                std::function<void(Result<Identity>)> done);
  ~IdentityAgent();  // gives up, after at most the attempt under way; no callback runs any more
  IdentityAgent(const IdentityAgent&) = delete;
  IdentityAgent& operator=(const IdentityAgent&) = delete;

 private:
  std::shared_ptr<std::atomic<bool>> alive_ = std::make_shared<std::atomic<bool>>(true);
  std::thread thread_;
};

// Renews the certificate after two thirds of its life, then every fiftieth of it (at most an hour)
// until it succeeds, and stores it. The TLS server follows the files; `renewed` is for channels. Lives and
// calls back on the io_context's thread.
class CertificateRenewer {
 public:
  // `spas`: asked when the time comes, nearest first.
  CertificateRenewer(boost::asio::io_context& io, std::string state_dir, Identity identity,
                     std::function<std::vector<Endpoint>()> spas,
                     std::function<void(const Identity&)> renewed);
  ~CertificateRenewer();  // waits for a call under way, at most 5 s
  CertificateRenewer(const CertificateRenewer&) = delete;
  CertificateRenewer& operator=(const CertificateRenewer&) = delete;

 private:
  void finish(const Result<Identity>& result);
  void schedule(Duration in);
  void attempt();

  boost::asio::io_context& io_;
  std::string state_dir_;
  Identity identity_;
  std::function<std::vector<Endpoint>()> spas_;
  std::function<void(const Identity&)> renewed_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<std::atomic<bool>> alive_ = std::make_shared<std::atomic<bool>>(true);
  std::thread attempt_;
};

// How long from `wall_seconds` until two thirds of the certificate's life are over; zero if they are.
Duration until_renewal(const trust::Certificate& certificate, std::uint64_t wall_seconds);

}  // namespace dmsc::runtime
