// What a pod may announce: every wrong field is named.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <set>

#include "sgd/config.hpp"
#include "sgd/instance_ids.hpp"
#include "sgd/pod_messages.hpp"

using namespace dmsc;
using namespace dmsc::sgd;

namespace {
std::string error_of(const std::function<void(v1::Announcement&)>& change) {
  v1::Announcement a;
  a.set_prefix("B/4");
  a.set_endpoint("127.0.0.1:8080");
  change(a);
  auto parsed = parse_announcement(a);
  return parsed ? "" : parsed.error().message;
}
}  // namespace

TEST_CASE("R10 announcements over gRPC: defaults are filled in") {
  v1::Announcement a;
  a.set_prefix("shop/cart");
  auto parsed = parse_announcement(a);
  REQUIRE(parsed);
  CHECK(parsed->capacity == 100);
  CHECK(parsed->check.kind == CheckKind::none);
  a.mutable_check()->set_kind(v1::HealthCheck::SELF);
  parsed = parse_announcement(a);
  REQUIRE(parsed);
  CHECK(parsed->check.interval == seconds(1));
  CHECK(parsed->check.timeout == milliseconds(500));
  CHECK((parsed->check.rise == 1 && parsed->check.fall == 2));
}

TEST_CASE("Announcements over gRPC: every wrong field is an error that names it") {
  using A = v1::Announcement;
  CHECK(error_of([](A&) {}).empty());
  CHECK(error_of([](A& a) { a.set_prefix("B//4"); }).find("prefix") == 0);
  CHECK(error_of([](A& a) { a.set_prefix("B"); a.set_join_pool(true); }).find("join_pool") == 0);
  CHECK(error_of([](A& a) { a.set_capacity(65536); }).find("capacity") == 0);
  CHECK(error_of([](A& a) { a.set_endpoint("localhost:80"); }).find("endpoint") == 0);
  CHECK(error_of([](A& a) { a.set_endpoint("127.0.0.1"); }).find("endpoint") == 0);
  CHECK(error_of([](A& a) { a.set_endpoint("[::1]:80"); }).empty());
  CHECK(error_of([](A& a) { a.set_endpoint("[::]:80"); }).find("endpoint: '[::]:80' is no server's") == 0);
  CHECK(error_of([](A& a) {
          auto* p = a.add_ports();
          p->set_service(0);
          p->set_endpoint(80);
        }).find("ports") == 0);
  CHECK(error_of([](A& a) {
          auto* p = a.add_ports();
          p->set_service(80);
          p->set_endpoint(80);
          p->set_protocol("sctp");
        }).find("ports") == 0);
  CHECK(error_of([](A& a) {
          auto* p = a.add_ports();
          p->set_service(80);
          p->set_endpoint(80);
          p->set_name("no_name");
        }) == "ports: \"no_name\" is no service name: only letters, digits and hyphens");
  CHECK(error_of([](A& a) {
          for (int i = 0; i < 2; ++i) {
            auto* p = a.add_ports();
            p->set_service(80 + i);
            p->set_endpoint(80);
            p->set_name("Http");
          }
        }) == "ports: the name \"http\" twice for tcp");
  CHECK(error_of([](A& a) {
          a.clear_endpoint();
          a.mutable_check()->set_kind(v1::HealthCheck::TCP);
        }).find("check") == 0);
  CHECK(error_of([](A& a) {
          a.mutable_check()->set_kind(v1::HealthCheck::HTTP);
          a.mutable_check()->set_target("x y");
        }).find("check.target") == 0);
  CHECK(error_of([](A& a) {
          a.mutable_check()->set_kind(v1::HealthCheck::SELF);
          a.mutable_check()->set_interval_ms(1);
        }).find("check.interval_ms") == 0);
}

TEST_CASE("Instance ids: none comes back after a restart before the range has been used") {
  std::string dir = "/tmp/sgd-ids-" + std::to_string(::getpid());
  REQUIRE(std::system(("mkdir -p " + dir).c_str()) == 0);
  auto unused = [](InstanceId) { return false; };
  std::set<InstanceId> seen;
  for (int start = 0; start < 5; ++start) {
    auto ids = InstanceIds::open(dir, 17);
    REQUIRE(ids);
    for (int i = 0; i < 100; ++i) CHECK(seen.insert(ids->next(unused)).second);
  }
  auto ids = InstanceIds::open(dir, 17);
  REQUIRE(ids);
  std::set<InstanceId> all;
  for (int i = 0; i < 65535; ++i) all.insert(ids->next(unused));
  CHECK(all.size() == 65535);
  CHECK(all.count(InstanceId{0}) == 0);
  CHECK(ids->next([](InstanceId id) { return id.value < 1000; }).value >= 1000);
  REQUIRE(std::system(("echo nonsense > " + dir + "/instance-ids").c_str()) == 0);
  CHECK_FALSE(InstanceIds::open(dir, 17));
  REQUIRE(std::system(("rm -r " + dir).c_str()) == 0);
}

TEST_CASE("sgd.yaml: errors name line, column and path") {
  auto document = runtime::ConfigDocument::parse(
      "node: {name: sg-1}\n"
      "pods:\n"
      "  grace: 3\n"
      "  namespaces:\n"
      "    - {name: \"a b\", netns: /run/netns/a, address: 100.64.1.2/30, external: maybe}\n"
      "names: {dns: 1.2.3.4}\n"
      "listeners:\n"
      "  - {listen: \"127.0.0.1:9000\", name: B/4, pod: nobody}\n"
      "prods: 1\n",
      "sgd.yaml");
  (void)read_config(document->root());
  document->finish();
  const std::string report = document->report();
  INFO(report);
  for (const char* part : {"pods.grace", "pods.namespaces[0].name", "pods.namespaces[0].external",
                           "names.dns", "listeners[0].pod", "prods"}) {
    CHECK(report.find(part) != std::string::npos);
  }
}

TEST_CASE("services.d: drop-ins announce programs without an agent; wrong files are named") {
  std::string dir = "/tmp/sgd-services-" + std::to_string(::getpid());
  REQUIRE(std::system(("mkdir -p " + dir).c_str()) == 0);
  auto none = read_services_dir(dir + "/missing");
  REQUIRE(none);
  CHECK(none->empty());
  REQUIRE(runtime::ConfigDocument::parse("", "x") != nullptr);
  auto write = [&](const std::string& file, const std::string& text) {
    FILE* f = ::fopen((dir + "/" + file).c_str(), "w");
    REQUIRE(f != nullptr);
    ::fputs(text.c_str(), f);
    ::fclose(f);
  };
  write("web.yaml",
        "services:\n"
        "  - {identity: pod:pod-4, prefix: B/4, pool: true, endpoint: 127.0.0.1:8080,\n"
        "     check: {kind: http, path: /health, fall: 3}}\n");
  write("ignored.txt", "nonsense: [");
  auto read = read_services_dir(dir);
  REQUIRE(read);
  REQUIRE(read->size() == 1);
  CHECK(read->front().identity == "pod:pod-4");
  CHECK(read->front().service.check.target == "/health");
  CHECK(read->front().service.check.fall == 3);
  CHECK_FALSE(read->front().service.messages);
  write("bad.yaml", "services:\n  - {identity: me, prefix: B/4, endpoint: here}\n");
  read = read_services_dir(dir);
  REQUIRE_FALSE(read);
  CHECK(read.error().message.find("bad.yaml:2") != std::string::npos);
  REQUIRE(std::system(("rm -r " + dir).c_str()) == 0);
}
