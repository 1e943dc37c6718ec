// Routing on the CPU: scores and the balance gradient by vectors, the choice by insertion into a
// list of k.
#include <algorithm>
#include <limits>
#include <vector>

#include "ops/parallel.h"
#include "ops/route/kernels.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/route/cpu.cpp"
#include <hwy/foreach_target.h>

#include "ops/simd-inl.h"
#include "ops/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {
namespace {

// y = sigmoid(x); a NaN stays one, which exp would not keep.
void route_sigmoid(const float* x, float* y, int64_t count) {
  map(x, y, count, [](VF32 v) HWY_ATTR {
    const F32 d;
    const VF32 one = hn::Set(d, 1.0f);
    const VF32 s = hn::Div(one, hn::Add(one, exp_of(hn::Neg(v))));
    return hn::IfThenElse(hn::IsNaN(v), v, s);
  });
}

// y = softmax(x); a NaN anywhere makes all of it NaN.
void route_softmax(const float* x, float* y, int64_t count) {
  const F32 d;
  float largest = -std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < count; ++i) largest = x[i] > largest ? x[i] : largest;
  const VF32 top = hn::Set(d, largest);
  map(x, y, count, [&](VF32 v) HWY_ATTR { return exp_of(hn::Sub(v, top)); });
  const VF32 sum = sum_vectors(
      count, hn::Zero(d),
      [&](VF32 s, int64_t i) HWY_ATTR { return hn::Add(s, hn::LoadU(d, y + i)); },
      [&](VF32 s, int64_t i, int64_t n) HWY_ATTR { return hn::Add(s, load_part(y + i, n)); });
  const VF32 all = hn::Set(d, hn::GetLane(hn::SumOfLanes(d, sum)));
  map(y, y, count, [&](VF32 v) HWY_ATTR { return hn::Div(v, all); });
}

// The sums of s and of load · s.
void route_load_sums(const float* s, const float* load, int64_t count, float* sum_s,
                     float* sum_load) {
  const F32 d;
  VF32 sum = hn::Zero(d), dot = hn::Zero(d);
  const auto add = [&](VF32 score, VF32 f) HWY_ATTR {
    sum = hn::Add(sum, score);
    dot = hn::MulAdd(f, score, dot);
  };
  for_each_vector(
      count, [&](int64_t i) HWY_ATTR { add(hn::LoadU(d, s + i), hn::LoadU(d, load + i)); },
      [&](int64_t i, int64_t n) HWY_ATTR { add(load_part(s + i, n), load_part(load + i, n)); });
  *sum_s = hn::GetLane(hn::SumOfLanes(d, sum));
  *sum_load = hn::GetLane(hn::SumOfLanes(d, dot));
}

// dlogits += factor · (load − expected) · s · (1 − curb · s); curb is 1 for a sigmoid, 0 for a
// softmax.
void route_add_balance(const float* s, const float* load, int64_t count, float curb, float factor,
                       float expected, float* dlogits) {
  const F32 d;
  const VF32 scale = hn::Set(d, factor), mean = hn::Set(d, expected), one = hn::Set(d, 1.0f);
  const VF32 curbed = hn::Set(d, curb);
  const auto add = [&](VF32 score, VF32 f, VF32 before) HWY_ATTR {
    const VF32 slope = hn::Mul(score, hn::NegMulAdd(curbed, score, one));
    return hn::MulAdd(hn::Mul(scale, hn::Sub(f, mean)), slope, before);
  };
  for_each_vector(
      count,
      [&](int64_t i) HWY_ATTR {
        hn::StoreU(add(hn::LoadU(d, s + i), hn::LoadU(d, load + i), hn::LoadU(d, dlogits + i)), d,
                   dlogits + i);
      },
      [&](int64_t i, int64_t n) HWY_ATTR {
        store_part(add(load_part(s + i, n), load_part(load + i, n), load_part(dlogits + i, n)),
                   dlogits + i, n);
      });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::cpu {

HWY_EXPORT(route_sigmoid);
HWY_EXPORT(route_softmax);
HWY_EXPORT(route_load_sums);
HWY_EXPORT(route_add_balance);

namespace {

constexpr float kTiny = 1e-20f;  // as in the reference

// The `places` largest values, best first; equal ones keep the order in which they came.
class BestList {
 public:
  explicit BestList(int64_t places)
      : values_(static_cast<size_t>(places)), ids_(static_cast<size_t>(places)) {}

  void clear() { count_ = 0; }
  void offer(float value, int32_t id) {
    size_t at = count_;
    if (count_ == values_.size()) {
      if (!(value > values_[count_ - 1])) return;
      --at;
    } else {
      ++count_;
    }
    for (; at > 0 && value > values_[at - 1]; --at) {
      values_[at] = values_[at - 1];
      ids_[at] = ids_[at - 1];
    }
    values_[at] = value;
    ids_[at] = id;
  }
  const std::vector<int32_t>& ids() const { return ids_; }

 private:
  std::vector<float> values_;
  std::vector<int32_t> ids_;
  size_t count_ = 0;
};

// Chooses for one token after the other, with its lists kept between them.
class Chooser {
 public:
  explicit Chooser(const RouteShape& shape)
      : n_group_(shape.groups()),
        best_two_(shape.topk_method == TopkMethod::kNoauxTc),
        experts_(shape.num_experts_per_tok),
        groups_(n_group_ > 1 ? shape.topk_group : 0),
        choice_(static_cast<size_t>(shape.n_routed_experts)) {
    if (n_group_ > 1) allowed_.resize(static_cast<size_t>(n_group_));
  }

  // `bias` may be null.
  const std::vector<int32_t>& choose(const float* score, const float* bias) {
    const auto experts = static_cast<int64_t>(choice_.size());
    const int64_t size = experts / n_group_;
    for (int64_t e = 0; e < experts; ++e)
      choice_[static_cast<size_t>(e)] = bias ? score[e] + bias[e] : score[e];
    if (n_group_ > 1) choose_groups(size);
    experts_.clear();
    for (int64_t g = 0; g < n_group_; ++g) {
      if (n_group_ > 1 && !allowed_[static_cast<size_t>(g)]) continue;
      for (int64_t e = g * size; e < (g + 1) * size; ++e)
        experts_.offer(choice_[static_cast<size_t>(e)], static_cast<int32_t>(e));
    }
    return experts_.ids();
  }

 private:
  void choose_groups(int64_t size) {
    groups_.clear();
    for (int64_t g = 0; g < n_group_; ++g) {
      const float* choice = choice_.data() + g * size;
      float first = choice[0], second = 0;
      for (int64_t i = 1; i < size; ++i) {
        if (choice[i] > first) {
          second = first;
          first = choice[i];
        } else if (i == 1 || choice[i] > second) {
          second = choice[i];
        }
      }
      groups_.offer(best_two_ ? first + second : first, static_cast<int32_t>(g));
    }
    std::fill(allowed_.begin(), allowed_.end(), uint8_t{0});
    for (const int32_t g : groups_.ids()) allowed_[static_cast<size_t>(g)] = 1;
  }

  int64_t n_group_;
  bool best_two_;  // a group's score is the sum of its two best, not its best
  BestList experts_, groups_;
  std::vector<float> choice_;
  std::vector<uint8_t> allowed_;
};

void write_weights(const float* score, const std::vector<int32_t>& chosen, const RouteShape& shape,
                   int32_t* expert, float* weight) {
  float sum = kTiny;
  for (size_t i = 0; i < chosen.size(); ++i) {
    expert[i] = chosen[i];
    weight[i] = score[chosen[i]];
    sum += weight[i];
  }
  const auto scale = static_cast<float>(shape.routed_scaling_factor);
  const bool normalise = shape.norm_topk_prob && chosen.size() > 1;
  for (size_t i = 0; i < chosen.size(); ++i)
    weight[i] = (normalise ? weight[i] / sum : weight[i]) * scale;
}

void weights_backward(const float* score, const int32_t* expert, const float* dweight,
                      const RouteShape& shape, float* dlogits) {
  const int64_t k = shape.num_experts_per_tok;
  const auto scale = static_cast<float>(shape.routed_scaling_factor);
  std::fill_n(dlogits, shape.n_routed_experts, 0.0f);
  const bool softmax = shape.scoring_func == ScoringFunc::kSoftmax;
  const bool normalise = shape.norm_topk_prob && k > 1;
  float sum = 1, mean = 0, dot = 0;
  if (normalise) {
    sum = kTiny;
    for (int64_t i = 0; i < k; ++i) sum += score[expert[i]];
    for (int64_t i = 0; i < k; ++i) mean += dweight[i] * (score[expert[i]] / sum);
  }
  for (int64_t i = 0; i < k; ++i) {
    const float s = score[expert[i]];
    const float slope = scale * (s / sum) * (dweight[i] - mean);
    dlogits[expert[i]] = softmax ? slope : slope * (1.0f - s);
    dot += slope;
  }
  if (!softmax || normalise) return;
  for (int64_t e = 0; e < shape.n_routed_experts; ++e) dlogits[e] -= score[e] * dot;
}

// f of eq. 18 for each sequence: [sequences, n_routed_experts].
std::vector<float> load_fractions(ConstView expert, const int32_t* starts, size_t sequences,
                                  const RouteShape& shape) {
  const auto experts = static_cast<size_t>(shape.n_routed_experts);
  std::vector<float> load(sequences * experts, 0.0f);
  for (size_t s = 0; s < sequences; ++s) {
    float* row = load.data() + s * experts;
    for (int64_t t = starts[s]; t < starts[s + 1]; ++t) {
      for (int64_t i = 0; i < shape.num_experts_per_tok; ++i)
        row[expert.row<int32_t>(t)[i]] += 1.0f;  // exact
    }
    const double picks =
        static_cast<double>(shape.num_experts_per_tok * (starts[s + 1] - starts[s]));
    const auto unit = static_cast<float>(static_cast<double>(experts) / picks);
    for (size_t e = 0; e < experts && picks > 0; ++e) row[e] *= unit;
  }
  return load;
}

// The sequence of row `t`.
size_t sequence_of(const int32_t* starts, size_t sequences, int64_t t) {
  return static_cast<size_t>(std::upper_bound(starts, starts + sequences + 1, t) - starts) - 1;
}

}  // namespace

// About 2 ns for each expert of each token, most of it in the choice.
void topk_route(Stream* stream, ConstView logits, ConstView bias, const RouteShape& shape,
                View score, View expert, View weight) {
  if (logits.dtype != DType::kF32 || (bias && bias.dtype != DType::kF32)) {
    return reference::topk_route(stream, logits, bias, shape, score, expert, weight);
  }
  const auto scores = shape.scoring_func == ScoringFunc::kSoftmax
                          ? HWY_DYNAMIC_DISPATCH(route_softmax)
                          : HWY_DYNAMIC_DISPATCH(route_sigmoid);
  const float* added = bias ? bias.row<float>(0) : nullptr;
  for_each_piece(logits.rows(), piece_rows(logits.cols()), logits.cols(),
                 [&](int64_t begin, int64_t end) {
                   Chooser chooser(shape);
                   for (int64_t t = begin; t < end; ++t) {
                     float* s = score.row<float>(t);
                     scores(logits.row<float>(t), s, logits.cols());
                     write_weights(s, chooser.choose(s, added), shape, expert.row<int32_t>(t),
                                   weight.row<float>(t));
                   }
                 });
}

void topk_route_backward(Stream* stream, ConstView score, ConstView expert, ConstView dweight,
                         ConstView starts, std::span<const float> sequence_weight,
                         const RouteShape& shape, View dlogits) {
  if (score.dtype != DType::kF32) {
    return reference::topk_route_backward(stream, score, expert, dweight, starts, sequence_weight,
                                          shape, dlogits);
  }
  const bool balance = shape.balance_alpha > 0 && !sequence_weight.empty();
  const int32_t* first = starts.row<int32_t>(0);
  const size_t sequences = sequence_weight.size();
  const std::vector<float> load =
      balance ? load_fractions(expert, first, sequences, shape) : std::vector<float>();
  const auto sums = HWY_DYNAMIC_DISPATCH(route_load_sums);
  const auto add_balance = HWY_DYNAMIC_DISPATCH(route_add_balance);
  const float curb = shape.scoring_func == ScoringFunc::kSoftmax ? 0.0f : 1.0f;
  const int64_t experts = shape.n_routed_experts;
  for_each_piece(score.rows(), piece_rows(experts), experts, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float* s = score.row<float>(t);
      float* out = dlogits.row<float>(t);
      weights_backward(s, expert.row<int32_t>(t), dweight.row<float>(t), shape, out);
      if (!balance) continue;
      const size_t sequence = sequence_of(first, sequences, t);
      const float* f = load.data() + sequence * static_cast<size_t>(experts);
      float sum = 0, dot = 0;
      sums(s, f, experts, &sum, &dot);
      sum += kTiny;
      const double tokens = static_cast<double>(first[sequence + 1] - first[sequence]);
      const double share = static_cast<double>(sequence_weight[sequence]);
      const auto factor =
          static_cast<float>(shape.balance_alpha * share / (tokens * static_cast<double>(sum)));
      add_balance(s, f, experts, curb, factor, dot / sum, out);
    }
  });
}

double balance_loss(Stream* stream, ConstView score, ConstView expert, ConstView starts,
                    std::span<const float> sequence_weight, const RouteShape& shape) {
  if (score.dtype != DType::kF32) {
    return reference::balance_loss(stream, score, expert, starts, sequence_weight, shape);
  }
  const int32_t* first = starts.row<int32_t>(0);
  const size_t sequences = sequence_weight.size();
  const std::vector<float> load = load_fractions(expert, first, sequences, shape);
  const auto sums = HWY_DYNAMIC_DISPATCH(route_load_sums);
  double loss = 0;
  for (size_t s = 0; s < sequences; ++s) {
    const float* f = load.data() + s * static_cast<size_t>(shape.n_routed_experts);
    double expected = 0;
    for (int64_t t = first[s]; t < first[s + 1]; ++t) {
      float sum = 0, dot = 0;
      sums(score.row<float>(t), f, shape.n_routed_experts, &sum, &dot);
      expected += static_cast<double>(dot / (sum + kTiny));
    }
    if (first[s] < first[s + 1]) {
      loss += static_cast<double>(sequence_weight[s]) * expected /
              static_cast<double>(first[s + 1] - first[s]);
    }
  }
  return shape.balance_alpha * loss;
}

}  // namespace fathom::cpu
#endif  // HWY_ONCE
