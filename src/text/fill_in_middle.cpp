#include "text/fill_in_middle.h"

#include "base/error.h"

namespace fathom {
namespace {

struct FillMarkers {
  std::string_view begin, hole, end;
};
constexpr FillMarkers kFillMarkers[] = {
    {"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"},
    // The Qwen parents: prefix, then suffix, then the middle, under their own names.
    {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"},
};

const FillMarkers* fill_markers(const Tokenizer& tokenizer) {
  for (const FillMarkers& markers : kFillMarkers) {
    if (tokenizer.added_token_id(markers.begin) && tokenizer.added_token_id(markers.hole) &&
        tokenizer.added_token_id(markers.end)) {
      return &markers;
    }
  }
  return nullptr;
}

}  // namespace

bool can_fill_in_middle(const Tokenizer& tokenizer) { return fill_markers(tokenizer) != nullptr; }

std::vector<int32_t> fill_in_middle_prompt(const Tokenizer& tokenizer, std::string_view prefix,
                                           std::string_view suffix) {
  const FillMarkers* markers = fill_markers(tokenizer);
  if (markers == nullptr) {
    fail(ErrorCode::kModel, "This model does not support suffix completion: its tokenizer has no ",
         kFillMarkers[0].begin, ", ", kFillMarkers[0].hole, " and ", kFillMarkers[0].end);
  }
  std::vector<int32_t> ids;
  if (tokenizer.control().bos) ids.push_back(*tokenizer.control().bos);
  const auto marker = [&](std::string_view token) {
    ids.push_back(*tokenizer.added_token_id(token));
  };
  const auto text = [&](std::string_view part) {
    const std::vector<int32_t> piece = tokenizer.encode(part);
    ids.insert(ids.end(), piece.begin(), piece.end());
  };
  marker(markers->begin);
  text(prefix);
  marker(markers->hole);
  text(suffix);
  marker(markers->end);
  return ids;
}

std::vector<int32_t> fill_in_middle_stops(const Tokenizer& tokenizer) {
  std::vector<int32_t> ids;
  const auto add = [&](std::string_view token) {
    if (const auto id = tokenizer.added_token_id(token)) ids.push_back(*id);
  };
  for (const FillMarkers& markers : kFillMarkers) {
    for (const std::string_view token : {markers.begin, markers.hole, markers.end}) add(token);
  }
  add("<|EOT|>");
  if (const auto eos = tokenizer.control().eos) ids.push_back(*eos);
  return ids;
}

}  // namespace fathom
