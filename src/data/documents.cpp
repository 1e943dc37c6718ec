#include "data/documents.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/error.h"
#include "text/fill_in_middle.h"
#include "text/utf8.h"

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

// The byte at which a character begins, or the end behind the last one.
size_t byte_of(std::string_view text, int64_t character) {
  size_t at = 0;
  for (int64_t i = 0; i < character; ++i) {
    FATHOM_CHECK(at < text.size(), "fill in middle: a cut at character ", character, " of ", i);
    next_code_point(text, at);
  }
  return at;
}

}  // namespace

Document fill_in_middle_document(const Tokenizer& tokenizer, std::string_view text,
                                 int64_t first_cut, int64_t second_cut) {
  FATHOM_CHECK(first_cut >= 0 && first_cut <= second_cut, "fill in middle: cuts at ", first_cut,
               " and ", second_cut);
  const size_t first = byte_of(text, first_cut), second = byte_of(text, second_cut);
  Document document;
  document.ids = fill_in_middle_prompt(tokenizer, text.substr(0, first), text.substr(second));
  const std::vector<int32_t> middle = tokenizer.encode(text.substr(first, second - first));
  document.ids.insert(document.ids.end(), middle.begin(), middle.end());
  if (tokenizer.control().eos) document.ids.push_back(*tokenizer.control().eos);
  document.weights.assign(document.ids.size(), 1.0f);
  return document;
}

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
