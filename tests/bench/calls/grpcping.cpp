// The same with gRPC, client to server directly: unary calls of bytes, no generated code.
//   calls_grpcping serve ADDRESS:PORT                             echoes until SIGTERM
//   calls_grpcping ping ADDRESS:PORT SIZE COUNT [OUTSTANDING]
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "rounds.hpp"

namespace {

// A generic service streams by form; on the wire one message each way is a unary call.
class Echo : public grpc::ServerGenericBidiReactor {
 public:
  Echo() { StartRead(&message_); }
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    StartWriteAndFinish(&message_, {}, grpc::Status::OK);
  }
  void OnDone() override { delete this; }

 private:
  grpc::ByteBuffer message_;
};

class EchoService : public grpc::CallbackGenericService {
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    return new Echo;
  }
};

int serve(const std::string& where) {
  EchoService service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(where, grpc::InsecureServerCredentials());
  builder.RegisterCallbackGenericService(&service);
  auto server = builder.BuildAndStart();
  if (!server) return 1;
  std::puts("ready");
  std::fflush(stdout);
  wait_for_term();
  server->Shutdown(std::chrono::system_clock::now());
  return 0;
}

struct Call {
  grpc::ClientContext context;
  grpc::ByteBuffer reply;
  grpc::Status status;
  std::uint64_t sent = 0;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
};

int ping(const std::string& where, std::size_t size, std::size_t count, std::size_t outstanding) {
  grpc::GenericStub stub(grpc::CreateChannel(where, grpc::InsecureChannelCredentials()));
  grpc::CompletionQueue queue;
  const grpc::Slice slice(std::string(size, 'x'));
  const grpc::ByteBuffer request(&slice, 1);
  std::size_t started = 0;
  auto start = [&] {
    auto* call = new Call;
    call->sent = now_ns();
    call->reader = stub.PrepareUnaryCall(&call->context, "/bench.Echo/Echo", request, &queue);
    call->reader->StartCall();
    call->reader->Finish(&call->reply, &call->status, call);
    ++started;
  };
  Rounds rounds(count);
  const std::uint64_t began = now_ns();
  while (started < std::min(outstanding, count)) start();
  void* tag = nullptr;
  bool ok = false;
  while (rounds.seen() < count && queue.Next(&tag, &ok)) {
    std::unique_ptr<Call> call(static_cast<Call*>(tag));
    if (!call->status.ok()) {
      std::fprintf(stderr, "%s\n", call->status.error_message().c_str());
      return 1;
    }
    rounds.add(call->sent, now_ns());
    if (started < count) start();
  }
  return rounds.print(began);
}

}  // namespace

int main(int argc, char** argv) {
  block_term();
  if (argc == 3 && std::strcmp(argv[1], "serve") == 0) return serve(argv[2]);
  if (argc < 5 || std::strcmp(argv[1], "ping") != 0) return 2;
  auto number = [&](int i) { return static_cast<std::size_t>(std::atoi(argv[i])); };
  return ping(argv[2], number(3), number(4), argc > 5 ? number(5) : 1);
}
