// soak_attack: ten million bogus names from a certified node, and as many LSAs of invented origins, against
// its peers (docs/protocol.md, LS-C5). Virtual time; the heap is real.
//
//   soak_attack [--names 10000000]
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/rigs/attack_rig.hpp"

namespace {

using namespace dmsc;
using rigs::AttackRig;

double ms(Duration d) { return static_cast<double>(d.count()) / 1e6; }

bool report(const char* what, AttackRig::Mode mode, std::uint64_t names) {
  AttackRig rig({mode, names, 20'000});
  AttackRig::Outcome o = rig.run();
  double late = ms(o.attacked_delay - o.quiet_delay), peer = static_cast<double>(o.memory_most) / 3e6;
  std::printf("%s: %llu LSAs sent, %llu installed behind the first peer, %zu waiting at most, honest "
              "changes %.2f ms in quiet, %.2f ms attacked\n", what,
              static_cast<unsigned long long>(o.lsas_sent), static_cast<unsigned long long>(o.installed),
              o.waiting_most, ms(o.quiet_delay), ms(o.attacked_delay));
  std::printf("{\"case\": \"%s: honest changes later by\", \"value\": %.3f, \"unit\": \"ms\", "
              "\"at_most\": 50}\n", what, late);
  std::printf("{\"case\": \"%s: heap more, three peers together\", \"value\": %.1f, \"unit\": \"MB\", "
              "\"at_most\": 96}\n", what, peer * 3);
  std::printf("{\"case\": \"%s: adjacencies lost\", \"value\": %zu, \"unit\": \"\", \"at_most\": 0}\n",
              what, o.adjacencies_lost);
  return late < 50 && peer <= 32 && o.adjacencies_lost == 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t names = 10'000'000;
  if (argc == 3 && std::string(argv[1]) == "--names") names = std::strtoull(argv[2], nullptr, 10);
  if (argc == 2 || names == 0) {
    std::fprintf(stderr, "usage: soak_attack [--names N]\n");
    return 2;
  }
  crypto::init();
  bool good = report("bogus names", AttackRig::Mode::own_names, names);
  good = report("invented origins", AttackRig::Mode::junk_origins, names) && good;
  return good ? 0 : 1;
}
