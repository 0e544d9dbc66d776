#include "sgd/instance_ids.hpp"

#include "dmsc/runtime/files.hpp"
#include "dmsc/runtime/log.hpp"
#include "dmsc/runtime/units.hpp"

namespace dmsc::sgd {
namespace {

constexpr unsigned kLast = 65535;
unsigned advance(unsigned id, unsigned by) { return (id - 1 + by) % kLast + 1; }

}  // namespace

Result<InstanceIds> InstanceIds::open(const std::string& state_dir, std::uint16_t random_start) {
  InstanceIds ids(state_dir.empty() ? std::string() : state_dir + "/instance-ids");
  ids.next_ = advance(1, random_start);
  if (ids.file_.empty()) return ids;
  auto text = runtime::read_file(ids.file_, 64);
  if (!text) {
    if (text.error().code == Errc::not_found) return ids;
    return text.error();
  }
  std::string number = *text;
  while (!number.empty() && (number.back() == '\n' || number.back() == ' ')) number.pop_back();
  auto value = runtime::parse_integer(number);
  if (!value || *value < 1 || *value > kLast) {
    return make_error(Errc::invalid, ids.file_, ": \"", number, "\" is not an instance id");
  }
  ids.next_ = static_cast<unsigned>(*value);
  return ids;
}

void InstanceIds::reserve() {
  reserved_ = kReserve;
  if (file_.empty()) return;
  auto written = runtime::write_file_atomically(file_, std::to_string(advance(next_, kReserve)) + "\n");
  if (!written) runtime::log::error("instance-ids-not-kept", {{"error", written.error()}});
}

InstanceId InstanceIds::next(const std::function<bool(InstanceId)>& in_use) {
  for (unsigned tries = 0; tries < kLast; ++tries) {
    if (reserved_ == 0) reserve();
    --reserved_;
    InstanceId id{static_cast<std::uint16_t>(next_)};
    next_ = advance(next_, 1);
    if (!in_use(id)) return id;
  }
  return InstanceId{};  // 65,535 instances at one gateway: the announcement's limits come first
}

}  // namespace dmsc::sgd
