// JSON comes from model folders and from clients: a text is refused, or it is valid UTF-8 whose
// value is written and read again as the same.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "io/json.h"
#include "property.h"

namespace fathom {
namespace {

std::optional<Json> parsed(std::string_view text) {
  try {
    return parse_json(text, "fuzz", ErrorCode::kModel);
  } catch (const Error& error) {
    require(error.code() == ErrorCode::kModel, "a refusal has the caller's code");
    return std::nullopt;
  }
}

// What readers ask of a value of unknown kind: an answer or an Error.
void ask(const Json& value) {
  try {
    const int64_t integer = value.as_int();
    require(static_cast<double>(integer) == value.as_double(), "integers are numbers");
  } catch (const Error&) {
    // No integer.
  }
  if (value.is_array()) {
    for (const Json& item : value.items()) ask(item);
  } else if (value.is_object()) {
    for (const auto& [key, item] : value.members()) {
      require(value.find(key) == &item, "each member is found by its key");
      ask(item);
    }
  }
}

void read(std::string_view text) {
  const std::optional<Json> value = parsed(text);
  if (!value) return;
  require(!invalid_utf8_offset(text), "accepted text is UTF-8");
  for (const int indent : {-1, 2}) {
    const std::optional<Json> again = parsed(value->dump(indent));
    require(again.has_value() && *again == *value, "what was written reads as the same value");
    require(again->dump() == value->dump(), "and is written alike");
  }
  ask(*value);
}

}  // namespace
}  // namespace fathom

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fathom::read({reinterpret_cast<const char*>(data), size});
  return 0;
}
