#include "data/documents.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/error.h"

namespace fathom {
namespace {

// How many of `total` the training side keeps.
int64_t kept_for_training(int64_t total, double fraction, int64_t smallest, const char* what) {
  FATHOM_CHECK(fraction > 0 && fraction < 1, "split_holdout: fraction is ", fraction,
               "; expected more than 0 and less than 1");
  if (total < 2 * smallest) {
    fail(ErrorCode::kRuntime, "data: there are ", total, " ", what,
         ", too few to hold some out; need ", 2 * smallest);
  }
  const int64_t held_out = std::llround(static_cast<double>(total) * fraction);
  return total - std::clamp(held_out, smallest, total - smallest);
}

Document slice(const Document& stream, int64_t first, int64_t last) {
  return {{stream.ids.begin() + first, stream.ids.begin() + last},
          {stream.weights.begin() + first, stream.weights.begin() + last}};
}

}  // namespace

Document text_document(const Tokenizer& tokenizer, std::string_view text) {
  const ControlIds& control = tokenizer.control();
  Document document;
  document.ids =
      tokenizer.encode(text, {.parse_special = false, .add_bos = control.bos.has_value()});
  if (control.eos) document.ids.push_back(*control.eos);
  document.weights.assign(document.ids.size(), 1.0f);
  return document;
}

Document conversation_document(const Tokenizer& tokenizer, const std::vector<Message>& messages) {
  RenderedChat chat = render_chat(tokenizer, messages, {.add_generation_prompt = false});
  return {std::move(chat.ids), std::move(chat.answer_mask)};
}

Document concatenate(const std::vector<Document>& documents) {
  Document stream;
  for (const Document& document : documents) {
    stream.ids.insert(stream.ids.end(), document.ids.begin(), document.ids.end());
    stream.weights.insert(stream.weights.end(), document.weights.begin(), document.weights.end());
  }
  return stream;
}

HoldoutSplit split_holdout(const Document& stream, double fraction) {
  const int64_t kept = kept_for_training(stream.tokens(), fraction, 2, "tokens");
  return {slice(stream, 0, kept), slice(stream, kept, stream.tokens())};
}

DocumentsSplit split_holdout(std::vector<Document> documents, double fraction) {
  const int64_t kept =
      kept_for_training(static_cast<int64_t>(documents.size()), fraction, 1, "documents");
  DocumentsSplit split;
  split.held_out.assign(std::make_move_iterator(documents.begin() + kept),
                        std::make_move_iterator(documents.end()));
  documents.resize(static_cast<size_t>(kept));
  split.train = std::move(documents);
  return split;
}

}  // namespace fathom
