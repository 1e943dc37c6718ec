// What commands read: token ids, conversations, texts.
//
// A path of "-" is standard input. A file that is missing or cannot be read is Error(kRuntime);
// what is wrong in it is Error(kUsage) that names the file and the place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/json.h"
#include "text/prompt.h"

namespace fathom {

// How errors call it: "-" is standard input.
std::string name_of_input(const std::string& path);
std::string read_input(const std::string& path);
// Without the line end that editors and echo put last.
std::string without_final_newline(std::string text);

// {"ids": [1, 2, 3]} or [1, 2, 3].
std::vector<int32_t> parse_ids(std::string_view text, const std::string& origin);
std::vector<int32_t> read_ids(const std::string& path);
// Error(kUsage) names the first id outside the vocabulary and its place in the list.
void check_vocabulary(const std::vector<int32_t>& ids, int64_t vocab_size,
                      const std::string& where);

// A list of messages, or an object that holds one as "messages" (text/message.h has the fields).
std::vector<Message> parse_messages(std::string_view text, const std::string& origin);
std::vector<Message> read_messages(const std::string& path);
// A list of tools, or an object that holds one as "tools".
Json read_tools(const std::string& path);

// The tokenizer of a model folder, of a run's newest checkpoint, or of a folder that holds nothing
// else.
Tokenizer load_tokenizer(const std::string& folder);

// Ids of `text` as plain text; characters that the tokenizer lacks are Error(kUsage) naming them.
std::vector<int32_t> encode_text(const Tokenizer& tokenizer, std::string_view text,
                                 const EncodeOptions& options = {});

// How conversations are put to the model in `folder`: by its own template, by its family's format,
// or as `choice` says: the name of a built-in format, or a file with Jinja text; empty for none.
PromptFormat choose_prompt_format(const std::string& folder, const Tokenizer& tokenizer,
                                  const std::string& choice);
// The options of an answer that is asked to think or not, or left to the model.
PromptOptions chat_prompt_options(std::optional<bool> think);
// Whether there is a format without a choice.
bool has_prompt_format(const std::string& folder, const Tokenizer& tokenizer);
// The prompt, with what the user gave at fault where it cannot be encoded.
Prompt make_prompt(const PromptFormat& format, const std::vector<Message>& messages,
                   const PromptOptions& options = {});

}  // namespace fathom
