#include "optim/recipes.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/error.h"

namespace fathom {
namespace {

constexpr double kBillion = 1e9, kTrillion = 1e12;
constexpr double kThird = 0.31622776601683794;  // sqrt(0.1), "0.316" in the reports

Curve stepped(double first, double second, double low) {
  return Curve({{first, 1, 1}, {second, low, low}, {1, low * low, low * low}});
}

Recipe dense(std::string name, double peak_lr, int64_t sequences) {
  Recipe r{.name = std::move(name),
           .tokens = 2 * kTrillion,
           .peak_lr = peak_lr,
           .lr = stepped(0.8, 0.9, kThird),
           .batch = {sequences, sequences}};
  return r;
}

Recipe moe_16b() {
  Recipe r = dense("moe-16b", 4.2e-4, 4608);
  r.expert_loss_alpha = 0.001;
  return r;
}

Recipe v2_lite() {
  Recipe r = dense("v2-lite", 4.2e-4, 4608);
  r.tokens = 5.7 * kTrillion;
  r.expert_loss_alpha = 0.001;
  return r;
}

Recipe v2() {
  constexpr double kTokens = 8.1 * kTrillion;
  Recipe r{.name = "v2",
           .tokens = kTokens,
           .peak_lr = 2.4e-4,
           .lr = stepped(0.6, 0.9, kThird),
           .batch = {2304, 9216, 225 * kBillion}};
  r.expert_loss_alpha = 0.003;
  r.device_loss_alpha = 0.05;
  r.communication_loss_alpha = 0.02;
  return r;
}

Recipe v3() {
  constexpr double kTokens = 14.8 * kTrillion, kPeak = 2.2e-4;
  const auto at = [](double tokens) { return tokens / kTokens; };
  const double steady = at(10 * kTrillion), decayed = at(14.3 * kTrillion),
               last = at(14.3 * kTrillion + 333 * kBillion);
  Recipe r{.name = "v3",
           .tokens = kTokens,
           .peak_lr = kPeak,
           .lr = Curve({{steady, 1, 1},
                        {decayed, 1, 0.1, Curve::Form::kCosine},
                        {last, 0.1, 0.1},
                        {1, 7.3e-6 / kPeak, 7.3e-6 / kPeak}}),
           .batch = {3072, 15360, 469 * kBillion}};
  r.bias_update_speed = 0.001;
  r.bias_course = Curve({{decayed, 1, 1}, {1, 0, 0}});
  r.mtp_weight = 0.3;
  r.mtp_course = Curve({{steady, 1, 1}, {1, 0.1 / 0.3, 0.1 / 0.3}});
  r.sequence_loss_alpha = 1e-4;
  return r;
}

}  // namespace

Curve::Curve(std::vector<Piece> pieces) : pieces_(std::move(pieces)) {
  double before = 0;
  for (const Piece& piece : pieces_) {
    FATHOM_CHECK(piece.until > before, "curve: a piece ends at ", piece.until,
                 ", not after the one before it, ", before);
    before = piece.until;
  }
  FATHOM_CHECK(before == 1, "curve: the last piece ends at ", before, ", expected 1");
}

double Curve::at(double progress) const {
  double begin = 0;
  for (const Piece& piece : pieces_) {
    if (progress < piece.until) {
      const double x = std::max(0.0, progress - begin) / (piece.until - begin);
      const double share =
          piece.form == Form::kLinear ? x : 0.5 * (1 - std::cos(std::numbers::pi * x));
      return piece.from + (piece.to - piece.from) * share;
    }
    begin = piece.until;
  }
  return pieces_.back().to;
}

double Recipe::learning_rate(int64_t step, double tokens_seen) const {
  if (step < warmup_steps)
    return peak_lr * static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
  return peak_lr * lr.at(progress(tokens_seen));
}

double BatchSize::at(double tokens_seen) const {
  const double share = ramp_tokens > 0 ? std::min(1.0, tokens_seen / ramp_tokens) : 1;
  return static_cast<double>(first) + static_cast<double>(full - first) * share;
}

double BatchSize::steps(double tokens, int64_t sequence_tokens) const {
  const auto sequence = static_cast<double>(sequence_tokens), begin = static_cast<double>(first);
  const double ramp = std::min(tokens, ramp_tokens);
  const double steps = (tokens - ramp) / (static_cast<double>(full) * sequence);
  if (ramp == 0) return steps;
  // The integral of one over a batch that grows linearly from the first to `last`.
  const double last = at(ramp);
  return steps + (last > begin ? ramp / sequence * std::log(last / begin) / (last - begin)
                               : ramp / (begin * sequence));
}

int64_t Recipe::batch_sequences(double tokens_seen, int64_t multiple) const {
  const auto sequences = static_cast<int64_t>(batch.at(tokens_seen));
  return std::max(multiple, sequences / multiple * multiple);
}

const std::vector<Recipe>& recipes() {
  static const std::vector<Recipe> all = {dense("llm-7b", 4.2e-4, 2304),
                                          dense("llm-67b", 3.2e-4, 4608),
                                          moe_16b(),
                                          v2_lite(),
                                          v2(),
                                          v3()};
  return all;
}

const Recipe* find_recipe(const std::string& name) {
  const auto found = std::find_if(recipes().begin(), recipes().end(),
                                  [&](const Recipe& recipe) { return recipe.name == name; });
  return found == recipes().end() ? nullptr : &*found;
}

std::vector<std::string> recipe_names() {
  std::vector<std::string> names;
  for (const Recipe& recipe : recipes()) names.push_back(recipe.name);
  return names;
}

}  // namespace fathom
