#include "checkpoint/credible.h"

#include <utility>

#include "base/error.h"
#include "io/files.h"
#include "model/config_json.h"

namespace fathom {
namespace {

// Far above every published model, and low enough that no product of two sizes overflows.
constexpr int64_t kLargestSize = int64_t{1} << 20;
constexpr int64_t kLargestContext = int64_t{1} << 40;
constexpr double kMostParameters = 1e15;  // a thousand times the largest published model

void at_most(const char* key, int64_t value, int64_t largest) {
  if (value > largest)
    fail(ErrorCode::kModel, "config: ", key, " is ", value, "; expected at most ", largest);
}

// At least as many as there are, in arithmetic that cannot overflow.
double parameters_at_most(const ModelConfig& c) {
  const auto real = [](int64_t value) { return static_cast<double>(value); };
  const double hidden = real(c.hidden_size);
  const double head =
      real(c.head_dim) + real(c.qk_nope_head_dim) + real(c.qk_rope_head_dim) + real(c.v_head_dim);
  const double width = hidden + real(c.q_lora_rank) + real(c.kv_lora_rank);
  const double heads = real(c.num_attention_heads) + 2 * real(c.num_key_value_heads);
  const double experts = real(c.n_routed_experts) + real(c.n_shared_experts);
  const double feed_forward =
      3 * hidden * (real(c.intermediate_size) + experts * (real(c.moe_intermediate_size) + 1));
  const double layers = real(c.num_hidden_layers) + real(c.num_nextn_predict_layers);
  return layers * (2 * heads * head * width + width * width + feed_forward) +
         2 * hidden * real(c.vocab_size);
}

}  // namespace

void check_sizes(const ModelConfig& c) {
  const std::pair<const char*, int64_t> sizes[] = {
      {"vocab_size", c.vocab_size},
      {"hidden_size", c.hidden_size},
      {"num_hidden_layers", c.num_hidden_layers},
      {"num_attention_heads", c.num_attention_heads},
      {"num_key_value_heads", c.num_key_value_heads},
      {"head_dim", c.head_dim},
      {"intermediate_size", c.intermediate_size},
      {"q_lora_rank", c.q_lora_rank},
      {"kv_lora_rank", c.kv_lora_rank},
      {"qk_nope_head_dim", c.qk_nope_head_dim},
      {"qk_rope_head_dim", c.qk_rope_head_dim},
      {"v_head_dim", c.v_head_dim},
      {"moe_intermediate_size", c.moe_intermediate_size},
      {"n_routed_experts", c.n_routed_experts},
      {"n_shared_experts", c.n_shared_experts},
  };
  for (const auto& [key, size] : sizes) at_most(key, size, kLargestSize);
  at_most("max_position_embeddings", c.max_position_embeddings, kLargestContext);
  if (const double parameters = parameters_at_most(c); parameters > kMostParameters) {
    fail(ErrorCode::kModel, "config: num_hidden_layers ", c.num_hidden_layers, ", hidden_size ",
         c.hidden_size, ", n_routed_experts ", c.n_routed_experts,
         " and the other sizes make about ", human_count(parameters),
         " parameters; expected at most ", human_count(kMostParameters));
  }
}

void check_credible(const ModelConfig& config, const SafetensorsFolder& weights) {
  check_sizes(config);
  const size_t tensors = weights.tensors().size();
  const auto refuse = [&](const char* key, int64_t value, const std::string& where) {
    fail(ErrorCode::kModel, "config: ", key, " is ", value, where, "; ", weights.path(), " holds ",
         tensors, " tensors in all");
  };
  const auto limit = static_cast<double>(tensors);
  if (static_cast<double>(config.num_hidden_layers) > limit)
    refuse("num_hidden_layers", config.num_hidden_layers, "");
  const int64_t layers = config.expert_layers();
  if (static_cast<double>(layers) * static_cast<double>(config.n_routed_experts) > limit) {
    refuse("n_routed_experts", config.n_routed_experts, concat(" in ", layers, " layers"));
  }
}

ModelConfig read_credible_config(const std::string& folder) {
  ModelConfig config = read_config(join_path(folder, "config.json"));
  check_credible(config, SafetensorsFolder(folder));
  return config;
}

}  // namespace fathom
