#include "generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "base/team.h"
#include "ops/kernel_table.h"
#include "ops/softmax_weights/softmax_weights.h"

namespace fathom {
namespace {

struct Candidate {
  int32_t id;
  float weight;  // exp((logit − max) / T): the best has 1
};

// Best first; equal weights by id.
bool better(const Candidate& a, const Candidate& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
}

double mass_of(std::span<const Candidate> candidates) {
  double sum = 0;
  for (const Candidate& c : candidates) sum += static_cast<double>(c.weight);
  return sum;
}

bool greedy(const Sampling& s) { return s.temperature == 0 || s.top_p == 0; }
bool truncates(const Sampling& s) { return s.top_k > 0 || s.top_p < 1 || s.min_p > 0; }

float inverse_temperature(const Sampling& s) {
  if (greedy(s)) return 1;  // the weights are not read
  using Limits = std::numeric_limits<float>;
  return static_cast<float>(std::clamp(1 / s.temperature, static_cast<double>(Limits::min()),
                                       static_cast<double>(Limits::max())));
}

// One row's weights, in the order of ids.
struct RowWeights {
  std::span<const float> weight;     // [vocab]
  std::span<const float> block_sum;  // [blocks]

  double total() const { return std::accumulate(block_sum.begin(), block_sum.end(), 0.0); }
};

// Where `left` of the mass is used up: whole blocks are passed first. What rounding leaves of it at
// the end goes to the last token of any weight.
int32_t draw(const RowWeights& row, double left) {
  size_t block = 0, last = 0;
  for (; block < row.block_sum.size(); ++block) {
    if (row.block_sum[block] == 0) continue;
    last = block;
    if (left < static_cast<double>(row.block_sum[block])) break;
    left -= static_cast<double>(row.block_sum[block]);
  }
  if (block == row.block_sum.size()) left = INFINITY;
  const size_t begin = last * static_cast<size_t>(kWeightBlock);
  const size_t end = std::min(row.weight.size(), begin + static_cast<size_t>(kWeightBlock));
  size_t token = begin;
  for (size_t i = begin; i < end; ++i) {
    if (row.weight[i] == 0) continue;
    token = i;
    left -= static_cast<double>(row.weight[i]);
    if (left < 0) break;
  }
  return static_cast<int32_t>(token);
}

int32_t draw(std::span<const Candidate> kept, double left) {
  for (const Candidate& c : kept) {
    left -= static_cast<double>(c.weight);
    if (left < 0) return c.id;
  }
  return kept.back().id;
}

// How many of the best candidates it takes to reach `mass`, all if they never do; they come to lie
// in front. Halves the part that holds the last of them, so that the rest is never sorted.
size_t best_of_mass(std::span<Candidate> candidates, double mass) {
  constexpr size_t kSorted = 32;
  size_t begin = 0, end = candidates.size();
  const auto at = [&](size_t i) { return candidates.begin() + static_cast<std::ptrdiff_t>(i); };
  while (end - begin > kSorted) {
    const size_t middle = begin + (end - begin) / 2;
    std::nth_element(at(begin), at(middle), at(end), better);
    const double upper = mass_of(candidates.subspan(begin, middle - begin));
    if (upper >= mass) {
      end = middle;
    } else {
      begin = middle;
      mass -= upper;
    }
  }
  std::sort(at(begin), at(end), better);
  while (begin < end && mass > 0) mass -= static_cast<double>(candidates[begin++].weight);
  return begin;
}

void keep_best(std::vector<Candidate>& kept, size_t count) {
  std::nth_element(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(count) - 1, kept.end(),
                   better);
  kept.resize(count);
}

// Puts the chosen tokens, the best of the row's, in the order of ids: few are sorted, of many the
// worst says which tokens of the row they are.
void order_by_id(const RowWeights& row, std::vector<Candidate>& kept) {
  if (kept.size() < row.weight.size() / 16) {
    std::sort(kept.begin(), kept.end(),
              [](const Candidate& a, const Candidate& b) { return a.id < b.id; });
    return;
  }
  const Candidate worst = *std::max_element(kept.begin(), kept.end(), better);
  kept.clear();
  for (size_t i = 0; i < row.weight.size(); ++i) {
    const Candidate c{static_cast<int32_t>(i), row.weight[i]};
    if (!better(worst, c)) kept.push_back(c);
  }
}

// Leaves in `kept` what min-p, top-k and top-p leave, ascending by id.
void truncate(const RowWeights& row, const Sampling& s, std::vector<Candidate>& kept) {
  double floor = s.min_p;
  const double total = row.total();
  const bool top_p_alone = s.min_p == 0 && s.top_k == 0;
  // All tokens below this together weigh less than what top-p drops.
  if (top_p_alone) floor = (1 - s.top_p) * total / static_cast<double>(row.weight.size());
  const size_t top_k = s.top_k > 0 ? static_cast<size_t>(s.top_k) : row.weight.size();
  const size_t crowded = 2 * std::min(top_k, row.weight.size()) + 64;
  bool by_id = true;
  float above = 0;  // once top-k are found, a later token must weigh more than the last of them
  kept.clear();
  for (size_t i = 0; i < row.weight.size(); ++i) {
    const float weight = row.weight[i];
    if (!(weight > above && static_cast<double>(weight) >= floor)) continue;
    kept.push_back({static_cast<int32_t>(i), weight});
    if (kept.size() < crowded) continue;
    keep_best(kept, top_k);
    above = kept.back().weight;
    by_id = false;
  }
  if (top_k < kept.size()) {
    keep_best(kept, top_k);
    by_id = false;
  }
  if (s.top_p < 1) {
    const double mass = s.top_p * (top_p_alone ? total : mass_of(kept));
    kept.resize(best_of_mass(kept, mass));
    by_id = false;
  }
  if (!by_id) order_by_id(row, kept);
}

RowWeights row_weights(const SoftmaxWeights& softmax, int64_t row) {
  const int64_t vocab = softmax.weight.cols(), blocks = softmax.block_sum.cols();
  return {{softmax.weight.data<float>() + row * vocab, static_cast<size_t>(vocab)},
          {softmax.block_sum.data<float>() + row * blocks, static_cast<size_t>(blocks)}};
}

// The draws of one row; `kept` is scratch memory.
void draw_row(const SoftmaxWeights& softmax, const Tensor& logits, int64_t row,
              const RowDraws& wanted, std::vector<Candidate>& kept,
              std::span<std::optional<SampledToken>> tokens) {
  const int32_t best = softmax.best.data<int32_t>()[row];
  if (best < 0) return;
  const Sampling& s = wanted.sampling;
  const RowWeights weights = row_weights(softmax, row);
  const bool listed = !greedy(s) && truncates(s);
  if (listed) truncate(weights, s, kept);
  const double total = listed ? mass_of(kept) : weights.total();
  const float* logit = logits.read().row<float>(row);
  const double lse = softmax.lse.data<double>()[row];
  for (size_t i = 0; i < tokens.size(); ++i) {
    int32_t id = best;
    if (!greedy(s)) {
      const double left = RandomKey{s.seed + i, Purpose::kSampling}.uniform(wanted.index) * total;
      id = listed ? draw(kept, left) : draw(weights, left);
    }
    tokens[i] = SampledToken{id, static_cast<double>(logit[id]) - lse};
  }
}

SoftmaxWeights weights_of(Pass& pass, const Tensor& logits, std::span<const RowDraws> rows) {
  std::vector<float> inverse;
  for (const RowDraws& row : rows) inverse.push_back(inverse_temperature(row.sampling));
  return softmax_weights(pass, logits, inverse);
}

}  // namespace

std::optional<SamplingFault> sampling_fault(const Sampling& s) {
  if (!(s.temperature >= 0 && std::isfinite(s.temperature)))
    return SamplingFault{"temperature", s.temperature, "0 or more"};
  if (s.top_k < 0) return SamplingFault{"top_k", static_cast<double>(s.top_k), "0 (off) or more"};
  if (!(s.top_p >= 0 && s.top_p <= 1)) return SamplingFault{"top_p", s.top_p, "between 0 and 1"};
  if (!(s.min_p >= 0 && s.min_p <= 1)) return SamplingFault{"min_p", s.min_p, "between 0 and 1"};
  return std::nullopt;
}

void check_sampling(const Sampling& sampling) {
  if (const std::optional<SamplingFault> fault = sampling_fault(sampling)) {
    fail(ErrorCode::kUsage, "sampling: ", fault->name, " is ", fault->value, "; expected ",
         fault->expected);
  }
}

std::vector<std::optional<SampledToken>> sample_tokens(Pass& pass, const Tensor& logits,
                                                       std::span<const RowDraws> rows) {
  const SoftmaxWeights softmax = weights_of(pass, logits, rows);
  std::vector<size_t> starts = {0};
  for (const RowDraws& row : rows) starts.push_back(starts.back() + static_cast<size_t>(row.draws));
  std::vector<std::optional<SampledToken>> tokens(starts.back());
  std::vector<std::vector<Candidate>> scratch(static_cast<size_t>(team_size()));
  const auto draw_from = [&](size_t r, int member) {
    draw_row(softmax, logits, static_cast<int64_t>(r), rows[r],
             scratch[static_cast<size_t>(member)],
             std::span(tokens).subspan(starts[r], starts[r + 1] - starts[r]));
  };
  // A draw from all tokens takes a fraction of a microsecond, a truncation many.
  const bool heavy = std::any_of(rows.begin(), rows.end(),
                                 [](const RowDraws& row) { return truncates(row.sampling); });
  const size_t piece = heavy ? 1 : 16;
  share_tasks(static_cast<int64_t>((rows.size() + piece - 1) / piece), [&](int64_t p, int member) {
    const size_t begin = static_cast<size_t>(p) * piece;
    for (size_t r = begin; r < std::min(rows.size(), begin + piece); ++r) draw_from(r, member);
  });
  return tokens;
}

KeptTokens kept_tokens(Pass& pass, const Tensor& logits, const Sampling& sampling) {
  const RowDraws row{sampling};
  const SoftmaxWeights softmax = weights_of(pass, logits, {&row, 1});
  const int32_t best = softmax.best.data<int32_t>()[0];
  FATHOM_CHECK(best >= 0, "kept_tokens: the logits hold a NaN or +infinity or nothing finite");
  if (greedy(sampling)) return {{best}, {1.0}};
  std::vector<Candidate> kept;
  truncate(row_weights(softmax, 0), sampling, kept);
  const double total = mass_of(kept);
  KeptTokens result;
  for (const Candidate& c : kept) {
    result.ids.push_back(c.id);
    result.probs.push_back(static_cast<double>(c.weight) / total);
  }
  return result;
}

}  // namespace fathom
