// The program's exit codes; documented in docs/operations.md.
#pragma once
#include "dmsc/core/result.hpp"

namespace dmsc::ctl {

enum ExitCode : int {
  kOk = 0,
  kNegative = 1,  // the daemon answered, and the answer is no: not found, no reply to a ping
  kUsage = 2,
  kUnreachable = 3,  // the daemon does not answer
  kRefused = 4,      // it answered that it will not
};

inline ExitCode exit_code_of(Errc code) {
  switch (code) {
    case Errc::not_found:
    case Errc::expired:
      return kNegative;
    case Errc::invalid:
    case Errc::truncated:
      return kUsage;
    case Errc::unavailable:
    case Errc::deadline:
      return kUnreachable;
    default:
      return kRefused;
  }
}

}  // namespace dmsc::ctl
