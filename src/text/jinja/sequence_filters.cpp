// Filters of sequences. Where Jinja gives a generator, these give a list.
#include <algorithm>

#include "text/jinja/filter_table.h"
#include "text/jinja/strings.h"

namespace fathom::jinja {

Value attribute_path(Interpreter& in, const Value& item, const Value& path) {
  if (!path.is_string()) return in.subscript(item, path);
  Value value = item;
  for (const MarkedText& part : split(path.text(), ".", -1)) {
    const std::string& name = part.bytes();
    const bool index = !name.empty() && name.size() < 10 &&
                       name.find_first_not_of("0123456789") == std::string::npos;
    value = in.subscript(
        value, index ? Value(int64_t{std::stoll(name)}) : Value::string(MarkedText(name)));
  }
  return value;
}

namespace {

Value length_filter(Interpreter&, const Value& value, ArgumentReader&) {
  if (value.is_string()) return Value(length(value.bytes()));
  if (value.is_list()) return Value(static_cast<int64_t>(value.items().size()));
  if (value.is_dict()) return Value(static_cast<int64_t>(value.dict().entries.size()));
  if (value.is_undefined()) return Value(int64_t{0});
  fault("a ", value.type_name(), " has no length");
}

Value list_filter(Interpreter& in, const Value& value, ArgumentReader&) {
  const std::shared_ptr<const ListBox> items = in.iterate(value);
  return items->tuple ? in.heap().list(items->items) : Value(items);
}

Value first_filter(Interpreter& in, const Value& value, ArgumentReader&) {
  const std::shared_ptr<const ListBox> items = in.iterate(value);
  return items->items.empty() ? Value::undefined("there is no first item") : items->items.front();
}

Value last_filter(Interpreter& in, const Value& value, ArgumentReader&) {
  const std::shared_ptr<const ListBox> items = in.iterate(value);
  return items->items.empty() ? Value::undefined("there is no last item") : items->items.back();
}

Value reverse_filter(Interpreter& in, const Value& value, ArgumentReader&) {
  const std::shared_ptr<const ListBox> items = in.iterate(value);
  std::vector<Value> reversed(items->items.rbegin(), items->items.rend());
  if (!value.is_string()) return in.heap().list(std::move(reversed));
  MarkedText out;
  for (const Value& item : reversed) out.append(item.text());
  return in.heap().text(std::move(out));
}

Value items_filter(Interpreter& in, const Value& value, ArgumentReader&) {
  if (value.is_undefined()) return in.heap().list({});
  if (mapping_of(value) == nullptr) fault("items needs a mapping, not ", value.type_name());
  return call_method(in, value, "items", {});
}

Value folded(Interpreter& in, const Value& value, bool case_sensitive) {
  if (case_sensitive || !value.is_string()) return value;
  in.heap().step(static_cast<int64_t>(value.bytes().size()) / 8);
  return in.heap().text(lower(value.text()));
}

struct Keyed {
  Value key, item;
};

// What sort, unique, min, max and groupby order by.
std::vector<Keyed> keyed(Interpreter& in, const Value& value, const Value& attribute,
                         bool case_sensitive) {
  std::vector<Keyed> out;
  const std::shared_ptr<const ListBox> walked = in.iterate(value);
  for (const Value& item : walked->items) {
    if (attribute.is_none()) {
      out.push_back({folded(in, item, case_sensitive), item});
      continue;
    }
    std::vector<Value> keys;
    if (attribute.is_string()) {
      for (MarkedText& path : split(attribute.text(), ",", -1)) {
        keys.push_back(
            folded(in, attribute_path(in, item, Value::string(std::move(path))), case_sensitive));
      }
    } else {
      keys.push_back(folded(in, attribute_path(in, item, attribute), case_sensitive));
    }
    const bool single = keys.size() == 1;
    out.push_back({single ? keys.front() : in.heap().list(std::move(keys)), item});
  }
  return out;
}

void sort_keyed(Interpreter& in, std::vector<Keyed>& items, bool reverse) {
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? in.order(b.key, a.key) < 0 : in.order(a.key, b.key) < 0;
  });
}

Value items_of(Interpreter& in, const std::vector<Keyed>& sorted) {
  std::vector<Value> out;
  for (const Keyed& each : sorted) out.push_back(each.item);
  return in.heap().list(std::move(out));
}

Value sort_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const bool reverse = arguments.bool_or("reverse", false);
  const bool case_sensitive = arguments.bool_or("case_sensitive", false);
  std::vector<Keyed> items =
      keyed(in, value, arguments.or_else("attribute", Value()), case_sensitive);
  sort_keyed(in, items, reverse);
  return items_of(in, items);
}

Value dictsort_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const bool case_sensitive = arguments.bool_or("case_sensitive", false);
  const MarkedText* by = arguments.text("by");
  const bool reverse = arguments.bool_or("reverse", false);
  if (by != nullptr && by->bytes() != "key" && by->bytes() != "value") {
    fault("dictsort: sort by either key or value");
  }
  if (mapping_of(value) == nullptr) fault("dictsort needs a mapping, not ", value.type_name());
  const int64_t column = by != nullptr && by->bytes() == "value" ? 1 : 0;
  std::vector<Keyed> items =
      keyed(in, call_method(in, value, "items", {}), Value(column), case_sensitive);
  sort_keyed(in, items, reverse);
  return items_of(in, items);
}

Value unique_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const bool case_sensitive = arguments.bool_or("case_sensitive", false);
  std::vector<Keyed> kept;
  for (Keyed& each : keyed(in, value, arguments.or_else("attribute", Value()), case_sensitive)) {
    const bool seen = std::any_of(kept.begin(), kept.end(),
                                  [&](const Keyed& old) { return in.equals(old.key, each.key); });
    in.heap().step(static_cast<int64_t>(kept.size()) / 4);
    if (!seen) kept.push_back(std::move(each));
  }
  return items_of(in, kept);
}

template <bool kMost>
Value extreme_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const bool case_sensitive = arguments.bool_or("case_sensitive", false);
  const std::vector<Keyed> items =
      keyed(in, value, arguments.or_else("attribute", Value()), case_sensitive);
  if (items.empty()) return Value::undefined("no item of an empty sequence");
  const Keyed* best = &items.front();
  for (const Keyed& each : items) {
    const int order = in.order(each.key, best->key);
    if (kMost ? order > 0 : order < 0) best = &each;
  }
  return best->item;
}

Value groupby_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const Value attribute = arguments.required("attribute");
  const Value fallback = arguments.or_else("default", Value());
  const bool case_sensitive = arguments.bool_or("case_sensitive", false);
  std::vector<Keyed> items = keyed(in, value, attribute, case_sensitive);
  for (Keyed& each : items) {
    if (each.key.is_undefined()) each.key = fallback;
  }
  sort_keyed(in, items, false);
  std::vector<Value> groups;
  for (size_t at = 0; at < items.size();) {
    std::vector<Value> group;
    const size_t first = at;
    while (at < items.size() && in.equals(items[at].key, items[first].key)) {
      group.push_back(items[at++].item);
    }
    const Value name = attribute_path(in, group.front(), attribute);
    groups.push_back(in.heap().list(
        {name.is_undefined() ? fallback : name, in.heap().list(std::move(group))}, true));
  }
  return in.heap().list(std::move(groups));
}

Value sum_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const Value attribute = arguments.or_else("attribute", Value());
  Value total = arguments.or_else("start", Value(int64_t{0}));
  const std::shared_ptr<const ListBox> walked = in.iterate(value);
  for (const Value& item : walked->items) {
    in.heap().step();
    total = in.binary(BinaryOp::kAdd, total,
                      attribute.is_none() ? item : attribute_path(in, item, attribute));
  }
  return total;
}

Value join_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const Value between = arguments.or_else("d", Value::string(""));
  const Value attribute = arguments.or_else("attribute", Value());
  const MarkedText separator = in.text_of(between);
  MarkedText out;
  bool first = true;
  const std::shared_ptr<const ListBox> walked = in.iterate(value);
  for (const Value& item : walked->items) {
    const MarkedText text =
        in.text_of(attribute.is_none() ? item : attribute_path(in, item, attribute));
    in.heap().expect_text(out.size() + separator.size() + text.size());
    if (!first) out.append(separator);
    out.append(text);
    first = false;
  }
  return in.heap().text(std::move(out));
}

Value batch_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const int64_t size = arguments.int_or("linecount", 1);
  const Value fill = arguments.or_else("fill_with", Value());
  if (size < 1 || size > 1'000'000) fault("batch: a size of ", size);
  std::vector<Value> batches, now;
  const auto close = [&] { batches.push_back(in.heap().list(std::exchange(now, {}))); };
  const std::shared_ptr<const ListBox> walked = in.iterate(value);
  for (const Value& item : walked->items) {
    if (static_cast<int64_t>(now.size()) == size) close();
    now.push_back(item);
  }
  if (now.empty()) return in.heap().list(std::move(batches));
  if (!fill.is_none()) now.resize(static_cast<size_t>(size), fill);
  close();
  return in.heap().list(std::move(batches));
}

Value slice_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const int64_t slices = arguments.int_or("slices", 1);
  const Value fill = arguments.or_else("fill_with", Value());
  if (slices < 1 || slices > 1'000'000) fault("slice: ", slices, " slices");
  const std::shared_ptr<const ListBox> items = in.iterate(value);
  const int64_t size = static_cast<int64_t>(items->items.size());
  std::vector<Value> out;
  int64_t at = 0;
  for (int64_t i = 0; i < slices; ++i) {
    const int64_t count = size / slices + (i < size % slices ? 1 : 0);
    std::vector<Value> part(items->items.begin() + at, items->items.begin() + at + count);
    if (!fill.is_none() && i >= size % slices) part.push_back(fill);
    out.push_back(in.heap().list(std::move(part)));
    at += count;
  }
  return in.heap().list(std::move(out));
}

}  // namespace

const FilterTable& sequence_filters() {
  static const FilterTable table = {
      {"batch", batch_filter},     {"count", length_filter},      {"dictsort", dictsort_filter},
      {"first", first_filter},     {"groupby", groupby_filter},   {"items", items_filter},
      {"join", join_filter},       {"last", last_filter},         {"length", length_filter},
      {"list", list_filter},       {"max", extreme_filter<true>}, {"min", extreme_filter<false>},
      {"reverse", reverse_filter}, {"slice", slice_filter},       {"sort", sort_filter},
      {"sum", sum_filter},         {"unique", unique_filter},
  };
  return table;
}

}  // namespace fathom::jinja
