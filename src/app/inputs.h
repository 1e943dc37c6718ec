// What commands read: token ids, conversations, texts.
//
// A path of "-" is standard input. Faults are Error(kUsage) that name the file and the place in it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/json.h"
#include "text/chat.h"

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

// A list of messages, or an object that holds one as "messages", with the fields of the chat API:
// content is a string, null, or a list of {"type": "text", "text": …}; "developer" is "system".
std::vector<Message> parse_messages(std::string_view text, const std::string& origin);
std::vector<Message> read_messages(const std::string& path);

// The tokenizer of a model folder, of a run's newest checkpoint, or of a folder that holds nothing
// else.
Tokenizer load_tokenizer(const std::string& folder);

// Ids of `text` as plain text; characters that the tokenizer lacks are Error(kUsage) naming them.
std::vector<int32_t> encode_text(const Tokenizer& tokenizer, std::string_view text,
                                 const EncodeOptions& options = {});
// The same for a conversation.
std::vector<int32_t> encode_chat(const Tokenizer& tokenizer, const std::vector<Message>& messages,
                                 const ChatOptions& options = {});

}  // namespace fathom
