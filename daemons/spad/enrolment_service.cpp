#include "spad/enrolment_service.hpp"

#include <algorithm>

#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/grpc_status.hpp"
#include "dmsc/runtime/grpc_tls.hpp"
#include "dmsc/runtime/log.hpp"
#include "spad/core.hpp"
#include "spad/feed.hpp"

namespace dmsc::spad {

namespace {

std::string raw(ByteView b) { return std::string(as_text(b)); }

template <std::size_t N>
Result<std::array<std::uint8_t, N>> fixed(const std::string& field, const char* name) {
  std::array<std::uint8_t, N> out;
  if (field.size() != N) {
    return make_error(Errc::invalid, name, ": ", std::to_string(field.size()), " bytes, not ",
                      std::to_string(N));
  }
  std::copy(field.begin(), field.end(), out.begin());
  return out;
}

// Addresses of all members of `role`, the node's nearest SPA first.
std::vector<std::string> addresses(const View& view, const NodeRecord& node, const char* role) {
  std::vector<std::string> out;
  for (const auto& [name, other] : view.nodes) {
    if (other.role != role || other.address.empty()) continue;
    out.insert(name == node.nearest_spa ? out.begin() : out.end(), other.address);
  }
  return out;
}

void fill_state(const Core& core, const NodeRecord& node, v1::EnrolReply* reply) {
  const View& view = core.view();
  if (node.role == "sg" || node.role == "sr") {
    for (const auto& [id, key] : view.link_keys) {
      v1::LinkKey* out = reply->add_link_keys();
      out->set_id(id);
      out->set_secret(raw(key.secret));
    }
    reply->set_active_link_key(view.active_link_key());
  }
  for (const std::string& a : addresses(view, node, "spa")) reply->add_spas(a);
  for (const std::string& a : addresses(view, node, "scsc")) reply->add_scscs(a);
  auto object = [&view](const char* key) {
    auto it = view.objects.find(key);
    return it == view.objects.end() ? std::string() : raw(it->second);
  };
  reply->set_authority(object("authority"));
  reply->set_parameters(object("parameters"));
  for (const Bytes& list : core.revocations()) reply->add_revocations(raw(list));
}

}  // namespace

grpc::Status EnrolmentService::answer(Result<Registrar::Certified> certified,
                                      v1::EnrolReply* reply) {
  if (!certified) {
    if (refusals_.allow(runtime::now())) {
      runtime::log::warning("enrolment-refused", {{"reason", certified.error()},
                                                  {"unsaid_before", refusals_.take_suppressed()}});
    }
    return runtime::to_grpc(certified.error());
  }
  core_.registry_changed();
  const NodeRecord& node = certified->node;
  runtime::log::info("certificate-issued",
                     {{"name", node.name}, {"role", node.role}, {"serial", node.serial}});
  reply->set_name(node.name);
  reply->set_role(node.role);
  reply->set_node_id(node.node_id);
  reply->set_certificate(raw(certified->certificate));
  reply->set_root(raw(core_.registrar()->root().der));
  reply->set_domain(core_.view().domain);
  reply->set_domain_id(core_.view().domain_id.value);
  reply->set_domain_time(core_.now());
  fill_state(core_, node, reply);
  return grpc::Status::OK;
}

grpc::ServerUnaryReactor* EnrolmentService::Enrol(grpc::CallbackServerContext* context,
                                                  const v1::EnrolRequest* request,
                                                  v1::EnrolReply* reply) {
  return on_loop(core_.io(), context, [this, request, reply]() -> grpc::Status {
    Status here = core_.refused_here();
    if (!here) return runtime::to_grpc(here.error());
    auto key = fixed<32>(request->public_key(), "public_key");
    if (!key) return runtime::to_grpc(key.error());
    auto proof = fixed<64>(request->proof(), "proof");
    if (!proof) return runtime::to_grpc(proof.error());
    return answer(core_.registrar()->enrol(request->token_secret(), *key, *proof, core_.now()),
                  reply);
  });
}

grpc::ServerUnaryReactor* EnrolmentService::Renew(grpc::CallbackServerContext* context,
                                                  const v1::RenewRequest* request,
                                                  v1::EnrolReply* reply) {
  return on_loop(core_.io(), context, [this, context, request, reply]() -> grpc::Status {
    Result<trust::Certificate> caller = runtime::peer_certificate(*context);
    if (!caller) return runtime::to_grpc(caller.error());
    Status here = core_.refused_here();
    if (!here) return runtime::to_grpc(here.error());
    auto key = fixed<32>(request->public_key(), "public_key");
    if (!key) return runtime::to_grpc(key.error());
    auto proof = fixed<64>(request->proof(), "proof");
    if (!proof) return runtime::to_grpc(proof.error());
    return answer(core_.registrar()->renew(*caller, *key, *proof, core_.now()), reply);
  });
}

}  // namespace dmsc::spad
