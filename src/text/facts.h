// What a tokenizer and a conversation format are, for people who look into a folder.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/prompt.h"
#include "text/split_pattern.h"
#include "text/tokenizer.h"

namespace fathom {

// "bpe", "bytes" or "characters".
std::string_view tokenizer_kind(const Tokenizer& tokenizer);

// Whose published pre-tokenizer the steps are: "deepseek-llm" (also V2 and Coder-V2),
// "deepseek-coder", "deepseek-v3", "qwen2" or "llama3"; "none" without steps, else "other".
std::string_view split_family(const std::vector<SplitStep>& steps);

// What a model of this format can be asked to do about thinking.
enum class ThinkingUse {
  kNone,    // it has no tokens for it
  kOwn,     // the model decides
  kAlways,  // the prompt opens the block
  kSwitch,  // the caller decides
};
std::string_view name_of(ThinkingUse use);

struct FormatFacts {
  bool system = false;  // it writes system texts
  bool tools = false;   // it writes tool definitions
  ThinkingUse thinking = ThinkingUse::kNone;
};

// By rendering a small conversation, which a foreign template may refuse: Error.
FormatFacts examine_format(const PromptFormat& format, const Tokenizer& tokenizer);

}  // namespace fathom
