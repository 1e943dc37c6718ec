// A template as a tree: what the parser makes and the interpreter walks.
//
// Every node knows its line. The parser bounds the depth of the tree, so that walking it by
// recursion is safe.
//
// Threads: const access from any number of threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/value.h"

namespace fathom::jinja {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct CallArguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr star;       // *args, may be null
  ExprPtr star_star;  // **kwargs, may be null
};

enum class UnaryOp { kNot, kMinus, kPlus };
enum class BinaryOp { kAnd, kOr, kAdd, kSub, kMul, kDiv, kFloorDiv, kMod, kPow };
enum class CompareOp { kEq, kNe, kLt, kLe, kGt, kGe, kIn, kNotIn };

struct ConstantExpr {
  Value value;
};
struct NameExpr {
  std::string name;
};
struct SequenceExpr {
  std::vector<ExprPtr> items;
  bool tuple = false;
};
struct DictExpr {
  std::vector<std::pair<ExprPtr, ExprPtr>> entries;
};
struct AttributeExpr {
  ExprPtr object;
  std::string name;
};
struct SubscriptExpr {
  ExprPtr object, index;
};
struct SliceExpr {  // only as an index; each may be null
  ExprPtr start, stop, step;
};
struct CallExpr {
  ExprPtr callee;
  CallArguments arguments;
};
struct FilterExpr {
  ExprPtr value;  // null: the text of a block
  std::string name;
  CallArguments arguments;
};
struct TestExpr {
  ExprPtr value;
  std::string name;
  CallArguments arguments;
};
struct UnaryExpr {
  UnaryOp op;
  ExprPtr operand;
};
struct BinaryExpr {
  BinaryOp op;
  ExprPtr left, right;
};
struct CompareExpr {  // a < b <= c: each holds for neighbours
  ExprPtr first;
  std::vector<std::pair<CompareOp, ExprPtr>> rest;
};
struct ConcatExpr {
  std::vector<ExprPtr> parts;
};
struct ConditionalExpr {
  ExprPtr condition, then, otherwise;  // the last may be null
};

struct Expr {
  using Node = std::variant<ConstantExpr, NameExpr, SequenceExpr, DictExpr, AttributeExpr,
                            SubscriptExpr, SliceExpr, CallExpr, FilterExpr, TestExpr, UnaryExpr,
                            BinaryExpr, CompareExpr, ConcatExpr, ConditionalExpr>;
  int line = 0;
  Node node;
};

// What a `set` or `for` assigns to: a name, namespace.attribute, or several of them.
struct Target {
  std::string name;
  std::string attribute;        // of the namespace `name`, or empty
  std::vector<Target> several;  // not empty: a tuple of targets
};

struct Stmt;
using Body = std::vector<Stmt>;

struct Parameter {
  std::string name;
  ExprPtr fallback;  // null: none
};
struct MacroBody {
  std::string name;
  std::vector<Parameter> parameters;
  Body body;
  bool uses_varargs = false, uses_kwargs = false, uses_caller = false;
};

struct TextStmt {
  MarkedText text;
};
struct OutputStmt {
  ExprPtr value;
};
struct ForStmt {
  Target target;
  ExprPtr iterable;
  ExprPtr condition;  // null: none
  Body body, otherwise;
};
struct IfStmt {
  std::vector<std::pair<ExprPtr, Body>> branches;
  Body otherwise;
};
struct SetStmt {
  Target target;
  ExprPtr value;
};
struct SetBlockStmt {
  Target target;
  ExprPtr filter;  // null: none
  Body body;
};
struct MacroStmt {
  std::shared_ptr<const MacroBody> macro;
};
struct CallBlockStmt {
  ExprPtr call;  // a CallExpr
  std::shared_ptr<const MacroBody> caller;
};
struct FilterBlockStmt {
  ExprPtr filter;
  Body body;
};
struct WithStmt {
  std::vector<std::pair<Target, ExprPtr>> assignments;
  Body body;
};
struct GenerationStmt {
  Body body;
};
struct BreakStmt {};
struct ContinueStmt {};

struct Stmt {
  using Node = std::variant<TextStmt, OutputStmt, ForStmt, IfStmt, SetStmt, SetBlockStmt, MacroStmt,
                            CallBlockStmt, FilterBlockStmt, WithStmt, GenerationStmt, BreakStmt,
                            ContinueStmt>;
  int line = 0;
  Node node;
};

}  // namespace fathom::jinja
