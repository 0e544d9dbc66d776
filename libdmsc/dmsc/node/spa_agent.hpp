// Signalling 3, the node's side: follows the trust stream of the nearest SPA that answers, and asks
// the SPAs in turn whether a pod may announce a prefix. gRPC's threads only post to the control
// thread; everything here is called there.
#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dmsc/core/bytes.hpp"
#include "dmsc/core/result.hpp"
#include "dmsc/core/time.hpp"
#include "dmsc/node/node.hpp"

namespace dmsc::node {

// One message of the stream, in our own types.
struct TrustNews {
  std::vector<Bytes> signed_objects;  // authority first, then parameters and revocations
  std::vector<std::pair<std::uint16_t, crypto::Key32>> link_keys;  // all; empty = unchanged
  std::uint16_t active_link_key = 0;
  DomainTime domain_time;             // zero = not said
  std::string spa;
};

class SpaAgent {
 public:
  struct Hooks {
    std::function<void(const TrustNews&)> news;
    // The stream is up (first message came) or lost; `spa` is its target, `why` the gRPC error.
    std::function<void(const std::string& spa, bool up, const std::string& why)> connected;
  };
  SpaAgent(boost::asio::io_context& io, SpaChannelFactory channels, Hooks hooks);
  ~SpaAgent();  // cancels everything; no hook or callback comes afterwards

  // Nearest first. A list without the SPA now followed ends that stream.
  void set_targets(std::vector<ServiceTarget> targets);
  // Calls from now on use channels of this factory; a stream that is up goes on.
  void set_channels(SpaChannelFactory channels);
  // As Node::authenticate.
  void authenticate(AuthenticationRequest request, Duration timeout,
                    std::function<void(Result<AuthenticationAnswer>)> done);
  // Target of the stream that is up; "" if none.
  std::string connected() const;
  void stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace dmsc::node
