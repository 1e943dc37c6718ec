// Errors that a caller may catch, and the one check macro.
//
// A message says what, where, expected, got, and the way out. Libraries throw;
// only `app` turns a code into an exit status.
#pragma once

#include <stdexcept>
#include <string>

#include "base/text.h"

namespace fathom {

// Each code is the process's exit status when nobody handles the error (app/main.cpp).
enum class ErrorCode : int {
  kRuntime = 1,   // data missing or unreadable, disk full, training broke down
  kUsage = 2,     // unknown flag or run-file key, contradictory options
  kModel = 3,     // model folder missing, malformed or unsupported
  kMemory = 4,    // not enough memory
  kInternal = 1,  // a broken precondition inside the program
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

template <class... Parts>
[[noreturn]] void fail(ErrorCode code, const Parts&... parts) {
  throw Error(code, concat(parts...));
}

}  // namespace fathom

// Throws Error(kInternal) with the message of the remaining arguments. Stays on in release builds.
#define FATHOM_CHECK(condition, ...)                               \
  do {                                                             \
    if (!(condition)) [[unlikely]]                                 \
      ::fathom::fail(::fathom::ErrorCode::kInternal, __VA_ARGS__); \
  } while (false)
