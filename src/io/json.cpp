#include "io/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>

namespace fathom {

// ---- objects -----------------------------------------------------------------------------------

size_t JsonObject::position(std::string_view key) const {
  if (slots_.empty()) {
    for (size_t i = 0; i < members_.size(); ++i) {
      if (members_[i].first == key) return i;
    }
    return kNotFound;
  }
  const size_t mask = slots_.size() - 1;
  for (size_t slot = std::hash<std::string_view>{}(key)&mask; slots_[slot] != 0;
       slot = (slot + 1) & mask) {
    const size_t member = slots_[slot] - 1;
    if (members_[member].first == key) return member;
  }
  return kNotFound;
}

void JsonObject::add_to_index(size_t member) {
  const size_t mask = slots_.size() - 1;
  size_t slot = std::hash<std::string_view>{}(members_[member].first) & mask;
  while (slots_[slot] != 0) slot = (slot + 1) & mask;
  slots_[slot] = static_cast<uint32_t>(member + 1);
}

void JsonObject::rebuild_index(size_t slots) {
  slots_.assign(slots, 0);
  for (size_t i = 0; i < members_.size(); ++i) add_to_index(i);
}

const Json* JsonObject::find(std::string_view key) const {
  const size_t i = position(key);
  return i == kNotFound ? nullptr : &members_[i].second;
}

Json* JsonObject::find(std::string_view key) {
  const size_t i = position(key);
  return i == kNotFound ? nullptr : &members_[i].second;
}

Json& JsonObject::insert(std::string key, Json value) {
  FATHOM_CHECK(members_.size() < std::numeric_limits<uint32_t>::max() / 2,
               "json: object has too many members");
  members_.emplace_back(std::move(key), std::move(value));
  if (!slots_.empty() && members_.size() * 2 <= slots_.size()) {
    add_to_index(members_.size() - 1);
  } else if (members_.size() >= kIndexedFrom) {
    rebuild_index(slots_.empty() ? kIndexedFrom * 4 : slots_.size() * 2);
  }
  return members_.back().second;
}

bool JsonObject::erase(std::string_view key) {
  const size_t i = position(key);
  if (i == kNotFound) return false;
  members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(i));
  if (!slots_.empty()) rebuild_index(slots_.size());
  return true;
}

bool JsonObject::operator==(const JsonObject& other) const { return members_ == other.members_; }

// ---- values ------------------------------------------------------------------------------------

namespace {

constexpr std::array<const char*, 7> kKindNames = {
    "null", "a boolean", "an integer", "a number", "a string", "an array", "an object"};

// A short rendering for error messages; never throws.
std::string shown(const Json& value) {
  constexpr size_t kLongest = 40;
  const std::string kind = kKindNames[static_cast<size_t>(value.kind())];
  switch (value.kind()) {
    case Json::Kind::kBool:
      return value.as_bool() ? "the boolean true" : "the boolean false";
    case Json::Kind::kInt:
      return concat("the integer ", value.as_int());
    case Json::Kind::kDouble:
      return concat("the number ", value.as_double());
    case Json::Kind::kString: {
      const std::string& text = value.as_string();
      return concat("the string \"", text.substr(0, kLongest),
                    text.size() > kLongest ? "...\"" : "\"");
    }
    case Json::Kind::kArray:
    case Json::Kind::kObject:
      return concat(kind, " of ", value.size());
    case Json::Kind::kNull:
      break;
  }
  return kind;
}

std::vector<std::string> keys_of(const std::vector<Json::Member>& members) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : members) keys.push_back(key);
  return keys;
}

}  // namespace

Json Json::object(std::initializer_list<Member> members) {
  Json result;
  JsonObject& object = result.value_.emplace<JsonObject>();
  for (const Member& member : members) {
    FATHOM_CHECK(object.find(member.first) == nullptr, "json: key \"", member.first,
                 "\" is given twice");
    object.insert(member.first, member.second);
  }
  return result;
}

void Json::fail_kind(std::string_view where, std::string_view expected) const {
  fail(ErrorCode::kRuntime, where, ": expected ", expected, ", got ", shown(*this));
}

bool Json::as_bool(std::string_view where) const {
  if (const bool* value = std::get_if<bool>(&value_)) return *value;
  fail_kind(where, "true or false");
}

int64_t Json::as_int(std::string_view where) const {
  if (const int64_t* value = std::get_if<int64_t>(&value_)) return *value;
  constexpr double kExact =
      9007199254740992.0;  // 2^53: beyond it a double no longer tells which integer was meant
  const double* value = std::get_if<double>(&value_);
  if (value && std::abs(*value) <= kExact && std::trunc(*value) == *value)
    return static_cast<int64_t>(*value);
  fail_kind(where, "an integer (64 bits)");
}

double Json::as_double(std::string_view where) const {
  if (const double* value = std::get_if<double>(&value_)) return *value;
  if (const int64_t* value = std::get_if<int64_t>(&value_)) return static_cast<double>(*value);
  fail_kind(where, "a number");
}

const std::string& Json::as_string(std::string_view where) const {
  if (const std::string* value = std::get_if<std::string>(&value_)) return *value;
  fail_kind(where, "a string");
}

const Json::Array& Json::items(std::string_view where) const {
  if (const Array* value = std::get_if<Array>(&value_)) return *value;
  fail_kind(where, "an array");
}

const std::vector<Json::Member>& Json::members(std::string_view where) const {
  if (const JsonObject* value = std::get_if<JsonObject>(&value_)) return value->members();
  fail_kind(where, "an object");
}

size_t Json::size() const {
  if (const Array* array = std::get_if<Array>(&value_)) return array->size();
  if (const JsonObject* object = std::get_if<JsonObject>(&value_)) return object->members().size();
  return 0;
}

const Json& Json::at(size_t index) const {
  const Array& array = items();
  FATHOM_CHECK(index < array.size(), "json: index ", index, " of an array of ", array.size());
  return array[index];
}

void Json::push_back(Json value) {
  if (is_null()) value_ = Array();
  Array* array = std::get_if<Array>(&value_);
  if (!array) fail_kind("push_back", "an array");
  array->push_back(std::move(value));
}

const Json& Json::at(std::string_view key) const {
  const std::vector<Member>& all = members(key);
  const Json* value = find(key);
  if (!value) {
    fail(ErrorCode::kRuntime, "key \"", key, "\" is missing; the object has ", all.size(), " keys",
         did_you_mean(key, keys_of(all)));
  }
  return *value;
}

const Json* Json::find(std::string_view key) const {
  const JsonObject* object = std::get_if<JsonObject>(&value_);
  return object ? object->find(key) : nullptr;
}

Json* Json::find(std::string_view key) {
  JsonObject* object = std::get_if<JsonObject>(&value_);
  return object ? object->find(key) : nullptr;
}

Json& Json::operator[](std::string_view key) {
  if (is_null()) value_ = JsonObject();
  JsonObject* object = std::get_if<JsonObject>(&value_);
  if (!object) fail_kind(key, "an object to hold it");
  Json* value = object->find(key);
  return value ? *value : object->insert(std::string(key), Json());
}

bool Json::erase(std::string_view key) {
  JsonObject* object = std::get_if<JsonObject>(&value_);
  if (!object) fail_kind(key, "an object that holds it");
  return object->erase(key);
}

bool Json::bool_or(std::string_view key, bool fallback) const {
  const Json* value = find(key);
  return value && !value->is_null() ? value->as_bool(key) : fallback;
}

int64_t Json::int_or(std::string_view key, int64_t fallback) const {
  const Json* value = find(key);
  return value && !value->is_null() ? value->as_int(key) : fallback;
}

double Json::double_or(std::string_view key, double fallback) const {
  const Json* value = find(key);
  return value && !value->is_null() ? value->as_double(key) : fallback;
}

std::string Json::string_or(std::string_view key, std::string_view fallback) const {
  const Json* value = find(key);
  return value && !value->is_null() ? value->as_string(key) : std::string(fallback);
}

// ---- text --------------------------------------------------------------------------------------

std::optional<size_t> invalid_utf8_offset(std::string_view text) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  for (size_t i = 0; i < text.size();) {
    const unsigned lead = byte(i);
    const size_t length = lead < 0x80   ? 1
                          : lead < 0xC2 ? 0
                          : lead < 0xE0 ? 2
                          : lead < 0xF0 ? 3
                          : lead < 0xF5 ? 4
                                        : 0;
    if (length == 0) return i;
    for (size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xC0) != 0x80) return i;
    }
    const unsigned second = byte(i + 1);
    const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
    const bool surrogate = lead == 0xED && second >= 0xA0;
    const bool beyond_unicode = lead == 0xF4 && second >= 0x90;
    if (overlong || surrogate || beyond_unicode) return i;
    i += length;
  }
  return std::nullopt;
}

std::string shortest_number(double value) {
  FATHOM_CHECK(std::isfinite(value), "shortest_number: ", value, " is not finite");
  std::array<char, 32> buffer;
  // Left to itself to_chars saves one character by writing 3e-04; people read 0.0003 faster.
  const bool plain = value == 0 || (std::abs(value) >= 1e-5 && std::abs(value) < 1e16);
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format).ptr;
  std::string text(buffer.data(), end);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

namespace {

class JsonWriter {
 public:
  explicit JsonWriter(int indent) : indent_(indent) {}

  void write(const Json& value) {
    switch (value.kind()) {
      case Json::Kind::kNull:
        text_ += "null";
        break;
      case Json::Kind::kBool:
        text_ += value.as_bool() ? "true" : "false";
        break;
      case Json::Kind::kInt:
        text_ += std::to_string(value.as_int());
        break;
      case Json::Kind::kDouble:
        write_double(value.as_double());
        break;
      case Json::Kind::kString:
        write_string(value.as_string());
        break;
      case Json::Kind::kArray:
        write_array(value.items());
        break;
      case Json::Kind::kObject:
        write_object(value.members());
        break;
    }
  }

  std::string take() { return std::move(text_); }

 private:
  struct Step {
    const std::string* key;  // null in an array
    size_t index;
  };

  void write_double(double value) {
    FATHOM_CHECK(std::isfinite(value), "json: ", here(), " is ", value,
                 ", which JSON cannot hold; write null or a string instead");
    text_ += shortest_number(value);
  }

  void write_string(std::string_view value) {
    const std::optional<size_t> bad = invalid_utf8_offset(value);
    FATHOM_CHECK(!bad, "json: ", here(), " is not UTF-8: byte ",
                 static_cast<int>(static_cast<unsigned char>(value[*bad])), " at offset ", *bad);
    constexpr char kHex[] = "0123456789abcdef";
    text_ += '"';
    for (const char c : value) {
      switch (c) {
        case '"':
          text_ += "\\\"";
          break;
        case '\\':
          text_ += "\\\\";
          break;
        case '\n':
          text_ += "\\n";
          break;
        case '\r':
          text_ += "\\r";
          break;
        case '\t':
          text_ += "\\t";
          break;
        default:
          if (static_cast<unsigned char>(c) >= 0x20) {
            text_ += c;
          } else {
            text_ += "\\u00";
            text_ += kHex[(c >> 4) & 0xF];
            text_ += kHex[c & 0xF];
          }
      }
    }
    text_ += '"';
  }

  void write_array(const Json::Array& array) {
    // Rows of plain numbers stay on one line even when indented: one number a line helps nobody.
    const bool flat =
        std::all_of(array.begin(), array.end(), [](const Json& item) { return item.size() == 0; });
    text_ += '[';
    for (size_t i = 0; i < array.size(); ++i) {
      path_.push_back({nullptr, i});
      separate(i == 0, flat);
      write(array[i]);
      path_.pop_back();
    }
    close(array.empty() || flat, ']');
  }

  void write_object(const std::vector<Json::Member>& members) {
    text_ += '{';
    for (size_t i = 0; i < members.size(); ++i) {
      path_.push_back({&members[i].first, i});
      separate(i == 0, false);
      write_string(members[i].first);
      text_ += indent_ < 0 ? ":" : ": ";
      write(members[i].second);
      path_.pop_back();
    }
    close(members.empty(), '}');
  }

  void separate(bool first, bool same_line) {
    if (!first) text_ += ',';
    if (indent_ < 0) return;
    if (!same_line) {
      new_line(path_.size());
    } else if (!first) {
      text_ += ' ';
    }
  }

  void close(bool same_line, char bracket) {
    if (indent_ >= 0 && !same_line) new_line(path_.size());
    text_ += bracket;
  }

  void new_line(size_t depth) {
    text_ += '\n';
    text_.append(depth * static_cast<size_t>(indent_), ' ');
  }

  std::string here() const {
    std::string where;
    for (const Step& step : path_) {
      if (step.key) {
        where += (where.empty() ? "" : ".") + *step.key;
      } else {
        where += concat("[", step.index, "]");
      }
    }
    return where.empty() ? "the value" : where;
  }

  int indent_;
  std::string text_;
  std::vector<Step> path_;  // one step a level, for indentation and messages
};

}  // namespace

std::string Json::dump(int indent) const {
  JsonWriter writer(indent);
  writer.write(*this);
  return writer.take();
}

}  // namespace fathom
