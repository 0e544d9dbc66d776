// Drives linkstate::Discovery on one interface: socket, timer, the interface's coming and going. Control
// thread only.
#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>

#include "dmsc/dataplane/socket_address.hpp"
#include "dmsc/linkstate/discovery.hpp"
#include "dmsc/node/interface_watcher.hpp"
#include "dmsc/node/settings.hpp"

namespace dmsc::node {

class LinkFinder {
 public:
  // `changed`: neighbours() is another. It may be called during any other function.
  LinkFinder(boost::asio::io_context& io, FinderSettings settings,
             linkstate::DiscoveryConfig config, std::function<void()> changed);
  ~LinkFinder();

  // `state`: null = there is no such interface.
  void interface_changed(const InterfaceState* state);
  // Once a second: an address may come later than its interface, or change.
  void refresh();
  void adjacency(NodeId node, bool up);
  void set_keys(const crypto::KeyChain& keys) { discovery_.set_keys(keys); }

  // Of links made from now on.
  void set_link(const LinkSettings& link) { settings_.link = link; }

  const FinderSettings& settings() const { return settings_; }
  const std::map<NodeId, linkstate::Discovery::Neighbour>& neighbours() const {
    return discovery_.neighbours();
  }
  // Of this end; unset while the interface is not usable.
  const dataplane::SocketAddress& local() const { return local_; }
  // Where a neighbour found here takes unicast PDUs, without port: an IPv6 link-local address with this
  // interface as its scope.
  std::string remote_text(const linkstate::UnicastEndpoint& endpoint) const;
  // With port: "10.0.0.2:7401", "[fe80::2%eth1]:7401".
  std::string endpoint_text(const linkstate::UnicastEndpoint& endpoint) const;

 private:
  dataplane::SocketAddress wanted_address() const;
  void open(const dataplane::SocketAddress& local);
  void close(const std::string& reason);
  void complain(const std::string& reason);
  void wait();
  void read();
  void pump();
  void log_found(const std::string& name, const linkstate::UnicastEndpoint& at) const;

  FinderSettings settings_;
  linkstate::Discovery discovery_;
  std::function<void()> changed_;
  boost::asio::posix::stream_descriptor descriptor_;
  boost::asio::steady_timer timer_;
  InterfaceState interface_;
  dataplane::SocketAddress local_;
  int waited_ = 0;         // times without an address of the interface
  std::string complaint_;  // logged once
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for completions already queued
};

// As text, "10.0.0.2", "fe80::2"; empty if it is no address.
std::string address_text(const linkstate::UnicastEndpoint& endpoint);

}  // namespace dmsc::node
