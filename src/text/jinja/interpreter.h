// Walks a template's tree and writes its text.
//
// Threads: one.  Lifetime: the tree, the globals and the heap outlive the interpreter.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/heap.h"

namespace fathom::jinja {

class Interpreter;

// The arguments of a call, evaluated.
struct CallValues {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// Hands arguments out by position or name, as a Python signature does; `done` refuses the rest.
class ArgumentReader {
 public:
  ArgumentReader(std::string_view function, const CallValues& values)
      : function_(function), values_(values) {}

  // The next parameter, or null where the call leaves it out.
  const Value* next(std::string_view name);
  const Value& required(std::string_view name);
  Value or_else(std::string_view name, Value fallback);
  int64_t int_or(std::string_view name, int64_t fallback);
  bool bool_or(std::string_view name, bool fallback);
  // The text of a string argument.
  const MarkedText* text(std::string_view name);
  void done() const;

 private:
  std::string_view function_;
  const CallValues& values_;
  size_t position_ = 0;
  size_t named_used_ = 0;
};

struct Scope {
  explicit Scope(Scope* parent_scope) : parent(parent_scope) {}
  Scope* parent;
  std::unordered_map<std::string_view, Value> variables;
};

// A function of the language, or of the host.
class Function : public Object {
 public:
  using Body = std::function<Value(Interpreter&, const CallValues&)>;
  Function(std::string name, Body body) : name_(std::move(name)), body_(std::move(body)) {}
  std::string type_name() const override { return "function " + name_; }
  Value call(Interpreter& interpreter, const CallValues& values) {
    return body_(interpreter, values);
  }

 private:
  std::string name_;
  Body body_;
};

class Namespace : public Object {
 public:
  std::string type_name() const override { return "Namespace"; }
  bool attribute(std::string_view name, Value& out) override;
  void set(Heap& heap, std::string_view name, Value value);

 private:
  std::vector<std::pair<std::string, Value>> attributes_;
};

class Macro : public Object {
 public:
  Macro(const MacroBody& body, Scope* closure) : body_(body), closure_(closure) {}
  std::string type_name() const override { return "Macro"; }
  bool attribute(std::string_view name, Value& out) override;
  const MacroBody& body() const { return body_; }
  Scope* closure() const { return closure_; }

 private:
  const MacroBody& body_;
  Scope* closure_;
};

class Interpreter {
 public:
  Interpreter(Heap& heap, const std::unordered_map<std::string, Value>& globals);

  MarkedText run(const Body& body);
  int line() const { return line_; }  // of the node walked last
  Heap& heap() { return heap_; }

  // For filters, tests and functions.
  Value call(const Value& callee, const CallValues& values);
  Value attribute(const Value& object, std::string_view name);
  Value subscript(const Value& object, const Value& index);
  Value binary(BinaryOp op, const Value& left, const Value& right);
  bool equals(const Value& left, const Value& right);
  // -1, 0 or 1; fails on kinds without an order.
  int order(const Value& left, const Value& right);
  bool compare(CompareOp op, const Value& left, const Value& right);
  // What a `for` would walk over.
  std::shared_ptr<const ListBox> iterate(const Value& value);
  MarkedText text_of(const Value& value);

 private:
  enum class Flow { kNext, kBreak, kContinue };
  class ScopeGuard;
  // Bounds how deep nodes and calls stand within each other.
  class DepthGuard {
   public:
    explicit DepthGuard(Interpreter& interpreter) : interpreter_(interpreter) {
      if (++interpreter_.depth_ > interpreter_.heap_.depth_limit()) {
        fault("expressions and calls are nested too deeply; the sandbox stops them");
      }
    }
    ~DepthGuard() { --interpreter_.depth_; }
    DepthGuard(const DepthGuard&) = delete;
    DepthGuard& operator=(const DepthGuard&) = delete;

   private:
    Interpreter& interpreter_;
  };

  Flow run_body(const Body& body);
  Flow run(const Stmt& stmt);
  Flow execute(const TextStmt& stmt);
  Flow execute(const OutputStmt& stmt);
  Flow execute(const ForStmt& stmt);
  Flow execute(const IfStmt& stmt);
  Flow execute(const SetStmt& stmt);
  Flow execute(const SetBlockStmt& stmt);
  Flow execute(const MacroStmt& stmt);
  Flow execute(const CallBlockStmt& stmt);
  Flow execute(const FilterBlockStmt& stmt);
  Flow execute(const WithStmt& stmt);
  Flow execute(const GenerationStmt& stmt);
  Flow execute(const BreakStmt&) { return Flow::kBreak; }
  Flow execute(const ContinueStmt&) { return Flow::kContinue; }

  Value evaluate(const Expr& expr);
  Value value_of(const ConstantExpr& expr) { return expr.value; }
  Value value_of(const NameExpr& expr);
  Value value_of(const SequenceExpr& expr);
  Value value_of(const DictExpr& expr);
  Value value_of(const AttributeExpr& expr);
  Value value_of(const SubscriptExpr& expr);
  Value value_of(const SliceExpr& expr);
  Value value_of(const CallExpr& expr);
  Value value_of(const FilterExpr& expr);
  Value value_of(const TestExpr& expr);
  Value value_of(const UnaryExpr& expr);
  Value value_of(const BinaryExpr& expr);
  Value value_of(const CompareExpr& expr);
  Value value_of(const ConcatExpr& expr);
  Value value_of(const ConditionalExpr& expr);

  Value slice(const Value& object, const SliceExpr& bounds);
  Value add(const Value& left, const Value& right);
  Value multiply(const Value& left, const Value& right);
  Value arithmetic(BinaryOp op, const Value& left, const Value& right);
  bool contains(const Value& container, const Value& item);
  CallValues arguments(const CallArguments& call);
  Value call_macro(const Macro& macro, const CallValues& values);
  void bind(const Macro& macro, const CallValues& values);
  void declare(std::string_view name, Value value);
  void assign(const Target& target, const Value& value);
  std::shared_ptr<const ListBox> filtered(const ForStmt& stmt,
                                          std::shared_ptr<const ListBox> items);
  // The text that `body` writes, instead of writing it.
  MarkedText captured(const Body& body);
  void write(const MarkedText& text);

  Heap& heap_;
  const std::unordered_map<std::string, Value>& globals_;
  Scope root_{nullptr};
  Scope* scope_ = &root_;
  std::vector<std::unique_ptr<Scope>> kept_scopes_;  // those that macros still see
  int64_t macros_made_ = 0;
  MarkedText* out_ = nullptr;
  Value filter_input_;  // of a {% filter %} or {% set x | f %} block
  int depth_ = 0;
  int line_ = 0;
};

// range, dict, namespace, cycler, joiner and raise_exception, as templates see them.
std::unordered_map<std::string, Value> standard_functions(Heap& heap);

Value apply_filter(Interpreter& interpreter, std::string_view name, const Value& input,
                   const CallValues& values);
bool apply_test(Interpreter& interpreter, std::string_view name, const Value& input,
                const CallValues& values);
// Whether values of this kind have a method of that name.
bool has_method(const Value& object, std::string_view name);
Value call_method(Interpreter& interpreter, const Value& object, std::string_view name,
                  const CallValues& values);
// "%s" and its kin, with `values` as the operands.
MarkedText format_percent(Interpreter& interpreter, const MarkedText& form,
                          const CallValues& values);

// The value's own dict, or the one that the text of a call's arguments spells; null for others.
const DictBox* mapping_of(const Value& value);

}  // namespace fathom::jinja
