// Between the protobuf of signalling 1 and the gateway's own types; only for pod_server.cpp and tests.
#pragma once
#include "dmsc/v1/pod.pb.h"
#include "sgd/pod_server.hpp"

namespace dmsc::sgd {

// Every rule an announcement must obey before anybody is asked about it; the error is for the pod.
Result<AnnouncedService> parse_announcement(const v1::Announcement& announcement);
v1::GatewayMessage to_message(const WelcomeInfo& info);
v1::GatewayMessage to_message(const Announcements::Status& status);
v1::GatewayMessage to_message(std::uint64_t id, const std::string& prefix, const CheckSpec& check);

}  // namespace dmsc::sgd
