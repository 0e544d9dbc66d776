// Service prefixes and names (DESIGN section 3): components joined by '/', compared byte-wise,
// whole component by whole component.
#pragma once
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dmsc/core/result.hpp"

namespace dmsc {

inline constexpr std::size_t kMaxNameBytes = 255;
inline constexpr std::size_t kMaxNameComponents = 16;
inline constexpr std::size_t kMaxComponentBytes = 63;

// A valid service name, held in its canonical text form "shop/cart/v2". A default-made Name is
// empty and stands for "no name"; it is not valid on the wire.
class Name {
 public:
  Name() = default;
  // Accepts exactly the canonical form: 1-16 components of 1-63 bytes of letters, digits, '-', '_',
  // '.', '~'; 255 bytes in all. The error names the offending component and its position.
  static Result<Name> parse(std::string_view text);

  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }
  std::size_t component_count() const;
  // Views into this name; valid while it lives.
  std::vector<std::string_view> components() const;
  // The name without its last component; empty if there is only one.
  Name parent() const;
  // True if this name is `other` or a name above it, by whole components.
  bool covers(const Name& other) const;
  // Letters folded to lower case: what the SPA compares to refuse look-alike spellings.
  std::string folded() const;

  friend auto operator<=>(const Name&, const Name&) = default;

 private:
  explicit Name(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// The ends of the first 1, 2, ... components in a name's text, for look-ups that try prefixes
// without copying. Returns the count; `ends[i]` is the length of the prefix of i+1 components.
std::size_t component_ends(std::string_view text, std::uint8_t (&ends)[kMaxNameComponents]);

// DNS form under `zone` ("svc.dmsc"): components reversed, "4.b.svc.dmsc" for "b/4"; nullopt if a
// component has '.', '~' or '_' at a place DNS refuses, or the whole is too long (RFC 1035).
std::optional<std::string> to_dns(const Name& name, std::string_view zone);

// The labels of a DNS query name below `zone`, back in name order and in the query's own case.
// DNS is case-insensitive: match the result against known names with Name::folded().
Result<Name> from_dns(std::string_view dns_name, std::string_view zone);

}  // namespace dmsc

template <>
struct std::hash<dmsc::Name> {
  std::size_t operator()(const dmsc::Name& n) const noexcept {
    return std::hash<std::string>{}(n.text());
  }
};
