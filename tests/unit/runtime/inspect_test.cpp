#include <grpcpp/create_channel.h>
#include <sys/stat.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>
#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "dmsc/runtime/inspect_server.hpp"
#include "dmsc/v1/admin.grpc.pb.h"
#include "dmsc/v1/inspect.grpc.pb.h"
#include "tests/unit/runtime/temporary.hpp"

using namespace dmsc;
using namespace dmsc::runtime;

namespace {

// A server in a directory of its own whose io_context runs on a thread of its own.
struct Fixture {
  TemporaryDirectory dir;
  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  InspectServer server{io, "srd", "sr-1"};
  std::thread loop;

  void start() {
    Status started = server.start(dir.path());
    INFO((started.ok() ? std::string() : started.error().message));
    REQUIRE(started.ok());
    loop = std::thread([this] { io.run(); });
  }
  ~Fixture() {
    server.stop();
    io.stop();
    if (loop.joinable()) loop.join();
  }
  std::shared_ptr<grpc::Channel> channel(const std::string& socket) {
    return grpc::CreateChannel("unix:" + dir.path() + "/" + socket,
                               grpc::InsecureChannelCredentials());
  }
  grpc::Status show(const std::string& topic, std::vector<std::string> arguments,
                    nlohmann::ordered_json* out) {
    auto stub = v1::Inspect::NewStub(channel("inspect.sock"));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    v1::ShowRequest request;
    request.set_topic(topic);
    for (auto& a : arguments) request.add_arguments(a);
    v1::ShowReply reply;
    grpc::Status status = stub->Show(&context, request, &reply);
    if (status.ok()) *out = nlohmann::ordered_json::parse(reply.json());
    return status;
  }
};

mode_t mode_of(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 ? st.st_mode & 07777 : 0;
}

}  // namespace

TEST_CASE("inspect: a topic's rows come with schema, daemon, node and topic") {
  Fixture f;
  std::atomic<std::thread::id> handled_on{};
  f.server.topic("neighbors", [&](const Arguments& arguments) -> Result<Json> {
    handled_on = std::this_thread::get_id();
    return Json::array({{{"name", "sr-2"}, {"argument", arguments.at(0)}}});
  });
  f.start();
  Json reply;
  REQUIRE(f.show("neighbors", {"x"}, &reply).ok());
  CHECK(reply == Json{{"schema", 1},
                      {"daemon", "srd"},
                      {"node", "sr-1"},
                      {"topic", "neighbors"},
                      {"rows", {{{"name", "sr-2"}, {"argument", "x"}}}}});
  CHECK(handled_on.load() == f.loop.get_id());
}

TEST_CASE("inspect: the sockets have the modes that tell people and root apart") {
  Fixture f;
  f.start();
  CHECK(mode_of(f.dir.path() + "/inspect.sock") == 0660);
  CHECK(mode_of(f.dir.path() + "/admin.sock") == 0600);
}

TEST_CASE("inspect: an unknown topic lists those there are") {
  Fixture f;
  f.server.topic("fib", [](const Arguments&) -> Result<Json> { return Json::object(); });
  f.start();
  Json reply;
  grpc::Status status = f.show("fibb", {}, &reply);
  CHECK(status.error_code() == grpc::StatusCode::NOT_FOUND);
  CHECK(status.error_message() == "srd has no topic 'fibb': it has events fib");
}

TEST_CASE("inspect: errors and exceptions of a handler become statuses") {
  Fixture f;
  f.server.topic("refused", [](const Arguments&) -> Result<Json> {
    return make_error(Errc::invalid, "say which");
  });
  f.server.topic("thrown", [](const Arguments& a) -> Result<Json> { return Json(a.at(5)); });
  f.start();
  Json reply;
  grpc::Status refused = f.show("refused", {}, &reply);
  CHECK(refused.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(refused.error_message() == "say which");
  CHECK(f.show("thrown", {}, &reply).error_code() == grpc::StatusCode::INTERNAL);
}

TEST_CASE("inspect: text that is not UTF-8 is shown, not an error") {
  Fixture f;
  f.server.topic("odd", [](const Arguments&) -> Result<Json> { return Json{{"k", "\xff"}}; });
  f.start();
  Json reply;
  REQUIRE(f.show("odd", {}, &reply).ok());
  CHECK(reply["value"]["k"] == "\uFFFD");
}

TEST_CASE("inspect: a call whose answer never comes fails after its limit") {
  Fixture f;
  f.server.async_topic("ping", milliseconds(50), [](const Arguments&, InspectServer::Done) {});
  f.start();
  Json reply;
  grpc::Status status = f.show("ping", {}, &reply);
  CHECK(status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED);
  CHECK(status.error_message() == "ping: no answer within 50ms");
}

TEST_CASE("inspect: a daemon that hangs still gets its callers an answer") {
  Fixture f;
  f.server.async_topic("slow", milliseconds(50),
                       [](const Arguments&, InspectServer::Done done) { done(Json::object()); });
  f.start();
  std::promise<void> release;
  boost::asio::post(f.io, [&] { release.get_future().wait(); });
  Json reply;
  CHECK(f.show("slow", {}, &reply).error_code() == grpc::StatusCode::DEADLINE_EXCEEDED);
  release.set_value();
  CHECK(f.show("slow", {}, &reply).ok());
}

TEST_CASE("inspect: an asynchronous topic answers later, once") {
  Fixture f;
  f.server.async_topic("trace", seconds(5), [&](const Arguments&, InspectServer::Done done) {
    boost::asio::post(f.io, [done] {
      done(Json{{"hops", 3}});
      done(Json{{"hops", 4}});
    });
  });
  f.start();
  Json reply;
  REQUIRE(f.show("trace", {}, &reply).ok());
  CHECK(reply["value"]["hops"] == 3);
}

TEST_CASE("inspect: a watcher gets the state, then every change, and no repetition") {
  Fixture f;
  int value = 1;
  f.server.topic("fib", [&](const Arguments&) -> Result<Json> { return Json{{"size", value}}; });
  f.start();
  auto stub = v1::Inspect::NewStub(f.channel("inspect.sock"));
  grpc::ClientContext context;
  v1::ShowRequest request;
  request.set_topic("fib");
  auto stream = stub->Watch(&context, request);
  v1::ShowReply reply;
  REQUIRE(stream->Read(&reply));
  CHECK(Json::parse(reply.json())["value"]["size"] == 1);
  boost::asio::post(f.io, [&] { f.server.notify_changed("fib"); });  // nothing differs: not told
  boost::asio::post(f.io, [&] {
    value = 2;
    f.server.notify_changed("fib");
  });
  REQUIRE(stream->Read(&reply));
  CHECK(Json::parse(reply.json())["value"]["size"] == 2);
  context.TryCancel();
  CHECK_FALSE(stream->Read(&reply));
  CHECK(stream->Finish().error_code() == grpc::StatusCode::CANCELLED);
}

TEST_CASE("inspect: watching events gives each event once") {
  Fixture f;
  f.server.publish_event("info", "old", "old");
  f.start();
  auto stub = v1::Inspect::NewStub(f.channel("inspect.sock"));
  grpc::ClientContext context;
  v1::ShowRequest request;
  request.set_topic("events");
  auto stream = stub->Watch(&context, request);
  v1::ShowReply reply;
  REQUIRE(stream->Read(&reply));
  CHECK(Json::parse(reply.json())["rows"].size() == 1);
  f.server.publish_event("info", "new", "new x=1");
  REQUIRE(stream->Read(&reply));
  Json rows = Json::parse(reply.json())["rows"];
  REQUIRE(rows.size() == 1);
  CHECK(rows[0]["event"] == "new");
  CHECK(rows[0]["line"] == "new x=1");
  context.TryCancel();
}

TEST_CASE("inspect: watching an unknown topic ends with NOT_FOUND") {
  Fixture f;
  f.start();
  auto stub = v1::Inspect::NewStub(f.channel("inspect.sock"));
  grpc::ClientContext context;
  v1::ShowRequest request;
  request.set_topic("nothing");
  auto stream = stub->Watch(&context, request);
  v1::ShowReply reply;
  CHECK_FALSE(stream->Read(&reply));
  CHECK(stream->Finish().error_code() == grpc::StatusCode::NOT_FOUND);
}

TEST_CASE("inspect: stopping answers what is open") {
  Fixture f;
  f.server.async_topic("ping", seconds(60), [](const Arguments&, InspectServer::Done) {});
  f.server.topic("fib", [](const Arguments&) -> Result<Json> { return Json::object(); });
  f.start();
  auto stub = v1::Inspect::NewStub(f.channel("inspect.sock"));
  grpc::ClientContext context;
  v1::ShowRequest request;
  request.set_topic("fib");
  auto stream = stub->Watch(&context, request);
  v1::ShowReply reply;
  REQUIRE(stream->Read(&reply));
  grpc::Status asked;
  std::thread caller([&] {
    Json out;
    asked = f.show("ping", {}, &out);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  f.server.stop();
  caller.join();
  CHECK(asked.error_code() == grpc::StatusCode::UNAVAILABLE);
  CHECK_FALSE(stream->Read(&reply));
  CHECK(stream->Finish().error_code() == grpc::StatusCode::UNAVAILABLE);
}

namespace {

// Follows a topic and applies what it hears, as a consumer would.
struct Follower {
  std::map<std::string, std::string> table;
  std::uint64_t at = 0, deltas = 0, missed = 0, stream = 0;
  int resyncs = 0, snapshots = 0;
  bool whole = false;
  void take(const v1::FollowRowsReply& reply) {
    stream = reply.stream();
    if (reply.has_resync()) {
      ++resyncs;
      missed += reply.resync().missed();
      whole = false;
    } else if (reply.has_snapshot()) {
      if (reply.snapshot().first()) table.clear();
      for (const auto& row : reply.snapshot().rows()) table[row.key()] = row.json();
      at = reply.snapshot().sequence();
      whole = reply.snapshot().last();
      snapshots += whole ? 1 : 0;
    }
    for (const auto& delta : reply.deltas().deltas()) {
      REQUIRE(whole);
      REQUIRE(delta.sequence() == at + 1);
      at = delta.sequence();
      ++deltas;
      if (delta.removed()) table.erase(delta.key());
      else table[delta.key()] = delta.json();
    }
  }
};

// Rows that the io_context's thread changes; `version` says how often.
struct Rows {
  std::map<std::string, int> rows;
  std::uint64_t changes = 0;
  FeedSource source() {
    return {[this](const auto& name) {
              for (const auto& [key, value] : rows) name(key);
            },
            [this](const std::string& key) -> std::optional<Json> {
              auto it = rows.find(key);
              if (it == rows.end()) return std::nullopt;
              return Json{{"value", it->second}, {"text", std::string(200, 'x')}};
            }};
  }
};

}  // namespace

TEST_CASE("EV1 EV3 inspect: a killed and a slow follower; the counts add up and the rows agree") {
  Fixture f;
  Rows rows;
  for (int i = 0; i < 1000; ++i) rows.rows["k" + std::to_string(i)] = i;
  f.server.follow_topic("things", rows.source());
  f.start();
  auto change = [&](int times) {
    std::promise<void> done;
    boost::asio::post(f.io, [&] {
      for (int i = 0; i < times; ++i) {
        std::string key = "k" + std::to_string(rows.changes++ % 1500);
        if (rows.rows.count(key) != 0 && rows.changes % 3 == 0) rows.rows.erase(key);
        else rows.rows[key] = static_cast<int>(rows.changes);
        f.server.row_changed("things", key);
      }
      done.set_value();
    });
    done.get_future().wait();
  };
  auto stub = v1::Inspect::NewStub(f.channel("inspect.sock"));
  v1::FollowRowsRequest request;
  request.set_topic("things");
  v1::FollowRowsReply reply;
  {
    grpc::ClientContext killed;  // goes in the middle of its snapshot
    auto stream = stub->Follow(&killed, request);
    REQUIRE(stream->Read(&reply));
    killed.TryCancel();
    stream->Finish();
  }
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  auto stream = stub->Follow(&context, request);
  Follower slow;
  while (!slow.whole) {
    REQUIRE(stream->Read(&reply));
    slow.take(reply);
  }
  std::uint64_t from = slow.at;
  for (int i = 0; i < 40; ++i) change(1000);  // and it reads nothing: 10 MB, more than sockets hold
  while (slow.at < 40000 || !slow.whole) {
    REQUIRE(stream->Read(&reply));
    slow.take(reply);
  }
  CHECK(slow.resyncs >= 1);
  CHECK(slow.deltas + slow.missed == slow.at - from);
  Follower fresh;
  grpc::ClientContext late;
  auto again = stub->Follow(&late, request);
  while (!fresh.whole) {
    REQUIRE(again->Read(&reply));
    fresh.take(reply);
  }
  CHECK(fresh.deltas == 0);
  CHECK(slow.table == fresh.table);
  CHECK(slow.table.size() == rows.rows.size());
  // Going on from a number: only what came since.
  change(10);
  while (fresh.at < slow.at + 10) {
    REQUIRE(again->Read(&reply));
    fresh.take(reply);
  }
  request.set_stream(slow.stream);
  request.set_after(slow.at);
  grpc::ClientContext resumed;
  auto third = stub->Follow(&resumed, request);
  while (slow.at < fresh.at) {
    REQUIRE(third->Read(&reply));
    REQUIRE(reply.has_deltas());
    slow.take(reply);
  }
  CHECK(slow.table == fresh.table);
  late.TryCancel();
  resumed.TryCancel();
  context.TryCancel();
}

TEST_CASE("inspect: one end for every streaming call: a reader that goes leaves nothing behind") {
  Fixture f;
  Rows rows;
  rows.rows["a"] = 1;
  f.server.follow_topic("things", rows.source());
  std::atomic<int> looks{0};
  f.server.topic("numbers", [&](const Arguments&) -> Result<Json> { return Json{{"value", ++looks}}; });
  f.start();
  auto stub = v1::Inspect::NewStub(f.channel("inspect.sock"));
  auto on_loop = [&](std::function<bool()> ask) {
    std::promise<bool> answer;
    boost::asio::post(f.io, [&] { answer.set_value(ask()); });
    return answer.get_future().get();
  };
  {
    grpc::ClientContext following, watching;
    v1::FollowRowsRequest rows_of;
    rows_of.set_topic("things");
    auto follower = stub->Follow(&following, rows_of);
    v1::FollowRowsReply row;
    REQUIRE(follower->Read(&row));
    v1::ShowRequest request;
    request.set_topic("numbers");
    auto watcher = stub->Watch(&watching, request);
    v1::ShowReply reply;
    REQUIRE(watcher->Read(&reply));
    CHECK(on_loop([&] { return f.server.followed("things"); }));
    following.TryCancel();
    watching.TryCancel();
    CHECK(follower->Finish().error_code() == grpc::StatusCode::CANCELLED);
    CHECK(watcher->Finish().error_code() == grpc::StatusCode::CANCELLED);
  }
  auto eventually = [&](const std::function<bool()>& is) {
    for (int i = 0; i < 500 && !is(); ++i) std::this_thread::sleep_for(milliseconds(20));
    return is();
  };
  CHECK(eventually([&] { return !on_loop([&] { return f.server.followed("things"); }); }));
  // Nobody asks the topic any more: three ticks after news of it the count stands.
  CHECK(eventually([&] {
    int before = looks;
    on_loop([&] {
      f.server.notify_changed("numbers");
      return true;
    });
    std::this_thread::sleep_for(milliseconds(300));
    return looks == before;
  }));
}

TEST_CASE("EV6 inspect: a topic without a stream says which have one") {
  Fixture f;
  Rows rows;
  f.server.follow_topic("things", rows.source());
  f.start();
  auto stub = v1::Inspect::NewStub(f.channel("inspect.sock"));
  grpc::ClientContext context;
  v1::FollowRowsRequest request;
  request.set_topic("nothing");
  v1::FollowRowsReply reply;
  auto stream = stub->Follow(&context, request);
  CHECK_FALSE(stream->Read(&reply));
  grpc::Status status = stream->Finish();
  CHECK(status.error_code() == grpc::StatusCode::NOT_FOUND);
  CHECK(status.error_message() == "srd has no stream of 'nothing': it has things");
}

TEST_CASE("inspect: admin calls run the daemon's handlers; an absent one says so") {
  Fixture f;
  DrainOrder drained;
  f.server.set_admin({.drain = [&](const DrainOrder& order, AdminHandlers::Done answer) {
                        drained = order;
                        answer(std::string("drained"));
                      },
                      .undrain = {},
                      .reload = []() -> Result<std::string> {
                        return make_error(Errc::invalid, "f.yaml:1:1: bad");
                      }});
  f.start();
  auto stub = v1::Admin::NewStub(f.channel("admin.sock"));
  v1::AdminDone done;
  v1::DrainRequest drain;
  drain.set_reason("upgrade");
  drain.set_link("to-sr-1");
  drain.set_level(v1::DrainRequest::SOFT);
  grpc::ClientContext c1, c2, c3;
  REQUIRE(stub->Drain(&c1, drain, &done).ok());
  CHECK(done.detail() == "drained");
  CHECK(drained.reason == "upgrade");
  CHECK(drained.link == "to-sr-1");
  CHECK_FALSE(drained.hard);
  CHECK(stub->Undrain(&c2, {}, &done).error_code() == grpc::StatusCode::UNIMPLEMENTED);
  grpc::Status reload = stub->Reload(&c3, {}, &done);
  CHECK(reload.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(reload.error_message() == "f.yaml:1:1: bad");
}

TEST_CASE("inspect: admin services are not on the inspect socket") {
  Fixture f;
  f.start();
  auto stub = v1::Admin::NewStub(f.channel("inspect.sock"));
  grpc::ClientContext context;
  v1::AdminDone done;
  CHECK(stub->Reload(&context, {}, &done).error_code() == grpc::StatusCode::UNIMPLEMENTED);
}
