// The client library against the gateway's real sockets: lease and calls over pod.sock and message.sock,
// a data plane without links in between.
#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <atomic>
#include <future>
#include <mutex>
#include <thread>

#include "dmsc/client/gateway.hpp"
#include "dmsc/dataplane/data_plane.hpp"
#include "sgd/gateway_sink.hpp"
#include "sgd/message_hub.hpp"
#include "sgd/pod_server.hpp"

using namespace dmsc;
using namespace dmsc::sgd;

namespace {

const NodeId kSelf{4};
std::string identity() { return "uid:" + std::to_string(::getuid()); }

// Grants every announcement but those of "denied/..."; tells the hub.
struct MiniGateway : PodEvents {
  std::string dir = "/tmp/sgd-pods-" + std::to_string(::getpid());
  boost::asio::io_context io;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  std::unique_ptr<dataplane::DataPlane> plane;
  IdentityResolver identities{std::vector<NamespacePath>{}};
  std::unique_ptr<Edge> edge;
  std::unique_ptr<MessageHub> hub;
  std::unique_ptr<GatewaySink> sink;
  std::unique_ptr<PodServer> server;
  std::map<StreamId, std::string> leases;
  int strangers = 0;  // hellos of somebody else; the io_context's thread, checked when it has ended
  GatewayView view;
  std::uint16_t next_instance = 1;
  std::vector<std::string> log;
  std::mutex mutex;
  std::thread thread;

  explicit MiniGateway(std::uint16_t first_instance = 1) : next_instance(first_instance) {
    REQUIRE(std::system(("mkdir -p " + dir).c_str()) == 0);
    dataplane::DataPlaneConfig config;
    config.self = kSelf;
    auto made = dataplane::DataPlane::create(config);
    REQUIRE(made);
    plane = std::move(*made);
    dataplane::Worker& home = *plane->workers()[0];
    plane->fib().set_node(kSelf, {});
    hub = std::make_unique<MessageHub>(home, identities, 77);
    edge = std::make_unique<Edge>(EdgeConfig{}, home, EdgeHooks{});
    sink = std::make_unique<GatewaySink>(home, home, *hub, *edge);
    view.gateway = "sg-1";
    view.domain = "test.dmsc";
    view.node_names[kSelf] = "sg-1";
    plane->start();
    auto fd = listen_unix(dir + "/message.sock", SOCK_SEQPACKET, 0666);
    REQUIRE(fd);
    home.post([this, &home, fd = *fd] {
      home.set_sink(sink.get());
      hub->start(fd);
    });
    server = std::make_unique<PodServer>(io, identities, *this);
    REQUIRE(server->start(dir + "/pod.sock"));
    publish();
    thread = std::thread([this] { io.run(); });
  }
  ~MiniGateway() override {
    std::promise<void> stopped;
    boost::asio::post(io, [&] {
      server->stop();
      stopped.set_value();
    });
    stopped.get_future().wait();
    std::promise<void> hub_stopped;
    plane->workers()[0]->post([&] {
      hub->stop();
      plane->workers()[0]->set_sink(nullptr);
      hub_stopped.set_value();
    });
    hub_stopped.get_future().wait();
    work.reset();
    thread.join();
    plane->stop();
    CHECK(strangers == 0);
  }
  void note(std::string line) {
    std::lock_guard lock(mutex);
    log.push_back(std::move(line));
  }
  bool noted(const std::string& line) {
    for (int i = 0; i < 500; ++i) {
      {
        std::lock_guard lock(mutex);
        for (const std::string& l : log) {
          if (l == line) return true;
        }
      }
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  }
  void publish() {
    view.callers.clear();
    for (const LocalInstance& i : view.instances) {
      view.callers[i.identity].emplace_back(i.service.prefix, i.id);
    }
    auto copy = std::make_shared<GatewayView>(view);
    plane->workers()[0]->post([this, copy] {
      hub->set_view(copy);
      sink->set_view(copy);
    });
  }

  void pod_hello(StreamId stream, const PeerIdentity& peer, const std::string& client,
                 const std::string& resume) override {
    if (peer.name != identity() || peer.pid != ::getpid()) ++strangers;
    note("hello " + client);
    leases[stream] = resume.empty() ? "lease-1" : resume;
    server->welcome(stream, {leases[stream], peer.name, "sg-1", "test.dmsc", seconds(3)});
  }
  void pod_announce(StreamId stream, AnnouncedService service) override {
    const std::string prefix = service.prefix.text();
    if (prefix.rfind("denied", 0) == 0) {
      return server->status(stream, {"", prefix, sgd::AnnouncementState::refused, "not_owner: no", {}});
    }
    InstanceId id{next_instance++};
    plane->fib().set_prefix(
        forwarding::PrefixRoute{service.prefix, false, {{kSelf, id, false, false, 100}}});
    view.instances.push_back({id, leases[stream], identity(), Name(), true, service});
    publish();
    server->status(stream, {"", prefix, sgd::AnnouncementState::granted, "", id});
    if (service.check.kind != CheckKind::none) server->check(stream, 99, prefix, service.check);
  }
  void pod_invalid(StreamId stream, const std::string& prefix, const std::string& why) override {
    server->status(stream, {"", prefix, sgd::AnnouncementState::invalid, why, {}});
  }
  void pod_withdraw(StreamId, const std::string& prefix) override { note("withdraw " + prefix); }
  void pod_checked(StreamId, std::uint64_t id, bool healthy, const std::string& detail) override {
    note("check " + std::to_string(id) + (healthy ? " ok" : " bad: " + detail));
  }
  void pod_closed(StreamId stream) override { note("closed " + leases[stream]); }
};

client::Options options(const MiniGateway& gateway) {
  client::Options o;
  o.socket_dir = gateway.dir;
  o.client = "test";
  return o;
}

}  // namespace

TEST_CASE("R10 R43 client library: announce and serve, call by name, the right program answers") {
  MiniGateway gateway;
  client::Gateway pod(options(gateway));
  pod.serve("A/1", [](const client::Request& r) -> Result<Bytes> {
    return to_bytes(as_bytes("A got " + std::string(as_text(r.payload)) + " for " + r.destination +
                             " from " + r.source));
  });
  pod.serve("B/4", [](const client::Request&) -> Result<Bytes> {
    return make_error(Errc::denied, "closed today");
  });
  pod.announce({.prefix = "A/1"});
  pod.announce({.prefix = "B/4"});
  REQUIRE(pod.wait_granted("A/1", seconds(5)));
  REQUIRE(pod.wait_granted("B/4", seconds(5)));
  client::CallOptions traced;
  traced.trace = true;
  auto reply = pod.call("A/1", as_bytes("hello"), traced);
  INFO((reply ? "" : reply.error().message));
  REQUIRE(reply);
  CHECK(as_text(reply->payload) == "A got hello for A/1 from A/1");
  CHECK(reply->egress.name == "sg-1");
  CHECK(reply->instance == 1);
  REQUIRE_FALSE(reply->path.empty());
  CHECK(reply->path.front().name == "sg-1");
  auto refused = pod.call("B/4", as_bytes("hello"));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::denied);
  CHECK(refused.error().message == "pod-refused: closed today");
  REQUIRE(pod.session());
  CHECK(pod.session()->identity == identity());
}

TEST_CASE("R16 client library: who holds no grant is not let onto the network") {
  MiniGateway gateway;
  client::Options calls_only = options(gateway);
  calls_only.announces = false;
  client::Gateway pod(calls_only);
  auto reply = pod.call("A/1", as_bytes("x"));
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Errc::denied);
  CHECK(reply.error().message.find("not-allowed: " + identity() + " has no granted prefix") == 0);
}

TEST_CASE("Client library: a source that is not the caller's is refused; unknown names fail by name") {
  MiniGateway gateway;
  client::Gateway pod(options(gateway));
  pod.announce({.prefix = "A/1"});
  REQUIRE(pod.wait_granted("A/1", seconds(5)));
  client::CallOptions o;
  o.source = "B/4";
  auto reply = pod.call("A/1", as_bytes("x"), o);
  REQUIRE_FALSE(reply);
  CHECK(reply.error().message.find("B/4 is not granted to") != std::string::npos);
  reply = pod.call("nobody/here", as_bytes("x"));
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Errc::not_found);
  CHECK(reply.error().message.find("no-route") == 0);
  reply = pod.call("A/1", as_bytes("x"));  // announced, and no program serves it
  REQUIRE_FALSE(reply);
  CHECK(reply.error().message.find("no-instance") == 0);
  CHECK(pod.call("a//b", as_bytes("x")).error().code == Errc::invalid);
  CHECK(pod.call("A/1", Bytes(wire::kMaxMessageBytes + 1)).error().code == Errc::limit);
}

TEST_CASE("Client library: threads call, handlers call and answers call again, all at a time") {
  MiniGateway gateway;
  client::Options two_handlers = options(gateway);
  two_handlers.handler_threads = 2;
  client::Gateway pod(two_handlers);
  pod.serve("A/1", [](const client::Request& r) -> Result<Bytes> { return r.payload; });
  pod.serve("A/2", [&](const client::Request& r) -> Result<Bytes> {
    auto reply = pod.call("A/1", r.payload);  // of a thread that serves, to this very program
    if (!reply) return reply.error();
    return reply->payload;
  });
  for (const char* prefix : {"A/1", "A/2"}) {
    pod.announce({.prefix = prefix});
    REQUIRE(pod.wait_granted(prefix, seconds(5)));
  }
  std::atomic<int> right{0}, wrong{0};
  std::mutex why_mutex;
  std::string why;
  auto check = [&](const Result<client::Reply>& reply, const Bytes& sent) {
    ++(reply && reply->payload == sent ? right : wrong);
    std::lock_guard lock(why_mutex);
    if (!reply) why = std::string(as_text(sent)) + ": " + reply.error().message;
  };
  std::promise<void> chain_over;
  std::function<void(int)> chain = [&](int left) {
    if (left == 0) return chain_over.set_value();
    Bytes sent = to_bytes(as_bytes("chain " + std::to_string(left)));
    pod.call_async("A/1", sent, {}, [&, left, sent](Result<client::Reply> reply) {
      check(reply, sent);
      chain(left - 1);
    });
  };
  std::vector<std::thread> callers;
  for (int t = 0; t < 3; ++t) {
    callers.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        Bytes sent = to_bytes(as_bytes(std::to_string(t) + " of " + std::to_string(i)));
        // Two handlers, and one of them may wait for the other: the third call never waits for both.
        check(pod.call(t == 0 ? "A/2" : "A/1", sent), sent);
      }
    });
  }
  chain(300);
  for (std::thread& caller : callers) caller.join();
  chain_over.get_future().wait();
  INFO(why);
  CHECK(right == 900);
  CHECK(wrong == 0);
}

TEST_CASE("Client library: a handler that takes its time holds up neither answers nor other requests") {
  MiniGateway gateway;
  client::Options two_handlers = options(gateway);
  two_handlers.handler_threads = 2;
  client::Gateway pod(two_handlers);
  struct Gate {
    std::promise<void> promise;
    std::shared_future<void> opened{promise.get_future()};
    bool open = false;
    void release() {
      if (!std::exchange(open, true)) promise.set_value();
    }
    ~Gate() { release(); }  // also when a check has failed
  };
  auto opened = std::make_shared<std::shared_future<void>>();
  pod.serve("A/1", [opened](const client::Request& r) -> Result<Bytes> {
    if (as_text(r.payload) == "slow") opened->wait();
    return r.payload;
  });
  Gate gate;
  *opened = gate.opened;
  pod.announce({.prefix = "A/1"});
  REQUIRE(pod.wait_granted("A/1", seconds(5)));
  client::CallOptions patient;
  patient.deadline = seconds(60);
  auto slow = std::make_shared<std::promise<Result<client::Reply>>>();
  pod.call_async("A/1", as_bytes("slow"), patient,
                 [slow](Result<client::Reply> r) { slow->set_value(std::move(r)); });
  for (int i = 0; i < 100; ++i) {
    auto reply = pod.call("A/1", as_bytes("fast"), patient);
    REQUIRE(reply);
  }
  // Many in one datagram, the slow one first: those behind it are answered.
  struct Count {
    std::atomic<int> answered{0};
    std::promise<void> all;
  };
  auto fast = std::make_shared<Count>();
  for (int i = 0; i < 50; ++i) {
    pod.call_async("A/1", as_bytes("fast"), patient, [fast](Result<client::Reply> r) {
      if (r && ++fast->answered == 50) fast->all.set_value();
    });
  }
  CHECK(fast->all.get_future().wait_for(seconds(30)) == std::future_status::ready);
  gate.release();
  auto reply = slow->get_future().get();
  CHECK(reply);
}

TEST_CASE("Messages: a request that overtakes the news of its instance is served") {
  MiniGateway gateway;
  client::Gateway pod(options(gateway));
  auto served = std::make_shared<std::promise<std::string>>();
  pod.serve("A/1", [served](const client::Request& r) -> Result<Bytes> {
    served->set_value(std::string(as_text(r.payload)));
    return r.payload;
  });
  pod.announce({.prefix = "A/1"});
  REQUIRE(pod.wait_granted("A/1", seconds(5)));
  dataplane::Worker& home = *gateway.plane->workers()[0];
  home.post([&] {
    auto known = std::make_shared<GatewayView>(gateway.view);
    gateway.hub->set_view(std::make_shared<GatewayView>());
    home.post([&gateway, known] { gateway.hub->set_view(known); });
    wire::ServicePacketSpec spec;
    spec.protocol = wire::PayloadProtocol::message;
    spec.exchange = 77;
    spec.flow = home.new_flow();
    spec.egress = spec.ingress = kSelf;
    spec.destination = "A/1";
    spec.instance = InstanceId{1};
    spec.deadline_ms = 5000;
    Bytes early = *wire::build_service_packet(spec, as_bytes("early"));
    home.originate(early);
  });
  auto payload = served->get_future();
  REQUIRE(payload.wait_for(seconds(5)) == std::future_status::ready);
  CHECK(payload.get() == "early");
}

TEST_CASE("Client library: a megabyte each way, many calls at a time") {
  MiniGateway gateway;
  client::Gateway pod(options(gateway));
  pod.serve("A/1", [](const client::Request& r) -> Result<Bytes> { return r.payload; });
  pod.announce({.prefix = "A/1"});
  REQUIRE(pod.wait_granted("A/1", seconds(5)));
  Bytes big(wire::kMaxMessageBytes);
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = std::uint8_t(i * 13 + i / 256);
  auto reply = pod.call("A/1", big, seconds(20));
  INFO((reply ? "" : reply.error().message));
  REQUIRE(reply);
  CHECK(reply->payload == big);
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        Bytes mine(std::size_t(10 + i * 50), std::uint8_t(t));
        auto r = pod.call("A/1", mine, seconds(20));
        if (r && r->payload == mine) ++good;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(good == 400);
}

TEST_CASE("R28 client library: the pod answers the gateway's self-check") {
  MiniGateway gateway;
  client::Gateway pod(options(gateway));
  pod.on_check([](const std::string& prefix, const client::Check&) -> Status {
    if (prefix == "A/1") return Ok{};
    return make_error(Errc::unavailable, "disk full");
  });
  client::Announcement good{.prefix = "A/1"}, bad{.prefix = "A/2"};
  good.check.kind = bad.check.kind = client::Check::Kind::self;
  pod.announce(good);
  pod.announce(bad);
  CHECK(gateway.noted("check 99 ok"));
  CHECK(gateway.noted("check 99 bad: disk full"));
}

TEST_CASE("R14 client library: refusals and invalid announcements come with the reason") {
  MiniGateway gateway;
  client::Gateway pod(options(gateway));
  pod.announce({.prefix = "denied/1"});
  auto status = pod.wait_granted("denied/1", seconds(5));
  REQUIRE_FALSE(status);
  CHECK(status.error().code == Errc::denied);
  CHECK(status.error().message == "denied/1 refused: not_owner: no");
  pod.announce({.prefix = "A/1", .endpoint = "nonsense"});
  status = pod.wait_granted("A/1", seconds(5));
  REQUIRE_FALSE(status);
  CHECK(status.error().code == Errc::invalid);
  CHECK(status.error().message.find("endpoint") != std::string::npos);
}

TEST_CASE("Client library: after a restart of the gateway lease, announcements and programs are back") {
  auto gateway = std::make_unique<MiniGateway>();
  client::Gateway pod(options(*gateway));
  pod.serve("A/1", [](const client::Request& r) -> Result<Bytes> { return r.payload; });
  pod.announce({.prefix = "A/1"});
  REQUIRE(pod.wait_granted("A/1", seconds(5)));
  auto before = pod.call("A/1", as_bytes("x"));
  INFO((before ? "" : before.error().message));
  REQUIRE(before);
  gateway.reset();
  auto gone = pod.call("A/1", as_bytes("x"));
  REQUIRE_FALSE(gone);
  CHECK(gone.error().code == Errc::unavailable);
  gateway = std::make_unique<MiniGateway>(1000);
  REQUIRE(gateway->noted("hello test"));
  Result<client::Reply> reply = make_error(Errc::internal, "not called");
  for (int i = 0; i < 100 && !reply; ++i) {
    std::this_thread::sleep_for(milliseconds(50));
    reply = pod.call("A/1", as_bytes("again"));
  }
  INFO((reply ? "" : reply.error().message));
  REQUIRE(reply);
  CHECK(reply->instance == 1000);
}

TEST_CASE("Client library: the end of a program withdraws at once, and ends its open calls") {
  MiniGateway gateway;
  std::promise<Result<client::Reply>> ended;
  {
    client::Gateway pod(options(gateway));
    pod.serve("A/1", [](const client::Request& r) -> Result<Bytes> {
      std::this_thread::sleep_for(milliseconds(300));
      return r.payload;
    });
    pod.announce({.prefix = "A/1"});
    REQUIRE(pod.wait_granted("A/1", seconds(5)));
    pod.call_async("A/1", as_bytes("x"), {}, [&](Result<client::Reply> r) { ended.set_value(r); });
  }
  CHECK_NOTHROW(ended.get_future().get());  // exactly once, whatever came of it
  CHECK(gateway.noted("withdraw A/1"));
  CHECK(gateway.noted("closed lease-1"));
}
