// From configuration and identity on disk to what a node is told: the same for srd and sgd.
#pragma once
#include "dmsc/node/node.hpp"
#include "dmsc/runtime/identity.hpp"
#include "dmsc/runtime/node_config.hpp"

namespace dmsc::node {

// `daemon`: "srd" or "sgd". SPAs of the configuration override those enrolment told.
NodeSettings node_settings(const runtime::RouterConfig& config, const runtime::Identity& identity,
                           const std::string& daemon);
NodeIdentity node_identity(const runtime::Identity& identity);
// Mutual TLS with the identity's certificate; `identity` may be renewed later: see Router.
SpaChannelFactory spa_channels(std::shared_ptr<const runtime::Identity> identity);
std::vector<ServiceTarget> targets(const std::vector<runtime::Endpoint>& configured,
                                   const std::vector<runtime::Endpoint>& enrolled);

}  // namespace dmsc::node
