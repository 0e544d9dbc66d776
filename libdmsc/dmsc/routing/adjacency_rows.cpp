#include "dmsc/routing/adjacency_rows.hpp"

#include <algorithm>

namespace dmsc::routing {
namespace {

// Grows by a quarter: a pool that doubled would waste half of its memory.
template <class T>
void grow(std::vector<T>& pool, std::size_t size) {
  if (size > pool.capacity()) pool.reserve(size + size / 4 + 64);
  pool.resize(size);
}

}  // namespace

void AdjacencyRows::add_row() {
  std::size_t size = rows_.size() + 1;
  grow(rows_, size);
  grow(rooms_, size);
}

void AdjacencyRows::make_room(std::uint32_t row, std::uint32_t wanted) {
  Room& room = rooms_[row];
  if (wanted <= room.capacity) return;
  // A row that grows gets some slack; the first time it gets what it needs, which is most often
  // all.
  std::uint32_t capacity = room.capacity == 0 ? wanted : wanted + wanted / 4 + 2;
  wasted_ += room.capacity;
  room.used = 0;
  room.capacity = capacity;
  rows_[row].begin = static_cast<std::uint32_t>(arcs_.size());
  grow(arcs_, arcs_.size() + capacity);
  grow(infos_, infos_.size() + capacity);
}

void AdjacencyRows::write(std::uint32_t row, const std::vector<Advertised>& entries) {
  edge_count_ -= rows_[row].edges;
  make_room(row, static_cast<std::uint32_t>(entries.size()));
  Row& r = rows_[row];
  std::uint32_t at = r.begin;
  for (bool edge : {true, false}) {
    for (const Advertised& e : entries) {
      if (e.edge != edge) continue;
      arcs_[at] = {edge ? e.to : e.neighbour.value, e.metric};
      infos_[at++] = {edge ? e.back : 0, e.link, e.their_link, e.fragment};
    }
    if (edge) r.edges = (at - r.begin) & 0x7fffffffU;
  }
  rooms_[row].used = at - r.begin;
  edge_count_ += r.edges;
  if (wasted_ > 1024 && wasted_ > arcs_.size() / 3) tidy();
}

// All rows anew, in order, without slack: shortest-path runs then walk through memory.
void AdjacencyRows::tidy() {
  std::size_t total = 0;
  for (const Room& room : rooms_) total += room.used;
  std::vector<Arc> arcs;
  std::vector<ArcInfo> infos;
  arcs.reserve(total + total / 8);
  infos.reserve(total + total / 8);
  for (std::uint32_t row = 0; row < size(); ++row) {
    std::uint32_t begin = rows_[row].begin, used = rooms_[row].used;
    rows_[row].begin = static_cast<std::uint32_t>(arcs.size());
    rooms_[row].capacity = used;
    arcs.insert(arcs.end(), arcs_.begin() + begin, arcs_.begin() + begin + used);
    infos.insert(infos.end(), infos_.begin() + begin, infos_.begin() + begin + used);
  }
  arcs_.swap(arcs);
  infos_.swap(infos);
  wasted_ = 0;
}

std::uint32_t AdjacencyRows::find(std::uint32_t row, bool edge, std::uint32_t to,
                                  std::uint32_t link, std::uint32_t their_link) const {
  const Row& r = rows_[row];
  std::uint32_t begin = edge ? r.begin : r.begin + r.edges;
  std::uint32_t end = edge ? r.begin + r.edges : r.begin + rooms_[row].used;
  for (std::uint32_t i = begin; i < end; ++i) {
    if (arcs_[i].to == to && infos_[i].link == link && infos_[i].their_link == their_link) return i;
  }
  return kNone;
}

// Moves one entry to place `to` and those between by one.
void AdjacencyRows::move_entry(std::uint32_t from, std::uint32_t to) {
  auto shift = [from, to](auto first) {
    if (from < to) {
      std::rotate(first + from, first + from + 1, first + to + 1);
    } else {
      std::rotate(first + to, first + from, first + from + 1);
    }
  };
  shift(arcs_.begin());
  shift(infos_.begin());
}

std::size_t AdjacencyRows::bytes() const {
  return rows_.capacity() * sizeof(Row) + rooms_.capacity() * sizeof(Room) +
         arcs_.capacity() * sizeof(Arc) + infos_.capacity() * sizeof(ArcInfo);
}

}  // namespace dmsc::routing
