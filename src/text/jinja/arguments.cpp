#include <algorithm>

#include "text/jinja/interpreter.h"

namespace fathom::jinja {

const Value* ArgumentReader::next(std::string_view name) {
  const size_t position = position_++;
  if (position < values_.positional.size()) return &values_.positional[position];
  for (const auto& [given, value] : values_.named) {
    if (given != name) continue;
    ++named_used_;
    return &value;
  }
  return nullptr;
}

const Value& ArgumentReader::required(std::string_view name) {
  const Value* value = next(name);
  if (value == nullptr) fault(function_, ": the argument '", name, "' is missing");
  if (value->is_undefined()) fault(value->hint());
  return *value;
}

Value ArgumentReader::or_else(std::string_view name, Value fallback) {
  const Value* value = next(name);
  return value == nullptr ? std::move(fallback) : *value;
}

int64_t ArgumentReader::int_or(std::string_view name, int64_t fallback) {
  const Value* value = next(name);
  if (value == nullptr || value->is_none()) return fallback;
  if (!value->is_int())
    fault(function_, ": '", name, "' must be an integer, not ", value->type_name());
  return value->as_int();
}

bool ArgumentReader::bool_or(std::string_view name, bool fallback) {
  const Value* value = next(name);
  return value == nullptr ? fallback : value->truth();
}

const MarkedText* ArgumentReader::text(std::string_view name) {
  const Value* value = next(name);
  if (value == nullptr) return nullptr;
  if (value->is_undefined()) fault(value->hint());
  if (!value->is_string())
    fault(function_, ": '", name, "' must be a string, not ", value->type_name());
  return &value->text();
}

void ArgumentReader::done() const {
  if (values_.positional.size() > position_) {
    fault(function_, " takes at most ", position_, " arguments, not ", values_.positional.size());
  }
  if (named_used_ < values_.named.size()) {
    fault(function_, " got an argument that it does not know: '", values_.named.back().first, "'");
  }
}

}  // namespace fathom::jinja
