// The decoder: one forward for training, prefill and decode, of every member of the family.
//
// Threads: one trains; several may run passes without a tape at once, on sequences of their own.
// Lifetime: parameters live in the decoder; a tape that recorded it must be run or
// cleared before it dies. Memory: constructing it declares parameters only; allocate() gives them
// memory, checkpoint or initialize() gives values.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "model/model_config.h"
#include "nn/experts.h"
#include "nn/feed_forward.h"
#include "nn/mla.h"
#include "nn/self_attention.h"

namespace fathom {

using Attention = std::variant<SelfAttention, MlaAttention>;
using FeedForwardKind = std::variant<FeedForward, Experts>;

// x + attention(norm(x)), then x + feed_forward(norm(x)).
class DecoderLayer {
 public:
  // `expert_index` numbers expert layers through the model; meaningless in dense layers.
  DecoderLayer(const ModelConfig& config, int64_t layer, size_t expert_index);

  Tensor forward(Pass& pass, const Tensor& x, const RowContext& context) const;
  void list(ParameterList& out);
  Experts* experts() { return std::get_if<Experts>(&feed_forward_); }

 private:
  float eps_;
  int64_t layer_;  // its place in the cache
  size_t expert_index_;
  Parameter input_layernorm_, post_attention_layernorm_;
  Attention attention_;
  FeedForwardKind feed_forward_;
};

// A multi-token head of depth 1 (DeepSeek-V3, 2.2): joins the hidden state of a row with the
// embedding of the next token. Shares embedding and output head with the main model.
struct MultiTokenHead {
  MultiTokenHead(const ModelConfig& config, int64_t index, size_t expert_index);

  Parameter enorm, hnorm;  // [hidden_size]
  Parameter eh_proj;       // [hidden_size, 2 · hidden_size]: the embedding's columns first
  DecoderLayer layer;
  Parameter norm;  // shared_head.norm
};

// The states of the main model, [tokens, hidden_size] each.
struct MainStates {
  Tensor hidden;       // after the final norm: for logits()
  Tensor multi_token;  // for multi_token_forward(): the same, or before the norm (mtp_hidden_state)
};

class Decoder {
 public:
  explicit Decoder(const ModelConfig& config);

  const ModelConfig& config() const { return config_; }

  // ids [tokens] -> hidden states after the final norm [tokens, hidden_size]. `cache` null in
  // training.
  Tensor forward(Pass& pass, std::span<const int32_t> ids, const TokenLayout& layout,
                 KvCache* cache = nullptr, std::span<const float> sequence_share = {}) const;
  // The same, with what the multi-token head reads.
  MainStates forward_states(Pass& pass, std::span<const int32_t> ids, const TokenLayout& layout,
                            KvCache* cache = nullptr,
                            std::span<const float> sequence_share = {}) const;
  // The head's hidden states [rows, hidden_size] from MainStates::multi_token, for output by
  // lm_head().
  Tensor multi_token_forward(Pass& pass, const Tensor& states, const MultiTokenTargets& rows,
                             KvCache* cache = nullptr,
                             std::span<const float> sequence_share = {}) const;
  // [rows, hidden_size] -> [rows, vocab_size]
  Tensor logits(Pass& pass, const Tensor& hidden) const;
  const Parameter& lm_head() const {
    return config_.tie_word_embeddings ? embed_tokens_ : lm_head_;
  }

  // Recompute each layer in backward instead of keeping its insides: less memory, a third more
  // time.
  void set_recompute(bool on) { recompute_ = on; }

  ParameterList parameters();
  // Whether f32 weights stay in the caches nearest to a core: then f32, and copies in the order of
  // products, are 1.2 to 1.4 times faster; at 100 MB they are slower.
  bool weights_are_near() const;
  // Copies of the main model's weights in the order of products, for passes without a tape
  // (ops/packed_weight); renewed where the weights changed.
  void pack_weights(Pass& pass) const;
  std::vector<Experts*> expert_layers();  // main model first, then multi-token heads
  void allocate(Allocator& memory, DType dtype = DType::kF32);
  void require_gradients(bool on);
  void initialize(uint64_t seed);  // model/initial_weights.h

  std::unique_ptr<KvCache> make_cache(Allocator& memory, int64_t pages, int64_t page_tokens) const;

 private:
  Tensor run_layer(Pass& pass, const DecoderLayer& layer, const Tensor& x,
                   const RowContext& context) const;

  ModelConfig config_;
  RotaryPositions rotary_;
  bool recompute_ = false;
  Parameter embed_tokens_;  // [vocab_size, hidden_size]
  std::vector<DecoderLayer> layers_;
  Parameter norm_;
  Parameter lm_head_;  // [vocab_size, hidden_size]; without memory when tied
  std::vector<MultiTokenHead> multi_token_heads_;
};

}  // namespace fathom
