#include "align/policy_loss.h"

#include <algorithm>
#include <cmath>

namespace fathom {
namespace {

constexpr double kStdEps = 1e-6;

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

double deviation(std::span<const double> values, double mean) {
  double sum = 0;
  for (double v : values) sum += (v - mean) * (v - mean);
  return std::sqrt(sum / static_cast<double>(values.size()));
}

bool all_equal(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [&](double v) { return v == values.front(); });
}

template <class T>
T parse(const std::string& flag, const std::string& name,
        const std::vector<std::pair<std::string, T>>& known) {
  std::vector<std::string> names;
  for (const auto& [text, value] : known) {
    if (text == name) return value;
    names.push_back(text);
  }
  std::string list;
  for (const std::string& text : names) list += (list.empty() ? "" : ", ") + text;
  fail(ErrorCode::kUsage, flag, " is '", name, "'; expected one of ", list,
       did_you_mean(name, names));
}

}  // namespace

LossNorm parse_loss_norm(const std::string& name) {
  return parse<LossNorm>(
      "--loss-norm", name,
      {{"seq", LossNorm::kSeq}, {"token", LossNorm::kToken}, {"const", LossNorm::kConst}});
}
AdvantageScale parse_adv_scale(const std::string& name) {
  return parse<AdvantageScale>("--adv-scale", name,
                               {{"group", AdvantageScale::kGroup},
                                {"batch", AdvantageScale::kBatch},
                                {"none", AdvantageScale::kNone}});
}
KlKind parse_kl(const std::string& name) {
  return parse<KlKind>("--kl", name, {{"none", KlKind::kNone}, {"k3", KlKind::kK3}});
}
Overlong parse_overlong(const std::string& name) {
  return parse<Overlong>(
      "--overlong", name,
      {{"none", Overlong::kNone}, {"mask", Overlong::kMask}, {"penalty", Overlong::kPenalty}});
}

std::vector<double> advantages(std::span<const double> rewards, int64_t size,
                               AdvantageScale scale) {
  FATHOM_CHECK(size > 0 && static_cast<int64_t>(rewards.size()) % size == 0,
               "advantages: ", rewards.size(), " rewards do not fall into groups of ", size);
  std::vector<double> result(rewards.size(), 0.0);
  const double batch_std = rewards.empty() ? 0 : deviation(rewards, mean_of(rewards));
  for (size_t begin = 0; begin < rewards.size(); begin += static_cast<size_t>(size)) {
    const std::span<const double> group = rewards.subspan(begin, static_cast<size_t>(size));
    if (all_equal(group)) continue;
    const double mean = mean_of(group);
    const double divisor = scale == AdvantageScale::kGroup   ? deviation(group, mean) + kStdEps
                           : scale == AdvantageScale::kBatch ? batch_std + kStdEps
                                                             : 1.0;
    for (size_t i = 0; i < group.size(); ++i) result[begin + i] = (group[i] - mean) / divisor;
  }
  return result;
}

double overlong_penalty(int64_t tokens, int64_t max_tokens, int64_t cache) {
  const int64_t free = max_tokens - cache;
  if (tokens <= free || cache <= 0) return 0;
  return std::max(-1.0, -static_cast<double>(tokens - free) / static_cast<double>(cache));
}

TokenObjective policy_objective(const PolicyRows& rows, const PolicyLossConfig& config,
                                PolicyStats& stats) {
  return [&rows, config, &stats](std::span<const int32_t> chunk, std::span<const double> logprob,
                                 std::span<double> derivative) {
    double loss = 0;
    for (size_t i = 0; i < chunk.size(); ++i) {
      const auto row = static_cast<size_t>(chunk[i]);
      derivative[i] = 0;
      const double weight = rows.weight[row], advantage = rows.advantage[row];
      if (weight == 0) continue;
      const double ratio =
          rows.old_logprob.empty() ? 1.0 : std::exp(logprob[i] - rows.old_logprob[row]);
      const double clipped = std::clamp(ratio, 1 - config.clip_low, 1 + config.clip_high);
      const bool is_clipped = clipped * advantage < ratio * advantage;
      loss -= weight * (is_clipped ? clipped : ratio) * advantage;
      if (!is_clipped) derivative[i] = -weight * ratio * advantage;  // d ratio / d logprob = ratio
      ++stats.tokens;
      const double gap = std::abs(logprob[i] - rows.sampler_logprob[row]);
      stats.gap += gap;
      stats.gap_max = std::max(stats.gap_max, gap);
      stats.ratio_max = std::max(stats.ratio_max, ratio);
      if (is_clipped) ++(ratio > 1 ? stats.clipped_high : stats.clipped_low);
      if (config.kl == KlKind::kNone) continue;
      const double u = rows.reference_logprob[row] - logprob[i];
      const double kl = std::exp(u) - u - 1;
      stats.kl += kl;
      loss += weight * config.kl_beta * kl;
      derivative[i] += weight * config.kl_beta * (1 - std::exp(u));
    }
    return loss;
  };
}

}  // namespace fathom
