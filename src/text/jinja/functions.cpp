// Global functions, and "%" formatting.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "text/jinja/interpreter.h"
#include "text/jinja/strings.h"

namespace fathom::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;  // as in Jinja's sandbox

Value range(Interpreter& in, const CallValues& values) {
  const std::vector<Value>& given = values.positional;
  if (given.empty() || given.size() > 3 || !values.named.empty()) {
    fault("range takes one to three integers");
  }
  for (const Value& value : given) {
    if (value.is_undefined()) fault(value.hint());
    if (!value.is_int()) fault("range needs integers, not ", value.type_name());
  }
  const int64_t start = given.size() > 1 ? given[0].as_int() : 0;
  const int64_t stop = given.size() > 1 ? given[1].as_int() : given[0].as_int();
  const int64_t step = given.size() > 2 ? given[2].as_int() : 1;
  if (step == 0) fault("range: the step is zero");
  std::vector<Value> items;
  for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (static_cast<int64_t>(items.size()) >= kMaxRange) {
      fault("range of more than ", kMaxRange, " numbers; the sandbox refuses it");
    }
    items.push_back(Value(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return in.heap().list(std::move(items));
}

std::vector<DictBox::Entry> entries_of(Interpreter& in, const CallValues& values) {
  std::vector<DictBox::Entry> entries;
  const auto put = [&](const Value& key, const Value& value) {
    in.heap().step(static_cast<int64_t>(entries.size()) / 8);
    for (DictBox::Entry& entry : entries) {
      if (!in.equals(entry.first, key)) continue;
      entry.second = value;
      return;
    }
    entries.emplace_back(key, value);
  };
  for (const Value& given : values.positional) {
    if (given.is_dict()) {
      for (const DictBox::Entry& entry : given.dict().entries) put(entry.first, entry.second);
      continue;
    }
    const std::shared_ptr<const ListBox> walked = in.iterate(given);
    for (const Value& pair : walked->items) {
      const std::shared_ptr<const ListBox> two = in.iterate(pair);
      if (two->items.size() != 2) fault("dict: expected pairs of key and value");
      put(two->items[0], two->items[1]);
    }
  }
  for (const auto& [name, value] : values.named) put(in.heap().text(MarkedText(name)), value);
  return entries;
}

Value dict(Interpreter& in, const CallValues& values) {
  if (values.positional.size() > 1) fault("dict takes at most one mapping");
  return in.heap().dict(entries_of(in, values));
}

Value make_namespace(Interpreter& in, const CallValues& values) {
  auto* made = in.heap().object<Namespace>();
  for (const DictBox::Entry& entry : entries_of(in, values)) {
    if (!entry.first.is_string()) fault("namespace: names are strings");
    made->set(in.heap(), entry.first.bytes(), entry.second);
  }
  return Value(static_cast<Object*>(made));
}

Value raise_exception(Interpreter& in, const CallValues& values) {
  std::string message;
  if (!values.positional.empty()) message = in.text_of(values.positional.front()).bytes();
  // The template judges the conversation, not itself.
  throw Fault(ErrorCode::kUsage, message);
}

// Goes round its items: next(), reset(), current.
class Cycler : public Object {
 public:
  explicit Cycler(std::vector<Value> items) : items_(std::move(items)) {}
  std::string type_name() const override { return "Cycler"; }
  bool attribute(std::string_view name, Value& out) override {
    if (name == "current") {
      out = items_[at_];
    } else if (name == "next") {
      out = Value(next);
    } else if (name == "reset") {
      out = Value(reset);
    } else {
      return false;
    }
    return true;
  }
  Value advance() {
    const Value now = items_[at_];
    at_ = (at_ + 1) % items_.size();
    return now;
  }
  void rewind() { at_ = 0; }

  Object* next = nullptr;
  Object* reset = nullptr;

 private:
  std::vector<Value> items_;
  size_t at_ = 0;
};

Value make_cycler(Interpreter& in, const CallValues& values) {
  if (values.positional.empty()) fault("at least one item has to be provided");
  auto* made = in.heap().object<Cycler>(values.positional);
  made->next = in.heap().object<Function>(
      "next", [made](Interpreter&, const CallValues&) { return made->advance(); });
  made->reset = in.heap().object<Function>("reset", [made](Interpreter&, const CallValues&) {
    made->rewind();
    return Value();
  });
  return Value(static_cast<Object*>(made));
}

// Nothing the first time, then its separator.
Value make_joiner(Interpreter& in, const CallValues& values) {
  ArgumentReader arguments("joiner", values);
  const Value separator = arguments.or_else("sep", Value::string(", "));
  arguments.done();
  return Value(static_cast<Object*>(in.heap().object<Function>(
      "joiner", [separator, used = false](Interpreter&, const CallValues&) mutable {
        if (used) return separator;
        used = true;
        return Value::string("");
      })));
}

}  // namespace

std::unordered_map<std::string, Value> standard_functions(Heap& heap) {
  std::unordered_map<std::string, Value> functions;
  const auto add = [&](const char* name, Value (*body)(Interpreter&, const CallValues&)) {
    functions.emplace(name, Value(static_cast<Object*>(heap.object<Function>(name, body))));
  };
  add("range", range);
  add("dict", dict);
  add("namespace", make_namespace);
  add("raise_exception", raise_exception);
  add("cycler", make_cycler);
  add("joiner", make_joiner);
  return functions;
}

namespace {

// One "%…" directive.
struct Directive {
  std::string flags;
  int width = 0, precision = -1;
  char kind = 's';
};

constexpr int kMaxFormatWidth = 1000;

int read_number(const std::string& form, size_t& at) {
  int number = 0;
  while (at < form.size() && form[at] >= '0' && form[at] <= '9') {
    number = std::min(number * 10 + (form[at++] - '0'), kMaxFormatWidth + 1);
  }
  if (number > kMaxFormatWidth) fault("format: a width of more than ", kMaxFormatWidth);
  return number;
}

Directive read_directive(const std::string& form, size_t& at) {
  Directive directive;
  while (at < form.size() && std::string_view("-+ #0").find(form[at]) != std::string_view::npos) {
    if (directive.flags.find(form[at]) == std::string::npos) directive.flags += form[at];
    ++at;
  }
  directive.width = read_number(form, at);
  if (at < form.size() && form[at] == '.') directive.precision = read_number(form, ++at);
  if (at >= form.size()) fault("incomplete format");
  directive.kind = form[at++];
  return directive;
}

std::string printed(const Directive& d, const char* length, auto value) {
  const std::string form =
      concat("%", d.flags, d.width > 0 ? std::to_string(d.width) : "",
             d.precision >= 0 ? "." + std::to_string(d.precision) : "", length, d.kind);
  std::string text(2 * kMaxFormatWidth + 400, ' ');
  const int size = std::snprintf(text.data(), text.size(), form.c_str(), value);
  text.resize(static_cast<size_t>(std::clamp(size, 0, static_cast<int>(text.size()) - 1)));
  return text;
}

MarkedText formatted(Interpreter& in, Directive d, const Value& value) {
  if (value.is_undefined() && d.kind != 's') fault(value.hint());
  switch (d.kind) {
    case 's':
    case 'r': {
      MarkedText text = d.kind == 's' ? in.text_of(value) : repr(value, in.heap().text_limit());
      if (d.precision >= 0)
        text = slice(text, 0, std::min<int64_t>(d.precision, length(text.bytes())), 1);
      const int64_t missing = d.width - length(text.bytes());
      const MarkedText pad(std::string(static_cast<size_t>(std::max<int64_t>(missing, 0)), ' '));
      MarkedText out;
      const bool left = d.flags.find('-') != std::string::npos;
      if (!left) out.append(pad);
      out.append(text);
      if (left) out.append(pad);
      return out;
    }
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o': {
      if (!value.is_number()) fault("%", d.kind, " needs a number, not ", value.type_name());
      if (!value.is_int() && !(std::fabs(value.as_double()) < 9e18))
        fault("a number beyond 64 bits");
      const int64_t number =
          value.is_int() ? value.as_int() : static_cast<int64_t>(value.as_double());
      if (d.kind == 'i' || d.kind == 'u') d.kind = 'd';
      if (d.kind != 'd' && number < 0) fault("%", d.kind, " needs a number of 0 or more");
      return MarkedText(printed(d, "ll", static_cast<long long>(number)));
    }
    case 'f':
    case 'F':
    case 'e':
    case 'E':
    case 'g':
    case 'G':
      if (!value.is_number()) fault("%", d.kind, " needs a number, not ", value.type_name());
      return MarkedText(printed(d, "", value.as_double()));
    default:
      fault("format: the directive %", d.kind, " is unknown");
  }
}

}  // namespace

MarkedText format_percent(Interpreter& in, const MarkedText& form, const CallValues& values) {
  MarkedText out;
  size_t next = 0;
  const std::string& bytes = form.bytes();
  for (size_t at = 0; at < bytes.size();) {
    if (bytes[at] != '%') {
      const size_t end = std::min(bytes.find('%', at), bytes.size());
      out.append(form.substr(at, end - at));
      at = end;
      continue;
    }
    ++at;
    if (at < bytes.size() && bytes[at] == '%') {
      out.append(form.substr(at++, 1));
      continue;
    }
    const Value* named = nullptr;
    if (at < bytes.size() && bytes[at] == '(') {
      const size_t end = bytes.find(')', at);
      if (end == std::string::npos) fault("format: %( has no )");
      const std::string key = bytes.substr(at + 1, end - at - 1);
      for (const auto& [name, value] : values.named) {
        if (name == key) named = &value;
      }
      if (named == nullptr && values.positional.size() == 1 && values.positional[0].is_dict()) {
        named = values.positional[0].dict().find(key);
      }
      if (named == nullptr) fault("format: there is no argument '", key, "'");
      at = end + 1;
    }
    const Directive directive = read_directive(bytes, at);
    if (named == nullptr && next >= values.positional.size())
      fault("not enough arguments for format string");
    const MarkedText text =
        formatted(in, directive, named != nullptr ? *named : values.positional[next++]);
    in.heap().expect_text(out.size() + text.size());
    out.append(text);
  }
  return out;
}

}  // namespace fathom::jinja
