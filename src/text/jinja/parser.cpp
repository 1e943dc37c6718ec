// The grammar and its precedences are those of Jinja 3.1.
#include "text/jinja/parser.h"

#include <algorithm>
#include <initializer_list>

#include "base/error.h"
#include "text/jinja/lexer.h"

namespace fathom::jinja {
namespace {

constexpr std::string_view kCompareOperators[] = {"==", "!=", "<", "<=", ">", ">="};
constexpr CompareOp kCompareOps[] = {CompareOp::kEq, CompareOp::kNe, CompareOp::kLt,
                                     CompareOp::kLe, CompareOp::kGt, CompareOp::kGe};

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Body run() { return body({}); }

 private:
  // Bounds recursion: every rule that can contain itself holds one.
  class Level {
   public:
    explicit Level(Parser& parser) : parser_(parser) {
      if (++parser_.depth_ > kMaxTreeDepth) parser_.fail_here("the template is nested too deeply");
    }
    ~Level() { --parser_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Parser& parser_;
  };

  const Token& now() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  const Token& take() {
    const Token& token = tokens_[at_];
    if (token.kind != TokenKind::kEnd) ++at_;
    return token;
  }
  [[noreturn]] void fail_here(std::string what) const {
    throw SyntaxFault{std::move(what), now().line};
  }
  static std::string described(const Token& token) {
    switch (token.kind) {
      case TokenKind::kEnd:
        return "the end of the template";
      case TokenKind::kBlockEnd:
        return "the end of the tag";
      case TokenKind::kVariableEnd:
        return "}}";
      case TokenKind::kString:
        return "a string";
      default:
        return concat("'", token.text, "'");
    }
  }

  bool is_operator(std::string_view text) const {
    return now().kind == TokenKind::kOperator && now().text == text;
  }
  bool is_name(std::string_view text) const {
    return now().kind == TokenKind::kName && now().text == text;
  }
  bool skip_operator(std::string_view text) {
    if (!is_operator(text)) return false;
    take();
    return true;
  }
  bool skip_name(std::string_view text) {
    if (!is_name(text)) return false;
    take();
    return true;
  }
  void expect_operator(std::string_view text) {
    if (!skip_operator(text)) {
      fail_here(concat("expected '", text, "', got ", described(now())));
    }
  }
  void expect_kind(TokenKind kind, std::string_view what) {
    if (now().kind != kind) fail_here(concat("expected ", what, ", got ", described(now())));
    take();
  }
  std::string expect_name() {
    if (now().kind != TokenKind::kName) {
      fail_here(concat("expected a name, got ", described(now())));
    }
    return take().text;
  }

  template <class Node>
  static ExprPtr make(int line, Node node) {
    auto expr = std::make_unique<Expr>();
    expr->line = line;
    expr->node = std::move(node);
    return expr;
  }

  // ---- statements -------------------------------------------------------------------------------

  // Statements up to a tag that one of `ends` begins; that word is the current token then.
  Body body(std::initializer_list<std::string_view> ends) {
    const Level level(*this);
    Body statements;
    for (;;) {
      const int line = now().line;
      switch (now().kind) {
        case TokenKind::kText:
          statements.push_back({line, TextStmt{MarkedText(take().text)}});
          break;
        case TokenKind::kVariableBegin:
          take();
          statements.push_back({line, OutputStmt{tuple(true)}});
          expect_kind(TokenKind::kVariableEnd, "}}");
          break;
        case TokenKind::kBlockBegin:
          take();
          if (std::any_of(ends.begin(), ends.end(), [&](auto end) { return is_name(end); })) {
            return statements;
          }
          statement(statements);
          expect_kind(TokenKind::kBlockEnd, "%}");
          break;
        default:
          if (ends.size() > 0) {
            fail_here(concat("the template ends where {% ", *(ends.end() - 1), " %} is missing"));
          }
          return statements;
      }
    }
  }

  // The body of a block whose opening tag ends here, through its closing word.
  Body block(std::string_view end) {
    Body statements = open_block({end});
    take();
    return statements;
  }
  Body open_block(std::initializer_list<std::string_view> ends) {
    skip_operator(":");
    expect_kind(TokenKind::kBlockEnd, "%}");
    return body(ends);
  }

  void statement(Body& out) {
    const int line = now().line;
    const std::string word = expect_name();
    Stmt stmt{line, BreakStmt{}};
    if (word == "for") {
      stmt.node = for_statement();
    } else if (word == "if") {
      stmt.node = if_statement();
    } else if (word == "set") {
      stmt.node = set_statement();
    } else if (word == "macro") {
      stmt.node = macro_statement();
    } else if (word == "call") {
      stmt.node = call_statement();
    } else if (word == "filter") {
      stmt.node = filter_statement();
    } else if (word == "with") {
      stmt.node = with_statement();
    } else if (word == "generation") {
      stmt.node = GenerationStmt{block("endgeneration")};
    } else if (word == "break" || word == "continue") {
      if (loops_ == 0) fail_here(concat("{% ", word, " %} stands outside of a loop"));
      if (word == "continue") stmt.node = ContinueStmt{};
    } else if (word == "print") {
      return print_statement(line, out);
    } else {
      fail_here(concat("the tag '", word, "' is unknown, or not for chat templates"));
    }
    out.push_back(std::move(stmt));
  }

  void print_statement(int line, Body& out) {
    bool first = true;
    while (now().kind != TokenKind::kBlockEnd) {
      if (!first) expect_operator(",");
      out.push_back({line, OutputStmt{expression()}});
      first = false;
    }
  }

  ForStmt for_statement() {
    ForStmt loop;
    loop.target = target(false);
    if (!skip_name("in")) fail_here(concat("expected 'in', got ", described(now())));
    loop.iterable = tuple(false);
    if (skip_name("if")) loop.condition = expression();
    if (is_name("recursive")) fail_here("recursive loops are not for chat templates");
    ++loops_;
    loop.body = open_block({"else", "endfor"});
    --loops_;
    if (take().text == "else") loop.otherwise = block("endfor");
    return loop;
  }

  IfStmt if_statement() {
    IfStmt result;
    for (;;) {
      ExprPtr condition = tuple(false);
      Body then = open_block({"elif", "else", "endif"});
      result.branches.emplace_back(std::move(condition), std::move(then));
      const std::string word = take().text;
      if (word == "elif") continue;
      if (word == "else") result.otherwise = block("endif");
      return result;
    }
  }

  Stmt::Node set_statement() {
    Target to = target(true);
    if (skip_operator("=")) return SetStmt{std::move(to), tuple(true)};
    ExprPtr filter = is_operator("|") ? filters(nullptr) : nullptr;
    return SetBlockStmt{std::move(to), std::move(filter), block("endset")};
  }

  std::shared_ptr<MacroBody> signature(std::string name) {
    auto macro = std::make_shared<MacroBody>();
    macro->name = std::move(name);
    expect_operator("(");
    while (!is_operator(")")) {
      if (!macro->parameters.empty()) expect_operator(",");
      Parameter parameter;
      parameter.name = expect_name();
      if (skip_operator("=")) {
        parameter.fallback = expression();
      } else if (!macro->parameters.empty() && macro->parameters.back().fallback) {
        fail_here("a parameter without a default follows one with a default");
      }
      macro->parameters.push_back(std::move(parameter));
    }
    take();
    return macro;
  }

  // Which of the names that a macro gets by itself its body uses.
  void macro_body(MacroBody& macro, std::string_view end) {
    const size_t first = at_;
    const int outer_loops = std::exchange(loops_, 0);
    macro.body = block(end);
    loops_ = outer_loops;
    for (size_t i = first; i < at_; ++i) {
      if (tokens_[i].kind != TokenKind::kName) continue;
      macro.uses_varargs |= tokens_[i].text == "varargs";
      macro.uses_kwargs |= tokens_[i].text == "kwargs";
      macro.uses_caller |= tokens_[i].text == "caller";
    }
  }

  MacroStmt macro_statement() {
    const std::shared_ptr<MacroBody> macro = signature(expect_name());
    macro_body(*macro, "endmacro");
    return {macro};
  }

  CallBlockStmt call_statement() {
    std::shared_ptr<MacroBody> caller;
    if (is_operator("(")) {
      caller = signature("caller");
    } else {
      caller = std::make_shared<MacroBody>();
      caller->name = "caller";
    }
    ExprPtr call = expression();
    if (!std::holds_alternative<CallExpr>(call->node)) fail_here("{% call %} needs a call");
    macro_body(*caller, "endcall");
    return {std::move(call), caller};
  }

  FilterBlockStmt filter_statement() {
    ExprPtr chain = one_filter(nullptr);
    while (is_operator("|")) chain = filters(std::move(chain));
    return {std::move(chain), block("endfilter")};
  }

  WithStmt with_statement() {
    WithStmt result;
    while (now().kind != TokenKind::kBlockEnd) {
      if (!result.assignments.empty()) expect_operator(",");
      Target to = target(false);
      expect_operator("=");
      result.assignments.emplace_back(std::move(to), expression());
    }
    result.body = block("endwith");
    return result;
  }

  Target one_target(bool with_namespace) {
    const Level level(*this);
    if (skip_operator("(")) {
      Target inner = target(with_namespace);
      expect_operator(")");
      return inner;
    }
    Target result;
    result.name = expect_name();
    for (const char* word : {"true", "false", "none", "True", "False", "None"}) {
      if (result.name == word) fail_here(concat("cannot assign to ", word));
    }
    if (with_namespace && skip_operator(".")) result.attribute = expect_name();
    return result;
  }

  Target target(bool with_namespace) {
    Target first = one_target(with_namespace);
    if (!is_operator(",")) return first;
    Target all;
    all.several.push_back(std::move(first));
    while (skip_operator(",")) {
      if (now().kind != TokenKind::kName && !is_operator("(")) break;
      if (is_name("in")) break;
      all.several.push_back(one_target(with_namespace));
    }
    return all;
  }

  // ---- expressions ------------------------------------------------------------------------------

  bool tuple_ends() const {
    return now().kind == TokenKind::kVariableEnd || now().kind == TokenKind::kBlockEnd ||
           is_operator(")");
  }

  // One expression, or several with commas.
  ExprPtr tuple(bool with_condition, bool parenthesised = false) {
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

  ExprPtr expression() {
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

  // Bounds what grows to the left: a + b + c is a tree as deep as it is long.
  class Chain {
   public:
    explicit Chain(Parser& parser) : parser_(parser) {}
    ~Chain() { parser_.depth_ -= length_; }
    Chain(const Chain&) = delete;
    Chain& operator=(const Chain&) = delete;
    void grow() {
      ++length_;
      if (++parser_.depth_ > kMaxTreeDepth) parser_.fail_here("an expression is too long");
    }

   private:
    Parser& parser_;
    int length_ = 0;
  };

  ExprPtr or_expression() {
    const int line = now().line;
    ExprPtr left = and_expression();
    Chain chain(*this);
    while (skip_name("or")) {
      chain.grow();
      left = make(line, BinaryExpr{BinaryOp::kOr, std::move(left), and_expression()});
    }
    return left;
  }

  ExprPtr and_expression() {
    const int line = now().line;
    ExprPtr left = not_expression();
    Chain chain(*this);
    while (skip_name("and")) {
      chain.grow();
      left = make(line, BinaryExpr{BinaryOp::kAnd, std::move(left), not_expression()});
    }
    return left;
  }

  ExprPtr not_expression() {
    const Level level(*this);
    const int line = now().line;
    if (!skip_name("not")) return comparison();
    return make(line, UnaryExpr{UnaryOp::kNot, not_expression()});
  }

  std::optional<CompareOp> compare_operator() {
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

  ExprPtr comparison() {
    const int line = now().line;
    ExprPtr first = sum();
    std::vector<std::pair<CompareOp, ExprPtr>> rest;
    while (const std::optional<CompareOp> op = compare_operator()) rest.emplace_back(*op, sum());
    if (rest.empty()) return first;
    return make(line, CompareExpr{std::move(first), std::move(rest)});
  }

  ExprPtr sum() {
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

  ExprPtr concatenation() {
    const int line = now().line;
    ExprPtr first = product();
    if (!is_operator("~")) return first;
    ConcatExpr all;
    all.parts.push_back(std::move(first));
    while (skip_operator("~")) all.parts.push_back(product());
    return make(line, std::move(all));
  }

  ExprPtr product() {
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

  ExprPtr power() {
    const int line = now().line;
    ExprPtr left = unary(true);
    Chain chain(*this);
    while (skip_operator("**")) {
      chain.grow();
      left = make(line, BinaryExpr{BinaryOp::kPow, std::move(left), unary(true)});
    }
    return left;
  }

  ExprPtr unary(bool with_filter) {
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

  ExprPtr primary() {
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

  ExprPtr name_or_constant() {
    const int line = now().line;
    const std::string name = take().text;
    if (name == "true" || name == "True") return make(line, ConstantExpr{Value(true)});
    if (name == "false" || name == "False") return make(line, ConstantExpr{Value(false)});
    if (name == "none" || name == "None") return make(line, ConstantExpr{Value()});
    return make(line, NameExpr{name});
  }

  ExprPtr list(int line) {
    SequenceExpr sequence;
    while (!is_operator("]")) {
      if (!sequence.items.empty()) expect_operator(",");
      if (is_operator("]")) break;
      sequence.items.push_back(expression());
    }
    take();
    return make(line, std::move(sequence));
  }

  ExprPtr dict(int line) {
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

  ExprPtr postfix(ExprPtr value, Chain& chain) {
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

  ExprPtr dotted(int line, ExprPtr object) {
    if (now().kind == TokenKind::kName) {
      return make(line, AttributeExpr{std::move(object), take().text});
    }
    if (now().kind == TokenKind::kNumber && now().number.is_int()) {
      ExprPtr index = make(line, ConstantExpr{take().number});
      return make(line, SubscriptExpr{std::move(object), std::move(index)});
    }
    fail_here(concat("expected a name or number after '.', got ", described(now())));
  }

  ExprPtr subscripted(int line, ExprPtr object) {
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

  bool slice_part_ends() const { return is_operator(":") || is_operator("]") || is_operator(","); }

  ExprPtr subscript_item() {
    const int line = now().line;
    ExprPtr start = is_operator(":") ? nullptr : expression();
    if (!skip_operator(":")) return start;
    SliceExpr slice;
    slice.start = std::move(start);
    if (!slice_part_ends()) slice.stop = expression();
    if (skip_operator(":") && !slice_part_ends()) slice.step = expression();
    return make(line, std::move(slice));
  }

  CallArguments call_arguments() {
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

  void one_argument(CallArguments& arguments) {
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

  std::string dotted_name() {
    std::string name = expect_name();
    while (skip_operator(".")) name += "." + expect_name();
    return name;
  }

  // The name and arguments of a filter, whose '|' is behind us.
  ExprPtr one_filter(ExprPtr value) {
    const int line = now().line;
    FilterExpr filter;
    filter.value = std::move(value);
    filter.name = dotted_name();
    if (is_operator("(")) filter.arguments = call_arguments();
    return make(line, std::move(filter));
  }

  ExprPtr filters(ExprPtr value) {
    Chain chain(*this);
    while (skip_operator("|")) {
      chain.grow();
      value = one_filter(std::move(value));
    }
    return value;
  }

  ExprPtr filters_and_tests(ExprPtr value, Chain& chain) {
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

  bool test_argument_follows() const {
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

  ExprPtr test(ExprPtr value, int line) {
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

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  int loops_ = 0;
};

}  // namespace

Body parse_template(std::string_view source) { return Parser(tokenize(source)).run(); }

}  // namespace fathom::jinja
