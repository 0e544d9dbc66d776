// scscd: the scheduling center (draft sections 3 and 5-4). See center.hpp for its wiring.

#include "scscd/service.hpp"

int main(int argc, char** argv) {
  using namespace dmsc;
  return runtime::run_daemon<scscd::Config>(
      argc, argv,
      {.name = "scscd",
       .summary = "DMSC scheduling center",
       .read = scscd::read_config,
       .start = scscd::start_service});
}
