#include "sgd/gateway.hpp"

int main(int argc, char** argv) {
  return dmsc::runtime::run_daemon<dmsc::sgd::Config>(
      argc, argv,
      {.name = "sgd",
       .summary = "DMSC service gateway: announces, authenticates and carries the pods' traffic",
       .read = dmsc::sgd::read_config,
       .start = dmsc::sgd::Gateway::start});
}
