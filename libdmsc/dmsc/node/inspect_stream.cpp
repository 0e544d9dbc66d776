// The topic "stream": many probes at a steady rate over one flow, and when they were lost. It is
// how an outage is measured from inside: one probe every millisecond sees what traffic sees.
#include <boost/asio/post.hpp>
#include <charconv>

#include "dmsc/node/inspect.hpp"

namespace dmsc::node::inspect {
namespace {

using dataplane::ProbeResult;
using dataplane::ProbeSpec;

constexpr unsigned kMaxRate = 2000, kMaxSeconds = 25;  // the topic must answer within 30 s
constexpr Duration kAnswerLimit = milliseconds(500);
constexpr Duration kLate = milliseconds(20);

// Runs on one worker's thread; ends when every probe is answered or lost.
class Stream : public std::enable_shared_from_this<Stream> {
 public:
  using Done = std::function<void(Json)>;
  Stream(dataplane::Worker& worker, ProbeSpec spec, unsigned rate, unsigned count, Done done)
      : worker_(worker),
        spec_(std::move(spec)),
        interval_(Duration(seconds(1)) / rate),
        count_(count),
        done_(std::move(done)) {}

  void start() {
    spec_.flow = worker_.new_flow();
    begin_ = worker_.now();
    probes_.reserve(count_);
    send();
  }

 private:
  struct Probe {
    Time sent;
    Duration round_trip{};
    bool answered = false;
  };

  // Sends what is due: a worker that was held up catches up, so that lost time is not lost probes.
  void send() {
    Time now = worker_.now();
    while (probes_.size() < count_ && next_due() <= now) send_one(now);
    if (probes_.size() == count_) return;
    worker_.after(next_due() - now, [self = shared_from_this()] { self->send(); });
  }

  Time next_due() const { return begin_ + static_cast<std::int64_t>(probes_.size()) * interval_; }

  void send_one(Time now) {
    std::size_t number = probes_.size();
    probes_.push_back(Probe{now});
    worker_.probe(spec_, kAnswerLimit,
                  [self = shared_from_this(), number](const ProbeResult& result) {
                    Probe& probe = self->probes_[number];
                    probe.answered = result.outcome == ProbeResult::Outcome::answered;
                    probe.round_trip = result.round_trip;
                    if (++self->ended_ == self->count_) self->done_(self->summary());
                  });
  }

  // Instants are of the monotonic clock, so that they compare with what others on this machine saw.
  Json summary() const {
    std::size_t lost = 0, run = 0, longest = 0, late = 0;
    Duration worst{};
    Json first, last;
    for (const Probe& probe : probes_) {
      run = probe.answered ? 0 : run + 1;
      longest = std::max(longest, run);
      worst = std::max(worst, probe.round_trip);
      late += probe.round_trip > kLate ? 1 : 0;
      if (probe.answered) continue;
      if (lost++ == 0) first = microseconds_of(probe.sent);
      last = microseconds_of(probe.sent);
    }
    auto as_ms = [this](std::size_t probes) {
      return ms(static_cast<std::int64_t>(probes) * interval_);
    };
    return Json{{"sent", probes_.size()},
                {"answered", probes_.size() - lost},
                {"lost", lost},
                {"interval_ms", ms(interval_)},
                {"outage_ms", as_ms(lost)},
                {"longest_ms", as_ms(longest)},
                {"first_lost_us", first},
                {"last_lost_us", last},
                {"worst_rtt_ms", ms(worst)},
                {"late", late},
                {"last_answered", probes_.empty() || probes_.back().answered}};
  }

  static std::int64_t microseconds_of(Time at) { return at.time_since_epoch() / microseconds(1); }

  dataplane::Worker& worker_;
  ProbeSpec spec_;
  Duration interval_;
  unsigned count_;
  Done done_;
  Time begin_{};
  std::vector<Probe> probes_;
  std::size_t ended_ = 0;
};

Result<unsigned> number(const Arguments& arguments, std::size_t at, unsigned fallback,
                        unsigned most, const char* what) {
  if (arguments.size() <= at) return fallback;
  const std::string& text = arguments[at];
  unsigned value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0 || value > most) {
    return make_error(Errc::invalid, what, " '", text, "': must be 1 to ", std::to_string(most));
  }
  return value;
}

}  // namespace

void stream(NodeImpl& node, const Arguments& arguments, TopicReply reply) {
  auto spec = probe_target(node, arguments);
  if (!spec) return reply(spec.error());
  auto rate = number(arguments, 1, 1000, kMaxRate, "probes a second");
  if (!rate) return reply(rate.error());
  auto time = number(arguments, 2, 5, kMaxSeconds, "seconds");
  if (!time) return reply(time.error());
  dataplane::Worker* worker = node.workers().front();
  auto done = [&io = node.io(), name = arguments[0], reply = std::move(reply)](Json summary) {
    summary["name"] = name;
    boost::asio::post(io, [reply, summary] { reply(summary); });
  };
  auto made = std::make_shared<Stream>(*worker, *spec, *rate, *rate * *time, std::move(done));
  worker->post([made] { made->start(); });
}

}  // namespace dmsc::node::inspect
