// Cases with a name: one question each, answered by figures with goals.
#pragma once
#include <vector>

#include "tests/sim/report.hpp"
#include "tests/sim/run.hpp"

namespace dmsc::sim {

struct CaseContext {
  Pki& pki;
  std::uint64_t seed = 1;
  Options options;
  std::string wrong;  // set by a case whose invariants do not hold
};
struct Case {
  const char* name;
  const char* what;
  std::vector<Figure> (*run)(CaseContext&);
};
const std::vector<Case>& cases();
std::vector<Figure> path_mtu_case(CaseContext& context);  // mtu_case.cpp
const Case* find_case(const std::string& name);

// A grid of routers with 1 ms links and one gateway at each corner, started and left in peace for ten
// seconds. Link k of the grid is the k-th made, row by row: to the right, then down.
void build_grid(World& world, std::size_t columns, std::size_t rows, Duration delay);

}  // namespace dmsc::sim
