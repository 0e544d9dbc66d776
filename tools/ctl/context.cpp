#include "context.hpp"

#include <iostream>

#include "terminal.hpp"

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
  std::cout << render(json_text) << std::flush;
}

std::string Context::render(const std::string& json_text) const {
  Json document = json ? Json() : Json::parse(json_text, nullptr, false);
  if (json || document.is_discarded()) return json_text + "\n";
  ViewOptions now = view;
  now.style.width = width();
  return render_document(document, now);
}

std::size_t Context::width() const { return view.wide ? 0 : terminal_size().width; }

void Context::fail(const Error& error) {
  std::cerr << persona.program << ": " << printable(error.message) << std::endl;
  exit_code = exit_code_of(error.code);
}

}  // namespace dmsc::ctl
