// Tests, as in `x is defined`.
#include <array>
#include <map>

#include "text/jinja/interpreter.h"
#include "text/jinja/strings.h"

namespace fathom::jinja {
namespace {

using Test = bool (*)(Interpreter&, const Value&, ArgumentReader&);

int64_t integer(const Value& value) {
  if (!value.is_int()) fault("an integer is needed, not ", value.type_name());
  return value.as_int();
}

template <CompareOp kOp>
bool compare_test(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const Value* other = arguments.next("other");
  if (other == nullptr) fault("the test needs a value to compare with");
  return in.compare(kOp, value, *other);
}

template <Value::Kind kKind>
bool kind_test(Interpreter&, const Value& value, ArgumentReader&) {
  return value.kind() == kKind;
}

template <MarkedText (*kMap)(const MarkedText&)>
bool case_test(Interpreter& in, const Value& value, ArgumentReader&) {
  const MarkedText text = in.text_of(value);
  bool cased = false;
  for (const MarkedText& c : characters(text)) cased |= !(upper(c) == c) || !(lower(c) == c);
  return cased && kMap(text) == text;
}

bool divisible_test(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  return !in.binary(BinaryOp::kMod, value, arguments.required("num")).truth();
}

bool same_test(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const Value* other = arguments.next("other");
  if (other == nullptr) fault("sameas needs a value to compare with");
  return !value.is_undefined() && value.kind() == other->kind() && in.equals(value, *other);
}

bool callable_test(Interpreter&, const Value& value, ArgumentReader&) {
  if (!value.is_object()) return false;
  return dynamic_cast<Function*>(value.object()) != nullptr ||
         dynamic_cast<Macro*>(value.object()) != nullptr;
}

bool defined_test(Interpreter&, const Value& value, ArgumentReader&) {
  return !value.is_undefined();
}
bool number_test(Interpreter&, const Value& value, ArgumentReader&) { return value.is_number(); }
bool true_test(Interpreter&, const Value& value, ArgumentReader&) {
  return value.is_bool() && value.as_bool();
}
bool false_test(Interpreter&, const Value& value, ArgumentReader&) {
  return value.is_bool() && !value.as_bool();
}
bool odd_test(Interpreter&, const Value& value, ArgumentReader&) { return integer(value) % 2 != 0; }
bool even_test(Interpreter&, const Value& value, ArgumentReader&) {
  return integer(value) % 2 == 0;
}
bool container_test(Interpreter&, const Value& value, ArgumentReader&) {
  return value.is_string() || value.is_list() || value.is_dict() || value.is_undefined();
}
bool escaped_test(Interpreter&, const Value& value, ArgumentReader&) {
  return value.is_string() && value.string_box()->markup;
}

const std::map<std::string_view, Test>& tests() {
  static const std::map<std::string_view, Test> table = {
      {"!=", compare_test<CompareOp::kNe>},
      {"<", compare_test<CompareOp::kLt>},
      {"<=", compare_test<CompareOp::kLe>},
      {"==", compare_test<CompareOp::kEq>},
      {">", compare_test<CompareOp::kGt>},
      {">=", compare_test<CompareOp::kGe>},
      {"boolean", kind_test<Value::Kind::kBool>},
      {"callable", callable_test},
      {"defined", defined_test},
      {"divisibleby", divisible_test},
      {"eq", compare_test<CompareOp::kEq>},
      {"equalto", compare_test<CompareOp::kEq>},
      {"escaped", escaped_test},
      {"even", even_test},
      {"false", false_test},
      {"float", kind_test<Value::Kind::kFloat>},
      {"ge", compare_test<CompareOp::kGe>},
      {"greaterthan", compare_test<CompareOp::kGt>},
      {"gt", compare_test<CompareOp::kGt>},
      {"in", compare_test<CompareOp::kIn>},
      {"integer", kind_test<Value::Kind::kInt>},
      {"iterable", container_test},
      {"le", compare_test<CompareOp::kLe>},
      {"lessthan", compare_test<CompareOp::kLt>},
      {"lower", case_test<lower>},
      {"lt", compare_test<CompareOp::kLt>},
      {"mapping", kind_test<Value::Kind::kDict>},
      {"ne", compare_test<CompareOp::kNe>},
      {"none", kind_test<Value::Kind::kNone>},
      {"number", number_test},
      {"odd", odd_test},
      {"sameas", same_test},
      {"sequence", container_test},
      {"string", kind_test<Value::Kind::kString>},
      {"true", true_test},
      {"undefined", kind_test<Value::Kind::kUndefined>},
      {"upper", case_test<upper>},
  };
  return table;
}

}  // namespace

bool apply_test(Interpreter& in, std::string_view name, const Value& input,
                const CallValues& values) {
  const auto test = tests().find(name);
  if (test == tests().end()) fault("there is no test named '", name, "'");
  if (input.is_string()) in.heap().step(static_cast<int64_t>(input.bytes().size()) / 512);
  ArgumentReader arguments(name, values);
  const bool result = test->second(in, input, arguments);
  arguments.done();
  return result;
}

}  // namespace fathom::jinja
