// A document: the ids of one text or conversation, and which of them the loss counts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat.h"
#include "text/tokenizer.h"

namespace fathom {

struct Document {
  std::vector<int32_t> ids;
  std::vector<float> weights;  // [ids], loss weight of each id where it is the one to predict

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
};

// [bos] text [eos], as far as the tokenizer has them; every token counts.
Document text_document(const Tokenizer& tokenizer, std::string_view text);

// The text to be learned as one with a hole: [bos] begin prefix hole suffix end middle [eos]. The
// cuts count characters: the middle is what stands between them. Error(kModel) where the tokenizer
// has no tokens for it (text/fill_in_middle.h).
Document fill_in_middle_document(const Tokenizer& tokenizer, std::string_view text,
                                 int64_t first_cut, int64_t second_cut);

// <bos>…<｜Assistant｜>answer<eos>: answers count (thinking included), prompts do not.
Document conversation_document(const Tokenizer& tokenizer, const std::vector<Message>& messages);

// Documents one after the other as one stream, and the stream or list cut in two: the last part is
// held out.
Document concatenate(const std::vector<Document>& documents);

struct HoldoutSplit {
  Document train;
  Document held_out;
};
// Cuts a stream: the last `fraction` of its tokens (at least 2 on each side) is held out.
HoldoutSplit split_holdout(const Document& stream, double fraction = 0.1);

struct DocumentsSplit {
  std::vector<Document> train;
  std::vector<Document> held_out;
};
// Cuts a list: the last `fraction` of the documents (at least one on each side) is held out.
DocumentsSplit split_holdout(std::vector<Document> documents, double fraction = 0.1);

}  // namespace fathom
