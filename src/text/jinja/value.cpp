#include "text/jinja/value.h"

#include <algorithm>

#include "text/jinja/fault.h"

namespace fathom::jinja {

Value Value::undefined(std::string hint) {
  Value value;
  value.value_ = std::make_shared<const Undefined>(Undefined{std::move(hint)});
  return value;
}

Value Value::string(MarkedText text) {
  auto box = std::make_shared<StringBox>();
  box->text = std::move(text);
  return Value(std::shared_ptr<const StringBox>(std::move(box)));
}

Value Value::from_json(const Json& json, char mark) {
  switch (json.kind()) {
    case Json::Kind::kNull:
      return Value();
    case Json::Kind::kBool:
      return Value(json.as_bool());
    case Json::Kind::kInt:
      return Value(json.as_int());
    case Json::Kind::kDouble:
      return Value(json.as_double());
    case Json::Kind::kString:
      return string(MarkedText(json.as_string(), mark));
    case Json::Kind::kArray: {
      auto box = std::make_shared<ListBox>();
      for (const Json& item : json.items()) {
        box->items.push_back(from_json(item, mark));
        box->depth = std::max(box->depth, 1 + box->items.back().depth());
      }
      return Value(std::shared_ptr<const ListBox>(std::move(box)));
    }
    case Json::Kind::kObject:
      break;
  }
  auto box = std::make_shared<DictBox>();
  for (const auto& [key, member] : json.members()) {
    box->entries.emplace_back(string(MarkedText(key, mark)), from_json(member, mark));
    box->depth = std::max(box->depth, 1 + box->entries.back().second.depth());
  }
  return Value(std::shared_ptr<const DictBox>(std::move(box)));
}

const MarkedText& Value::text() const { return string_box()->text; }
const std::vector<Value>& Value::items() const { return list_box()->items; }

bool Value::truth() const {
  switch (kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
      return as_bool();
    case Kind::kInt:
      return as_int() != 0;
    case Kind::kFloat:
      return as_double() != 0;
    case Kind::kString:
      return !text().empty();
    case Kind::kList:
      return !items().empty();
    case Kind::kDict:
      return !dict().entries.empty();
    case Kind::kObject:
      break;
  }
  return true;
}

int Value::depth() const {
  if (is_list()) return list_box()->depth;
  return is_dict() ? dict().depth : 0;
}

std::string Value::type_name() const {
  switch (kind()) {
    case Kind::kUndefined:
      return "undefined";
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return "bool object";
    case Kind::kInt:
      return "int object";
    case Kind::kFloat:
      return "float object";
    case Kind::kString:
      return "str object";
    case Kind::kList:
      return list_box()->tuple ? "tuple object" : "list object";
    case Kind::kDict:
      return "dict object";
    case Kind::kObject:
      break;
  }
  return object()->type_name() + " object";
}

const Value* DictBox::find(std::string_view key) const {
  for (const Entry& entry : entries) {
    if (entry.first.is_string() && entry.first.bytes() == key) return &entry.second;
  }
  return nullptr;
}

namespace {

constexpr int64_t kMaxCompared = 4'000'000;

bool equal_lists(const ListBox& a, const ListBox& b, int64_t& cost) {
  if (&a == &b) return true;
  return a.tuple == b.tuple &&
         std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(),
                    [&](const Value& x, const Value& y) { return equal(x, y, cost); });
}

bool equal_dicts(const DictBox& a, const DictBox& b, int64_t& cost) {
  if (&a == &b) return true;
  if (a.entries.size() != b.entries.size()) return false;
  return std::all_of(a.entries.begin(), a.entries.end(), [&](const DictBox::Entry& entry) {
    return std::any_of(b.entries.begin(), b.entries.end(), [&](const DictBox::Entry& other) {
      return equal(entry.first, other.first, cost) && equal(entry.second, other.second, cost);
    });
  });
}

}  // namespace

bool equal(const Value& a, const Value& b, int64_t& cost) {
  if (++cost > kMaxCompared) fault("values too large to be compared");
  if (a.is_number() && b.is_number()) {
    return a.is_int() && b.is_int() ? a.as_int() == b.as_int() : a.as_double() == b.as_double();
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Value::Kind::kString:
      cost += static_cast<int64_t>(a.bytes().size()) / 256;
      return a.bytes() == b.bytes();
    case Value::Kind::kList:
      return equal_lists(*a.list_box(), *b.list_box(), cost);
    case Value::Kind::kDict:
      return equal_dicts(a.dict(), b.dict(), cost);
    case Value::Kind::kObject:
      return a.object() == b.object();
    default:
      return true;  // undefined and None
  }
}

}  // namespace fathom::jinja
