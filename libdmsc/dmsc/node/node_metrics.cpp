#include "dmsc/node/node_metrics.hpp"

namespace dmsc::node {
namespace {

using Labels = std::map<std::string, std::string>;

// Counters are kept elsewhere: an exposition moves the Prometheus counter up to them.
class Mirror {
 public:
  Mirror(prometheus::Registry& registry, std::string name, std::string help)
      : family_(prometheus::BuildCounter().Name(std::move(name)).Help(std::move(help)).Register(
            registry)) {}
  void set(const Labels& labels, std::uint64_t value) {
    prometheus::Counter& counter = family_.Add(labels);  // the same one for the same labels
    double more = static_cast<double>(value) - counter.Value();
    if (more > 0) counter.Increment(more);
  }

 private:
  prometheus::Family<prometheus::Counter>& family_;
};

struct Families {
  explicit Families(prometheus::Registry& r)
      : packets(r, "dmsc_data_packets_total", "Service packets by direction"),
        bytes(r, "dmsc_data_bytes_total", "Bytes of service packets by direction"),
        drops(r, "dmsc_data_drops_total", "Dropped service packets by reason"),
        decisions(r, "dmsc_data_decisions_total", "How forwarded packets were decided"),
        link_bytes(r, "dmsc_link_bytes_total", "Data bytes by link and direction"),
        control(r, "dmsc_control_packets_total", "Link-state packets by direction"),
        refused(r, "dmsc_control_refused_total", "Link-state packets refused by reason"),
        lsas(prometheus::BuildGauge().Name("dmsc_lsas").Help("Verified LSAs held").Register(r).Add(
            {})),
        prefixes(prometheus::BuildGauge().Name("dmsc_fib_prefixes").Help("Prefixes in the FIB")
                     .Register(r).Add({})),
        link_up(prometheus::BuildGauge().Name("dmsc_link_up")
                    .Help("1 if the adjacency is up and its data path answers").Register(r)),
        link_delay(prometheus::BuildGauge().Name("dmsc_link_delay_seconds")
                       .Help("One-way delay of the link, smoothed").Register(r)) {}
  Mirror packets, bytes, drops, decisions, link_bytes, control, refused;
  prometheus::Gauge& lsas;
  prometheus::Gauge& prefixes;
  prometheus::Family<prometheus::Gauge>& link_up;
  prometheus::Family<prometheus::Gauge>& link_delay;
};

void refresh_data(Node& node, Families& f) {
  dataplane::CounterValues c = node.data_plane().counters();
  f.packets.set({{"direction", "in"}}, c.packets_in);
  f.packets.set({{"direction", "out"}}, c.packets_out);
  f.bytes.set({{"direction", "in"}}, c.bytes_in);
  f.bytes.set({{"direction", "out"}}, c.bytes_out);
  f.decisions.set({{"by", "name"}}, c.by_name);
  f.decisions.set({{"by", "label"}}, c.by_label);
  f.decisions.set({{"by", "repair"}}, c.repaired);
  for (std::size_t i = 1; i < c.drops.size(); ++i) {
    f.drops.set({{"reason", forwarding::to_string(static_cast<forwarding::DropReason>(i))}},
                c.drops[i]);
  }
}

void refresh_links(Node& node, Families& f) {
  std::map<LinkId, std::string> names;
  for (const LinkQuality& q : node.link_quality()) {
    names[q.link] = q.name;
    f.link_up.Add({{"link", q.name}}).Set(q.usable ? 1 : 0);
    f.link_delay.Add({{"link", q.name}}).Set(std::chrono::duration<double>(q.delay).count());
  }
  for (const dataplane::LinkStats& s : node.data_plane().link_stats()) {
    f.link_bytes.set({{"link", names[s.link]}, {"direction", "in"}}, s.counters.bytes_in);
    f.link_bytes.set({{"link", names[s.link]}, {"direction", "out"}}, s.counters.bytes_out);
  }
}

void refresh_control(Node& node, Families& f) {
  const linkstate::EngineCounters& c = node.engine().counters();
  f.control.set({{"direction", "in"}}, c.packets_in);
  f.control.set({{"direction", "out"}}, c.packets_out);
  f.refused.set({{"reason", "authentication"}}, c.auth_failures);
  f.refused.set({{"reason", "replay"}}, c.replays);
  f.refused.set({{"reason", "malformed"}}, c.malformed);
  f.refused.set({{"reason", "stranger"}}, c.strangers);
  f.refused.set({{"reason", "reflected"}}, c.reflected);
  f.refused.set({{"reason", "hello"}}, c.refused_hellos);
  f.refused.set({{"reason", "signature"}}, c.verify_failed);
  f.lsas.Set(static_cast<double>(node.engine().lsa_count()));
  f.prefixes.Set(static_cast<double>(node.data_plane().fib().prefix_count()));
}

}  // namespace

void register_metrics(Node& node, runtime::Metrics& metrics) {
  auto families = std::make_shared<Families>(metrics.registry());
  metrics.before_exposition([&node, families] {
    refresh_data(node, *families);
    refresh_links(node, *families);
    refresh_control(node, *families);
  });
}

}  // namespace dmsc::node
