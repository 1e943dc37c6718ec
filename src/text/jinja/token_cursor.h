// The words of a template one after the other, and how deep the tree of them has grown: what all
// rules of the grammar share.
//
// Threads: one.  Faults are SyntaxFault (lexer.h) with the line of the current word.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "text/jinja/lexer.h"
#include "text/jinja/parser.h"

namespace fathom::jinja {

class TokenCursor {
 public:
  explicit TokenCursor(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

 protected:
  // Bounds recursion: every rule that can contain itself holds one.
  class Level {
   public:
    explicit Level(TokenCursor& cursor) : cursor_(cursor) {
      if (++cursor_.depth_ > kMaxTreeDepth) cursor_.fail_here("the template is nested too deeply");
    }
    ~Level() { --cursor_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    TokenCursor& cursor_;
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

  // Bounds what grows to the left: a + b + c is a tree as deep as it is long.
  class Chain {
   public:
    explicit Chain(TokenCursor& cursor) : cursor_(cursor) {}
    ~Chain() { cursor_.depth_ -= length_; }
    Chain(const Chain&) = delete;
    Chain& operator=(const Chain&) = delete;
    void grow() {
      ++length_;
      if (++cursor_.depth_ > kMaxTreeDepth) cursor_.fail_here("an expression is too long");
    }

   private:
    TokenCursor& cursor_;
    int length_ = 0;
  };

  size_t position() const { return at_; }
  const Token& token_at(size_t position) const { return tokens_[position]; }

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace fathom::jinja
