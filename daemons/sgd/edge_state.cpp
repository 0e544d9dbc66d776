#include "sgd/edge_state.hpp"

#include <time.h>
#include <unistd.h>

#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/files.hpp"
#include "dmsc/runtime/log.hpp"
#include "sgd/announcement_store.hpp"

namespace dmsc::sgd {
namespace {

namespace log = runtime::log;
constexpr std::string_view kMagic = "dmsc-client-addresses 1\n", kSum = "sha256 ";
constexpr const char* kNames = "virtual-addresses";
constexpr const char* kClients = "client-addresses";
constexpr const char* kFlows = "flows";

// Goes on while the machine sleeps.
Duration since_boot() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace

std::string encode_clients(const std::vector<std::pair<Ipv4, std::string>>& clients) {
  std::string out(kMagic);
  for (const auto& [address, client] : clients) out += to_string(address) + " " + client + "\n";
  return out + std::string(kSum) + to_hex(crypto::sha256(as_bytes(out))) + "\n";
}

Result<std::vector<std::pair<Ipv4, std::string>>> decode_clients(std::string_view text) {
  const std::size_t sum = text.rfind(kSum);
  if (text.substr(0, kMagic.size()) != kMagic || sum == std::string_view::npos) {
    return make_error(Errc::invalid, "client-addresses: not a whole file of this version");
  }
  if (text.substr(sum + kSum.size()) != to_hex(crypto::sha256(as_bytes(text.substr(0, sum)))) + "\n") {
    return make_error(Errc::invalid, "client-addresses: its checksum is wrong");
  }
  std::vector<std::pair<Ipv4, std::string>> out;
  std::string_view rows = text.substr(kMagic.size(), sum - kMagic.size());
  for (int line = 2; !rows.empty(); ++line) {
    const std::size_t end = rows.find('\n');
    std::string_view row = rows.substr(0, end);
    rows = end == std::string_view::npos ? std::string_view{} : rows.substr(end + 1);
    const std::size_t space = row.find(' ');
    auto address = parse_ipv4(row.substr(0, space));
    if (!address || space == std::string_view::npos || space + 1 == row.size()) {
      return make_error(Errc::invalid, "client-addresses line ", std::to_string(line), ": want ADDRESS CLIENT");
    }
    out.emplace_back(*address, row.substr(space + 1));
  }
  return out;
}

SavedAddresses EdgeState::addresses() const {
  SavedAddresses fresh;
  fresh.key = runtime::random_array<16>();
  if (directory_.empty()) return fresh;
  auto text = runtime::read_file(file(kNames));
  if (!text) return fresh;
  auto saved = decode_saved(*text);
  if (saved) return *saved;
  log::warning("virtual-addresses-lost", {{"file", file(kNames)}, {"error", saved.error()}});
  return fresh;
}

EdgeState::Clients EdgeState::clients() const {
  auto text = directory_.empty() ? Result<std::string>(Error{}) : runtime::read_file(file(kClients));
  if (!text) return {};
  auto saved = decode_clients(*text);
  if (saved) return *saved;
  log::warning("client-addresses-lost", {{"file", file(kClients)}, {"error", saved.error()}});
  return {};
}

std::vector<HandedFlow> EdgeState::flows(const std::vector<std::string>& ports) const {
  constexpr std::size_t kMostBytes = std::size_t{512} << 20;
  auto text = directory_.empty() ? Result<std::string>(Error{}) : runtime::read_file(file(kFlows), kMostBytes);
  if (!text) return {};
  ::unlink(file(kFlows).c_str());
  auto handover = decode_handover(as_bytes(*text));
  if (!handover) {
    log::warning("flows-lost", {{"file", file(kFlows)}, {"error", handover.error()}});
    return {};
  }
  const Duration age = since_boot() - handover->written;
  if (handover->boot != boot_id() || age < Duration::zero() || age > kFresh) {
    log::info("flows-outdated", {{"file", file(kFlows)}, {"flows", handover->flows.size()}});
    return {};
  }
  return renumbered(std::move(*handover), ports);
}

bool EdgeState::write(const char* name, std::string_view content) const {
  if (directory_.empty()) return false;
  Status status = runtime::write_file_atomically(file(name), content);
  if (!status) log::warning("edge-state-unsaved", {{"file", file(name)}, {"error", status.error()}});
  return static_cast<bool>(status);
}

bool EdgeState::save(const SavedAddresses& addresses) const {
  return write(kNames, encode_saved(addresses));
}

bool EdgeState::save(const Clients& clients) const { return write(kClients, encode_clients(clients)); }

bool EdgeState::hand_over(const std::vector<std::string>& ports, std::vector<HandedFlow> flows) const {
  Handover out{boot_id(), since_boot(), ports, std::move(flows)};
  const Bytes bytes = encode_handover(out);
  return write(kFlows, as_text(bytes));
}

}  // namespace dmsc::sgd
