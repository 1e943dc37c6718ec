// The grammar and its precedences are those of Jinja 3.1.
#include "text/jinja/expression_parser.h"

#include <iterator>

namespace fathom::jinja {
namespace {

constexpr std::string_view kCompareOperators[] = {"==", "!=", "<", "<=", ">", ">="};
constexpr CompareOp kCompareOps[] = {CompareOp::kEq, CompareOp::kNe, CompareOp::kLt,
                                     CompareOp::kLe, CompareOp::kGt, CompareOp::kGe};

}  // namespace

bool ExpressionParser::tuple_ends() const {
  return now().kind == TokenKind::kVariableEnd || now().kind == TokenKind::kBlockEnd ||
         is_operator(")");
}

// One expression, or several with commas.
ExprPtr ExpressionParser::tuple(bool with_condition, bool parenthesised) {
  const int line = now().line;
  std::vector<ExprPtr> items;
  bool several = false;
  while (!tuple_ends()) {
    items.push_back(with_condition ? expression() : or_expression());
    if (!skip_operator(",")) break;
    several = true;
  }
  if (!several && items.size() == 1) return std::move(items.front());
  if (items.empty() && !parenthesised) {
    fail_here(concat("expected an expression, got ", described(now())));
  }
  return make(line, SequenceExpr{std::move(items), true});
}

ExprPtr ExpressionParser::expression() {
  const Level level(*this);
  const int line = now().line;
  ExprPtr value = or_expression();
  Chain chain(*this);
  while (skip_name("if")) {
    chain.grow();
    ExprPtr condition = or_expression();
    ExprPtr otherwise = skip_name("else") ? expression() : nullptr;
    value =
        make(line, ConditionalExpr{std::move(condition), std::move(value), std::move(otherwise)});
  }
  return value;
}

ExprPtr ExpressionParser::or_expression() {
  const int line = now().line;
  ExprPtr left = and_expression();
  Chain chain(*this);
  while (skip_name("or")) {
    chain.grow();
    left = make(line, BinaryExpr{BinaryOp::kOr, std::move(left), and_expression()});
  }
  return left;
}

ExprPtr ExpressionParser::and_expression() {
  const int line = now().line;
  ExprPtr left = not_expression();
  Chain chain(*this);
  while (skip_name("and")) {
    chain.grow();
    left = make(line, BinaryExpr{BinaryOp::kAnd, std::move(left), not_expression()});
  }
  return left;
}

ExprPtr ExpressionParser::not_expression() {
  const Level level(*this);
  const int line = now().line;
  if (!skip_name("not")) return comparison();
  return make(line, UnaryExpr{UnaryOp::kNot, not_expression()});
}

std::optional<CompareOp> ExpressionParser::compare_operator() {
  if (now().kind == TokenKind::kOperator) {
    for (size_t i = 0; i < std::size(kCompareOperators); ++i) {
      if (skip_operator(kCompareOperators[i])) return kCompareOps[i];
    }
    return std::nullopt;
  }
  if (skip_name("in")) return CompareOp::kIn;
  if (is_name("not") && ahead().kind == TokenKind::kName && ahead().text == "in") {
    take();
    take();
    return CompareOp::kNotIn;
  }
  return std::nullopt;
}

ExprPtr ExpressionParser::comparison() {
  const int line = now().line;
  ExprPtr first = sum();
  std::vector<std::pair<CompareOp, ExprPtr>> rest;
  while (const std::optional<CompareOp> op = compare_operator()) rest.emplace_back(*op, sum());
  if (rest.empty()) return first;
  return make(line, CompareExpr{std::move(first), std::move(rest)});
}

ExprPtr ExpressionParser::sum() {
  const int line = now().line;
  ExprPtr left = concatenation();
  Chain chain(*this);
  while (is_operator("+") || is_operator("-")) {
    chain.grow();
    const BinaryOp op = take().text == "+" ? BinaryOp::kAdd : BinaryOp::kSub;
    left = make(line, BinaryExpr{op, std::move(left), concatenation()});
  }
  return left;
}

ExprPtr ExpressionParser::concatenation() {
  const int line = now().line;
  ExprPtr first = product();
  if (!is_operator("~")) return first;
  ConcatExpr all;
  all.parts.push_back(std::move(first));
  while (skip_operator("~")) all.parts.push_back(product());
  return make(line, std::move(all));
}

ExprPtr ExpressionParser::product() {
  const int line = now().line;
  ExprPtr left = power();
  Chain chain(*this);
  for (;;) {
    BinaryOp op;
    if (is_operator("*")) {
      op = BinaryOp::kMul;
    } else if (is_operator("/")) {
      op = BinaryOp::kDiv;
    } else if (is_operator("//")) {
      op = BinaryOp::kFloorDiv;
    } else if (is_operator("%")) {
      op = BinaryOp::kMod;
    } else {
      return left;
    }
    take();
    chain.grow();
    left = make(line, BinaryExpr{op, std::move(left), power()});
  }
}

ExprPtr ExpressionParser::power() {
  const int line = now().line;
  ExprPtr left = unary(true);
  Chain chain(*this);
  while (skip_operator("**")) {
    chain.grow();
    left = make(line, BinaryExpr{BinaryOp::kPow, std::move(left), unary(true)});
  }
  return left;
}

ExprPtr ExpressionParser::unary(bool with_filter) {
  const Level level(*this);
  const int line = now().line;
  ExprPtr value;
  if (skip_operator("-")) {
    value = make(line, UnaryExpr{UnaryOp::kMinus, unary(false)});
  } else if (skip_operator("+")) {
    value = make(line, UnaryExpr{UnaryOp::kPlus, unary(false)});
  } else {
    value = primary();
  }
  Chain chain(*this);
  value = postfix(std::move(value), chain);
  return with_filter ? filters_and_tests(std::move(value), chain) : std::move(value);
}

ExprPtr ExpressionParser::primary() {
  const Token& token = now();
  const int line = token.line;
  switch (token.kind) {
    case TokenKind::kName:
      return name_or_constant();
    case TokenKind::kString: {
      std::string text;
      while (now().kind == TokenKind::kString) text += take().text;
      return make(line, ConstantExpr{Value::string(std::move(text))});
    }
    case TokenKind::kNumber:
      return make(line, ConstantExpr{take().number});
    default:
      break;
  }
  if (skip_operator("(")) {
    ExprPtr inner = tuple(true, true);
    expect_operator(")");
    return inner;
  }
  if (skip_operator("[")) return list(line);
  if (skip_operator("{")) return dict(line);
  fail_here(concat("unexpected ", described(token)));
}

ExprPtr ExpressionParser::name_or_constant() {
  const int line = now().line;
  const std::string name = take().text;
  if (name == "true" || name == "True") return make(line, ConstantExpr{Value(true)});
  if (name == "false" || name == "False") return make(line, ConstantExpr{Value(false)});
  if (name == "none" || name == "None") return make(line, ConstantExpr{Value()});
  return make(line, NameExpr{name});
}

ExprPtr ExpressionParser::list(int line) {
  SequenceExpr sequence;
  while (!is_operator("]")) {
    if (!sequence.items.empty()) expect_operator(",");
    if (is_operator("]")) break;
    sequence.items.push_back(expression());
  }
  take();
  return make(line, std::move(sequence));
}

ExprPtr ExpressionParser::dict(int line) {
  DictExpr display;
  while (!is_operator("}")) {
    if (!display.entries.empty()) expect_operator(",");
    if (is_operator("}")) break;
    ExprPtr key = expression();
    expect_operator(":");
    display.entries.emplace_back(std::move(key), expression());
  }
  take();
  return make(line, std::move(display));
}

ExprPtr ExpressionParser::postfix(ExprPtr value, Chain& chain) {
  for (;;) {
    const int line = now().line;
    if (skip_operator(".")) {
      value = dotted(line, std::move(value));
    } else if (skip_operator("[")) {
      value = subscripted(line, std::move(value));
    } else if (is_operator("(")) {
      value = make(line, CallExpr{std::move(value), call_arguments()});
    } else {
      return value;
    }
    chain.grow();
  }
}

ExprPtr ExpressionParser::dotted(int line, ExprPtr object) {
  if (now().kind == TokenKind::kName) {
    return make(line, AttributeExpr{std::move(object), take().text});
  }
  if (now().kind == TokenKind::kNumber && now().number.is_int()) {
    ExprPtr index = make(line, ConstantExpr{take().number});
    return make(line, SubscriptExpr{std::move(object), std::move(index)});
  }
  fail_here(concat("expected a name or number after '.', got ", described(now())));
}

ExprPtr ExpressionParser::subscripted(int line, ExprPtr object) {
  std::vector<ExprPtr> items;
  while (!is_operator("]")) {
    if (!items.empty()) expect_operator(",");
    items.push_back(subscript_item());
  }
  take();
  ExprPtr index = items.size() == 1 ? std::move(items.front())
                                    : make(line, SequenceExpr{std::move(items), true});
  return make(line, SubscriptExpr{std::move(object), std::move(index)});
}

bool ExpressionParser::slice_part_ends() const {
  return is_operator(":") || is_operator("]") || is_operator(",");
}

ExprPtr ExpressionParser::subscript_item() {
  const int line = now().line;
  ExprPtr start = is_operator(":") ? nullptr : expression();
  if (!skip_operator(":")) return start;
  SliceExpr slice;
  slice.start = std::move(start);
  if (!slice_part_ends()) slice.stop = expression();
  if (skip_operator(":") && !slice_part_ends()) slice.step = expression();
  return make(line, std::move(slice));
}

CallArguments ExpressionParser::call_arguments() {
  CallArguments arguments;
  expect_operator("(");
  bool first = true;
  while (!is_operator(")")) {
    if (!first) {
      expect_operator(",");
      if (is_operator(")")) break;
    }
    first = false;
    one_argument(arguments);
  }
  take();
  return arguments;
}

void ExpressionParser::one_argument(CallArguments& arguments) {
  const bool after_star = arguments.star || arguments.star_star;
  if (skip_operator("*")) {
    if (after_star) fail_here("a call has a second *");
    arguments.star = expression();
  } else if (skip_operator("**")) {
    if (arguments.star_star) fail_here("a call has a second **");
    arguments.star_star = expression();
  } else if (now().kind == TokenKind::kName && ahead().kind == TokenKind::kOperator &&
             ahead().text == "=") {
    if (arguments.star_star) fail_here("a named argument follows **");
    std::string name = take().text;
    take();
    arguments.named.emplace_back(std::move(name), expression());
  } else {
    if (after_star || !arguments.named.empty()) {
      fail_here("a positional argument follows named ones");
    }
    arguments.positional.push_back(expression());
  }
}

std::string ExpressionParser::dotted_name() {
  std::string name = expect_name();
  while (skip_operator(".")) name += "." + expect_name();
  return name;
}

// The name and arguments of a filter, whose '|' is behind us.
ExprPtr ExpressionParser::one_filter(ExprPtr value) {
  const int line = now().line;
  FilterExpr filter;
  filter.value = std::move(value);
  filter.name = dotted_name();
  if (is_operator("(")) filter.arguments = call_arguments();
  return make(line, std::move(filter));
}

ExprPtr ExpressionParser::filters(ExprPtr value) {
  Chain chain(*this);
  while (skip_operator("|")) {
    chain.grow();
    value = one_filter(std::move(value));
  }
  return value;
}

ExprPtr ExpressionParser::filters_and_tests(ExprPtr value, Chain& chain) {
  for (;;) {
    const int line = now().line;
    if (skip_operator("|")) {
      value = one_filter(std::move(value));
    } else if (skip_name("is")) {
      value = test(std::move(value), line);
    } else if (is_operator("(")) {
      value = make(line, CallExpr{std::move(value), call_arguments()});
    } else {
      return value;
    }
    chain.grow();
  }
}

bool ExpressionParser::test_argument_follows() const {
  switch (now().kind) {
    case TokenKind::kName:
      return !is_name("else") && !is_name("or") && !is_name("and");
    case TokenKind::kString:
    case TokenKind::kNumber:
      return true;
    default:
      return is_operator("[") || is_operator("{");
  }
}

ExprPtr ExpressionParser::test(ExprPtr value, int line) {
  const bool negated = skip_name("not");
  TestExpr node;
  node.value = std::move(value);
  node.name = dotted_name();
  if (is_operator("(")) {
    node.arguments = call_arguments();
  } else if (test_argument_follows()) {
    if (is_name("is")) fail_here("tests with 'is' cannot be chained");
    Chain chain(*this);
    node.arguments.positional.push_back(postfix(primary(), chain));
  }
  ExprPtr result = make(line, std::move(node));
  if (negated) result = make(line, UnaryExpr{UnaryOp::kNot, std::move(result)});
  return result;
}

}  // namespace fathom::jinja
