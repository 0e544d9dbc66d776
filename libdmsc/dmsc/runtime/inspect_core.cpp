#include "dmsc/runtime/inspect_core.hpp"

#include <boost/asio/post.hpp>

#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/log.hpp"

namespace dmsc::runtime {
namespace {

constexpr auto kWatchTick = milliseconds(100);  // watchers hear of changes this often at most
constexpr auto kWatchPoll = seconds(1);         // and look by themselves this often

std::string dump(const Json& json) {
  // Names come from outside: text that is not UTF-8 is shown, not thrown.
  return json.dump(-1, ' ', false, nlohmann::detail::error_handler_t::replace);
}

}  // namespace

void Question::expire_after(Duration limit, std::function<void()> expired) {
  auto deadline = std::chrono::system_clock::now() +
                  std::chrono::duration_cast<std::chrono::system_clock::duration>(limit);
  alarm_.Set(deadline, [expired = std::move(expired)](bool in_time) {
    if (in_time) expired();
  });
}

void Question::answer(Result<std::string> result) {
  if (answered_.exchange(true)) return;
  alarm_.Cancel();
  answer_(std::move(result));
}

void InspectServer::Core::ask(Duration limit, std::string what, Question::Answer answer,
                              std::function<void(std::function<void(Result<std::string>)>)> work) {
  auto self = shared_from_this();
  auto question = std::make_shared<Question>(std::move(answer));
  // The set keeps the question alive; its answer takes it out.
  auto finish = [self, question](Result<std::string> result) {
    question->answer(std::move(result));
    std::lock_guard hold(self->lock);
    self->questions.erase(question);
  };
  // The alarm is part of the question, so it must not keep the question alive.
  question->expire_after(limit, [self, weak = std::weak_ptr(question), what, limit] {
    auto late = weak.lock();
    if (!late) return;
    late->answer(make_error(Errc::deadline, what, ": no answer within ",
                            std::to_string(limit / milliseconds(1)), "ms"));
    std::lock_guard hold(self->lock);
    self->questions.erase(late);
  });
  {
    std::lock_guard hold(lock);
    if (!stopped) questions.insert(question);
  }
  if (stopped) return finish(make_error(Errc::unavailable, daemon, " is stopping"));
  boost::asio::post(io, [question, what, finish, work = std::move(work)] {
    if (question->answered()) return finish(make_error(Errc::deadline, what));
    try {
      work(finish);
    } catch (const std::exception& e) {
      log::error("inspect-failed", {{"what", what}, {"error", e.what()}});
      finish(make_error(Errc::internal, what, ": ", e.what()));
    }
  });
}

std::string InspectServer::Core::document(const std::string& topic, const Json& content) const {
  return "{\"schema\":1,\"daemon\":" + dump(daemon) + ",\"node\":" + dump(node) +
         ",\"topic\":" + dump(topic) + (content.is_array() ? ",\"rows\":" : ",\"value\":") +
         dump(content) + "}";
}

void InspectServer::Core::show(const std::string& topic, const Arguments& arguments,
                               Question::Answer answer) {
  Topic found;
  std::string known;
  {
    std::lock_guard hold(lock);
    auto it = topics.find(topic);
    if (it != topics.end()) {
      found = it->second;
    } else {
      for (const auto& [name, unused] : topics) known += (known.empty() ? "" : " ") + name;
    }
  }
  if (!found.handler) {
    return answer(
        make_error(Errc::not_found, daemon, " has no topic '", topic, "': it has ", known));
  }
  auto self = shared_from_this();
  ask(found.limit, topic, std::move(answer),
      [self, topic, arguments, handler = std::move(found.handler)](auto finish) {
        handler(arguments, [self, topic, finish](Result<Json> content) {
          if (content) return finish(self->document(topic, *content));
          finish(content.error());
        });
      });
}

void InspectServer::Core::add_watcher(const std::shared_ptr<Watcher>& watcher) {
  {
    std::lock_guard hold(lock);
    if (!stopped) watchers.emplace(watcher.get(), watcher);
  }
  if (stopped) return watcher->end(make_error(Errc::unavailable, daemon, " is stopping"));
  boost::asio::post(io, [self = shared_from_this(), watcher] {
    watcher->last_look = now();
    watcher->look();
    self->arm();
  });
}

void InspectServer::Core::remove_watcher(const Watcher* watcher) {
  std::lock_guard hold(lock);
  watchers.erase(watcher);
}

void InspectServer::Core::notify_changed(std::string_view topic) {
  std::lock_guard hold(lock);
  if (!watchers.empty()) changed.emplace(topic);
}

void InspectServer::Core::arm() {
  if (armed) return;
  armed = true;
  if (!timer) return;  // stopped
  timer->expires_after(kWatchTick);
  timer->async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    auto self = weak.lock();
    if (!self || error) return;
    self->armed = false;
    self->tick();
  });
}

void InspectServer::Core::tick() {
  std::vector<std::shared_ptr<Watcher>> due;
  std::set<std::string, std::less<>> news;
  {
    std::lock_guard hold(lock);
    news = std::exchange(changed, {});
    for (const auto& [key, watcher] : watchers) due.push_back(watcher);
  }
  if (due.empty()) return;  // the next watcher arms again
  Time at = now();
  for (const auto& watcher : due) {
    if (!watcher->eager() && !news.count(watcher->topic()) && at - watcher->last_look < kWatchPoll) continue;
    watcher->last_look = watcher->look() ? at : Time{};  // busy: try again at the next tick
  }
  arm();
}

void InspectServer::Core::post(std::function<void()> work) { boost::asio::post(io, std::move(work)); }

Feed* InspectServer::Core::feed(const std::string& topic) {
  auto it = feeds.find(topic);
  return it == feeds.end() ? nullptr : it->second.get();
}

std::string InspectServer::Core::feed_names() {
  std::string out;
  for (const auto& [name, feed] : feeds) out += (out.empty() ? "" : " ") + name;
  return out.empty() ? "none" : out;
}

std::pair<Json, std::uint64_t> InspectServer::Core::events_after(std::uint64_t after) {
  std::lock_guard hold(lock);
  Json rows = Json::array();
  for (const Json& event : events) {
    if (event["seq"].get<std::uint64_t>() > after) rows.push_back(event);
  }
  return {std::move(rows), event_count};
}

void InspectServer::Core::stop(const Error& why) {
  std::set<std::shared_ptr<Question>> asked;
  std::vector<std::shared_ptr<Watcher>> watching;
  {
    std::lock_guard hold(lock);
    stopped = true;
    asked = std::exchange(questions, {});
    for (const auto& [key, watcher] : watchers) watching.push_back(watcher);
  }
  for (const auto& question : asked) question->answer(why);
  for (const auto& watcher : watching) watcher->end(why);
  // The last owner may be a cancelled alarm on a thread of gRPC's, later than the io_context.
  timer.reset();
}

}  // namespace dmsc::runtime
