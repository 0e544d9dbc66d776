// What every node advertises and the edges that follow from it, one row per node in one pool of
// memory:
//
//   row:  | edges: both ends advertise the link | advertised by this end alone | slack |
//
// Both parts are sorted by the neighbour's node id, then link ids. A row is patched where a link
// changes; one that outgrows its room moves to the end of the pool, which is tidied when a third of
// it is waste. 24 bytes per adjacency and 16 per node; what Dijkstra reads of it is 8 and 8.
#pragma once
#include <cstdint>
#include <tuple>
#include <vector>

#include "dmsc/core/ids.hpp"

namespace dmsc::routing {

// The part of an edge that every shortest-path run reads.
struct Arc {
  std::uint32_t to = 0;      // node index; the neighbour's NodeId while only this end advertises it
  std::uint32_t metric = 0;  // >= 1
};

// The rest of it.
struct ArcInfo {
  std::uint32_t back = 0;        // metric of the same link the other way; edges only
  std::uint32_t link = 0;        // this end's link id
  std::uint32_t their_link = 0;  // the far end's id of the same link
  std::uint16_t fragment = 0;    // of the Node LSA it is advertised in
  friend bool operator==(const ArcInfo&, const ArcInfo&) = default;
};

// One adjacency with both parts, out of its row.
struct Advertised {
  NodeId neighbour;
  std::uint32_t link = 0, their_link = 0, metric = 0;
  std::uint16_t fragment = 0;
  std::uint32_t to = 0;    // edges: the neighbour's index
  std::uint32_t back = 0;  // edges: the metric the other way
  bool edge = false;
  friend bool operator==(const Advertised&, const Advertised&) = default;
};

class AdjacencyRows {
 public:
  struct Row {
    std::uint32_t begin = 0;
    std::uint32_t edges : 31;   // how many of the row are edges
    std::uint32_t transit : 1;  // 1 = paths may pass through the node
    Row() : edges(0), transit(0) {}
  };

  std::uint32_t size() const { return static_cast<std::uint32_t>(rows_.size()); }
  void add_row();
  const Row* rows() const { return rows_.data(); }
  const Arc* arcs() const { return arcs_.data(); }
  const ArcInfo* infos() const { return infos_.data(); }
  std::size_t edge_count() const { return edge_count_; }
  bool transit(std::uint32_t row) const { return rows_[row].transit != 0; }
  void set_transit(std::uint32_t row, bool yes) { rows_[row].transit = yes ? 1 : 0; }

  // Appends the row to `out`, edges first. `id_of(index)` is the node id of an edge's far end.
  template <class IdOf>
  void read(std::uint32_t row, std::vector<Advertised>& out, IdOf id_of) const {
    const Row& r = rows_[row];
    for (std::uint32_t i = 0; i < rooms_[row].used; ++i) {
      const Arc& arc = arcs_[r.begin + i];
      const ArcInfo& info = infos_[r.begin + i];
      bool edge = i < r.edges;
      out.push_back({edge ? id_of(arc.to) : NodeId{arc.to}, info.link, info.their_link, arc.metric,
                     info.fragment, edge ? arc.to : 0, edge ? info.back : 0, edge});
    }
  }
  // Replaces the row. `entries` is sorted; those marked as edges need not come first.
  void write(std::uint32_t row, const std::vector<Advertised>& entries);

  // Where the row has that link: an index into arcs(), or kNone. Among its edges `to` is a node
  // index, else a node id. Rows are short or sorted well enough for a scan: a hub of 10,000 links
  // costs 5 us.
  std::uint32_t find(std::uint32_t row, bool edge, std::uint32_t to, std::uint32_t link,
                     std::uint32_t their_link) const;
  // Makes the one-way adjacency at `at` an edge to node index `to`, or the edge at `at` one-way
  // again. `id_of` as above.
  template <class IdOf>
  void promote(std::uint32_t row, std::uint32_t at, std::uint32_t to, std::uint32_t back,
               IdOf id_of);
  template <class IdOf>
  void demote(std::uint32_t row, std::uint32_t at, IdOf id_of);
  void set_back(std::uint32_t at, std::uint32_t metric) { infos_[at].back = metric; }

  // Heap memory in use, in bytes.
  std::size_t bytes() const;

  static constexpr std::uint32_t kNone = ~0U;

 private:
  struct Room {
    std::uint32_t used = 0, capacity = 0;
  };
  void make_room(std::uint32_t row, std::uint32_t wanted);
  void tidy();
  void move_entry(std::uint32_t from, std::uint32_t to);

  std::vector<Row> rows_;
  std::vector<Room> rooms_;
  std::vector<Arc> arcs_;
  std::vector<ArcInfo> infos_;
  std::size_t edge_count_ = 0;
  std::size_t wasted_ = 0;
};

template <class IdOf>
void AdjacencyRows::promote(std::uint32_t row, std::uint32_t at, std::uint32_t to,
                            std::uint32_t back, IdOf id_of) {
  Row& r = rows_[row];
  auto key = [this](NodeId id, std::uint32_t i) {
    return std::tuple(id, infos_[i].link, infos_[i].their_link);
  };
  auto mine = key(id_of(to), at);
  std::uint32_t place = r.begin;
  while (place < r.begin + r.edges && key(id_of(arcs_[place].to), place) < mine) ++place;
  move_entry(at, place);
  arcs_[place].to = to;
  infos_[place].back = back;
  r.edges = (r.edges + 1) & 0x7fffffffU;
  ++edge_count_;
}

template <class IdOf>
void AdjacencyRows::demote(std::uint32_t row, std::uint32_t at, IdOf id_of) {
  Row& r = rows_[row];
  auto key = [this](NodeId id, std::uint32_t i) {
    return std::tuple(id, infos_[i].link, infos_[i].their_link, infos_[i].fragment);
  };
  NodeId id = id_of(arcs_[at].to);
  auto mine = key(id, at);
  std::uint32_t end = r.begin + rooms_[row].used, place = r.begin + r.edges;
  while (place < end && key(NodeId{arcs_[place].to}, place) < mine) ++place;
  move_entry(at, place - 1);
  arcs_[place - 1].to = id.value;
  infos_[place - 1].back = 0;
  r.edges = (r.edges - 1) & 0x7fffffffU;
  --edge_count_;
}

}  // namespace dmsc::routing
