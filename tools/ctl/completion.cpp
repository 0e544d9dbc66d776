// completion bash: a completion script for the shell, written from the parser itself.
#include <iostream>

#include "commands.hpp"

namespace dmsc::ctl {
namespace {

std::string words_of(const CLI::App& app) {
  std::string words;
  for (const CLI::App* sub : app.get_subcommands({})) words += sub->get_name() + " ";
  return words;
}

void print_bash(const CLI::App& app, const Persona& persona) {
  std::string topics;
  for (const auto& t : persona.topics) topics += t + " ";
  std::cout << "# bash completion for " << persona.program << "\n_" << persona.program
            << "() {\n"
               "  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
               "  case $previous in\n"
               "    show|watch) COMPREPLY=($(compgen -W \""
            << topics
            << "\" -- \"$word\")); return;;\n"
               "    log-level) COMPREPLY=($(compgen -W \"debug info warning error\" -- "
               "\"$word\")); return;;\n"
               "    -o|--output) COMPREPLY=($(compgen -W \"table json\" -- \"$word\")); return;;\n"
               "    --socket|--run-dir) COMPREPLY=($(compgen -f -- \"$word\")); return;;\n"
               "    completion) COMPREPLY=($(compgen -W \"bash\" -- \"$word\")); return;;\n"
               "  esac\n"
               "  COMPREPLY=($(compgen -W \""
            << words_of(app) << "--socket --run-dir --output --wide --no-color --help --version"
            << "\" -- \"$word\"))\n}\ncomplete -F _" << persona.program << " " << persona.program
            << "\n";
}

}  // namespace

void add_completion(CLI::App& app, Context& context) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "Print the completion script of a shell");
  command->add_option("SHELL", *shell, "bash")->required()->check(CLI::IsMember({"bash"}));
  command->callback([&app, &context] { print_bash(app, context.persona); });
}

}  // namespace dmsc::ctl
