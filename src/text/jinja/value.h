// Values of the template language, with Python's kinds and truth.
//
// Strings, lists and dicts are immutable and shared, so no value can contain itself; their depth is
// bounded when they are made. Objects with identity (namespaces, macros, loops) belong to the Heap
// of one rendering, and values only point at them.
//
// Threads: values made by a Heap stay with its thread.  Lifetime: they end before their Heap.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "io/json.h"
#include "text/marked_text.h"

namespace fathom::jinja {

class Object;
class Value;
struct StringBox;
struct ListBox;
struct DictBox;

struct Undefined {
  std::string hint;  // "'x' is undefined", said when it is used
};

class Value {
 public:
  enum class Kind { kUndefined, kNone, kBool, kInt, kFloat, kString, kList, kDict, kObject };

  Value() : value_(nullptr) {}  // None
  explicit Value(bool value) : value_(value) {}
  explicit Value(int64_t value) : value_(value) {}
  explicit Value(double value) : value_(value) {}
  explicit Value(std::shared_ptr<const StringBox> value) : value_(std::move(value)) {}
  explicit Value(std::shared_ptr<const ListBox> value) : value_(std::move(value)) {}
  explicit Value(std::shared_ptr<const DictBox> value) : value_(std::move(value)) {}
  explicit Value(Object* value) : value_(value) {}
  static Value undefined(std::string hint);
  // A string outside every budget: constants of a template and what is rendered.
  static Value string(MarkedText text);
  static Value string(std::string text) { return string(MarkedText(std::move(text))); }
  // Strings and keys of `json` carry `mark`.
  static Value from_json(const Json& json, char mark);

  Kind kind() const { return static_cast<Kind>(value_.index()); }
  bool is_undefined() const { return kind() == Kind::kUndefined; }
  bool is_none() const { return kind() == Kind::kNone; }
  bool is_bool() const { return kind() == Kind::kBool; }
  bool is_int() const { return kind() == Kind::kInt || is_bool(); }  // True counts as 1
  bool is_number() const { return is_int() || kind() == Kind::kFloat; }
  bool is_string() const { return kind() == Kind::kString; }
  bool is_list() const { return kind() == Kind::kList; }  // or tuple
  bool is_dict() const { return kind() == Kind::kDict; }
  bool is_object() const { return kind() == Kind::kObject; }

  // Each expects its kind.
  const std::string& hint() const { return std::get<UndefinedPtr>(value_)->hint; }
  int64_t as_int() const { return is_bool() ? std::get<bool>(value_) : std::get<int64_t>(value_); }
  double as_double() const {
    return is_int() ? static_cast<double>(as_int()) : std::get<double>(value_);
  }
  bool as_bool() const { return std::get<bool>(value_); }
  const std::shared_ptr<const StringBox>& string_box() const {
    return std::get<std::shared_ptr<const StringBox>>(value_);
  }
  const MarkedText& text() const;
  const std::string& bytes() const { return text().bytes(); }
  const std::shared_ptr<const ListBox>& list_box() const {
    return std::get<std::shared_ptr<const ListBox>>(value_);
  }
  const std::vector<Value>& items() const;
  const DictBox& dict() const { return *std::get<std::shared_ptr<const DictBox>>(value_); }
  Object* object() const { return std::get<Object*>(value_); }

  bool truth() const;
  // Levels of containers below this one; a string or number has none.
  int depth() const;
  // As in error messages: "str object", "None".
  std::string type_name() const;

 private:
  using UndefinedPtr = std::shared_ptr<const Undefined>;
  std::variant<UndefinedPtr, std::nullptr_t, bool, int64_t, double,
               std::shared_ptr<const StringBox>, std::shared_ptr<const ListBox>,
               std::shared_ptr<const DictBox>, Object*>
      value_;
};

// Bytes that count against a rendering's budget while this lives.
class Charge {
 public:
  Charge() = default;
  Charge(int64_t* used, int64_t bytes) : used_(used), bytes_(bytes) { *used_ += bytes; }
  Charge(Charge&& other) noexcept
      : used_(std::exchange(other.used_, nullptr)), bytes_(other.bytes_) {}
  Charge& operator=(Charge&& other) noexcept {
    std::swap(used_, other.used_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Charge() {
    if (used_ != nullptr) *used_ -= bytes_;
  }

 private:
  int64_t* used_ = nullptr;
  int64_t bytes_ = 0;
};

struct StringBox {
  MarkedText text;
  bool markup = false;  // made by |safe or |escape: a plain string added to it is escaped
  // The text of a call's arguments, and the mapping that it spells. `tojson` gives such a text as
  // it is instead of quoting it once more.
  std::shared_ptr<const DictBox> spelled;
  Charge charge{};
};

struct ListBox {
  std::vector<Value> items;
  bool tuple = false;
  int depth = 1;
  Charge charge{};
};

struct DictBox {
  using Entry = std::pair<Value, Value>;
  std::vector<Entry> entries;  // in order of insertion; keys are unique
  int depth = 1;
  // Given for a call's arguments: the dict joins text as this string instead of as Python prints
  // it.
  std::shared_ptr<const StringBox> spelling;
  Charge charge{};

  const Value* find(std::string_view key) const;
};

// What has identity: namespaces, macros, loops, functions.
class Object {
 public:
  virtual ~Object() = default;
  virtual std::string type_name() const = 0;
  // False: there is no such attribute.
  virtual bool attribute(std::string_view, Value&) { return false; }
  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
};

// `cost` counts the nodes compared; a value that holds another many times over costs each time, so
// a limit on it is a fault.
bool equal(const Value& a, const Value& b, int64_t& cost);

// As Python's str() and repr(); both stop with a fault where the text would exceed `limit` bytes.
MarkedText to_text(const Value& value, size_t limit);
MarkedText repr(const Value& value, size_t limit);
// As Python's repr(float).
std::string float_text(double value);

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  const MarkedText* indent = nullptr;  // null: on one line
  MarkedText item_separator{", "};
  MarkedText key_separator{": "};
};
// As Python's json.dumps.
MarkedText to_json(const Value& value, const JsonStyle& style, size_t limit);

}  // namespace fathom::jinja
