// The rules of expressions, from conditions down to names, with filters, tests and calls.
//
// Threads: one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/token_cursor.h"

namespace fathom::jinja {

class ExpressionParser : protected TokenCursor {
 public:
  using TokenCursor::TokenCursor;

 protected:
  // One expression, or several with commas.
  ExprPtr tuple(bool with_condition, bool parenthesised = false);
  ExprPtr expression();
  // The name and arguments of a filter, whose '|' is behind us.
  ExprPtr one_filter(ExprPtr value);
  ExprPtr filters(ExprPtr value);

 private:
  template <class Node>
  static ExprPtr make(int line, Node node) {
    auto expr = std::make_unique<Expr>();
    expr->line = line;
    expr->node = std::move(node);
    return expr;
  }

  bool tuple_ends() const;
  ExprPtr or_expression();
  ExprPtr and_expression();
  ExprPtr not_expression();
  std::optional<CompareOp> compare_operator();
  ExprPtr comparison();
  ExprPtr sum();
  ExprPtr concatenation();
  ExprPtr product();
  ExprPtr power();
  ExprPtr unary(bool with_filter);
  ExprPtr primary();
  ExprPtr name_or_constant();
  ExprPtr list(int line);
  ExprPtr dict(int line);
  ExprPtr postfix(ExprPtr value, Chain& chain);
  ExprPtr dotted(int line, ExprPtr object);
  ExprPtr subscripted(int line, ExprPtr object);
  bool slice_part_ends() const;
  ExprPtr subscript_item();
  CallArguments call_arguments();
  void one_argument(CallArguments& arguments);
  std::string dotted_name();
  ExprPtr filters_and_tests(ExprPtr value, Chain& chain);
  bool test_argument_follows() const;
  ExprPtr test(ExprPtr value, int line);
};

}  // namespace fathom::jinja
