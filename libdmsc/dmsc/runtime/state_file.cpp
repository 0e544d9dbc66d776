#include "dmsc/runtime/state_file.hpp"

#include <charconv>

#include "dmsc/core/bytes.hpp"
#include "dmsc/crypto/keys.hpp"
#include "dmsc/runtime/files.hpp"

namespace dmsc::runtime {
namespace {

// "dmsc-state 1 GENERATION LENGTH CHECKSUM\n", then LENGTH bytes. The checksum is over all but itself.
constexpr std::string_view kMagic = "dmsc-state 1 ";
constexpr std::size_t kMaxBytes = 64 << 20;

std::string front_of(std::uint64_t generation, std::size_t length) {
  return std::string(kMagic) + std::to_string(generation) + " " + std::to_string(length) + " ";
}

std::string checksum(const std::string& front, std::string_view content) {
  std::string all = front;
  all += content;
  return to_hex(crypto::sha256(as_bytes(all)));
}

struct Whole {
  std::uint64_t generation = 0;
  std::string content;
};

Result<Whole> parse(const std::string& text) {
  if (text.compare(0, kMagic.size(), kMagic) != 0) return make_error(Errc::invalid, "no state file");
  std::size_t end = text.find('\n');
  if (end == std::string::npos) return make_error(Errc::invalid, "it ends in its first line");
  Whole out;
  std::size_t length = 0;
  const char* at = text.data() + kMagic.size();
  const char* stop = text.data() + end;
  auto first = std::from_chars(at, stop, out.generation);
  if (first.ec != std::errc{} || first.ptr == stop || *first.ptr != ' ') {
    return make_error(Errc::invalid, "no generation");
  }
  auto second = std::from_chars(first.ptr + 1, stop, length);
  if (second.ec != std::errc{}) return make_error(Errc::invalid, "no length");
  out.content = text.substr(end + 1);
  if (out.content.size() != length) {
    return make_error(Errc::invalid, std::to_string(out.content.size()), " bytes of ",
                      std::to_string(length));
  }
  std::string front = front_of(out.generation, length);
  if (text.substr(0, end) != front + checksum(front, out.content)) {
    return make_error(Errc::invalid, "its checksum is wrong");
  }
  return out;
}

}  // namespace

StateFile::Loaded StateFile::load() {
  Loaded out;
  for (char which : {'a', 'b'}) {
    std::string path = path_ + "." + which;
    auto text = read_file(path, kMaxBytes);
    if (!text && text.error().code == Errc::not_found) continue;
    auto whole = text ? parse(*text) : Result<Whole>(text.error());
    if (!whole) {
      out.damaged.push_back(path + ": " + whole.error().message);
    } else if (!out.content || whole->generation > generation_) {
      generation_ = whole->generation;
      current_ = which;
      out.content = std::move(whole->content);
    }
  }
  return out;
}

StateFile::Copy StateFile::next(std::string_view content) {
  current_ = current_ == 'a' ? 'b' : 'a';
  std::string front = front_of(++generation_, content.size());
  Copy out;
  out.path = path_ + "." + current_;
  out.content = front + checksum(front, content) + "\n" + std::string(content);
  return out;
}

}  // namespace dmsc::runtime
