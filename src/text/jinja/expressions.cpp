// Expressions: Python's arithmetic, comparison, attributes and slices.
#include <algorithm>
#include <cmath>
#include <limits>

#include "text/jinja/interpreter.h"
#include "text/jinja/strings.h"

namespace fathom::jinja {

namespace {

Value checked(bool overflowed, int64_t result) {
  if (overflowed) fault("an integer beyond 64 bits");
  return Value(result);
}

int64_t floor_div(int64_t a, int64_t b) {
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

Value integer_power(int64_t base, int64_t exponent) {
  if (exponent < 0)
    return Value(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  if (base == 0 || base == 1) return Value(exponent == 0 ? int64_t{1} : base);
  if (base == -1) return Value(exponent % 2 == 0 ? int64_t{1} : int64_t{-1});
  int64_t result = 1;
  for (int64_t i = 0; i < exponent; ++i) {
    if (__builtin_mul_overflow(result, base, &result)) return checked(true, 0);
  }
  return Value(result);
}

Value integer_arithmetic(BinaryOp op, int64_t a, int64_t b) {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  int64_t result = 0;
  bool overflowed = false;  // apart from the call: arguments have no order
  switch (op) {
    case BinaryOp::kAdd:
      overflowed = __builtin_add_overflow(a, b, &result);
      return checked(overflowed, result);
    case BinaryOp::kSub:
      overflowed = __builtin_sub_overflow(a, b, &result);
      return checked(overflowed, result);
    case BinaryOp::kMul:
      overflowed = __builtin_mul_overflow(a, b, &result);
      return checked(overflowed, result);
    case BinaryOp::kPow:
      return integer_power(a, b);
    default:
      break;
  }
  if (b == 0) fault("division by zero");
  if (op == BinaryOp::kDiv) return Value(static_cast<double>(a) / static_cast<double>(b));
  if (b == -1) {
    if (op == BinaryOp::kMod) return Value(int64_t{0});
    return checked(a == kMin, a == kMin ? 0 : -a);
  }
  return Value(op == BinaryOp::kMod ? a - floor_div(a, b) * b : floor_div(a, b));
}

Value float_arithmetic(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kAdd:
      return Value(a + b);
    case BinaryOp::kSub:
      return Value(a - b);
    case BinaryOp::kMul:
      return Value(a * b);
    case BinaryOp::kPow:
      return Value(std::pow(a, b));
    default:
      break;
  }
  if (b == 0) fault("division by zero");
  if (op == BinaryOp::kDiv) return Value(a / b);
  if (op == BinaryOp::kFloorDiv) return Value(std::floor(a / b));
  const double rest = std::fmod(a, b);
  return Value(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
}

const char* name_of(BinaryOp op) {
  switch (op) {
    case BinaryOp::kAdd:
      return "+";
    case BinaryOp::kSub:
      return "-";
    case BinaryOp::kMul:
      return "*";
    case BinaryOp::kDiv:
      return "/";
    case BinaryOp::kFloorDiv:
      return "//";
    case BinaryOp::kMod:
      return "%";
    default:
      return "**";
  }
}

void refuse_undefined(const Value& value) {
  if (value.is_undefined()) fault(value.hint());
}

Value missing(const Value& object, std::string_view name) {
  return Value::undefined(object.is_none()
                              ? concat("None has no attribute '", name, "'")
                              : concat("'", object.type_name(), "' has no attribute '", name, "'"));
}

}  // namespace

Value Interpreter::evaluate(const Expr& expr) {
  const DepthGuard depth(*this);
  heap_.step();
  line_ = expr.line;
  return std::visit([this](const auto& node) { return value_of(node); }, expr.node);
}

Value Interpreter::value_of(const NameExpr& expr) {
  for (const Scope* scope = scope_; scope != nullptr; scope = scope->parent) {
    const auto at = scope->variables.find(expr.name);
    if (at != scope->variables.end()) return at->second;
  }
  const auto global = globals_.find(expr.name);
  if (global != globals_.end()) return global->second;
  return Value::undefined(concat("'", expr.name, "' is undefined"));
}

Value Interpreter::value_of(const SequenceExpr& expr) {
  std::vector<Value> items;
  for (const ExprPtr& item : expr.items) items.push_back(evaluate(*item));
  return heap_.list(std::move(items), expr.tuple);
}

Value Interpreter::value_of(const DictExpr& expr) {
  std::vector<DictBox::Entry> entries;
  for (const auto& [key_expr, value_expr] : expr.entries) {
    const Value key = evaluate(*key_expr);
    if (key.is_list() || key.is_dict()) fault("a ", key.type_name(), " cannot be a key");
    Value value = evaluate(*value_expr);
    heap_.step(static_cast<int64_t>(entries.size()) / 8);
    const auto old = std::find_if(entries.begin(), entries.end(),
                                  [&](const DictBox::Entry& e) { return equals(e.first, key); });
    if (old != entries.end()) {
      old->second = std::move(value);
    } else {
      entries.emplace_back(key, std::move(value));
    }
  }
  return heap_.dict(std::move(entries));
}

Value Interpreter::attribute(const Value& object, std::string_view name) {
  refuse_undefined(object);
  if (object.is_object()) {
    Value found;
    return object.object()->attribute(name, found) ? found : missing(object, name);
  }
  if (has_method(object, name)) {
    const std::string method(name);
    return Value(static_cast<Object*>(heap_.object<Function>(
        method, [object, method](Interpreter& interpreter, const CallValues& values) {
          return call_method(interpreter, object, method, values);
        })));
  }
  if (const DictBox* dict = mapping_of(object)) {
    heap_.step(static_cast<int64_t>(dict->entries.size()) / 8);
    if (const Value* found = dict->find(name)) return *found;
  }
  return missing(object, name);
}

Value Interpreter::value_of(const AttributeExpr& expr) {
  return attribute(evaluate(*expr.object), expr.name);
}

Value Interpreter::subscript(const Value& object, const Value& index) {
  refuse_undefined(object);
  refuse_undefined(index);
  if (const DictBox* dict = mapping_of(object)) {
    heap_.step(static_cast<int64_t>(dict->entries.size()) / 8);
    for (const DictBox::Entry& entry : dict->entries) {
      if (equals(entry.first, index)) return entry.second;
    }
    if (object.is_dict() && index.is_string() && !has_method(object, index.bytes())) {
      return missing(object, index.bytes());
    }
  }
  if (index.is_string()) return attribute(object, index.bytes());
  if (index.is_int() && (object.is_list() || object.is_string())) {
    if (object.is_string()) heap_.step(static_cast<int64_t>(object.bytes().size()) / 64);
    const int64_t size =
        object.is_list() ? static_cast<int64_t>(object.items().size()) : length(object.bytes());
    const int64_t at = index.as_int() < 0 ? index.as_int() + size : index.as_int();
    if (at >= 0 && at < size) {
      if (object.is_list()) return object.items()[static_cast<size_t>(at)];
      return heap_.text(jinja::slice(object.text(), at, at + 1, 1));
    }
    return Value::undefined(concat(object.type_name(), " has no element ", index.as_int()));
  }
  return missing(object, to_text(index, 100).bytes());
}

Value Interpreter::value_of(const SubscriptExpr& expr) {
  const Value object = evaluate(*expr.object);
  if (const auto* bounds = std::get_if<SliceExpr>(&expr.index->node)) {
    return slice(object, *bounds);
  }
  return subscript(object, evaluate(*expr.index));
}

Value Interpreter::value_of(const SliceExpr&) { fault("a slice stands among several indices"); }

Value Interpreter::slice(const Value& object, const SliceExpr& bounds) {
  refuse_undefined(object);
  const auto bound = [&](const ExprPtr& expr, int64_t fallback) {
    if (!expr) return fallback;
    const Value value = evaluate(*expr);
    if (value.is_none()) return fallback;
    refuse_undefined(value);
    if (!value.is_int()) fault("slice bounds are integers, not ", value.type_name());
    return value.as_int();
  };
  if (!object.is_list() && !object.is_string())
    fault("'", object.type_name(), "' cannot be sliced");
  const int64_t size =
      object.is_list() ? static_cast<int64_t>(object.items().size()) : length(object.bytes());
  int64_t step = bound(bounds.step, 1);
  if (step == 0) fault("a slice step cannot be zero");
  step = std::clamp(step, -size - 1, size + 1);
  const bool up = step > 0;
  const auto fit = [&](int64_t at) {
    if (at < 0) at = at < -size ? (up ? 0 : -1) : at + size;
    return std::min(at, up ? size : size - 1);
  };
  constexpr int64_t kNone = std::numeric_limits<int64_t>::min();
  const int64_t given_start = bound(bounds.start, kNone), given_stop = bound(bounds.stop, kNone);
  const int64_t start = given_start == kNone ? (up ? 0 : size - 1) : fit(given_start);
  const int64_t stop = given_stop == kNone ? (up ? size : -1) : fit(given_stop);
  if (object.is_string()) {
    heap_.step(static_cast<int64_t>(object.bytes().size()) / 64);
    if (step != 1) heap_.expect_memory(object.bytes().size() * 80);
    return heap_.text(jinja::slice(object.text(), start, stop, step));
  }
  std::vector<Value> items;
  for (int64_t i = start; up ? i < stop : i > stop; i += step) {
    items.push_back(object.items()[static_cast<size_t>(i)]);
  }
  return heap_.list(std::move(items), object.list_box()->tuple);
}

CallValues Interpreter::arguments(const CallArguments& call) {
  CallValues values;
  for (const ExprPtr& expr : call.positional) values.positional.push_back(evaluate(*expr));
  for (const auto& [name, expr] : call.named) values.named.emplace_back(name, evaluate(*expr));
  if (call.star) {
    const std::shared_ptr<const ListBox> items = iterate(evaluate(*call.star));
    heap_.expect_memory(items->items.size() * sizeof(Value));
    values.positional.insert(values.positional.end(), items->items.begin(), items->items.end());
  }
  if (call.star_star) {
    const Value extra = evaluate(*call.star_star);
    if (!extra.is_dict()) fault("** needs a mapping, not ", extra.type_name());
    heap_.expect_memory(extra.dict().entries.size() * 80);
    for (const DictBox::Entry& entry : extra.dict().entries) {
      if (!entry.first.is_string()) fault("names of arguments are strings");
      values.named.emplace_back(entry.first.bytes(), entry.second);
    }
  }
  return values;
}

Value Interpreter::value_of(const CallExpr& expr) {
  const int line = line_;
  if (const auto* method = std::get_if<AttributeExpr>(&expr.callee->node)) {
    const Value object = evaluate(*method->object);
    refuse_undefined(object);
    const bool own = !object.is_object() && has_method(object, method->name);
    const Value callee = own ? Value() : attribute(object, method->name);
    const CallValues values = arguments(expr.arguments);
    line_ = line;
    return own ? call_method(*this, object, method->name, values) : call(callee, values);
  }
  const Value callee = evaluate(*expr.callee);
  refuse_undefined(callee);
  const CallValues values = arguments(expr.arguments);
  line_ = line;
  return call(callee, values);
}

Value Interpreter::value_of(const FilterExpr& expr) {
  const int line = line_;
  const Value input = expr.value ? evaluate(*expr.value) : std::move(filter_input_);
  const CallValues values = arguments(expr.arguments);
  line_ = line;
  return apply_filter(*this, expr.name, input, values);
}

Value Interpreter::value_of(const TestExpr& expr) {
  const int line = line_;
  const Value input = evaluate(*expr.value);
  const CallValues values = arguments(expr.arguments);
  line_ = line;
  return Value(apply_test(*this, expr.name, input, values));
}

Value Interpreter::value_of(const UnaryExpr& expr) {
  const Value value = evaluate(*expr.operand);
  if (expr.op == UnaryOp::kNot) return Value(!value.truth());
  refuse_undefined(value);
  if (!value.is_number()) fault("a sign in front of '", value.type_name(), "'");
  if (expr.op == UnaryOp::kPlus) return value.is_bool() ? Value(value.as_int()) : value;
  if (!value.is_int()) return Value(-value.as_double());
  return integer_arithmetic(BinaryOp::kSub, 0, value.as_int());
}

Value Interpreter::value_of(const BinaryExpr& expr) {
  const Value left = evaluate(*expr.left);
  if (expr.op == BinaryOp::kAnd) return left.truth() ? evaluate(*expr.right) : left;
  if (expr.op == BinaryOp::kOr) return left.truth() ? left : evaluate(*expr.right);
  return binary(expr.op, left, evaluate(*expr.right));
}

Value Interpreter::add(const Value& left, const Value& right) {
  // The arguments of a call join text as JSON.
  const auto part = [](const Value& value) -> const StringBox* {
    if (value.is_string()) return value.string_box().get();
    return value.is_dict() ? value.dict().spelling.get() : nullptr;
  };
  const StringBox* a = part(left);
  const StringBox* b = part(right);
  if (a != nullptr && b != nullptr) {
    heap_.expect_text(a->text.size() + b->text.size());
    MarkedText text = b->markup && !a->markup ? escape_html(a->text) : a->text;
    text.append(a->markup && !b->markup ? escape_html(b->text) : b->text);
    return heap_.text(std::move(text), a->markup || b->markup);
  }
  if (left.is_list() && right.is_list() && left.list_box()->tuple == right.list_box()->tuple) {
    heap_.expect_memory((left.items().size() + right.items().size()) * sizeof(Value));
    std::vector<Value> items = left.items();
    items.insert(items.end(), right.items().begin(), right.items().end());
    return heap_.list(std::move(items), left.list_box()->tuple);
  }
  return arithmetic(BinaryOp::kAdd, left, right);
}

Value Interpreter::multiply(const Value& left, const Value& right) {
  if (left.is_int() && (right.is_string() || right.is_list())) return multiply(right, left);
  if (!right.is_int() || (!left.is_string() && !left.is_list())) {
    return arithmetic(BinaryOp::kMul, left, right);
  }
  const size_t size = left.is_string() ? left.bytes().size() : left.items().size();
  const int64_t times = size == 0 ? 0 : std::max<int64_t>(right.as_int(), 0);
  int64_t total = 0;
  if (__builtin_mul_overflow(times, static_cast<int64_t>(size * sizeof(Value)), &total)) {
    fault("a repeated value is too large");
  }
  if (left.is_string()) {
    heap_.expect_text(size * static_cast<size_t>(times));
    MarkedText text;
    for (int64_t i = 0; i < times; ++i) text.append(left.text());
    return heap_.text(std::move(text));
  }
  heap_.expect_memory(static_cast<size_t>(total));
  std::vector<Value> items;
  for (int64_t i = 0; i < times; ++i) {
    items.insert(items.end(), left.items().begin(), left.items().end());
  }
  return heap_.list(std::move(items), left.list_box()->tuple);
}

Value Interpreter::arithmetic(BinaryOp op, const Value& left, const Value& right) {
  refuse_undefined(left);
  refuse_undefined(right);
  if (!left.is_number() || !right.is_number()) {
    fault("'", name_of(op), "' between '", left.type_name(), "' and '", right.type_name(), "'");
  }
  if (left.is_int() && right.is_int()) {
    return integer_arithmetic(op, left.as_int(), right.as_int());
  }
  return float_arithmetic(op, left.as_double(), right.as_double());
}

Value Interpreter::binary(BinaryOp op, const Value& left, const Value& right) {
  if (op == BinaryOp::kAdd) return add(left, right);
  if (op == BinaryOp::kMul) return multiply(left, right);
  if (op == BinaryOp::kMod && left.is_string()) {
    CallValues values;
    if (right.is_list() && right.list_box()->tuple) {
      values.positional = right.items();
    } else {
      values.positional.push_back(right);
    }
    return heap_.text(format_percent(*this, left.text(), values));
  }
  return arithmetic(op, left, right);
}

bool Interpreter::equals(const Value& left, const Value& right) {
  int64_t cost = 0;
  const bool result = equal(left, right, cost);
  heap_.step(cost / 4);
  return result;
}

int Interpreter::order(const Value& a, const Value& b) {
  heap_.step();
  if (a.is_number() && b.is_number()) {
    if (a.is_int() && b.is_int()) return a.as_int() < b.as_int() ? -1 : a.as_int() > b.as_int();
    return a.as_double() < b.as_double() ? -1 : a.as_double() > b.as_double();
  }
  if (a.is_string() && b.is_string()) {
    heap_.step(static_cast<int64_t>(a.bytes().size()) / 256);
    const int result = a.bytes().compare(b.bytes());
    return result < 0 ? -1 : result > 0;
  }
  if (a.is_list() && b.is_list() && a.list_box()->tuple == b.list_box()->tuple) {
    const size_t both = std::min(a.items().size(), b.items().size());
    for (size_t i = 0; i < both; ++i) {
      if (!equals(a.items()[i], b.items()[i])) return order(a.items()[i], b.items()[i]);
    }
    return a.items().size() < b.items().size() ? -1 : a.items().size() > b.items().size();
  }
  refuse_undefined(a);
  refuse_undefined(b);
  fault("no order between '", a.type_name(), "' and '", b.type_name(), "'");
}

bool Interpreter::contains(const Value& container, const Value& item) {
  if (container.is_string()) {
    refuse_undefined(item);
    if (!item.is_string()) fault("'in' a string needs a string, not ", item.type_name());
    heap_.step(static_cast<int64_t>(container.bytes().size()) / 64);
    return container.bytes().find(item.bytes()) != std::string::npos;
  }
  if (container.is_dict()) {
    heap_.step(static_cast<int64_t>(container.dict().entries.size()) / 8);
    return std::any_of(container.dict().entries.begin(), container.dict().entries.end(),
                       [&](const DictBox::Entry& entry) { return equals(entry.first, item); });
  }
  const std::shared_ptr<const ListBox> items = iterate(container);
  heap_.step(static_cast<int64_t>(items->items.size()) / 8);
  return std::any_of(items->items.begin(), items->items.end(),
                     [&](const Value& each) { return equals(each, item); });
}

bool Interpreter::compare(CompareOp op, const Value& left, const Value& right) {
  switch (op) {
    case CompareOp::kEq:
      return equals(left, right);
    case CompareOp::kNe:
      return !equals(left, right);
    case CompareOp::kLt:
      return order(left, right) < 0;
    case CompareOp::kLe:
      return order(left, right) <= 0;
    case CompareOp::kGt:
      return order(left, right) > 0;
    case CompareOp::kGe:
      return order(left, right) >= 0;
    case CompareOp::kIn:
      return contains(right, left);
    case CompareOp::kNotIn:
      return !contains(right, left);
  }
  return false;
}

Value Interpreter::value_of(const CompareExpr& expr) {
  Value left = evaluate(*expr.first);
  for (const auto& [op, next] : expr.rest) {
    Value right = evaluate(*next);
    if (!compare(op, left, right)) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Value Interpreter::value_of(const ConcatExpr& expr) {
  MarkedText text;
  for (const ExprPtr& part : expr.parts) {
    const MarkedText piece = text_of(evaluate(*part));
    heap_.expect_text(text.size() + piece.size());
    text.append(piece);
  }
  return heap_.text(std::move(text));
}

Value Interpreter::value_of(const ConditionalExpr& expr) {
  if (evaluate(*expr.condition).truth()) return evaluate(*expr.then);
  if (expr.otherwise) return evaluate(*expr.otherwise);
  return Value::undefined("the inline if-expression evaluated to false and no else was given");
}

}  // namespace fathom::jinja
