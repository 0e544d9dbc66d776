// The scheduling center's short words for the policies of routing/policy.hpp.
#pragma once
#include "dmsc/routing/policy.hpp"

namespace dmsc::scscd {

using Weights = routing::InstanceWeights;
using Bias = routing::LinkBias;
using Path = routing::ExplicitPath;
using Content = routing::PolicyContent;
using routing::kind_of;
using routing::Policy;

}  // namespace dmsc::scscd
