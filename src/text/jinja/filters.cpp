// Filters by their names, and those that take others' names as arguments.
#include "text/jinja/filter_table.h"
#include "text/jinja/strings.h"

namespace fathom::jinja {
namespace {

Value default_filter(Interpreter&, const Value& value, ArgumentReader& arguments) {
  const Value fallback = arguments.or_else("default_value", Value::string(""));
  const bool falsy_too = arguments.bool_or("boolean", false);
  return value.is_undefined() || (falsy_too && !value.truth()) ? fallback : value;
}

Value attr_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const MarkedText* name = arguments.text("name");
  if (name == nullptr) fault("attr: the argument 'name' is missing");
  // Only real attributes, no members of a dict.
  if (value.is_dict() && !has_method(value, name->bytes())) {
    return Value::undefined(concat("'dict object' has no attribute '", name->bytes(), "'"));
  }
  return in.attribute(value, name->bytes());
}

const FilterTable& own_filters() {
  static const FilterTable table = {
      {"attr", attr_filter},
      {"d", default_filter},
      {"default", default_filter},
  };
  return table;
}

// Null: there is none of that name.
Filter find_filter(std::string_view name) {
  for (const FilterTable* table : {&text_filters(), &sequence_filters(), &own_filters()}) {
    const auto found = table->find(name);
    if (found != table->end()) return found->second;
  }
  return nullptr;
}

// select, reject, selectattr and rejectattr: the first argument of the latter two is an attribute,
// the next names a test, the others are the test's.
Value select_filter(Interpreter& in, std::string_view name, const Value& value,
                    const CallValues& values) {
  const bool by_attribute = name.ends_with("attr");
  const bool keep = name.starts_with("select");
  size_t used = by_attribute ? 1 : 0;
  if (values.positional.size() < used) fault(name, ": the attribute is missing");
  const bool tested = values.positional.size() > used;
  const Value test = tested ? values.positional[used] : Value();
  if (tested && !test.is_string()) fault(name, ": the name of a test is a string");
  CallValues rest;
  rest.named = values.named;
  if (tested) {
    rest.positional.assign(values.positional.begin() + static_cast<std::ptrdiff_t>(used) + 1,
                           values.positional.end());
  }
  std::vector<Value> kept;
  const std::shared_ptr<const ListBox> walked = in.iterate(value);
  for (const Value& item : walked->items) {
    in.heap().step();
    const Value looked = by_attribute ? attribute_path(in, item, values.positional[0]) : item;
    const bool holds = tested ? apply_test(in, test.bytes(), looked, rest) : looked.truth();
    if (holds == keep) kept.push_back(item);
  }
  return in.heap().list(std::move(kept));
}

Value map_filter(Interpreter& in, const Value& value, const CallValues& values) {
  std::vector<Value> out;
  const std::shared_ptr<const ListBox> items = in.iterate(value);
  if (values.positional.empty()) {
    ArgumentReader arguments("map", values);
    const Value attribute = arguments.required("attribute");
    const Value fallback = arguments.or_else("default", Value());
    const bool has_fallback = values.named.size() > 1;
    arguments.done();
    for (const Value& item : items->items) {
      Value found = attribute_path(in, item, attribute);
      out.push_back(found.is_undefined() && has_fallback ? fallback : std::move(found));
    }
    return in.heap().list(std::move(out));
  }
  const Value filter = values.positional.front();
  if (!filter.is_string()) fault("map: the name of a filter is a string");
  CallValues rest;
  rest.positional.assign(values.positional.begin() + 1, values.positional.end());
  rest.named = values.named;
  for (const Value& item : items->items) {
    in.heap().step();
    out.push_back(apply_filter(in, filter.bytes(), item, rest));
  }
  return in.heap().list(std::move(out));
}

}  // namespace

Value apply_filter(Interpreter& in, std::string_view name, const Value& input,
                   const CallValues& values) {
  // A filter walks its input at least once.
  if (input.is_string()) in.heap().step(static_cast<int64_t>(input.bytes().size()) / 32);
  if (input.is_list()) in.heap().step(static_cast<int64_t>(input.items().size()) / 4);
  if (name == "map") {
    // Through `map` a filter can call itself as often as its arguments say.
    if (!values.positional.empty() && values.positional.front().is_string() &&
        values.positional.front().bytes() == "map" && values.positional.size() > 60) {
      fault("map within map, more than 60 deep");
    }
    return map_filter(in, input, values);
  }
  if (name == "select" || name == "reject" || name == "selectattr" || name == "rejectattr") {
    return select_filter(in, name, input, values);
  }
  if (name == "format") {
    return in.heap().text(format_percent(in, in.text_of(input), values));
  }
  const Filter filter = find_filter(name);
  if (filter == nullptr) fault("there is no filter named '", name, "'");
  ArgumentReader arguments(name, values);
  const Value result = filter(in, input, arguments);
  arguments.done();
  return result;
}

}  // namespace fathom::jinja
