#include "generate/sampler.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/random.h"

namespace fathom {
namespace {

struct Candidate {
  int32_t id;
  double weight;  // exp((logit − max) / T)
};

// Best first; equal weights by id.
bool better(const Candidate& a, const Candidate& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
}

int32_t arg_max(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

bool usable(std::span<const float> logits) {
  bool finite = false;
  for (float x : logits) {
    if (std::isnan(x) || x == INFINITY) return false;
    finite = finite || std::isfinite(x);
  }
  return finite;
}

double log_sum_exp(std::span<const float> logits, float max) {
  double sum = 0;
  for (float x : logits) sum += std::exp(static_cast<double>(x - max));
  return static_cast<double>(max) + std::log(sum);
}

std::vector<Candidate> candidates(std::span<const float> logits, const Sampling& s) {
  const auto max = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  std::vector<Candidate> kept;
  kept.reserve(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp((static_cast<double>(logits[i]) - max) / s.temperature);
    if (weight > 0 && weight >= s.min_p)
      kept.push_back({static_cast<int32_t>(i), weight});  // the best has weight 1
  }
  if (s.top_k > 0 && static_cast<size_t>(s.top_k) < kept.size()) {
    std::nth_element(kept.begin(), kept.begin() + s.top_k - 1, kept.end(), better);
    kept.resize(static_cast<size_t>(s.top_k));
  }
  if (s.top_p < 1) {
    std::sort(kept.begin(), kept.end(), better);
    double total = 0, mass = 0;
    for (const Candidate& c : kept) total += c.weight;
    size_t count = 0;
    while (count < kept.size() && (count == 0 || mass < s.top_p * total))
      mass += kept[count++].weight;
    kept.resize(count);
  }
  std::sort(kept.begin(), kept.end(),
            [](const Candidate& a, const Candidate& b) { return a.id < b.id; });
  return kept;
}

}  // namespace

void check_sampling(const Sampling& s) {
  const auto expect = [](bool holds, const char* name, double value, const char* expectation) {
    if (!holds)
      fail(ErrorCode::kUsage, "sampling: ", name, " is ", value, "; expected ", expectation);
  };
  expect(s.temperature >= 0 && std::isfinite(s.temperature), "temperature", s.temperature,
         "0 or more");
  expect(s.top_k >= 0, "top_k", static_cast<double>(s.top_k), "0 (off) or more");
  expect(s.top_p >= 0 && s.top_p <= 1, "top_p", s.top_p, "between 0 and 1");
  expect(s.min_p >= 0 && s.min_p <= 1, "min_p", s.min_p, "between 0 and 1");
}

std::optional<SampledToken> sample_token(std::span<const float> logits, const Sampling& sampling,
                                         uint64_t index) {
  if (!usable(logits)) return std::nullopt;
  SampledToken token;
  token.id = arg_max(logits);
  const float max = logits[static_cast<size_t>(token.id)];
  if (sampling.temperature > 0 && sampling.top_p > 0) {
    const RandomKey key{sampling.seed, Purpose::kSampling};
    const std::vector<Candidate> kept = candidates(logits, sampling);
    double total = 0;
    for (const Candidate& c : kept) total += c.weight;
    double left = key.uniform(index) * total;
    token.id = kept.back().id;
    for (const Candidate& c : kept) {
      left -= c.weight;
      if (left < 0) {
        token.id = c.id;
        break;
      }
    }
  }
  token.logprob =
      static_cast<double>(logits[static_cast<size_t>(token.id)]) - log_sum_exp(logits, max);
  return token;
}

KeptTokens kept_tokens(std::span<const float> logits, const Sampling& sampling) {
  KeptTokens result;
  if (sampling.temperature == 0 || sampling.top_p == 0) return {{arg_max(logits)}, {1.0}};
  double total = 0;
  const std::vector<Candidate> kept = candidates(logits, sampling);
  for (const Candidate& c : kept) total += c.weight;
  for (const Candidate& c : kept) {
    result.ids.push_back(c.id);
    result.probs.push_back(c.weight / total);
  }
  return result;
}

}  // namespace fathom
