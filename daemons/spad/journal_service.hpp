// gRPC service Journal (proto/dmsc/v1/registry.proto): the writer's end of replication.
#pragma once
#include <dmsc/v1/registry.grpc.pb.h>

#include <memory>
#include <vector>

#include "dmsc/trust/certificate.hpp"
#include "spad/feed.hpp"

namespace dmsc::spad {

class Core;

class JournalService final : public v1::Journal::CallbackService {
 public:
  explicit JournalService(Core& core) : core_(core) {}
  grpc::ServerWriteReactor<v1::JournalEntry>* Subscribe(grpc::CallbackServerContext* context,
                                                        const v1::JournalRequest* request) override;
  // New entries for everybody. On the io_context's thread.
  void push();
  void close();

  struct Replica {
    Feed<v1::JournalEntry>* feed;
    trust::Certificate who;
    std::uint64_t position;  // sent up to here
  };
  const std::vector<std::unique_ptr<Replica>>& replicas() const { return replicas_; }

 private:
  void add(Feed<v1::JournalEntry>* feed, const grpc::CallbackServerContext* context,
           std::uint64_t position);
  void pump(Replica& replica);
  Core& core_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  bool closed_ = false;
};

}  // namespace dmsc::spad
