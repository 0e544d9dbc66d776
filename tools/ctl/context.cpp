#include "context.hpp"

#include <iostream>

namespace dmsc::ctl {

std::shared_ptr<grpc::Channel> Context::channel(const char* socket_name) {
  auto connected = connect(persona.daemon, socket.empty() ? run_dir + "/" + socket_name : socket);
  if (connected) return *connected;
  fail(connected.error());
  return nullptr;
}

std::unique_ptr<InspectClient> Context::inspect() {
  auto connected = channel("inspect.sock");
  return connected ? std::make_unique<InspectClient>(connected) : nullptr;
}

std::shared_ptr<grpc::Channel> Context::admin_channel() { return channel("admin.sock"); }

std::unique_ptr<AdminClient> Context::admin() {
  auto connected = admin_channel();
  return connected ? std::make_unique<AdminClient>(connected) : nullptr;
}

void Context::print(const std::string& json_text) const {
  Json document = json ? Json() : Json::parse(json_text, nullptr, false);
  if (json || document.is_discarded()) {
    std::cout << json_text << std::endl;
  } else {
    std::cout << render_document(document, view) << std::flush;
  }
}

void Context::fail(const Error& error) {
  std::cerr << persona.program << ": " << printable(error.message) << std::endl;
  exit_code = exit_code_of(error.code);
}

}  // namespace dmsc::ctl
