#include "dmsc/name/name.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace dmsc {
namespace {

bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == '~';
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string show_byte(char c) {
  if (c >= 0x20 && c < 0x7f) return std::string("'") + c + "'";
  static constexpr char digits[] = "0123456789abcdef";
  auto b = static_cast<unsigned char>(c);
  return std::string("byte 0x") + digits[b >> 4] + digits[b & 15];
}

Status check_component(std::string_view part, std::size_t index) {
  std::string where = "name component " + std::to_string(index + 1);
  if (part.empty()) return make_error(Errc::invalid, where, " is empty");
  if (part.size() > kMaxComponentBytes) {
    return make_error(Errc::invalid, where, " has ", std::to_string(part.size()),
                      " bytes, at most 63 are allowed");
  }
  for (char c : part) {
    if (!is_name_byte(c)) {
      return make_error(Errc::invalid, where, " has ", show_byte(c),
                        "; allowed are letters, digits, '-', '_', '.', '~'");
    }
  }
  return Ok{};
}

bool ends_with_zone(std::string_view text, std::string_view zone) {
  if (text.size() <= zone.size() + 1) return false;
  std::string_view tail = text.substr(text.size() - zone.size());
  return text[text.size() - zone.size() - 1] == '.' &&
         std::equal(tail.begin(), tail.end(), zone.begin(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

}  // namespace

Result<Name> Name::parse(std::string_view text) {
  if (text.empty()) return make_error(Errc::invalid, "name is empty");
  if (text.size() > kMaxNameBytes) {
    return make_error(Errc::invalid, "name has ", std::to_string(text.size()),
                      " bytes, at most 255 are allowed");
  }
  std::size_t start = 0, index = 0;
  while (true) {
    if (index == kMaxNameComponents) {
      return make_error(Errc::invalid, "name has more than 16 components");
    }
    std::size_t slash = text.find('/', start);
    std::size_t end = slash == std::string_view::npos ? text.size() : slash;
    if (Status s = check_component(text.substr(start, end - start), index); !s) return s.error();
    ++index;
    if (slash == std::string_view::npos) break;
    start = slash + 1;
  }
  return Name(std::string(text));
}

std::size_t Name::component_count() const {
  if (text_.empty()) return 0;
  return 1 + static_cast<std::size_t>(std::count(text_.begin(), text_.end(), '/'));
}

std::vector<std::string_view> Name::components() const {
  std::vector<std::string_view> out;
  std::string_view rest = text_;
  while (!rest.empty()) {
    std::size_t slash = rest.find('/');
    out.push_back(rest.substr(0, slash));
    rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
  }
  return out;
}

Name Name::parent() const {
  std::size_t slash = text_.rfind('/');
  return slash == std::string::npos ? Name{} : Name(text_.substr(0, slash));
}

bool Name::covers(const Name& other) const {
  if (text_.empty() || other.text_.size() < text_.size()) return false;
  if (other.text_.compare(0, text_.size(), text_) != 0) return false;
  return other.text_.size() == text_.size() || other.text_[text_.size()] == '/';
}

std::string Name::folded() const {
  std::string out = text_;
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

std::size_t component_ends(std::string_view text, std::uint8_t (&ends)[kMaxNameComponents]) {
  std::size_t n = 0, i = 0;
  if constexpr (std::endian::native == std::endian::little) {
    for (; i + 8 <= text.size(); i += 8) {
      std::uint64_t word;
      std::memcpy(&word, text.data() + i, sizeof word);
      // The high bit of each byte that is a slash: (x | 0x80) - 1 loses it only where the low bits of x are zero.
      const std::uint64_t x = word ^ 0x2f2f'2f2f'2f2f'2f2fULL, high = 0x8080'8080'8080'8080ULL;
      for (std::uint64_t hits = ~((x | high) - (high >> 7)) & ~x & high; hits != 0; hits &= hits - 1) {
        ends[n++] = static_cast<std::uint8_t>(i + static_cast<std::size_t>(std::countr_zero(hits)) / 8);
        if (n == kMaxNameComponents) return n;
      }
    }
  }
  for (; i < text.size(); ++i) {
    if (text[i] != '/') continue;
    ends[n++] = static_cast<std::uint8_t>(i);
    if (n == kMaxNameComponents) return n;
  }
  ends[n++] = static_cast<std::uint8_t>(text.size());
  return n;
}

std::optional<std::string> to_dns(const Name& name, std::string_view zone) {
  std::vector<std::string_view> parts = name.components();
  if (parts.empty()) return std::nullopt;
  std::string out;
  for (auto it = parts.rbegin(); it != parts.rend(); ++it) {
    if (it->find_first_of(".~") != std::string_view::npos) return std::nullopt;
    if (it->front() == '-' || it->back() == '-') return std::nullopt;
    std::string part(*it);
    std::transform(part.begin(), part.end(), part.begin(), lower);
    out += part + ".";
  }
  out += zone;
  if (out.size() > 253) return std::nullopt;
  return out;
}

Result<Name> from_dns(std::string_view dns_name, std::string_view zone) {
  if (!dns_name.empty() && dns_name.back() == '.') dns_name.remove_suffix(1);
  if (!ends_with_zone(dns_name, zone)) {
    return make_error(Errc::not_found, "'", std::string(dns_name), "' is not below zone '",
                      std::string(zone), "'");
  }
  std::string_view labels = dns_name.substr(0, dns_name.size() - zone.size() - 1);
  std::string text;
  for (bool first = true;; first = false) {
    std::size_t dot = labels.rfind('.');
    std::string_view label = dot == std::string_view::npos ? labels : labels.substr(dot + 1);
    text += (first ? "" : "/") + std::string(label);
    if (dot == std::string_view::npos) break;
    labels = labels.substr(0, dot);
  }
  return Name::parse(text);
}

}  // namespace dmsc
