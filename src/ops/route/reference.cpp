// Routing in plain loops: the specification.    DeepSeek-V3 (arXiv:2412.19437), eq. 13-20;
//                                               DeepSeek-V2 (arXiv:2405.04434), eq. 20-25
#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/route/kernels.h"

namespace fathom::reference {
namespace {

// Keeps a sum of scores away from zero; too small to change any sum that is not.
constexpr double kTiny = 1e-20;

double element(ConstView x, int64_t row, int64_t col) {
  return x.dtype == DType::kF32 ? static_cast<double>(x.row<float>(row)[col])
                                : x.row<double>(row)[col];
}

// The best of `candidates` by `value`, ties to the lower index; it leaves the list. A NaN never
// beats a number before it.
template <class T>
int64_t take_best(const std::vector<T>& value, std::vector<bool>& candidate) {
  int64_t best = -1;
  for (size_t i = 0; i < value.size(); ++i) {
    if (!candidate[i]) continue;
    if (best < 0 || value[i] > value[static_cast<size_t>(best)]) best = static_cast<int64_t>(i);
  }
  candidate[static_cast<size_t>(best)] = false;
  return best;
}

// The score of each group: the sum of its `best` largest choices.
template <class T>
std::vector<T> group_scores(const std::vector<T>& choice, int64_t n_group, size_t best) {
  const size_t groups = static_cast<size_t>(n_group), size = choice.size() / groups;
  std::vector<T> sums(groups);
  for (size_t g = 0; g < groups; ++g) {
    const auto begin = choice.begin() + static_cast<std::ptrdiff_t>(g * size);
    const std::vector<T> members(begin, begin + static_cast<std::ptrdiff_t>(size));
    std::vector<bool> candidate(size, true);
    for (size_t i = 0; i < best && i < size; ++i)
      sums[g] += members[static_cast<size_t>(take_best(members, candidate))];
  }
  return sums;
}

// Which experts may be chosen: all, or those of the topk_group best groups.
template <class T>
std::vector<bool> eligible(const std::vector<T>& choice, const RouteShape& shape) {
  if (shape.groups() <= 1) return std::vector<bool>(choice.size(), true);
  std::vector<bool> allowed(choice.size(), false);
  const std::vector<T> sums =
      group_scores(choice, shape.groups(), shape.topk_method == TopkMethod::kNoauxTc ? 2 : 1);
  std::vector<bool> group_free(sums.size(), true);
  const size_t size = choice.size() / sums.size();
  for (int64_t i = 0; i < shape.topk_group; ++i) {
    const size_t group = static_cast<size_t>(take_best(sums, group_free));
    for (size_t e = 0; e < size; ++e) allowed[group * size + e] = true;
  }
  return allowed;
}

template <class T>
void scores_of(const T* logits, const RouteShape& shape, T* score) {
  const int64_t experts = shape.n_routed_experts;
  if (shape.scoring_func == ScoringFunc::kSigmoid) {
    for (int64_t e = 0; e < experts; ++e) score[e] = T{1} / (T{1} + std::exp(-logits[e]));
    return;
  }
  const T largest = *std::max_element(logits, logits + experts);
  T sum = 0;
  for (int64_t e = 0; e < experts; ++e) sum += score[e] = std::exp(logits[e] - largest);
  for (int64_t e = 0; e < experts; ++e) score[e] /= sum;
}

template <class T>
void route_row(const T* logits, ConstView bias, const RouteShape& shape, T* score, int32_t* expert,
               T* weight) {
  const size_t experts = static_cast<size_t>(shape.n_routed_experts);
  scores_of(logits, shape, score);
  std::vector<T> choice(score, score + experts);
  for (size_t e = 0; bias && e < experts; ++e)
    choice[e] += static_cast<T>(element(bias, 0, static_cast<int64_t>(e)));
  std::vector<bool> candidate = eligible(choice, shape);
  const int64_t k = shape.num_experts_per_tok;
  T sum = 0;
  for (int64_t i = 0; i < k; ++i) {
    expert[i] = static_cast<int32_t>(take_best(choice, candidate));
    weight[i] = score[expert[i]];
    sum += weight[i];
  }
  const bool normalise = shape.norm_topk_prob && k > 1;
  for (int64_t i = 0; i < k; ++i) {
    if (normalise) weight[i] /= sum + static_cast<T>(kTiny);
    weight[i] *= static_cast<T>(shape.routed_scaling_factor);
  }
}

// d logits of one token from d weights. Through sigmoids only the chosen experts get any; through a
// softmax all do, unless the weights are normalised over the chosen, which cancels the other terms.
template <class T>
void route_row_backward(const T* score, const int32_t* expert, const T* dweight,
                        const RouteShape& shape, T* dlogits) {
  for (int64_t e = 0; e < shape.n_routed_experts; ++e) dlogits[e] = 0;
  const int64_t k = shape.num_experts_per_tok;
  const T scale = static_cast<T>(shape.routed_scaling_factor);
  const bool normalise = shape.norm_topk_prob && k > 1;
  T sum = 1, mean = 0;  // mean: the average of dweight, each weighing its share
  if (normalise) {
    sum = static_cast<T>(kTiny);
    for (int64_t i = 0; i < k; ++i) sum += score[expert[i]];
    for (int64_t i = 0; i < k; ++i) mean += dweight[i] * (score[expert[i]] / sum);
  }
  const bool softmax = shape.scoring_func == ScoringFunc::kSoftmax;
  T dot = 0;  // sum of score · d score
  for (int64_t i = 0; i < k; ++i) {
    const T s = score[expert[i]];
    const T slope = scale * (s / sum) * (dweight[i] - mean);  // s · d score
    dlogits[expert[i]] = softmax ? slope : slope * (T{1} - s);
    dot += slope;
  }
  if (!softmax || normalise) return;
  for (int64_t e = 0; e < shape.n_routed_experts; ++e) dlogits[e] -= score[e] * dot;
}

// f_i = E / (k T) · #(tokens of the sequence that picked i)
std::vector<double> load_fractions(ConstView expert, int64_t begin, int64_t end,
                                   const RouteShape& shape) {
  std::vector<double> load(static_cast<size_t>(shape.n_routed_experts), 0.0);
  const double unit = static_cast<double>(shape.n_routed_experts) /
                      static_cast<double>(shape.num_experts_per_tok * (end - begin));
  for (int64_t t = begin; t < end; ++t) {
    for (int64_t i = 0; i < shape.num_experts_per_tok; ++i) {
      load[static_cast<size_t>(expert.row<int32_t>(t)[i])] += unit;
    }
  }
  return load;
}

// sum_i f_i p_i of one token, p its scores normalised to sum 1; `sum` is the scores' sum.
double expected_load(ConstView score, int64_t t, const std::vector<double>& load, double& sum) {
  double dot = 0;
  sum = kTiny;
  for (size_t e = 0; e < load.size(); ++e) {
    const double s = element(score, t, static_cast<int64_t>(e));
    sum += s;
    dot += load[e] * s;
  }
  return dot / sum;
}

// Adds alpha · share / T · (f_j − sum_i f_i p_i) · p_j · (1 − s_j), without the last factor for a
// softmax: f is a constant of the choice.
template <class T>
void add_balance_gradient(ConstView score, ConstView expert, int64_t begin, int64_t end,
                          double share, const RouteShape& shape, View dlogits) {
  if (begin == end) return;
  const std::vector<double> load = load_fractions(expert, begin, end, shape);
  const double factor = shape.balance_alpha * share / static_cast<double>(end - begin);
  for (int64_t t = begin; t < end; ++t) {
    double sum = 0;
    const double expected = expected_load(score, t, load, sum);
    for (size_t e = 0; e < load.size(); ++e) {
      const double s = element(score, t, static_cast<int64_t>(e));
      const double slope = shape.scoring_func == ScoringFunc::kSoftmax ? s : s * (1 - s);
      dlogits.row<T>(t)[e] += static_cast<T>(factor * (load[e] - expected) * slope / sum);
    }
  }
}

}  // namespace

void topk_route(Stream*, ConstView logits, ConstView bias, const RouteShape& shape, View score,
                View expert, View weight) {
  dispatch_float(logits.dtype, "topk_route", [&](auto zero) {
    using T = decltype(zero);
    for (int64_t t = 0; t < logits.rows(); ++t) {
      route_row(logits.row<T>(t), bias, shape, score.row<T>(t), expert.row<int32_t>(t),
                weight.row<T>(t));
    }
  });
}

void topk_route_backward(Stream*, ConstView score, ConstView expert, ConstView dweight,
                         ConstView starts, std::span<const float> sequence_weight,
                         const RouteShape& shape, View dlogits) {
  dispatch_float(score.dtype, "topk_route_backward", [&](auto zero) {
    using T = decltype(zero);
    for (int64_t t = 0; t < score.rows(); ++t) {
      route_row_backward(score.row<T>(t), expert.row<int32_t>(t), dweight.row<T>(t), shape,
                         dlogits.row<T>(t));
    }
    if (shape.balance_alpha <= 0) return;
    for (size_t s = 0; s < sequence_weight.size(); ++s) {
      add_balance_gradient<T>(score, expert, starts.row<int32_t>(0)[s],
                              starts.row<int32_t>(0)[s + 1],
                              static_cast<double>(sequence_weight[s]), shape, dlogits);
    }
  });
}

double balance_loss(Stream*, ConstView score, ConstView expert, ConstView starts,
                    std::span<const float> sequence_weight, const RouteShape& shape) {
  double loss = 0;
  for (size_t s = 0; s < sequence_weight.size(); ++s) {
    const int64_t begin = starts.row<int32_t>(0)[s], end = starts.row<int32_t>(0)[s + 1];
    if (begin == end) continue;
    const std::vector<double> load = load_fractions(expert, begin, end, shape);
    double expected = 0, sum = 0;
    for (int64_t t = begin; t < end; ++t) expected += expected_load(score, t, load, sum);
    loss += static_cast<double>(sequence_weight[s]) * expected / static_cast<double>(end - begin);
  }
  return shape.balance_alpha * loss;
}

}  // namespace fathom::reference
