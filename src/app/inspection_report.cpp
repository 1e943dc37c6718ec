// An inspection as text and as JSON.
#include <algorithm>

#include "app/inspection.h"
#include "tensor/dtype.h"

namespace fathom {
namespace {

constexpr size_t kShownTensors = 20;

// All tensors of one element type.
struct DTypeSum {
  int64_t tensors = 0, elements = 0;
  uint64_t bytes = 0;
};

std::map<std::string, DTypeSum> sums_by_dtype(const Inspection& found) {
  std::map<std::string, DTypeSum> sums;
  for (const TensorRow& row : found.tensors) {
    DTypeSum& sum = sums[row.dtype];
    ++sum.tensors;
    sum.elements += row.elements();
    sum.bytes += row.bytes;
  }
  return sums;
}

std::string attention_kind(const ModelConfig& c) {
  if (c.mla()) return "mla";
  if (c.num_key_value_heads == c.num_attention_heads) return "mha";
  return c.num_key_value_heads == 1 ? "mqa" : "gqa";
}

// Of the main model; a multi-token head has a layer of its own beside it.
int64_t cache_bytes(const ModelConfig& c, DType dtype) {
  return c.cache_bytes_per_token(info(dtype).block_bytes);
}

Json quantization_json(const Quantization& q) {
  Json json = Json::object({{"method", q.method}, {"format", q.format}});
  json["block"] = Json(q.block);
  json["scales"] = q.scales;
  json["activations"] = q.activations.empty() ? Json() : Json(q.activations);
  return json;
}

Json token_json(const Tokenizer& tokenizer, const std::string& content) {
  if (content.empty()) return Json();
  const std::optional<int32_t> id = tokenizer.added_token_id(content);
  return Json::object({{"text", content}, {"id", id ? Json(*id) : Json()}});
}

Json tokenizer_json(const Tokenizer& tokenizer) {
  const TokenizerSpec& spec = tokenizer.spec();
  Json added = Json::array();
  for (const AddedToken& token : spec.added_tokens) {
    added.push_back(
        Json::object({{"id", token.id}, {"text", token.content}, {"special", token.special}}));
  }
  Json json = Json::object({{"kind", std::string(tokenizer_kind(tokenizer))}});
  json["vocab_size"] = tokenizer.vocab_size();
  json["merges"] = static_cast<int64_t>(spec.merges.size());
  json["split"] = std::string(split_family(spec.split));
  json["normalizer"] = spec.normalizer == Normalizer::kNfc ? "nfc" : "none";
  json["bos"] = token_json(tokenizer, spec.bos_token);
  json["eos"] = token_json(tokenizer, spec.eos_token);
  json["pad"] = token_json(tokenizer, spec.pad_token);
  json["adds_bos"] = spec.add_bos_token;
  json["chat_template"] = !spec.chat_template.empty();
  json["added_tokens"] = static_cast<int64_t>(spec.added_tokens.size());
  json["added"] = std::move(added);
  return json;
}

Json template_json(const TemplateRow& row) {
  if (!row.fault.empty()) return Json::object({{"error", row.fault}});
  if (row.source.empty()) return Json();
  Json json = Json::object({{"source", replace_invalid_utf8(row.source)}});
  if (!row.why.empty()) json["because_of"] = row.why;
  json["system"] = row.facts.system;
  json["tools"] = row.facts.tools;
  json["thinking"] = std::string(name_of(row.facts.thinking));
  return json;
}

Json model_json(const ModelConfig& c) {
  const ParameterCount count = count_parameters(c);
  Json json = Json::object();
  json["model_type"] = c.model_type;
  json["attention"] = attention_kind(c);
  json["parameters"] = Json::object({{"total", count.total},
                                     {"active", count.active},
                                     {"multi_token", count.multi_token},
                                     {"multi_token_active", count.multi_token_active}});
  json["cache_bytes_per_token_bf16"] = cache_bytes(c, DType::kBF16);
  json["cache_bytes_per_token_f32"] = cache_bytes(c, DType::kF32);
  json["forward_flops_per_token"] = forward_flops(c);
  json["context_tokens"] = c.max_position_embeddings;
  json["end_ids"] = Json(c.eos_token_ids);
  return json;
}

Json dtypes_json(const Inspection& found) {
  Json json = Json::object();
  for (const auto& [dtype, sum] : sums_by_dtype(found)) {
    json[dtype] = Json::object({{"tensors", sum.tensors},
                                {"elements", sum.elements},
                                {"bytes", static_cast<int64_t>(sum.bytes)}});
  }
  return json;
}

Json tensors_json(const Inspection& found) {
  Json list = Json::array();
  for (const TensorRow& row : found.tensors) {
    list.push_back(Json::object({{"name", row.name},
                                 {"dtype", row.dtype},
                                 {"shape", Json(row.shape)},
                                 {"file", replace_invalid_utf8(row.file)}}));
  }
  return list;
}

// 671,026,419,200
std::string exact(int64_t n) {
  std::string text = std::to_string(n);
  for (int64_t at = static_cast<int64_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<size_t>(at), ",");
  return text;
}

std::string padding(size_t used, size_t width) {
  return std::string(used < width ? width - used : 1, ' ');
}

std::string row_text(const std::string& name, const std::string& value) {
  return concat("  ", name, padding(name.size(), 16), value, "\n");
}

std::string positions_text(const ModelConfig& c) {
  const RopeScaling& s = c.rope_scaling;
  const std::string theta = concat("theta ", c.rope_theta);
  if (s.kind == RopeKind::kPlain) return theta;
  const std::string from = s.original_max_position_embeddings > 0
                               ? concat(" from ", s.original_max_position_embeddings, " tokens")
                               : "";
  return concat(theta, ", ", name_of(s.kind), " by ", s.factor, from);
}

// "fp8 e4m3 in blocks of 128 x 128, scales ue8m0 (powers of two), activations dynamic"
std::string quantization_text(const Quantization& q) {
  std::string size;
  for (const int64_t extent : q.block) size += concat(size.empty() ? "" : " x ", extent);
  return concat(q.method, " ", q.format, size.empty() ? "" : " in blocks of ", size, ", scales ",
                q.scales, q.scales == "ue8m0" ? " (powers of two)" : "",
                q.activations.empty() ? "" : ", activations ", q.activations);
}

std::string model_text(const ModelConfig& c, bool multi_token_weights) {
  const ParameterCount count = count_parameters(c);
  std::string text =
      row_text("family", concat(c.model_type, ", ", attention_kind(c), " attention"));
  text += row_text("shape", concat(c.num_hidden_layers, " layers of ", c.hidden_size, ", ",
                                   c.num_attention_heads, " heads, vocabulary ", c.vocab_size,
                                   ", context ", c.max_position_embeddings));
  if (c.n_routed_experts > 0) {
    text += row_text("experts",
                     concat(c.n_routed_experts, " routed (", c.num_experts_per_tok, " chosen) + ",
                            c.n_shared_experts, " shared, from layer ", c.first_k_dense_replace));
  }
  text += row_text("positions", positions_text(c));
  text += row_text("parameters",
                   concat(exact(count.total), " in all, ", exact(count.active), " active"));
  if (multi_token_weights)
    text += row_text("multi-token", exact(count.multi_token) + " parameters");
  text += row_text("cache", concat(exact(cache_bytes(c, DType::kBF16)), " bytes a token in bf16, ",
                                   exact(cache_bytes(c, DType::kF32)), " in f32"));
  return text;
}

std::string token_text(const Tokenizer& tokenizer, std::string_view role,
                       const std::string& content) {
  if (content.empty()) return concat("no ", role);
  const std::optional<int32_t> id = tokenizer.added_token_id(content);
  return concat(role, " ", content, id ? concat(" (", *id, ")") : " (no such token)");
}

std::string tokenizer_text(const Tokenizer& tokenizer) {
  const TokenizerSpec& spec = tokenizer.spec();
  const size_t special =
      static_cast<size_t>(std::count_if(spec.added_tokens.begin(), spec.added_tokens.end(),
                                        [](const AddedToken& token) { return token.special; }));
  std::string text = row_text(
      "tokenizer", concat(tokenizer_kind(tokenizer), ", ", tokenizer.vocab_size(), " tokens, ",
                          spec.merges.size(), " merges, split as ", split_family(spec.split),
                          spec.normalizer == Normalizer::kNfc ? ", text normalised to NFC" : ""));
  text += row_text("", concat(spec.added_tokens.size(), " added tokens, ", special, " special"));
  text +=
      row_text("", concat(token_text(tokenizer, "bos", spec.bos_token),
                          spec.add_bos_token ? ", put before texts" : ", not put before texts"));
  return text + row_text("", concat(token_text(tokenizer, "eos", spec.eos_token), ", ",
                                    token_text(tokenizer, "pad", spec.pad_token)));
}

std::string template_text(const TemplateRow& row) {
  if (!row.fault.empty()) return row_text("chat template", "cannot be used: " + row.fault);
  if (row.source.empty())
    return row_text("chat template", "none, and no family's tokens; it continues texts");
  const std::string why = row.why.empty() ? "" : concat(", because of ", row.why);
  return row_text("chat template", row.source + why) +
         row_text("", concat("system text ", row.facts.system ? "yes" : "no", ", tools ",
                             row.facts.tools ? "yes" : "no",
                             ", thinking: ", name_of(row.facts.thinking)));
}

std::string dtypes_text(const Inspection& found) {
  std::string text;
  for (const auto& [dtype, sum] : sums_by_dtype(found)) {
    text += row_text("", concat(dtype, ": ", sum.tensors,
                                sum.tensors == 1 ? " tensor, " : " tensors, ", exact(sum.elements),
                                " elements, ", human_bytes(static_cast<double>(sum.bytes))));
  }
  return text;
}

std::string tensors_text(const Inspection& found, bool all) {
  std::string text = row_text("weights", concat(found.tensors.size(), " tensors, ",
                                                human_bytes(static_cast<double>(found.bytes))));
  text += dtypes_text(found);
  const size_t shown = all ? found.tensors.size() : std::min(kShownTensors, found.tensors.size());
  for (size_t i = 0; i < shown; ++i) {
    const TensorRow& row = found.tensors[i];
    std::string shape;
    for (const int64_t extent : row.shape) shape += concat(shape.empty() ? "" : ", ", extent);
    text +=
        concat("    ", row.dtype, padding(row.dtype.size(), 5), "[", shape, "] ", row.name, "\n");
  }
  if (shown < found.tensors.size())
    text += concat("    … ", found.tensors.size() - shown, " more (--tensors shows all)\n");
  return text;
}

}  // namespace

Json inspection_json(const Inspection& found) {
  Json json = Json::object({{"path", replace_invalid_utf8(found.path)}});
  if (found.config) {
    const Json model = model_json(*found.config);
    for (const auto& [key, value] : model.members()) json[key] = value;
    json["quantization"] = found.quantization ? quantization_json(*found.quantization) : Json();
    json["config"] = parse_json(found.config->source_json, found.path);
    json["tokenizer"] = found.tokenizer ? tokenizer_json(*found.tokenizer) : Json();
    json["template"] = template_json(found.conversation);
  }
  if (!found.has_weights) return json;
  json["bytes"] = static_cast<int64_t>(found.bytes);
  json["dtypes"] = dtypes_json(found);
  json["tensor_count"] = static_cast<int64_t>(found.tensors.size());
  json["tensors"] = tensors_json(found);
  return json;
}

std::string inspection_text(const Inspection& found, bool all_tensors) {
  std::string text = found.path + "\n";
  if (found.config) text += model_text(*found.config, found.multi_token_weights);
  if (found.quantization) text += row_text("quantization", quantization_text(*found.quantization));
  if (!found.has_weights) return text;
  if (found.config && !found.tokenizer) text += row_text("tokenizer", "none");
  if (found.tokenizer) text += tokenizer_text(*found.tokenizer) + template_text(found.conversation);
  for (const auto& [key, value] : found.metadata) text += row_text(key, value);
  return text + tensors_text(found, all_tensors);
}

}  // namespace fathom
