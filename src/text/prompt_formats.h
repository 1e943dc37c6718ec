// The conversation formats of the published model families, for folders that bring no chat
// template.
//
//   llm          DeepSeek LLM, Math, MoE-16B, V2-Chat, V2-Lite-Chat, Coder-V2-Instruct
//   coder        Coder v1 instruct, Coder 7B v1.5 instruct
//   v2.5         V2.5
//   v3-first     V3 as first published: a single call is never closed
//   v3           V3
//   r1           R1: the prompt opens the thinking
//   r1-distill   the distilled Qwen and Llama models
//   r1-0528      R1-0528 and later V3-0324: <｜Assistant｜> belongs to the user's turn
//   v3.1         V3.1: thinking on or off, tools described in front
//
// Each is a Jinja text, rendered by the same engine as a folder's own.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace fathom {

struct BuiltInFormat {
  std::string_view name;
  std::string source;  // Jinja
};

const std::vector<BuiltInFormat>& built_in_formats();
// Null: there is none of that name.
const BuiltInFormat* find_built_in_format(std::string_view name);
// The format of the family that the tokenizer's added tokens show; null where they show none. A
// tokenizer with the plain markers alone has this program's own format (text/chat.h).
const BuiltInFormat* built_in_format_for(const Tokenizer& tokenizer);
// What showed it, for people: "the tokens <｜User｜> and <think>"; empty where nothing does.
std::string built_in_format_evidence(const Tokenizer& tokenizer);

// What tells a V3.1 model its tools (spec of the model card), for templates that do not.
std::string_view tool_description_template();

}  // namespace fathom
