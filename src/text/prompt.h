// From a conversation to the prompt that a model was trained on: text and ids.
//
// A folder's own chat template is rendered in a sandbox (text/jinja/template.h); a folder without
// one gets the format of its family (text/prompt_formats.h) or, with nothing but the plain markers,
// this program's own (text/chat.h).
//
// Only what the template itself writes may become control tokens: text of users, tools and systems
// that spells one stays text. Of an assistant's content, <think> and </think> count as the
// template's.
//
// Threads: const methods may run at once on one object.  Lifetime: the tokenizer outlives it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/json.h"
#include "text/jinja/template.h"
#include "text/message.h"
#include "text/tokenizer.h"

namespace fathom {

// How a model writes the call of a tool between its markers.
enum class ToolSyntax {
  kNone,
  kFenced,  // V3, R1-0528: function, name, then the arguments in a ```json fence
  kPlain,   // V3.1: name and arguments
  kDsml,    // V3.2: elements for calls and their parameters (text/tool_calls.h)
  kHermes,  // a JSON object with name and arguments
};

struct PromptOptions {
  bool add_generation_prompt = true;  // the prompt ends where an answer begins
  // Given to the template as `thinking` and `enable_thinking`; nothing leaves it to the template.
  std::optional<bool> thinking;
  // Where the template does not heed `thinking`: opens the block itself, or closes the one that the
  // template opened.
  bool force_thinking = false;
  Json tools;  // as tools_from_json gives them; null: none
  // Where the template says nothing of tools, they are described in the system text.
  bool describe_tools = false;
  int64_t now = 0;  // seconds since 1970, for templates that write the date
  jinja::Limits limits;
};

struct Prompt {
  std::string text;
  std::vector<int32_t> ids;
  // [ids], 1 where the token belongs to an answer; only where asked for, else empty.
  std::vector<float> answer_mask;
  bool opens_thinking = false;  // it ends inside a think block
};

class PromptFormat {
 public:
  // The format of the folder that the tokenizer came from: chat_template.jinja, or the
  // chat_template of tokenizer_config.json, or the family's. Error(kModel) where nothing shows one.
  static PromptFormat load(const std::string& folder, const Tokenizer& tokenizer);
  // The same by the tokenizer alone, which keeps the chat_template of its config.
  static PromptFormat of(const Tokenizer& tokenizer);
  // By the name of a built-in format, or by Jinja text whose origin is `name`.
  static PromptFormat named(std::string_view name, const Tokenizer& tokenizer);
  static PromptFormat from_template(std::string_view source, const std::string& name,
                                    const Tokenizer& tokenizer);
  // Whether a template or a family's tokens say how to talk to the model; the plain markers alone
  // may belong to one that only continues texts.
  static bool known_for(const Tokenizer& tokenizer);

  // A last message with `prefix` is left open: the prompt ends with its text.
  Prompt render(const std::vector<Message>& messages, const PromptOptions& options = {}) const;
  // A whole conversation with the mask of its answers: {% generation %} blocks where the template
  // has them, else what each assistant message adds to the prompt before it, through its end token.
  Prompt render_answers(const std::vector<Message>& messages,
                        const PromptOptions& options = {}) const;

  const std::string& name() const { return name_; }
  const std::string& source() const;          // the Jinja text
  bool is_own() const { return !template_; }  // this program's own format
  bool shows_tools() const;                   // the template writes tool definitions
  ToolSyntax tool_syntax() const;

 private:
  struct Span {
    size_t begin, end;
  };
  PromptFormat(const Tokenizer& tokenizer, std::string name, std::optional<jinja::Template> own);

  jinja::RenderInput input_for(const std::vector<Message>& messages, bool cut_last,
                               const PromptOptions& options) const;
  MarkedText rendered(const std::vector<Message>& messages, const PromptOptions& options) const;
  MarkedText with_open_answer(const std::vector<Message>& messages,
                              const PromptOptions& options) const;
  void force_thinking(const std::vector<Message>& messages, const PromptOptions& options,
                      MarkedText& text) const;
  std::vector<Span> answer_spans(const std::vector<Message>& messages, const PromptOptions& options,
                                 const MarkedText& whole) const;
  Prompt own_prompt(const std::vector<Message>& messages, const PromptOptions& options) const;
  std::vector<Message> with_tools_described(const std::vector<Message>& messages,
                                            const PromptOptions& options) const;
  void encode(const MarkedText& text, const std::vector<Message>& messages,
              std::vector<int32_t>& ids) const;
  void append_piece(const MarkedText& text, const std::vector<Message>& messages, bool normalized,
                    size_t begin, size_t end, std::vector<int32_t>& ids) const;
  void append_plain(std::string_view text, const std::vector<Message>& messages,
                    std::vector<int32_t>& ids) const;
  const AddedToken* control_at(const MarkedText& text, size_t at, size_t end,
                               bool normalized) const;

  const Tokenizer* tokenizer_;
  std::string name_;
  std::optional<jinja::Template> template_;
  std::vector<AddedToken> control_;  // longest first
};

}  // namespace fathom
