// What `watch` prints of a row, and how a screen is drawn.
#include "row_text.hpp"

#include <catch2/catch.hpp>

#include "terminal.hpp"

using namespace dmsc::ctl;

namespace {

const Json kLsa = Json::parse(R"({"origin":"sr-1","type":"node","fragment":0,"epoch":1795359615,"sequence":4,
  "size_bytes":154,"body":{"overload":false,"adjacencies":[
    {"neighbour":"sr-2","metric":10,"usable":true},{"neighbour":"sg-1","metric":10,"usable":true}]}})");

}  // namespace

TEST_CASE("watch: a row is called by what it is about, and tells the rest") {
  CHECK(row_label("lsdb", "2/1/0", kLsa) == "sr-1 node 0");
  CHECK(row_fields("lsdb", kLsa, false) == "epoch 1795359615, seq 4, size 154B");
  CHECK(row_fields("lsdb", kLsa, true).find("sr-2") != std::string::npos);
  Json route = Json::parse(R"({"prefix":"B/4","instances":[{"egress":"sg-4","instance":1}]})");
  CHECK(row_label("routes", "B/4", route) == "B/4");
  CHECK(row_fields("routes", route, false) == "instances egress=sg-4 instance=1");
  // An unknown topic, and a row that went before anything was known of it.
  CHECK(row_label("things", "k\x1b[1", Json()) == "k\\x1b[1");
  CHECK(row_label("lsdb", "2/1/0", Json()) == "2/1/0");
}

TEST_CASE("watch: a change is told by what differs, elements of a list apart") {
  Json after = kLsa;
  CHECK(row_changes(kLsa, after).empty());
  after["sequence"] = 5;
  after["body"]["adjacencies"][0]["metric"] = 16777215;
  CHECK(row_changes(kLsa, after) == "seq 4 \u2192 5, adjacencies sr-2 metric 10 \u2192 16,777,215");
  after["body"]["adjacencies"].erase(0);
  CHECK(row_changes(kLsa, after) == "seq 4 \u2192 5, adjacencies - sr-2");
  CHECK(row_changes(after, kLsa) == "seq 5 \u2192 4, adjacencies + sr-2");
  Json path = Json::parse(R"({"node":"sg-4","distance":20,"via":["sr-2 over a"]})"), moved = path;
  moved["via"] = {"sr-1 over b", "sr-2 over a"};
  moved["last_down"] = "interface down";
  CHECK(row_changes(path, moved) ==
        "via sr-2 over a \u2192 sr-1 over b sr-2 over a, last down - \u2192 interface down");
}

TEST_CASE("watch: two instances at one gateway are two elements") {
  Json before = Json::parse(R"({"instances":[{"egress":"sg-4","instance":1},{"egress":"sg-4","instance":2}]})");
  Json after = Json::parse(R"({"instances":[{"egress":"sg-4","instance":1}]})");
  CHECK(row_changes(before, after) == "instances - sg-4");
}

TEST_CASE("watch: a screen is drawn over the last one and never scrolls") {
  std::string out = screenful("one\ntwo\n", {80, 24});
  CHECK(out == "\x1b[?7l\x1b[Hone\x1b[K\r\ntwo\x1b[K\r\n\x1b[J\x1b[?7h");
  std::string cut = screenful("1\n2\n3\n4\n5\n", {80, 4});
  CHECK(cut.find("1\x1b[K\r\n2\x1b[K\r\n... and 3 more lines") != std::string::npos);
  CHECK(cut.find("\r\n4") == std::string::npos);
}
