// What every command gets: who we are, where the daemon is, how to print.
#pragma once
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "client.hpp"
#include "exit_code.hpp"
#include "persona.hpp"
#include "view.hpp"

namespace dmsc::ctl {

struct Context {
  Persona persona;
  std::string run_dir;  // default /run/dmsc/DAEMON
  std::string socket;   // overrides both sockets
  bool json = false;    // -o json
  ViewOptions view;
  int exit_code = kOk;

  // Connects, or prints why not, sets exit_code and returns null.
  std::unique_ptr<InspectClient> inspect();
  std::unique_ptr<AdminClient> admin();
  std::shared_ptr<grpc::Channel> admin_channel();  // for a daemon's own admin services

  // Prints a reply of the daemon: unchanged with -o json, else rendered.
  void print(const std::string& json_text) const;
  std::string render(const std::string& json_text) const;
  // Columns to use now: 0 with --wide or without a terminal.
  std::size_t width() const;
  // Prints "srctl: MESSAGE" to stderr and sets exit_code.
  void fail(const Error& error);

 private:
  std::shared_ptr<grpc::Channel> channel(const char* socket_name);
};

}  // namespace dmsc::ctl
