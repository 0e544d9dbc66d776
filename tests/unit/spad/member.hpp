// A member of the domain as the tests play it: enrolled, with a channel to one SPA.
#pragma once
#include <dmsc/v1/authentication.grpc.pb.h>
#include <dmsc/v1/enrolment.grpc.pb.h>
#include <dmsc/v1/registry.grpc.pb.h>
#include <grpcpp/grpcpp.h>

#include "dmsc/runtime/enrol.hpp"
#include "dmsc/runtime/grpc_status.hpp"
#include "dmsc/runtime/grpc_tls.hpp"
#include "dmsc/trust/trust_store.hpp"
#include "tests/unit/spad/fixture.hpp"

namespace dmsc::test {

inline ByteView bytes(const std::string& s) { return as_bytes(s); }

struct Member {
  runtime::Identity identity;
  std::shared_ptr<grpc::Channel> channel;

  static Result<Member> join(const Folder& folder, const std::string& name,
                             const runtime::Endpoint& spa, std::uint8_t key) {
    Result<std::string> text = runtime::read_file(folder.file("tokens/" + name));
    if (!text) return text.error();
    Result<runtime::Identity> id =
        runtime::enrol(spa, *runtime::parse_join_token(*text), key_of(key), seconds(10));
    if (!id) return id.error();
    return Member(*id, spa);
  }
  Member(runtime::Identity id, const runtime::Endpoint& spa) : identity(std::move(id)) { dial(spa); }
  void dial(const runtime::Endpoint& spa) {
    channel = runtime::tls_channel(runtime::to_string(spa), "spa", identity.certificate.domain,
                                   runtime::tls_client_credentials(identity));
  }

  static void limit(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  }

  Result<v1::AuthenticateReply> ask(const std::string& pod, const std::string& prefix,
                                    bool join_pool = false) const {
    grpc::ClientContext context;
    limit(context);
    v1::AuthenticateRequest request;
    request.set_pod_identity(pod);
    request.set_prefix(prefix);
    request.set_join_pool(join_pool);
    v1::AuthenticateReply reply;
    grpc::Status status =
        v1::Authentication::NewStub(channel)->Authenticate(&context, request, &reply);
    if (!status.ok()) return runtime::from_grpc(status);
    return reply;
  }
  std::string refusal(const std::string& pod, const std::string& prefix) const {
    Result<v1::AuthenticateReply> reply = ask(pod, prefix);
    return reply ? reply->refusal_code() : "error: " + reply.error().message;
  }

  // What this node's own trust store would know: the SPA's state and its own identity.
  trust::TrustStore store() const {
    trust::TrustStore s = *trust::TrustStore::create(identity.domain_id, identity.root.der);
    s.learn(*identity_lsa());
    for (const Bytes& object : {identity.authority, identity.parameters}) {
      if (!object.empty()) (void)s.learn_object(object);
    }
    return s;
  }
  wire::LsaPtr identity_lsa() const {
    return lsa(wire::LsaType::identity,
               wire::encode(wire::IdentityBody{identity.certificate.der, {}}));
  }
  wire::LsaPtr lsa(wire::LsaType type, const Bytes& body) const {
    return *wire::make_lsa({identity.certificate.node, type, 0}, {1, 1}, 3600, false, body,
                           identity.key);
  }
};

// A Follow stream read on the test's thread.
class Follow {
 public:
  explicit Follow(const Member& member) : stub_(v1::Authentication::NewStub(member.channel)) {
    Member::limit(context_);
    reader_ = stub_->Follow(&context_, {});
  }
  ~Follow() {
    context_.TryCancel();
    (void)reader_->Finish();
  }
  // The next message, learnt by `store`; false at the end of the stream.
  bool next(trust::TrustStore* store = nullptr) {
    last.Clear();
    if (!reader_->Read(&last)) return false;
    if (store == nullptr) return true;
    if (!last.authority().empty()) (void)store->learn_object(bytes(last.authority()));
    if (!last.parameters().empty()) (void)store->learn_object(bytes(last.parameters()));
    for (const std::string& r : last.revocations()) (void)store->learn_object(bytes(r));
    return true;
  }
  v1::TrustUpdate last;

 private:
  std::unique_ptr<v1::Authentication::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::TrustUpdate>> reader_;
};

}  // namespace dmsc::test
