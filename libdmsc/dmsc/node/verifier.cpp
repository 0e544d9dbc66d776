#include "dmsc/node/verifier.hpp"

#include <boost/asio/post.hpp>

namespace dmsc::node {
namespace {

// What others cannot be judged without, and what routes depend on.
bool is_urgent(wire::LsaType type) {
  return type != wire::LsaType::prefix && type != wire::LsaType::grant;
}

// No signature can be checked yet.
bool hopeless(const trust::Question& question, const wire::Lsa& lsa) {
  if (is_issuer_origin(lsa.key.origin) || question.origin) return false;
  return lsa.key.type != wire::LsaType::identity || lsa.purge;
}

}  // namespace

unsigned verifier_threads(unsigned cores) { return std::clamp(cores / 2, 1U, 4U); }

Verifier::Verifier(boost::asio::io_context& io, const trust::TrustStore& trust, unsigned threads,
                   Done done)
    : io_(io), trust_(trust), done_(std::move(done)) {
  for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
}

Verifier::~Verifier() {
  {
    std::lock_guard lock(shop_.mutex);
    shop_.closed = true;
    shop_.jobs.clear();
  }
  shop_.work.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Verifier::ask(const linkstate::VerifyWanted& wanted) {
  if (!tickets_.insert(wanted.ticket).second) return;
  queue_[is_urgent(wanted.lsa->key.type) ? 0 : 1].push_back(wanted);
}

std::vector<Verifier::Answer> Verifier::run() {
  std::vector<Answer> answers;
  bool few = in_flight_ == 0 && tickets_.size() <= kInline;
  if (!few) {
    hand_over(answers);
    return answers;
  }
  while (auto job = next(answers)) {
    job->verdict = trust::judge(job->question, *job->lsa, &job->why);
    settle(std::move(*job), answers);
  }
  return answers;
}

// The next LSA whose signature has to be checked. What is known, or cannot be judged yet, never gets
// that far.
std::optional<Verifier::Job> Verifier::next(std::vector<Answer>& answers) {
  for (auto& queue : queue_) {
    while (!queue.empty()) {
      linkstate::VerifyWanted wanted = std::move(queue.front());
      queue.pop_front();
      Job job{wanted.ticket, wanted.lsa, trust_.question(*wanted.lsa), {}, {}};
      if (hopeless(job.question, *job.lsa)) {
        tickets_.erase(job.ticket);  // the engine asks again when the identity is there
      } else if (!recall(job, answers)) {
        return job;
      }
    }
  }
  return std::nullopt;
}

// A verdict depends on content and question, and on nothing else.
Verifier::Key Verifier::key_of(const wire::Lsa& lsa, const trust::Question& q) {
  ByteWriter w;
  w.bytes(lsa.hash);
  if (q.origin) w.bytes(q.origin->key).bytes(q.origin->certificate).u64(q.origin->serial);
  if (q.issuer) w.u32(q.issuer->id).bytes(q.issuer->key).u64(q.issuer->not_after.seconds);
  for (const crypto::PublicKey& key : q.revoked) w.bytes(key);
  w.u8((q.origin ? 1U : 0U) | (q.issuer ? 2U : 0U));
  crypto::Hash32 hash = crypto::sha256(w.view());
  ByteReader r(hash);
  std::uint64_t front = r.u64();
  return {front, r.u64()};
}

bool Verifier::recall(const Job& job, std::vector<Answer>& answers) {
  auto it = known_.find(key_of(*job.lsa, job.question));
  if (it == known_.end()) return false;
  ++from_memory_;
  tickets_.erase(job.ticket);
  answers.push_back({job.ticket, job.lsa,
                     it->second ? trust::Verdict::valid : trust::Verdict::invalid,
                     it->second ? "" : "as found before"});
  return true;
}

void Verifier::remember(const Job& job) {
  Key key = key_of(*job.lsa, job.question);
  if (!known_.emplace(key, job.verdict == trust::Verdict::valid).second) return;
  order_.push_back(key);
  if (order_.size() <= kRemembered) return;
  known_.erase(order_.front());
  order_.pop_front();
}

void Verifier::settle(Job job, std::vector<Answer>& answers) {
  tickets_.erase(job.ticket);
  if (job.verdict == trust::Verdict::unknown) return;  // asked again when more is known
  ++checked_;
  remember(job);
  answers.push_back({job.ticket, std::move(job.lsa), job.verdict, std::move(job.why)});
}

void Verifier::hand_over(std::vector<Answer>& answers) {
  std::vector<Job> jobs;
  while (in_flight_ < kInFlight) {
    auto job = next(answers);
    if (!job) break;
    ++in_flight_;
    jobs.push_back(std::move(*job));
  }
  if (jobs.empty()) return;
  {
    std::lock_guard lock(shop_.mutex);
    for (Job& job : jobs) shop_.jobs.push_back(std::move(job));
  }
  shop_.work.notify_all();
}

// Back on the control thread.
void Verifier::finished(std::vector<Job> jobs) {
  std::vector<Answer> answers;
  for (Job& job : jobs) {
    --in_flight_;
    // Learnt meanwhile: another key of the origin, a revocation, an issuer. Then it is judged anew.
    if (trust_.question(*job.lsa).same(job.question)) {
      settle(std::move(job), answers);
    } else {
      tickets_.erase(job.ticket);
      ask({job.ticket, job.lsa});
    }
  }
  hand_over(answers);
  done_(std::move(answers));
}

void Verifier::serve() {
  for (;;) {
    std::vector<Job> jobs;
    {
      std::unique_lock lock(shop_.mutex);
      shop_.work.wait(lock, [this] { return shop_.closed || !shop_.jobs.empty(); });
      if (shop_.closed) return;
      for (; !shop_.jobs.empty() && jobs.size() < kBatch; shop_.jobs.pop_front()) {
        jobs.push_back(std::move(shop_.jobs.front()));
      }
    }
    for (Job& job : jobs) job.verdict = trust::judge(job.question, *job.lsa, &job.why);
    auto shared = std::make_shared<std::vector<Job>>(std::move(jobs));
    boost::asio::post(io_, [this, alive = std::weak_ptr<bool>(alive_), shared] {
      if (!alive.expired()) finished(std::move(*shared));
    });
  }
}

}  // namespace dmsc::node
