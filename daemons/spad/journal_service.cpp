#include "spad/journal_service.hpp"

#include <algorithm>

#include "dmsc/runtime/grpc_status.hpp"
#include "dmsc/runtime/grpc_tls.hpp"
#include "dmsc/runtime/log.hpp"
#include "spad/core.hpp"

namespace dmsc::spad {

namespace {
constexpr std::size_t kBatch = 64;  // entries read at once
}

grpc::ServerWriteReactor<v1::JournalEntry>* JournalService::Subscribe(
    grpc::CallbackServerContext* context, const v1::JournalRequest* request) {
  auto* feed = new Feed<v1::JournalEntry>(core_.io());
  std::uint64_t position = request->position();
  boost::asio::post(core_.io(), [this, feed, context, position] { add(feed, context, position); });
  return feed;
}

void JournalService::add(Feed<v1::JournalEntry>* feed, const grpc::CallbackServerContext* context,
                         std::uint64_t position) {
  Result<trust::Certificate> caller = runtime::require_role(*context, core_.view().domain, {"spa"});
  Status fits = caller ? core_.check_member(*caller) : Status(caller.error());
  if (fits) fits = core_.refused_here();
  if (fits && closed_) fits = make_error(Errc::unavailable, "this SPA is shutting down");
  if (!fits) return feed->finish(runtime::to_grpc(fits.error()));
  auto replica = std::make_unique<Replica>(Replica{feed, *caller, position});
  Replica* raw = replica.get();
  runtime::log::info("replica-joined", {{"replica", raw->who.name}, {"position", position}});
  feed->drained = [this, raw] { pump(*raw); };
  feed->gone = [this, raw] {
    runtime::log::info("replica-left", {{"replica", raw->who.name}});
    replicas_.erase(std::remove_if(replicas_.begin(), replicas_.end(),
                                   [raw](const auto& r) { return r.get() == raw; }),
                    replicas_.end());
  };
  replicas_.push_back(std::move(replica));
  pump(*raw);
  if (!raw->feed->idle()) return;
  v1::JournalEntry current;  // so that the replica knows it is connected
  current.set_position(position);
  current.set_time(core_.now());
  raw->feed->send(std::move(current));
}

void JournalService::pump(Replica& replica) {
  if (!replica.feed->idle()) return;
  auto rows = core_.store().after(replica.position, kBatch);
  if (!rows) return replica.feed->finish(runtime::to_grpc(rows.error()));
  for (const JournalRow& row : *rows) {
    v1::JournalEntry entry;
    entry.set_position(row.position);
    entry.set_snapshot(row.snapshot);
    entry.set_change(to_json(row.changes).dump());
    entry.set_time(row.time);
    replica.position = row.position;
    replica.feed->send(std::move(entry));
  }
}

void JournalService::push() {
  for (const auto& replica : replicas_) {
    Status member = core_.check_member(replica->who);
    member ? pump(*replica) : replica->feed->finish(runtime::to_grpc(member.error()));
  }
}

void JournalService::close() {
  closed_ = true;
  for (const auto& r : replicas_) {
    r->feed->finish({grpc::StatusCode::UNAVAILABLE, "this SPA is shutting down"});
  }
}

}  // namespace dmsc::spad
