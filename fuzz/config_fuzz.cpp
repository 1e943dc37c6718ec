// config.json is foreign: it describes a model whose sizes can be counted, or it is refused; what
// is written of it describes the same model. Behind a zero byte a generation_config.json may
// follow.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "io/json.h"
#include "model/config_json.h"
#include "property.h"

namespace fathom {
namespace {

std::optional<Json> parsed(std::string_view text) {
  try {
    return parse_json(text, "fuzz", ErrorCode::kModel);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<ModelConfig> read(const Json& json) {
  try {
    return parse_config(json, "fuzz");
  } catch (const Error& error) {
    require(error.code() == ErrorCode::kModel, "a refused config is a fault of the model");
    return std::nullopt;
  }
}

bool same_numbers(const ModelConfig& a, const ModelConfig& b) {
  const ParameterCount one = count_parameters(a), two = count_parameters(b);
  return one.total == two.total && one.active == two.active && one.multi_token == two.multi_token &&
         one.multi_token_active == two.multi_token_active && forward_flops(a) == forward_flops(b) &&
         multi_token_flops(a) == multi_token_flops(b) && a.softmax_scale() == b.softmax_scale() &&
         a.cache_bytes_per_token(4) == b.cache_bytes_per_token(4) &&
         a.cache_layers() == b.cache_layers() && a.expert_layers() == b.expert_layers();
}

bool same_arithmetic(const ModelConfig& a, const ModelConfig& b) {
  return a.model_type == b.model_type && a.rms_norm_eps == b.rms_norm_eps &&
         a.rope_theta == b.rope_theta && a.rope_scaling == b.rope_scaling &&
         a.tie_word_embeddings == b.tie_word_embeddings &&
         a.max_position_embeddings == b.max_position_embeddings &&
         a.rotary_dim() == b.rotary_dim() && a.scoring_func == b.scoring_func &&
         a.topk_method == b.topk_method && a.mtp_hidden_state == b.mtp_hidden_state &&
         a.bos_token_id == b.bos_token_id && a.eos_token_ids == b.eos_token_ids &&
         a.pad_token_id == b.pad_token_id;
}

bool same_experts(const ModelConfig& a, const ModelConfig& b) {
  if (a.n_routed_experts == 0) return b.n_routed_experts == 0;
  return a.norm_topk_prob == b.norm_topk_prob &&
         a.routed_scaling_factor == b.routed_scaling_factor &&
         a.aux_loss_alpha == b.aux_loss_alpha &&
         (a.topk_method == "greedy" || (a.n_group == b.n_group && a.topk_group == b.topk_group));
}

void check_counts(const ModelConfig& c) {
  const ParameterCount count = count_parameters(c);
  require(count.total > 0 && count.active > 0 && count.active <= count.total,
          "some of the parameters are used by a token");
  require(count.multi_token >= count.multi_token_active && count.multi_token_active >= 0,
          "and some of the heads'");
  require(forward_flops(c) > 0 && multi_token_flops(c) >= 0, "a token costs something");
  require(std::isfinite(c.softmax_scale()) && c.softmax_scale() > 0 &&
              std::isfinite(c.rope_scaling.cos_sin_factor()) && c.rope_scaling.cos_sin_factor() > 0,
          "attention stays finite");
  require(c.cache_width() > 0 && c.cache_bytes_per_token(4) > 0, "and its cache, too");
}

void join(ModelConfig config, std::string_view text) {
  const std::optional<Json> generation = parsed(text);
  if (!generation) return;
  try {
    join_generation_config(config, *generation);
    require(std::all_of(config.eos_token_ids.begin(), config.eos_token_ids.end(),
                        [](int32_t id) { return id >= 0; }),
            "ids that end an answer are ids");
  } catch (const Error&) {
    // Refused, with a message.
  }
}

void read_both(std::string_view input) {
  const size_t zero = input.find('\0');
  const std::optional<Json> json = parsed(input.substr(0, zero));
  if (!json) return;
  const std::optional<ModelConfig> config = read(*json);
  if (!config) return;
  check_counts(*config);
  const Json written = config_to_json(*config, "bfloat16");
  const std::optional<ModelConfig> again = read(written);
  require(again.has_value(), "what was written is read again");
  require(same_numbers(*config, *again), "as a model of the same sizes");
  require(same_arithmetic(*config, *again) && same_experts(*config, *again),
          "and of the same arithmetic");
  require(config_to_json(*again, "bfloat16") == written, "and is written alike");
  if (zero != input.npos) join(*config, input.substr(zero + 1));
}

}  // namespace
}  // namespace fathom

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fathom::read_both({reinterpret_cast<const char*>(data), size});
  return 0;
}
