// The kernel table: one typed function pointer per kernel, over views. A backend fills it in plain
// sight.
//
// It starts from the references (plain loops over f32 or f64, the specification) and overrides what
// is faster. Kernels take checked arguments: contracts are in the op folders' headers, shapes are
// repeated here in one line. They do not allocate tensors, do not synchronise, and write each
// result element from one thread in one fixed order, so that a row's result depends neither on the
// thread count nor on the other rows.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/elementwise.h"

namespace fathom {

// Attention over packed rows; query head h reads key/value head h / (heads / kv_heads).
struct AttentionShape {
  int64_t heads = 0, kv_heads = 0;
  int64_t qk_dim = 0, v_dim = 0;  // per head
  double scale = 0;               // multiplies q·k
};

// Attention of rows over a paged cache. A cached row holds kv_heads keys of qk_dim from column 0
// and kv_heads values of v_dim from column `value_column` (0 for the latent of MLA, whose value is
// the first part of its one key).
struct PagedShape {
  AttentionShape attention;
  int64_t value_column = 0;
  int64_t page_tokens = 0;
};

// One sequence of a paged pass: rows [row_begin, row_begin + rows) are its newest tokens, the last
// at place length − 1.
struct PagedSpan {
  int64_t row_begin = 0, rows = 0;
  int64_t length = 0;              // tokens in the cache, these rows included
  const int32_t* pages = nullptr;  // [ceil(length / page_tokens)]
};

// Which columns of each head are rotated, and how pairs are laid out.
struct RopeShape {
  int64_t heads = 0, head_dim = 0;
  int64_t begin = 0, dim = 0;  // the rotated columns of a head are [begin, begin + dim)
  bool interleaved = false;    // pairs (2i, 2i+1), the form of MLA; otherwise (i, i + dim/2)
};

// How a gate's logits become scores: each alone, or over all experts (before any group is left
// out).
enum class ScoringFunc : uint8_t { kSigmoid, kSoftmax };

// How experts are chosen from their scores: the largest of all; the largest within the topk_group
// groups of the best single scores (V2); or, by score + bias, within the groups of the best two
// (V3).
enum class TopkMethod : uint8_t { kNoauxTc, kGreedy, kGroupLimitedGreedy };

// How experts are chosen (DeepSeek-V3, arXiv:2412.19437, eq. 13-16; DeepSeek-V2, arXiv:2405.04434,
// eq. 20-22; names are the config.json keys).
struct RouteShape {
  int64_t n_routed_experts = 0, num_experts_per_tok = 0;
  int64_t n_group = 1, topk_group = 1;
  bool norm_topk_prob = true;
  double routed_scaling_factor = 1;
  double balance_alpha =
      0;  // weight of the sequence-wise balance loss, whose gradient is added in backward
  ScoringFunc scoring_func = ScoringFunc::kSigmoid;
  TopkMethod topk_method = TopkMethod::kNoauxTc;

  // Groups between which the choice is made: one where the method knows none.
  int64_t groups() const { return topk_method == TopkMethod::kGreedy ? 1 : n_group; }
};

// Consecutive weights of a softmax that have a common sum, for walking a row when sampling.
constexpr int64_t kWeightBlock = 256;

struct AdamWStep {
  double lr = 0, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0;
  double correction1 = 1, correction2 = 1;  // 1 − beta^step
  double grad_scale = 1;                    // clipping
};

struct KernelTable : BasicKernels {
  // Products. The b of nt, nn and grouped_stored may be weights as stored (ops/stored.h). nt: a [m,
  // k], b [n, k]; nn: a [m, k], b [k, n]; tn: a [k, m], b [k, n]; c [m, n] = or
  // +=. Every element of c is one chain of fused multiply-adds over k in ascending order, whatever
  // m and n are.
  void (*matmul_nt)(Stream*, ConstView a, ConstView b, View c, bool accumulate) = nullptr;
  void (*matmul_nn)(Stream*, ConstView a, ConstView b, View c, bool accumulate) = nullptr;
  void (*matmul_tn)(Stream*, ConstView a, ConstView b, View c, bool accumulate) = nullptr;
  // The same, and always in the arithmetic of the operands' own type: what may not be rounded
  // (router logits). The slots above round their operands to bf16 on a device of that precision.
  void (*matmul_exact_nt)(Stream*, ConstView a, ConstView b, View c, bool accumulate) = nullptr;
  void (*matmul_exact_nn)(Stream*, ConstView a, ConstView b, View c, bool accumulate) = nullptr;
  void (*matmul_exact_tn)(Stream*, ConstView a, ConstView b, View c, bool accumulate) = nullptr;
  // Grouped: rows [offsets[g], offsets[g+1]) of a meet b[g]. offsets [groups + 1] i32.
  // nt: a [rows, k], b [groups, n, k], c [rows, n].  nn: a [rows, k], b [groups, k, n], c [rows,
  // n].
  void (*grouped_nt)(Stream*, ConstView a, ConstView offsets, ConstView b, View c) = nullptr;
  void (*grouped_nn)(Stream*, ConstView a, ConstView offsets, ConstView b, View c) = nullptr;
  // As grouped_nt, the matrices apart: b[g] [n, k], as stored.
  void (*grouped_stored)(Stream*, ConstView a, ConstView offsets, std::span<const ConstView> b,
                         View c) = nullptr;
  // tn: a [rows, m], b [rows, n], c [groups, m, n]: c[g] = or += a_gᵀ b_g. Adds where live[g] is 1,
  // else overwrites; sets live[g] to 1. Groups without rows are not touched.
  void (*grouped_tn)(Stream*, ConstView a, ConstView offsets, ConstView b, View c,
                     uint8_t* live) = nullptr;
  // Products with a b [n, k] (or [groups, n, k]) that was brought into their own order before:
  // packed [groups, packed_floats(n, k)], f32 in memory whatever it holds. Results are those of
  // matmul_nt and grouped_nt, bit for bit.
  int64_t (*packed_floats)(int64_t n, int64_t k) = nullptr;
  void (*pack)(Stream*, ConstView b, View packed) = nullptr;
  void (*matmul_packed)(Stream*, ConstView a, ConstView packed, View c) = nullptr;
  void (*grouped_packed)(Stream*, ConstView a, ConstView offsets, ConstView packed,
                         View c) = nullptr;

  // y = x + b with b [cols] added to every row, in place; and db = or += column sums of dy.
  void (*add_bias)(Stream*, ConstView b, View y) = nullptr;
  void (*bias_backward)(Stream*, ConstView dy, View db, bool accumulate) = nullptr;

  void (*add)(Stream*, ConstView a, ConstView b, View y) = nullptr;
  // x, y [rows, cols], w [cols], inv_rms [rows]: inv_rms = 1/sqrt(mean(x²) + eps), y = w · (x ·
  // inv_rms), f32 or as an operand.
  void (*rms_norm)(Stream*, ConstView x, ConstView w, float eps, View y, View inv_rms) = nullptr;
  // dx = or += …, dw = or += …; an empty dx or dw is not wanted.
  void (*rms_norm_backward)(Stream*, ConstView x, ConstView w, ConstView inv_rms, ConstView dy,
                            View dx, bool accumulate_dx, View dw, bool accumulate_dw) = nullptr;
  // In place. cos, sin [rows, dim / 2]. `inverse` turns back: the gradient of the rotation.
  void (*rope)(Stream*, View x, ConstView cos, ConstView sin, const RopeShape&,
               bool inverse) = nullptr;
  // gate_up [rows, 2·width] (gate first), y [rows, width] = silu(gate) · up; y and dgate_up are f32
  // or operands.
  void (*swiglu)(Stream*, ConstView gate_up, View y) = nullptr;
  void (*swiglu_backward)(Stream*, ConstView gate_up, ConstView dy, View dgate_up) = nullptr;
  // ids [rows] i32, table [vocab, cols].
  void (*embedding)(Stream*, ConstView ids, ConstView table, View y) = nullptr;
  // dtable [vocab, cols] = or += rows of dy, each id's rows in ascending order.
  void (*embedding_backward)(Stream*, ConstView ids, ConstView dy, View dtable,
                             bool accumulate) = nullptr;
  // y[i] = x[index[i]]; and x[index[i]] = y[i] for distinct indices (others untouched); and
  // dx[index[i]] += dy[i].
  void (*gather_rows)(Stream*, ConstView x, ConstView index, View y) = nullptr;
  void (*scatter_rows)(Stream*, ConstView y, ConstView index, View x) = nullptr;
  void (*scatter_add_rows)(Stream*, ConstView dy, ConstView index, View dx) = nullptr;

  // Causal attention inside each sequence. starts [sequences + 1] i32; q [tokens, heads·qk_dim], k
  // [tokens, kv_heads·qk_dim], v [tokens, kv_heads·v_dim], out [tokens, heads·v_dim], lse [tokens,
  // heads] = log of the softmax's sum.
  void (*attention)(Stream*, ConstView q, ConstView k, ConstView v, ConstView starts,
                    const AttentionShape&, View out, View lse) = nullptr;
  // Writes dq, dk, dv (no accumulation).
  void (*attention_backward)(Stream*, ConstView q, ConstView k, ConstView v, ConstView out,
                             ConstView lse, ConstView dout, ConstView starts, const AttentionShape&,
                             View dq, View dk, View dv) = nullptr;
  // q [rows, heads·qk_dim], cache [pages·page_tokens, width], out [rows, heads·v_dim].
  void (*paged_attention)(Stream*, ConstView q, ConstView cache, std::span<const PagedSpan>,
                          const PagedShape&, View out) = nullptr;
  // MLA's keys and values from the expanded latent. kv [tokens, heads·(nope + v)], k_rope [tokens,
  // rope] -> k [tokens, heads·(nope + rope)], v [tokens, heads·v]. backward: dkv and dk_rope (sum
  // over heads) from dk, dv.
  void (*mla_keys)(Stream*, ConstView kv, ConstView k_rope, int64_t heads, View k,
                   View v) = nullptr;
  void (*mla_keys_backward)(Stream*, ConstView dk, ConstView dv, int64_t heads, View dkv,
                            View dk_rope) = nullptr;

  // logits [tokens, experts], bias [experts] or empty -> score [tokens, experts], expert [tokens,
  // k] i32 best first (ties to the lower id), weight [tokens, k].
  void (*topk_route)(Stream*, ConstView logits, ConstView bias, const RouteShape&, View score,
                     View expert, View weight) = nullptr;
  // dlogits [tokens, experts] from dweight [tokens, k], plus the balance loss's gradient:
  // balance_alpha · dL/dlogits with sequence s weighing sequence_weight[s]. starts [sequences + 1]
  // i32.
  void (*topk_route_backward)(Stream*, ConstView score, ConstView expert, ConstView dweight,
                              ConstView starts, std::span<const float> sequence_weight,
                              const RouteShape&, View dlogits) = nullptr;
  // The value of that balance loss, balance_alpha included.
  double (*balance_loss)(Stream*, ConstView score, ConstView expert, ConstView starts,
                         std::span<const float> sequence_weight, const RouteShape&) = nullptr;
  // expert [tokens, k] -> offsets [experts + 1], order [tokens·k]: slots (token·k + place) sorted
  // by expert, then token; place [tokens·k]: where each slot lies in that order.
  void (*order_by_expert)(Stream*, ConstView expert, View offsets, View order,
                          View place) = nullptr;
  // rows[j] = x[order[j] / k], f32 or as an operand.
  void (*expert_gather)(Stream*, ConstView x, ConstView order, int64_t k, View rows) = nullptr;
  // dx[t] = or += sum of drows[place[t·k + s]] over s, in ascending expert (= ascending place).
  void (*expert_gather_backward)(Stream*, ConstView drows, ConstView place, int64_t k, View dx,
                                 bool accumulate) = nullptr;
  // out[t] = base[t] + sum of weight[t, s] · rows[place[t·k + s]] in ascending place; base may be
  // empty (zero).
  void (*expert_combine)(Stream*, ConstView rows, ConstView place, ConstView weight, ConstView base,
                         View out) = nullptr;
  // drows[place] = weight · dout[t], f32 or as an operand; dweight[t, s] = dout[t] · rows[place].
  void (*expert_combine_backward)(Stream*, ConstView rows, ConstView place, ConstView weight,
                                  ConstView dout, View drows, View dweight) = nullptr;

  // logits [rows, vocab], target [rows] i32 -> logprob [rows] f64 = log softmax(logits)[target],
  // lse [rows] f64.
  void (*target_logprob)(Stream*, ConstView logits, ConstView target, View logprob,
                         View lse) = nullptr;
  // dlogits = coefficient[row] · (onehot(target) − softmax), the gradient of sum coefficient ·
  // logprob, f32 or as an operand; written over the logits (as_operand() of ops/operand.h) or apart
  // from them.
  void (*target_logprob_backward)(Stream*, ConstView logits, ConstView target, ConstView lse,
                                  ConstView coefficient /* f64 [rows] */, View dlogits) = nullptr;

  // logits [rows, vocab] f32 -> weight [rows, vocab] f32 = exp((logit − max) ·
  // inverse_temperature), 0 below 2^-126; block_sum [rows, ceil(vocab / kWeightBlock)] f32 of the
  // weights; best [rows] i32 = arg max, ties to the lower id; lse [rows] f64 = log sum exp(logits).
  // A row with a NaN or +infinity, or nothing finite: best −1, weights 0, lse NaN.
  void (*softmax_weights)(Stream*, ConstView logits, std::span<const float> inverse_temperature,
                          View weight, View block_sum, View best, View lse) = nullptr;

  // One AdamW step on contiguous arrays of equal size; decoupled decay first, as torch.optim.AdamW.
  // grad empty: zero.
  void (*adamw)(Stream*, View value, ConstView grad, View m, View v, const AdamWStep&) = nullptr;
  double (*sum_squares)(Stream*, ConstView x) =
      nullptr;  // partial sums in fixed chunks, added in order, in double

  // After all kernels. What products round their operands to. They also take operands that are so
  // rounded already, but for a packed b: kernels that make operands write either (ops/operand.h).
  DType operand_dtype = DType::kF32;
};

// The plain versions of every kernel, f32 and f64: the specification, and the parity tests' other
// side.
KernelTable reference_kernels();

}  // namespace fathom
