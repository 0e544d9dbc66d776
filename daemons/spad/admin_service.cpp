#include "spad/admin_service.hpp"

#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/grpc_status.hpp"
#include "spad/bootstrap.hpp"
#include "spad/core.hpp"
#include "spad/feed.hpp"

namespace dmsc::spad {

namespace {

constexpr const char* kActor = "operator";  // the socket is root's

grpc::Status done(Result<std::uint64_t> position, std::string detail, v1::RegistryDone* reply) {
  if (!position) return runtime::to_grpc(position.error());
  reply->set_detail(std::move(detail));
  reply->set_position(*position);
  return grpc::Status::OK;
}

}  // namespace

grpc::Status AdminService::give_token(const std::string& name, v1::JoinToken* reply) {
  Status here = core_.refused_here();
  if (!here) return runtime::to_grpc({Errc::conflict, here.error().message});
  std::uint64_t now = core_.now();
  Result<std::string> token = make_error(Errc::internal, "no token");
  Status kept = core_.store().db().transaction([&]() -> Status {
    token = core_.registrar()->new_token(name, runtime::random_array<32>(), kActor, now);
    return token ? Status(Ok{}) : Status(token.error());
  });
  if (!kept) return runtime::to_grpc(kept.error());
  reply->set_token(*token);
  reply->set_name(name);
  reply->set_node_id(core_.view().node(name)->node_id);
  reply->set_expires(now + core_.config().identities.token_life);
  return grpc::Status::OK;
}

AdminService::Reactor* AdminService::AddNode(Context* context, const v1::NodeSpec* request,
                                             v1::JoinToken* reply) {
  return on_loop(core_.io(), context, [this, request, reply]() -> grpc::Status {
    Result<std::uint64_t> added =
        core_.edit(kActor, "node_add", request->name(), [&](const View& view, Moment at) {
          return add_node(view, {request->name(), request->role(), request->address(),
                                 request->nearest_spa()}, at);
        });
    if (!added) return runtime::to_grpc(added.error());
    return give_token(request->name(), reply);
  });
}

AdminService::Reactor* AdminService::NewToken(Context* context, const v1::NodeName* request,
                                              v1::JoinToken* reply) {
  return on_loop(core_.io(), context, [this, request, reply]() -> grpc::Status {
    return give_token(request->name(), reply);
  });
}

AdminService::Reactor* AdminService::RemoveNode(Context* context, const v1::NodeName* request,
                                                v1::RegistryDone* reply) {
  return on_loop(core_.io(), context, [this, request, reply]() -> grpc::Status {
    const std::string& name = request->name();
    if (name == core_.config().node.name) {
      return runtime::to_grpc({Errc::conflict, name + " is this SPA itself"});
    }
    auto removed = core_.edit(kActor, "node_remove", name, [&](const View& view, Moment at) {
      return remove_node(view, name, at);
    });
    return done(std::move(removed), "removed " + name + "; its key and grants are revoked", reply);
  });
}

AdminService::Reactor* AdminService::SetPrefix(Context* context, const v1::PrefixRule* request,
                                               v1::RegistryDone* reply) {
  return on_loop(core_.io(), context, [this, request, reply]() -> grpc::Status {
    RuleSpec spec{request->subtree(), request->identity(), request->depth(), request->covering(),
                  request->pool()};
    auto set = core_.edit(kActor, "prefix_set", rule_key(spec.subtree, spec.identity),
                          [&](const View& view, Moment at) { return set_rule(view, spec, at); });
    return done(std::move(set), "set " + spec.subtree, reply);
  });
}

AdminService::Reactor* AdminService::RemovePrefix(Context* context,
                                                  const v1::PrefixRuleName* request,
                                                  v1::RegistryDone* reply) {
  return on_loop(core_.io(), context, [this, request, reply]() -> grpc::Status {
    auto removed = core_.edit(kActor, "prefix_remove",
                              rule_key(request->subtree(), request->identity()),
                              [&](const View& view, Moment) {
                                return remove_rule(view, request->subtree(), request->identity());
                              });
    return done(std::move(removed),
                "removed " + request->subtree() + "; its grants are revoked", reply);
  });
}

Result<Changes> AdminService::revoke(const v1::RevokeRequest& request, Moment at) {
  if (core_.view().issuers.count(request.issuer()) == 0) {
    return make_error(Errc::not_found, "there is no issuer ", std::to_string(request.issuer()));
  }
  RevokedGrant revoked;
  revoked.ref = {request.issuer(), request.serial()};
  revoked.reason = request.reason();
  revoked.position = at.position;
  const GrantPolicy& policy = core_.config().grants;
  revoked.until = at.time + policy.valid_for + policy.grace;
  if (request.issuer() == core_.office()->issuer()) {
    Result<GrantRow> row = core_.office()->find_grant(request.serial());
    if (!row) return row.error();
    revoked.until = row->accepted_until;
    revoked.node = row->node;
    revoked.identity = row->identity;
    revoked.subtree = row->subtree;
  }
  return Changes{record(revoked)};
}

AdminService::Reactor* AdminService::Revoke(Context* context, const v1::RevokeRequest* request,
                                            v1::RegistryDone* reply) {
  return on_loop(core_.io(), context, [this, request, reply]() -> grpc::Status {
    std::string ref = std::to_string(request->issuer()) + "/" + std::to_string(request->serial());
    auto revoked = core_.edit(kActor, "revoke", ref, [&](const View&, Moment at) {
      return revoke(*request, at);
    });
    return done(std::move(revoked), "revoked grant " + ref, reply);
  });
}

AdminService::Reactor* AdminService::RotateLinkKey(Context* context,
                                                   const v1::RotateRequest* request,
                                                   v1::RegistryDone* reply) {
  return on_loop(core_.io(), context, [this, request, reply]() -> grpc::Status {
    auto rotated = core_.edit(
        kActor, "link_key_" + request->step(), "", [&](const View& view, Moment at) {
          return rotate_link_key(view, request->step(), runtime::random_array<32>(), at);
        });
    std::string keys;
    for (const auto& [id, key] : core_.view().link_keys) {
      keys += (keys.empty() ? "" : ", ") + std::to_string(id) + " " + to_string(key.stage);
    }
    return done(std::move(rotated), "link keys: " + keys, reply);
  });
}

AdminService::Reactor* AdminService::Load(Context* context, const v1::LoadRequest* request,
                                          v1::RegistryDone* reply) {
  return on_loop(core_.io(), context, [this, request, reply]() -> grpc::Status {
    Result<RegistryFile> file = parse_registry(request->yaml(), "registry");
    if (!file) return runtime::to_grpc(file.error());
    auto loaded = core_.edit(kActor, "load", "", [&](const View& view, Moment at) {
      return load_changes(view, *file, at);
    });
    if (!loaded) return runtime::to_grpc(loaded.error());
    Status tokens =
        write_token_files(*file, core_.store(), *core_.registrar(), core_.now());
    if (!tokens) return runtime::to_grpc(tokens.error());
    return done(std::move(loaded),
                "loaded " + std::to_string(file->nodes.size()) + " nodes and " +
                    std::to_string(file->rules.size()) + " prefix rules",
                reply);
  });
}

}  // namespace dmsc::spad
