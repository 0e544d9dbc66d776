#include "dmsc/node/inspect.hpp"

#include <charconv>

namespace dmsc::node {

void NodeImpl::register_topics() {
  auto plain = [this](const char* name, auto make) {
    register_topic(name, [make](const std::vector<std::string>& arguments, TopicReply reply) {
      reply(make(arguments));
    });
  };
  using inspect::Arguments;
  plain("neighbors", [this](const Arguments&) { return inspect::neighbors(*this, engine_); });
  plain("discovery", [this](const Arguments&) { return inspect::discovery(*this); });
  plain("links", [this](const Arguments&) { return inspect::links(*this); });
  plain("counters",
        [this](const Arguments&) { return inspect::counters(*this, engine_, *plane_); });
  plain("lsdb", [this](const Arguments& a) { return inspect::lsdb(*this, engine_, a); });
  plain("routes", [this](const Arguments&) { return inspect::routes(*this); });
  plain("fib", [this](const Arguments&) { return inspect::fib(*plane_, *this); });
  plain("paths", [this](const Arguments&) { return inspect::paths(*this); });
  plain("labels", [this](const Arguments&) { return inspect::labels(*this); });
  plain("trust", [this](const Arguments&) { return inspect::trust(*this); });
  plain("grants", [this](const Arguments&) { return inspect::grants(*this); });
  plain("explain", [this](const Arguments& a) { return inspect::explain(*this, *plane_, a); });
  register_topic("ping", [this](const Arguments& a, TopicReply reply) {
    inspect::ping(*this, a, std::move(reply));
  });
  register_topic("trace", [this](const Arguments& a, TopicReply reply) {
    inspect::trace(*this, a, std::move(reply));
  });
  register_topic("stream", [this](const Arguments& a, TopicReply reply) {
    inspect::stream(*this, a, std::move(reply));
  });
}

}  // namespace dmsc::node

namespace dmsc::node::inspect {

std::string link_name(const NodeImpl& node, LinkId link) {
  auto it = node.links().find(link);
  return it == node.links().end() ? "link " + std::to_string(link.value) : it->second.settings.name;
}

std::string via(const NodeImpl& node, std::uint32_t link, NodeId neighbour) {
  return node.name_of(neighbour) + " over " + link_name(node, LinkId{link});
}

NodeId node_argument(const Node& node, const std::string& text) {
  NodeId found = node.find_node(text);
  if (found) return found;
  std::uint32_t id = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  bool number = error == std::errc{} && end == text.data() + text.size();
  return number ? NodeId{id} : NodeId{};
}

Json names_of(const Node& node, const std::vector<NodeId>& ids) {
  Json out = Json::array();
  for (NodeId id : ids) out.push_back(node.name_of(id));
  return out;
}

}  // namespace dmsc::node::inspect
