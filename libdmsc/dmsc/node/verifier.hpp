// Judges LSAs off the control thread: signatures cost some 70 us each, and flooding must not wait for
// them. A few at a time are judged by the caller itself when nothing waits (a wake-up of another thread
// would take as long); more go to threads of their own. Verdicts are remembered by content, so that the
// same LSA from several neighbours, or again after a repair, is checked once.
//
//   ask() ──► known? ──yes──────────────────────────────────────┐
//               │ no                                            ▼
//               └──► queue (topology and trust first) ──run()──► judged here, if few
//                                                       └─────► threads ──asio::post──► done()
#pragma once
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "dmsc/linkstate/engine.hpp"
#include "dmsc/trust/trust_store.hpp"

namespace dmsc::node {

// Control thread only, but for the threads it owns.
class Verifier {
 public:
  struct Answer {
    std::uint64_t ticket = 0;
    wire::LsaPtr lsa;
    trust::Verdict verdict = trust::Verdict::unknown;
    std::string why;              // unless valid
  };
  using Done = std::function<void(std::vector<Answer>)>;

  // `trust` outlives this. `done` is called on `io`'s thread, never from within ask().
  Verifier(boost::asio::io_context& io, const trust::TrustStore& trust, unsigned threads, Done done);
  ~Verifier();

  // An LSA that cannot be judged yet is not kept: the engine asks again. One asked again while it is
  // being judged is judged once.
  void ask(const linkstate::VerifyWanted& wanted);
  // After a batch of ask(): sees to it that they are judged. Answers at once for what is known and, if
  // nothing else is going on, for a few more.
  std::vector<Answer> run();
  // Asked and not answered.
  std::size_t pending() const { return tickets_.size(); }
  std::uint64_t checked() const { return checked_; }      // signatures of LSAs really checked
  std::uint64_t from_memory() const { return from_memory_; }

  // Judged by the caller when the threads are idle, at most this many in one run().
  static constexpr std::size_t kInline = 3;
  // Handed to the threads at most: the rest waits here, where what is urgent overtakes.
  static constexpr std::size_t kInFlight = 512;
  static constexpr std::size_t kRemembered = 4096;
  static constexpr std::size_t kBatch = 16;               // jobs a thread takes, and answers, at once

 private:
  struct Job {
    std::uint64_t ticket = 0;
    wire::LsaPtr lsa;
    trust::Question question;
    trust::Verdict verdict = trust::Verdict::unknown;
    std::string why;
  };
  using Key = std::pair<std::uint64_t, std::uint64_t>;
  struct KeyHash {
    std::size_t operator()(const Key& key) const { return key.first; }
  };
  // Shared with the threads.
  struct Shop {
    std::mutex mutex;
    std::condition_variable work;
    std::deque<Job> jobs;
    bool closed = false;
  };

  static Key key_of(const wire::Lsa& lsa, const trust::Question& question);
  std::optional<Job> next(std::vector<Answer>& answers);
  bool recall(const Job& job, std::vector<Answer>& answers);
  void remember(const Job& job);
  void settle(Job job, std::vector<Answer>& answers);
  void finished(std::vector<Job> jobs);
  void hand_over(std::vector<Answer>& answers);
  void serve();

  boost::asio::io_context& io_;
  const trust::TrustStore& trust_;
  Done done_;
  std::deque<linkstate::VerifyWanted> queue_[2];           // urgent, and the others
  std::unordered_set<std::uint64_t> tickets_;              // queued, or with the threads
  std::size_t in_flight_ = 0;                              // with the threads
  std::unordered_map<Key, bool, KeyHash> known_;           // content and question -> valid
  std::deque<Key> order_;                                  // of known_, oldest first
  std::uint64_t checked_ = 0, from_memory_ = 0;
  Shop shop_;
  std::vector<std::thread> threads_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// Threads for a machine with `cores`: at least one, and never most of them.
unsigned verifier_threads(unsigned cores);

}  // namespace dmsc::node
