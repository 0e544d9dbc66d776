// What a gateway shows beyond a router (docs/operations.md, "sgctl"): pods, instances, calls, flows,
// names, listeners, services, and its own counters.
#include <boost/asio/post.hpp>

#include "sgd/gateway.hpp"

namespace dmsc::sgd {

namespace asio = boost::asio;
using node::Json;
using node::TopicReply;

namespace {

constexpr std::size_t kMaxRows = 10000;
constexpr std::size_t kMaxFlows = 4096;  // of each direction: a worker forwards nothing while it copies them
using Arguments = std::vector<std::string>;

Json flow_rows(const EdgeSnapshot& snapshot, const node::Node& node) {
  Json rows = Json::array();
  for (const auto& f : snapshot.flows) {
    rows.push_back({{"direction", f.direction}, {"protocol", f.protocol}, {"client", f.client},
                    {"destination", f.destination}, {"server", f.server}, {"source", f.source},
                    {"state", f.state}, {"flow", f.flow}, {"peer", node.name_of(f.peer)},
                    {"instance", f.instance.value}, {"packets_out", f.packets_out},
                    {"packets_in", f.packets_in}, {"idle_ms", f.idle_ms}});
  }
  return rows;
}

Json namespace_rows(const EdgeSnapshot& snapshot) {
  Json rows = Json::array();
  for (const auto& p : snapshot.pods) {
    rows.push_back({{"pod", p.name}, {"netns", p.netns}, {"tun", p.tun}, {"address", p.address},
                    {"external", p.external}, {"state", p.state}, {"reason", p.reason}});
  }
  return rows;
}

Json name_rows(const EdgeSnapshot& snapshot) {
  Json rows = Json::array();
  for (const auto& a : snapshot.addresses) rows.push_back({{"address", a.address}, {"name", a.name}});
  return rows;
}

Json listener_rows(const EdgeSnapshot& snapshot) {
  Json rows = Json::array();
  for (const auto& l : snapshot.listeners) {
    rows.push_back({{"listen", l.listen}, {"name", l.name}, {"protocol", l.protocol},
                    {"state", l.state}, {"accepted", l.accepted}, {"active", l.active}});
  }
  return rows;
}

Json service_rows(const node::Node& node, const NamePorts& ports) {
  Json rows = Json::array();
  for (const routing::RibRoute& route : node.rib().routes()) {
    std::size_t serving = 0;
    for (const auto& choice : route.choices) serving += choice.weight > 0 ? 1 : 0;
    rows.push_back({{"prefix", route.prefix.text()}, {"covering", route.covering},
                    {"instances", route.choices.size()}, {"serving", serving},
                    {"ports", wire::to_text(ports.of(route.prefix, node.rib().origins(route.prefix)))},
                    {"by_policy", route.from_policy}});
  }
  return rows;
}

Json instance_rows(const GatewayView& view) {
  Json rows = Json::array();
  for (const LocalInstance& i : view.instances) {
    rows.push_back({{"instance", i.id.value}, {"prefix", i.service.prefix.text()},
                    {"pool", i.pool.text()}, {"identity", i.identity}, {"healthy", i.healthy},
                    {"capacity", i.service.capacity}, {"endpoint", i.service.endpoint},
                    {"ports", to_text(i.service.ports)}});
  }
  return rows;
}

}  // namespace

void Gateway::from_hub(std::function<Json(MessageHub&)> ask, std::function<void(Json)> use) {
  home_.post([this, ask = std::move(ask), use = std::move(use), alive = alive_, &io = node_.io()] {
    asio::post(io, [use, alive, result = ask(*hub_)] {
      if (*alive) use(result);
    });
  });
}

void Gateway::with_edge(FlowsWanted flows, std::function<Json(const EdgeSnapshot&)> make,
                        TopicReply reply) {
  edge_->snapshot(std::move(flows), [make = std::move(make), reply = std::move(reply), alive = alive_,
                   &io = node_.io()](EdgeSnapshot snapshot) {
    asio::post(io, [make, reply, alive, snapshot = std::move(snapshot)] {
      if (*alive) reply(make(snapshot));
    });
  });
}

void Gateway::register_topics() {
  node_.register_topic("pods", [this](const Arguments&, TopicReply reply) {
    from_hub(
        [](MessageHub& hub) {
          Json bound = Json::array();
          for (const auto& [lease, prefix] : hub.bound()) bound.push_back({lease, prefix});
          return bound;
        },
        [this, reply](const Json& pairs) {
          std::set<std::pair<std::string, std::string>> bound;
          for (const Json& pair : pairs) bound.emplace(pair[0], pair[1]);
          reply(registrar_->pods(bound));
        });
  });
  node_.register_topic("calls", [this](const Arguments&, TopicReply reply) {
    from_hub([](MessageHub& hub) { return hub.calls(kMaxRows); },
             [reply](Json rows) { reply(std::move(rows)); });
  });
  node_.register_topic("instances", [this](const Arguments&, TopicReply reply) {
    reply(instance_rows(*registrar_->view()));
  });
  node_.register_topic("services", [this](const Arguments&, TopicReply reply) {
    reply(service_rows(node_, name_ports_));
  });
  auto edge_topic = [this](const char* name, std::function<Json(const EdgeSnapshot&)> make) {
    node_.register_topic(name, [this, make](const Arguments&, TopicReply reply) {
      with_edge({}, make, std::move(reply));
    });
  };
  node_.register_topic("flows", [this](const Arguments& arguments, TopicReply reply) {
    with_edge({kMaxFlows, arguments.empty() ? "" : arguments.front()},
              [this](const EdgeSnapshot& s) { return flow_rows(s, node_); }, std::move(reply));
  });
  edge_topic("namespaces", namespace_rows);
  edge_topic("names", name_rows);
  edge_topic("listeners", listener_rows);
  register_seal_topics(node_, seal_.get(), alive_);
}

// The node's counters, and under "messages", "pods" and "edge" the gateway's.
void Gateway::extend_counters() {
  const node::TopicHandler* base = node_.topic("counters");
  if (base == nullptr) return;
  node_.register_topic("counters", [this, base = *base](const Arguments& arguments,
                                                        TopicReply reply) {
    base(arguments, [this, reply](Result<Json> of_node) {
      if (!of_node || !of_node->is_object()) return reply(std::move(of_node));
      from_hub([](MessageHub& hub) { return hub.counters(); },
               [this, reply, value = *of_node](const Json& messages) mutable {
                 value["messages"] = messages;
                 value["pods"] = registrar_->counters();
                 with_edge(
                     {},
                     [value](const EdgeSnapshot& snapshot) {
                       Json out = value;
                       out["edge"] = snapshot.counters;
                       return out;
                     },
                     reply);
               });
    });
  });
}

}  // namespace dmsc::sgd
