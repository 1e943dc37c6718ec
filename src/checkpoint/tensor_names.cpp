#include "checkpoint/tensor_names.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/text.h"

namespace fathom {
namespace {

struct Segment {
  std::string_view published, reference;
};

// Words between the dots of a name; "model." is of the published scheme alone.
constexpr Segment kSegments[] = {
    {"embed_tokens", "embed"},
    {"lm_head", "head"},
    {"layers", "layers"},
    {"input_layernorm", "attn_norm"},
    {"post_attention_layernorm", "ffn_norm"},
    {"norm", "norm"},
    {"self_attn", "attn"},
    {"q_proj", "wq"},
    {"q_a_proj", "wq_a"},
    {"q_a_layernorm", "q_norm"},
    {"q_b_proj", "wq_b"},
    {"kv_a_proj_with_mqa", "wkv_a"},
    {"kv_a_layernorm", "kv_norm"},
    {"kv_b_proj", "wkv_b"},
    {"o_proj", "wo"},
    {"mlp", "ffn"},
    {"gate_proj", "w1"},
    {"down_proj", "w2"},
    {"up_proj", "w3"},
    {"gate", "gate"},
    {"experts", "experts"},
    {"shared_experts", "shared_experts"},
    {"e_score_correction_bias", "bias"},
    {"weight", "weight"},
    {"weight_scale_inv", "scale"},
};
constexpr std::string_view kPrefix = "model.";
constexpr std::string_view kHead = "lm_head";

std::vector<std::string_view> words_of(std::string_view name) {
  std::vector<std::string_view> words;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('.', begin), name.size());
    words.push_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

bool is_number(std::string_view word) {
  return !word.empty() &&
         std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Word for word; nullopt where one is in no row.
std::optional<std::string> translated(std::string_view name, std::string_view Segment::*from,
                                      std::string_view Segment::*to) {
  std::string result;
  for (const std::string_view word : words_of(name)) {
    const auto* row = std::find_if(std::begin(kSegments), std::end(kSegments),
                                   [&](const Segment& segment) { return segment.*from == word; });
    if (row == std::end(kSegments) && !is_number(word)) return std::nullopt;
    if (!result.empty()) result += '.';
    result += is_number(word) ? word : row->*to;
  }
  return result;
}

}  // namespace

std::optional<std::string> reference_name(std::string_view published) {
  if (published.starts_with(kPrefix)) {
    published.remove_prefix(kPrefix.size());
  } else if (!published.starts_with(kHead)) {
    return std::nullopt;
  }
  return translated(published, &Segment::published, &Segment::reference);
}

std::string published_name(std::string_view reference) {
  const std::optional<std::string> name =
      translated(reference, &Segment::reference, &Segment::published);
  if (!name) return std::string(reference);
  return name->starts_with(kHead) ? *name : concat(kPrefix, *name);
}

std::shared_ptr<const SafetensorsFolder> open_weights(const std::string& folder) {
  auto weights = std::make_shared<SafetensorsFolder>(folder);
  if (weights->contains("embed.weight") && !weights->contains("model.embed_tokens.weight"))
    weights->rename(published_name);
  return weights;
}

}  // namespace fathom
