// The client library by example: a program that serves one name and calls another. Two of them, one in
// each of two pods, play ping-pong through the service network:
//
//   pod-1$ dmsc-example A/1 B/4
//   pod-4$ dmsc-example B/4 A/1
#include <cstdio>
#include <string>
#include <thread>

#include "dmsc/client/gateway.hpp"

using namespace dmsc;

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4) {
    std::fprintf(stderr, "usage: dmsc-example OWN-PREFIX NAME-TO-CALL [SOCKET-DIR]\n");
    return 2;
  }
  const std::string own = argv[1], peer = argv[2];
  client::Options options;
  options.client = "dmsc-example";
  if (argc == 4) options.socket_dir = argv[3];
  client::Gateway gateway(options);

  // Serve: the handler runs on a thread of the library; an error becomes `pod-refused` at the caller.
  gateway.serve(own, [&](const client::Request& request) -> Result<Bytes> {
    std::string text(as_text(request.payload));
    std::printf("%s asks: %s\n", request.source.empty() ? "somebody" : request.source.c_str(),
                text.c_str());
    return to_bytes(as_bytes("pong from " + own + " to: " + text));
  });

  // Announce: the gateway asks the SPA on our behalf. The check is answered by the library itself.
  client::Announcement announcement;
  announcement.prefix = own;
  announcement.check.kind = client::Check::Kind::self;
  gateway.announce(announcement);
  auto granted = gateway.wait_granted(own, seconds(30));
  if (!granted) {
    std::fprintf(stderr, "dmsc-example: %s\n", granted.error().message.c_str());
    return 1;
  }
  std::printf("%s is granted, instance %u at %s\n", own.c_str(), unsigned{granted->instance},
              gateway.session()->gateway.c_str());

  // Call: blocks for the reply, an error that says what went wrong, or the deadline.
  for (int i = 1; i <= 10; ++i) {
    auto reply = gateway.call(peer, as_bytes("ping " + std::to_string(i)), seconds(1));
    if (reply) {
      std::printf("%.*s\n", int(reply->payload.size()),
                  reinterpret_cast<const char*>(reply->payload.data()));
    } else {
      std::printf("no reply: %s\n", reply.error().message.c_str());
    }
    std::this_thread::sleep_for(seconds(1));
  }
  return 0;  // the gateway object's end withdraws the announcement
}
