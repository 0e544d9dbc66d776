#include "srd/service.hpp"

int main(int argc, char** argv) {
  return dmsc::runtime::run_daemon<dmsc::srd::Config>(
      argc, argv,
      {.name = "srd",
       .summary = "DMSC service router: transit of the service network",
       .read = dmsc::srd::read_config,
       .start = dmsc::srd::start_service});
}
