// Statements and scopes. A scope is what a loop's round, a macro's call, or a `with` may set; `if`
// has none of its own.
#include "text/jinja/interpreter.h"

#include <algorithm>

#include "text/jinja/strings.h"

namespace fathom::jinja {

namespace {

// `loop` inside a for.
class Loop : public Object {
 public:
  explicit Loop(std::shared_ptr<const ListBox> items) : items_(std::move(items)) {}
  std::string type_name() const override { return "LoopContext"; }

  bool attribute(std::string_view name, Value& out) override {
    const int64_t size = static_cast<int64_t>(items_->items.size());
    if (name == "index") return give(out, Value(index + 1));
    if (name == "index0") return give(out, Value(index));
    if (name == "revindex") return give(out, Value(size - index));
    if (name == "revindex0") return give(out, Value(size - index - 1));
    if (name == "first") return give(out, Value(index == 0));
    if (name == "last") return give(out, Value(index + 1 == size));
    if (name == "length") return give(out, Value(size));
    if (name == "depth") return give(out, Value(int64_t{1}));
    if (name == "depth0") return give(out, Value(int64_t{0}));
    if (name == "previtem") return give(out, neighbour(index - 1, "there is no previous item"));
    if (name == "nextitem") return give(out, neighbour(index + 1, "there is no next item"));
    if (name == "cycle") return give(out, Value(cycle));
    if (name == "changed") return give(out, Value(changed));
    return false;
  }

  int64_t index = 0;
  Object* cycle = nullptr;
  Object* changed = nullptr;

 private:
  static bool give(Value& out, Value value) {
    out = std::move(value);
    return true;
  }
  Value neighbour(int64_t at, const char* hint) const {
    if (at < 0 || at >= static_cast<int64_t>(items_->items.size())) return Value::undefined(hint);
    return items_->items[static_cast<size_t>(at)];
  }

  std::shared_ptr<const ListBox> items_;
};

Loop* make_loop(Heap& heap, const std::shared_ptr<const ListBox>& items) {
  Loop* loop = heap.object<Loop>(items);
  loop->cycle = heap.object<Function>("cycle", [loop](Interpreter&, const CallValues& values) {
    if (values.positional.empty()) fault("no items for cycling given");
    const size_t count = values.positional.size();
    return values.positional[static_cast<size_t>(loop->index) % count];
  });
  std::optional<std::vector<Value>> last;
  loop->changed = heap.object<Function>("changed", [last](Interpreter& interpreter,
                                                          const CallValues& values) mutable {
    const auto equals = [&](const Value& a, const Value& b) { return interpreter.equals(a, b); };
    const bool same = last && std::equal(last->begin(), last->end(), values.positional.begin(),
                                         values.positional.end(), equals);
    last = values.positional;
    return Value(!same);
  });
  return loop;
}

}  // namespace

bool Namespace::attribute(std::string_view name, Value& out) {
  for (const auto& [key, value] : attributes_) {
    if (key != name) continue;
    out = value;
    return true;
  }
  return false;
}

void Namespace::set(Heap& heap, std::string_view name, Value value) {
  if (name.starts_with('_'))
    fault("a namespace has no attribute '", name, "'; names begin with letters");
  heap.step(1 + static_cast<int64_t>(attributes_.size()) / 8);
  for (auto& [key, old] : attributes_) {
    if (key != name) continue;
    old = std::move(value);
    return;
  }
  heap.keep(128);
  attributes_.emplace_back(name, std::move(value));
}

bool Macro::attribute(std::string_view name, Value& out) {
  if (name == "name") {
    out = Value::string(body_.name);
  } else if (name == "caller") {
    out = Value(body_.uses_caller);
  } else if (name == "catch_kwargs") {
    out = Value(body_.uses_kwargs);
  } else if (name == "catch_varargs") {
    out = Value(body_.uses_varargs);
  } else {
    return false;
  }
  return true;
}

class Interpreter::ScopeGuard {
 public:
  ScopeGuard(Interpreter& interpreter, Scope* parent)
      : interpreter_(interpreter),
        outer_(interpreter.scope_),
        macros_(interpreter.macros_made_),
        scope_(std::make_unique<Scope>(parent)) {
    interpreter_.scope_ = scope_.get();
  }
  explicit ScopeGuard(Interpreter& interpreter) : ScopeGuard(interpreter, interpreter.scope_) {}
  ~ScopeGuard() {
    interpreter_.scope_ = outer_;
    if (interpreter_.macros_made_ != macros_) {
      interpreter_.kept_scopes_.push_back(std::move(scope_));
    }
  }
  ScopeGuard(const ScopeGuard&) = delete;
  ScopeGuard& operator=(const ScopeGuard&) = delete;

 private:
  Interpreter& interpreter_;
  Scope* outer_;
  int64_t macros_;
  std::unique_ptr<Scope> scope_;
};

Interpreter::Interpreter(Heap& heap, const std::unordered_map<std::string, Value>& globals)
    : heap_(heap), globals_(globals) {}

MarkedText Interpreter::run(const Body& body) { return captured(body); }

void Interpreter::write(const MarkedText& text) {
  heap_.expect_text(text.size());
  out_->append(text);
  if (out_->size() > heap_.text_limit()) heap_.expect_text(out_->size());
}

MarkedText Interpreter::captured(const Body& body) {
  MarkedText text;
  MarkedText* outer = std::exchange(out_, &text);
  run_body(body);
  out_ = outer;
  return text;
}

Interpreter::Flow Interpreter::run_body(const Body& body) {
  for (const Stmt& stmt : body) {
    const Flow flow = run(stmt);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run(const Stmt& stmt) {
  const DepthGuard depth(*this);
  heap_.step();
  line_ = stmt.line;
  return std::visit([this](const auto& node) { return execute(node); }, stmt.node);
}

Interpreter::Flow Interpreter::execute(const TextStmt& stmt) {
  write(stmt.text);
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute(const OutputStmt& stmt) {
  const Value value = evaluate(*stmt.value);
  if (value.is_string()) {
    write(value.text());
  } else {
    write(text_of(value));
  }
  return Flow::kNext;
}

std::shared_ptr<const ListBox> Interpreter::filtered(const ForStmt& stmt,
                                                     std::shared_ptr<const ListBox> items) {
  if (!stmt.condition) return items;
  std::vector<Value> kept;
  for (const Value& item : items->items) {
    const ScopeGuard scope(*this);
    assign(stmt.target, item);
    if (evaluate(*stmt.condition).truth()) kept.push_back(item);
  }
  return heap_.list(std::move(kept)).list_box();
}

Interpreter::Flow Interpreter::execute(const ForStmt& stmt) {
  const std::shared_ptr<const ListBox> items = filtered(stmt, iterate(evaluate(*stmt.iterable)));
  if (items->items.empty()) {
    const ScopeGuard scope(*this);
    return run_body(stmt.otherwise);
  }
  Loop* loop = make_loop(heap_, items);
  for (const Value& item : items->items) {
    const ScopeGuard scope(*this);
    heap_.step();
    declare("loop", Value(static_cast<Object*>(loop)));
    assign(stmt.target, item);
    if (run_body(stmt.body) == Flow::kBreak) break;
    ++loop->index;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute(const IfStmt& stmt) {
  for (const auto& [condition, body] : stmt.branches) {
    if (evaluate(*condition).truth()) return run_body(body);
  }
  return run_body(stmt.otherwise);
}

Interpreter::Flow Interpreter::execute(const SetStmt& stmt) {
  assign(stmt.target, evaluate(*stmt.value));
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute(const SetBlockStmt& stmt) {
  MarkedText text;
  {
    const ScopeGuard scope(*this);
    text = captured(stmt.body);
  }
  Value value = heap_.text(std::move(text));
  if (stmt.filter) {
    filter_input_ = std::move(value);
    value = evaluate(*stmt.filter);
  }
  assign(stmt.target, value);
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute(const MacroStmt& stmt) {
  ++macros_made_;
  heap_.keep(1024);  // the scopes around it stay as long as it does
  declare(stmt.macro->name, Value(static_cast<Object*>(heap_.object<Macro>(*stmt.macro, scope_))));
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute(const CallBlockStmt& stmt) {
  ++macros_made_;
  heap_.keep(1024);  // the scopes around it stay as long as it does
  const Value caller(static_cast<Object*>(heap_.object<Macro>(*stmt.caller, scope_)));
  const auto& node = std::get<CallExpr>(stmt.call->node);
  const Value callee = evaluate(*node.callee);
  CallValues values = arguments(node.arguments);
  values.named.emplace_back("caller", caller);
  write(text_of(call(callee, values)));
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute(const FilterBlockStmt& stmt) {
  MarkedText text;
  {
    const ScopeGuard scope(*this);
    text = captured(stmt.body);
  }
  filter_input_ = heap_.text(std::move(text));
  write(text_of(evaluate(*stmt.filter)));
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute(const WithStmt& stmt) {
  std::vector<Value> values;
  for (const auto& [target, value] : stmt.assignments) values.push_back(evaluate(*value));
  const ScopeGuard scope(*this);
  for (size_t i = 0; i < values.size(); ++i) assign(stmt.assignments[i].first, values[i]);
  return run_body(stmt.body);
}

Interpreter::Flow Interpreter::execute(const GenerationStmt& stmt) {
  MarkedText text;
  {
    const ScopeGuard scope(*this);
    text = captured(stmt.body);
  }
  text.mark(0, text.size(), kAnswerMark);
  write(text);
  return Flow::kNext;
}

void Interpreter::declare(std::string_view name, Value value) {
  const auto [at, fresh] = scope_->variables.insert_or_assign(name, std::move(value));
  if (fresh) heap_.step();
}

void Interpreter::assign(const Target& target, const Value& value) {
  if (!target.several.empty()) {
    const std::shared_ptr<const ListBox> items = iterate(value);
    if (items->items.size() != target.several.size()) {
      fault("cannot unpack ", items->items.size(), " values into ", target.several.size(),
            " names");
    }
    for (size_t i = 0; i < target.several.size(); ++i) assign(target.several[i], items->items[i]);
    return;
  }
  if (target.attribute.empty()) return declare(target.name, value);
  NameExpr name{target.name};
  const Value holder = value_of(name);
  auto* space = holder.is_object() ? dynamic_cast<Namespace*>(holder.object()) : nullptr;
  if (space == nullptr)
    fault("cannot set attribute '", target.attribute, "' of '", target.name,
          "': it is no namespace");
  space->set(heap_, target.attribute, value);
}

Value Interpreter::call_macro(const Macro& macro, const CallValues& values) {
  const ScopeGuard scope(*this, macro.closure());
  bind(macro, values);
  return heap_.text(captured(macro.body().body));
}

void Interpreter::bind(const Macro& macro, const CallValues& values) {
  const MacroBody& body = macro.body();
  const size_t given = std::min(values.positional.size(), body.parameters.size());
  std::vector<bool> used(values.named.size(), false);
  for (size_t i = 0; i < body.parameters.size(); ++i) {
    const Parameter& parameter = body.parameters[i];
    std::optional<Value> value;
    if (i < given) value = values.positional[i];
    for (size_t k = 0; k < values.named.size(); ++k) {
      if (values.named[k].first != parameter.name) continue;
      if (value) fault("macro '", body.name, "' got two values for '", parameter.name, "'");
      value = values.named[k].second;
      used[k] = true;
    }
    if (!value && parameter.fallback) value = evaluate(*parameter.fallback);
    if (!value)
      value = Value::undefined(concat("parameter '", parameter.name, "' was not provided"));
    declare(parameter.name, *value);
  }
  std::vector<DictBox::Entry> others;
  for (size_t k = 0; k < values.named.size(); ++k) {
    if (used[k]) continue;
    if (values.named[k].first == "caller" && body.uses_caller) {
      declare("caller", values.named[k].second);
    } else {
      others.emplace_back(heap_.text(MarkedText(values.named[k].first)), values.named[k].second);
    }
  }
  if (!body.uses_kwargs && !others.empty()) {
    fault("macro '", body.name, "' takes no argument '", others.front().first.bytes(), "'");
  }
  if (body.uses_kwargs) declare("kwargs", heap_.dict(std::move(others)));
  std::vector<Value> rest(values.positional.begin() + static_cast<std::ptrdiff_t>(given),
                          values.positional.end());
  if (!body.uses_varargs && !rest.empty()) {
    fault("macro '", body.name, "' takes not more than ", body.parameters.size(), " arguments");
  }
  if (body.uses_varargs) declare("varargs", heap_.list(std::move(rest), true));
}

Value Interpreter::call(const Value& callee, const CallValues& values) {
  const DepthGuard depth(*this);
  if (callee.is_undefined()) fault(callee.hint());
  if (callee.is_object()) {
    if (auto* function = dynamic_cast<Function*>(callee.object())) {
      return function->call(*this, values);
    }
    if (const auto* macro = dynamic_cast<Macro*>(callee.object()))
      return call_macro(*macro, values);
  }
  fault("'", callee.type_name(), "' is not callable");
}

std::shared_ptr<const ListBox> Interpreter::iterate(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kList:
      return value.list_box();
    case Value::Kind::kUndefined:
      return heap_.list({}).list_box();
    case Value::Kind::kDict: {
      std::vector<Value> keys;
      for (const DictBox::Entry& entry : value.dict().entries) keys.push_back(entry.first);
      return heap_.list(std::move(keys)).list_box();
    }
    case Value::Kind::kString: {
      std::vector<Value> items;
      heap_.expect_memory(value.bytes().size() * 160);
      for (MarkedText& c : characters(value.text())) items.push_back(heap_.text(std::move(c)));
      return heap_.list(std::move(items)).list_box();
    }
    default:
      fault("'", value.type_name(), "' is not iterable");
  }
}

MarkedText Interpreter::text_of(const Value& value) {
  MarkedText text = to_text(value, heap_.text_limit());
  heap_.expect_text(text.size());
  return text;
}

const DictBox* mapping_of(const Value& value) {
  if (value.is_dict()) return &value.dict();
  if (value.is_string()) return value.string_box()->spelled.get();
  return nullptr;
}

}  // namespace fathom::jinja
