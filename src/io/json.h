// Json: one value type for every structured file (config.json, tokenizer.json, run files, metrics,
// HTTP bodies).
//
// Objects keep the order in which keys were inserted and find a key in constant time, so that a
// config is written back as it was read and a vocabulary of 100 thousand entries loads in one pass.
// Integers are int64; an integer beyond that range becomes a double, and as_int() refuses it. Depth
// is at most 100, a repeated key is an error.
//
// Threads: const access from any number of threads.  Lifetime: references into a value live until
// it is changed.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"

namespace fathom {

class Json;

// Members in insertion order; above a handful they are also indexed by hash.
class JsonObject {
 public:
  using Member = std::pair<std::string, Json>;

  const Json* find(std::string_view key) const;  // null when absent
  Json* find(std::string_view key);              // null when absent
  Json& insert(std::string key, Json value);     // the key must be new
  bool erase(std::string_view key);              // false when absent
  const std::vector<Member>& members() const { return members_; }
  bool operator==(const JsonObject& other) const;

 private:
  static constexpr size_t kIndexedFrom = 16;  // below this a scan is faster than a table
  static constexpr size_t kNotFound = static_cast<size_t>(-1);

  size_t position(std::string_view key) const;
  void rebuild_index(size_t slots);
  void add_to_index(size_t member);

  std::vector<Member> members_;
  std::vector<uint32_t>
      slots_;  // open addressing: member number + 1, 0 is free; a power of two, at most half full
};

class Json {
 public:
  enum class Kind { kNull, kBool, kInt, kDouble, kString, kArray, kObject };
  using Array = std::vector<Json>;
  using Member = JsonObject::Member;

  Json() = default;
  Json(std::nullptr_t) {}
  Json(std::same_as<bool> auto value) : value_(value) {}
  template <std::integral T>
  requires(!std::same_as<T, bool>) Json(T value) : value_(checked_integer(value)) {}
  Json(double value) : value_(value) {}
  Json(float value) : value_(static_cast<double>(value)) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(Array value) : value_(std::move(value)) {}
  template <class T>
  requires(!std::same_as<T, Json> && std::constructible_from<Json, const T&>)
      Json(const std::vector<T>& values)
      : value_(Array(values.begin(), values.end())) {}

  static Json array(std::initializer_list<Json> items = {}) { return Json(Array(items)); }
  static Json object(std::initializer_list<Member> members = {});

  Kind kind() const { return static_cast<Kind>(value_.index()); }
  bool is_null() const { return kind() == Kind::kNull; }
  bool is_bool() const { return kind() == Kind::kBool; }
  bool is_int() const { return kind() == Kind::kInt; }
  bool is_number() const { return kind() == Kind::kInt || kind() == Kind::kDouble; }
  bool is_string() const { return kind() == Kind::kString; }
  bool is_array() const { return kind() == Kind::kArray; }
  bool is_object() const { return kind() == Kind::kObject; }

  // Each throws when the value is of another kind; `where` (usually the key) opens the message.
  bool as_bool(std::string_view where = "value") const;
  int64_t as_int(
      std::string_view where = "value") const;  // also of a double without a fraction, such as 1e6
  double as_double(std::string_view where = "value") const;
  const std::string& as_string(std::string_view where = "value") const;
  const Array& items(std::string_view where = "value") const;
  const std::vector<Member>& members(std::string_view where = "value") const;

  // Arrays.
  size_t size() const;  // of an array or object; 0 for every other kind
  bool empty() const { return size() == 0; }
  const Json& at(size_t index) const;
  void push_back(Json value);  // a null becomes an array first

  // Objects. `at` throws with the nearest key; `find` gives null for an absent key and for a value
  // that is no object.
  const Json& at(std::string_view key) const;
  const Json* find(std::string_view key) const;
  Json* find(std::string_view key);
  bool contains(std::string_view key) const { return find(key) != nullptr; }
  Json& operator[](
      std::string_view key);  // a null becomes an object first; an absent key is inserted as null
  bool erase(std::string_view key);

  // A member that must be there and be of this kind; the message names the key.
  bool bool_at(std::string_view key) const { return at(key).as_bool(key); }
  int64_t int_at(std::string_view key) const { return at(key).as_int(key); }
  double double_at(std::string_view key) const { return at(key).as_double(key); }
  const std::string& string_at(std::string_view key) const { return at(key).as_string(key); }

  // A member that may be absent or null; of another kind it is an error.
  bool bool_or(std::string_view key, bool fallback) const;
  int64_t int_or(std::string_view key, int64_t fallback) const;
  double double_or(std::string_view key, double fallback) const;
  std::string string_or(std::string_view key, std::string_view fallback) const;

  // JSON text: on one line, or with `indent` spaces a level. Doubles are written with the fewest
  // digits that read back as the same double. Throws on a number that is not finite and on a string
  // that is not UTF-8, naming where it is.
  std::string dump(int indent = -1) const;

  bool operator==(const Json& other) const = default;

 private:
  template <class T>
  static int64_t checked_integer(T value) {
    FATHOM_CHECK(std::in_range<int64_t>(value), "json: integer ", value, " does not fit int64");
    return static_cast<int64_t>(value);
  }
  [[noreturn]] void fail_kind(std::string_view where, std::string_view expected) const;

  std::variant<std::nullptr_t, bool, int64_t, double, std::string, Array, JsonObject> value_ =
      nullptr;
};

// `origin` (a path, or what the text is) opens every message; the message gives line, column and
// byte offset.
Json parse_json(std::string_view text, std::string_view origin,
                ErrorCode code = ErrorCode::kRuntime);

// The fewest digits that read back as the same finite double, always with a point or an exponent:
// "0.1", "2.0", "1e+30".
std::string shortest_number(double value);

// The offset of the first byte that is not UTF-8 (overlong forms and surrogates are not), or
// nothing.
std::optional<size_t> invalid_utf8_offset(std::string_view text);

}  // namespace fathom
