// Result<T>: a value, or an Error that says what and where in words an operator can act on.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace dmsc {

enum class Errc {
  invalid,       // the input is malformed
  truncated,     // the input ends too early
  unsupported,   // well-formed, of a kind or version this node does not know
  not_found,
  exists,
  denied,        // understood and refused
  unauthenticated,
  expired,
  limit,         // over a bound
  unavailable,   // a peer or service cannot be reached now
  deadline,      // too late
  conflict,
  internal,
};

// Stable lower-case word of a code, for logs and JSON.
const char* to_string(Errc code);

struct Error {
  Errc code = Errc::internal;
  std::string message;
};

// Returns `error` with "context: " in front, the outermost place first.
Error with_context(std::string_view context, Error error);

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::move(value)) {}           // NOLINT: implicit on purpose
  Result(Error error) : v_(std::move(error)) {}       // NOLINT
  bool ok() const { return v_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return std::get<0>(v_); }
  const T& value() const& { return std::get<0>(v_); }
  T&& value() && { return std::get<0>(std::move(v_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::get<0>(std::move(v_)); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const { return std::get<1>(v_); }

 private:
  std::variant<T, Error> v_;
};

struct Ok {};
using Status = Result<Ok>;

template <class... Part>
Error make_error(Errc code, Part&&... part) {
  std::string text;
  ((text += std::forward<Part>(part)), ...);
  return Error{code, std::move(text)};
}

}  // namespace dmsc
