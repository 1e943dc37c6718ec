// The rules of tags: text, output and statements around the expressions of expression_parser.h.
#include "text/jinja/parser.h"

#include <algorithm>
#include <initializer_list>

#include "text/jinja/expression_parser.h"

namespace fathom::jinja {
namespace {

class Parser : private ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Body run() { return body({}); }

 private:
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
    const size_t first = position();
    const int outer_loops = std::exchange(loops_, 0);
    macro.body = block(end);
    loops_ = outer_loops;
    for (size_t i = first; i < position(); ++i) {
      const Token& token = token_at(i);
      if (token.kind != TokenKind::kName) continue;
      macro.uses_varargs |= token.text == "varargs";
      macro.uses_kwargs |= token.text == "kwargs";
      macro.uses_caller |= token.text == "caller";
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

  int loops_ = 0;
};

}  // namespace

Body parse_template(std::string_view source) { return Parser(tokenize(source)).run(); }

}  // namespace fathom::jinja
