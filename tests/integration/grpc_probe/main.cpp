// grpc_probe TARGET [STATE_DIR ROLE]: asks any gRPC server for its health and, by reflection, for
// its services. One line each: `health SERVING`, `service NAME`. For the lab's tests: TARGET is
// unix:PATH, or HOST:PORT of a server of that role, called with the identity in STATE_DIR. The two
// standard protocols are few bytes, written and read here by hand, because the distribution has no
// client for them.
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dmsc/runtime/grpc_tls.hpp"
#include "dmsc/runtime/identity.hpp"

namespace {

using Message = std::string;

// The fields of a protobuf message that are varints or bytes; nullopt if it is malformed.
struct Field {
  std::uint64_t number = 0, value = 0;
  std::string_view bytes;
};
std::optional<std::uint64_t> varint(std::string_view& in) {
  std::uint64_t out = 0;
  for (int shift = 0; shift < 64 && !in.empty(); shift += 7) {
    auto byte = static_cast<std::uint8_t>(in.front());
    in.remove_prefix(1);
    out |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return out;
  }
  return std::nullopt;
}
std::optional<std::vector<Field>> fields(std::string_view in) {
  std::vector<Field> out;
  while (!in.empty()) {
    auto key = varint(in), value = key ? varint(in) : std::nullopt;
    if (!value) return std::nullopt;
    Field field{*key >> 3, *value, {}};
    if ((*key & 7) == 2) {
      if (*value > in.size()) return std::nullopt;
      field.bytes = in.substr(0, *value);
      in.remove_prefix(*value);
    } else if ((*key & 7) != 0) {
      return std::nullopt;
    }
    out.push_back(field);
  }
  return out;
}

// One request, one response, over a stream or not: the wire is the same.
std::optional<Message> ask(grpc::GenericStub& stub, const std::string& method,
                           const Message& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  grpc::CompletionQueue queue;
  auto call = stub.PrepareCall(&context, method, &queue);
  auto done = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  call->StartCall(nullptr);
  if (!done()) return std::nullopt;
  grpc::Slice slice(request);
  call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
  if (!done()) return std::nullopt;
  grpc::ByteBuffer answer;
  call->Read(&answer, nullptr);
  bool read = done();
  grpc::Status status;
  call->Finish(&status, nullptr);
  done();
  if (!status.ok())
    std::cerr << method << ": " << status.error_code() << " " << status.error_message() << "\n";
  std::vector<grpc::Slice> slices;
  if (!read || !status.ok() || !answer.Dump(&slices).ok()) return std::nullopt;
  Message out;
  for (const grpc::Slice& s : slices)
    out.append(reinterpret_cast<const char*>(s.begin()), s.size());
  return out;
}

bool print_health(grpc::GenericStub& stub) {
  auto reply = ask(stub, "/grpc.health.v1.Health/Check", "");  // service "": the whole server
  auto parsed = reply ? fields(*reply) : std::nullopt;
  if (!parsed) return false;
  std::uint64_t status = 0;
  for (const Field& field : *parsed) status = field.number == 1 ? field.value : status;
  std::cout << "health "
            << (status == 1   ? "SERVING"
                : status == 2 ? "NOT_SERVING"
                              : "UNKNOWN")
            << "\n";
  return true;
}

bool print_services(grpc::GenericStub& stub) {
  // ServerReflectionRequest.list_services (7) = "*"; the reply's list_services_response (6) holds
  // services (1), each with its name (1).
  auto reply =
      ask(stub, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "\x3a\x01*");
  auto parsed = reply ? fields(*reply) : std::nullopt;
  if (!parsed) return false;
  for (const Field& field : *parsed) {
    auto list = field.number == 6 ? fields(field.bytes) : std::nullopt;
    for (const Field& service : list.value_or(std::vector<Field>{})) {
      auto names = fields(service.bytes);
      if (names && !names->empty()) std::cout << "service " << names->front().bytes << "\n";
    }
  }
  return true;
}

std::shared_ptr<grpc::Channel> channel(int argc, char** argv) {
  if (argc == 2) return grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials());
  auto identity = dmsc::runtime::load_identity(argv[2]);
  if (!identity) {
    std::cerr << identity.error().message << "\n";
    return nullptr;
  }
  return dmsc::runtime::tls_channel(argv[1], argv[3], identity->certificate.domain,
                                    dmsc::runtime::tls_client_credentials(*identity));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 4) {
    std::cerr << "usage: grpc_probe TARGET [STATE_DIR ROLE]\n";
    return 2;
  }
  auto target = channel(argc, argv);
  if (target == nullptr) return 1;
  grpc::GenericStub stub(target);
  bool good = print_health(stub);
  return print_services(stub) && good ? 0 : 1;
}
