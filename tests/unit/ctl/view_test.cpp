// Golden tests of what people see.
#include "view.hpp"

#include <catch2/catch.hpp>

#include "layout.hpp"

using namespace dmsc::ctl;

namespace {

std::string shown(const char* json, bool wide = false) {
  ViewOptions options;
  options.wide = wide;
  return render_document(Json::parse(json), options);
}

}  // namespace

TEST_CASE("view: neighbors") {
  const char* json = R"({"schema":1,"daemon":"srd","node":"sr-1","topic":"neighbors","rows":[
    {"link":"to-sr-10","neighbour":"sr-10","id":10,"state":"init","up_ms":null,"rtt_ms":null,
     "metric":10,"flaps":0,"session":"0"},
    {"link":"to-sr-2","neighbour":"sr-2","id":2,"state":"up","up_ms":7384000,"rtt_ms":0.4213,
     "metric":10,"flaps":3,"session":"9f"}]})";
  CHECK(shown(json) ==
        "link      neighbor  id  state     up    rtt  metric  flaps\n"
        "to-sr-2   sr-2       2  up     2h03m  421us      10      3\n"
        "to-sr-10  sr-10     10  init       -      -      10      0\n");
  CHECK(shown(json, true).find("session") != std::string::npos);
}

TEST_CASE("view: an unknown topic is a table of what the daemon sent, in its order") {
  CHECK(
      shown(
          R"({"topic":"novel","rows":[{"z":"b","capacity_bps":2500000000,"ok":true,"tags":["x","y"]},
                                          {"z":"a","capacity_bps":64000,"ok":false,"tags":[]}]})") ==
      "z   capacity  ok   tags\n"
      "b  2.5Gbit/s  yes  x y\n"
      "a   64kbit/s  no   -\n");
}

TEST_CASE("view: a value is pairs, its lists of objects are tables below") {
  CHECK(shown(R"({"topic":"explain","value":{"name":"B/4","covering":false,"loss_ppm":12500,
        "path":["sg-1","sr-2","sg-4"],"instances":[{"egress":"sg-4","instance":2,"weight":100}],
        "trust":{"issuer":3,"valid_until_s":3599}}})") ==
        "name      B/4\n"
        "covering  no\n"
        "loss      1.25%\n"
        "path      sg-1 \u2192 sr-2 \u2192 sg-4\n"
        "\n"
        "instances\n"
        "egress  inst  weight\n"
        "sg-4       2     100\n"
        "\n"
        "trust\n"
        "issuer            3\n"
        "valid until  59m59s\n");
}

TEST_CASE("view: nothing to show says so") {
  CHECK(shown(R"({"topic":"neighbors","rows":[]})") == "no neighbors\n");
}

TEST_CASE("view: metrics are printed as they are") {
  CHECK(shown(R"({"topic":"metrics","value":{"text":"# HELP x\nx 1\n"}})") == "# HELP x\nx 1\n");
}

TEST_CASE("view: a document of an unknown shape is shown as JSON") {
  CHECK(shown("[1,2]") == "[\n  1,\n  2\n]\n");
  CHECK(shown(R"({"topic":5,"rows":{"a":1}})") ==
        "{\n  \"topic\": 5,\n  \"rows\": {\n    \"a\": 1\n  }\n}\n");
  CHECK(shown(R"({"topic":"x","rows":["a","b"]})") == "a\nb\n");
}

TEST_CASE("view: numbers carry the unit their key names") {
  CHECK(human_duration(0) == "0s");
  CHECK(human_duration(50e-9) == "50ns");
  CHECK(human_duration(0.0042) == "4.2ms");
  CHECK(human_duration(59.9) == "59.9s");
  CHECK(human_duration(90000) == "1d01h");
  CHECK(human_bytes(1536) == "1.5KiB");
  CHECK(cell_of("packets_in", Json(1234567)).text == "1,234,567");
  CHECK(cell_of("node_id", Json(1048576)).text == "1048576");
  CHECK(header_of("last_down_reason") == "last down reason");
}

TEST_CASE("view: names sort with their numbers as numbers") {
  CHECK(natural_less("sr-2", "sr-10"));
  CHECK_FALSE(natural_less("sr-10", "sr-2"));
  CHECK(natural_less("B", "B/1"));
  CHECK(natural_less("a01", "a2"));
  CHECK_FALSE(natural_less("a", "a"));
}

TEST_CASE("view: routes name a prefix once and sort by name, then distance") {
  CHECK(shown(R"({"topic":"routes","rows":[
      {"prefix":"B/10","egress":"sg-4","instance":1,"distance":20,"weight":100,"state":"serving"},
      {"prefix":"B","egress":"sg-4","instance":2,"distance":30,"weight":0,"state":"standby"},
      {"prefix":"B","egress":"sg-1","instance":2,"distance":10,"weight":100,"state":"serving"},
      {"prefix":"B/2","egress":"sg-2","instance":1,"distance":10,"weight":100,"state":"serving"}]})") ==
        "prefix  egress  inst  distance  weight  state\n"
        "B       sg-1       2        10     100  serving\n"
        "        sg-4       2        30       0  standby\n"
        "B/2     sg-2       1        10     100  serving\n"
        "B/10    sg-4       1        20     100  serving\n");
}

TEST_CASE("view: rows with bodies of their own are records") {
  CHECK(shown(R"({"topic":"lsdb","rows":[{"origin":"sr-1","type":"node","body":{"name":"sr-1",
      "adjacencies":[{"neighbour":"sr-2","metric":10}]}}]})") ==
        "origin  sr-1\n"
        "type    node\n"
        "\n"
        "body\n"
        "name  sr-1\n"
        "\n"
        "adjacencies\n"
        "neighbor  metric\n"
        "sr-2          10\n");
}

TEST_CASE("view: a moment of the daemon's clock is shown as how long ago it was, never as a duration") {
  CHECK(shown(R"({"topic":"counters","value":{"fib":{"last_drain_us":46627000000,"last_node_route_us":46620000000,
      "last_drain_ago_ms":null,"last_node_route_ago_ms":7000,"spf_us":7000000}}})") ==
        "fib\n"
        "last drain ago       -\n"
        "last node route ago  7s\n"
        "spf                  7s\n");
}

TEST_CASE("view: counters line up") {
  CHECK(shown(R"({"topic":"counters","value":{"data":{"packets_in":1234567,"drops":7}}})") ==
        "data\n"
        "packets in  1,234,567\n"
        "drops               7\n");
}
