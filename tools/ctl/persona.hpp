// One program, several names: the name it is called by says which daemon it talks to.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace dmsc::ctl {

struct Persona {
  std::string program;              // "sgctl"
  std::string daemon;               // "sgd"
  std::string entity;               // "service gateway"
  std::vector<std::string> topics;  // worth showing, for help and completion
};

const std::vector<Persona>& personas();
// By the last component of argv[0]; null if it is none of the names.
const Persona* persona_of(std::string_view argv0);

}  // namespace dmsc::ctl
