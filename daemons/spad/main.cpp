#include "dmsc/runtime/daemon.hpp"
#include "spad/config.hpp"
#include "spad/spa.hpp"

int main(int argc, char** argv) {
  return dmsc::runtime::run_daemon<dmsc::spad::Config>(
      argc, argv,
      {"spad", "DMSC service prefix authentication", dmsc::spad::read_config,
       dmsc::spad::Spa::start});
}
