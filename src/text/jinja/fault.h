// What goes wrong inside a template; the engine adds the template's name and the line.
#pragma once

#include <stdexcept>
#include <string>

#include "base/error.h"

namespace fathom::jinja {

class Fault : public std::runtime_error {
 public:
  Fault(ErrorCode code, const std::string& what) : std::runtime_error(what), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

// The template is at fault, or asks for what the sandbox refuses.
template <class... Parts>
[[noreturn]] void fault(const Parts&... parts) {
  throw Fault(ErrorCode::kModel, concat(parts...));
}

}  // namespace fathom::jinja
