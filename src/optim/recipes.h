// How the published models were pretrained, as functions of the tokens seen.
//
// Sources: DeepSeek LLM arXiv:2401.02954, 2.3 and table 2; DeepSeekMoE 2401.06066, 5.1.2; V2
// 2405.04434, 3.1.2 and appendix B; V3 2412.19437, 4.2. Where a report is silent on the form of a
// ramp it is linear in tokens.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fathom {

// A function of progress, in pieces that follow one another.
class Curve {
 public:
  enum class Form { kLinear, kCosine };  // from `from` to `to`; equal ones are a constant
  struct Piece {
    double until;  // of progress
    double from, to;
    Form form = Form::kLinear;
  };

  Curve(double constant) : pieces_{{1, constant, constant}} {}
  explicit Curve(std::vector<Piece> pieces);  // `until` must ascend to 1

  double at(double progress) const;  // 0 to 1; beyond, the value at the end

 private:
  std::vector<Piece> pieces_;
};

// Sequences of a step: from `first` to `full`, linear in tokens, over the first `ramp_tokens`.
struct BatchSize {
  int64_t first = 0, full = 0;
  double ramp_tokens = 0;

  double at(double tokens_seen) const;
  // Optimiser steps that so many tokens take.
  double steps(double tokens, int64_t sequence_tokens) const;
};

struct Recipe {
  std::string name;
  double tokens;  // seen in all
  int64_t sequence_tokens = 4096;
  double peak_lr;
  int64_t warmup_steps = 2000;  // linear from 0
  // Over progress = tokens seen / tokens. Learning rate, bias speed and multi-token weight are
  // relative to their first values, so that other runs can follow the same course.
  Curve lr;
  BatchSize batch;
  double bias_update_speed = 0;
  Curve bias_course = 1;
  double mtp_weight = 0;
  Curve mtp_course = 1;
  double expert_loss_alpha = 0, device_loss_alpha = 0, communication_loss_alpha = 0;
  double sequence_loss_alpha = 0;
  double beta1 = 0.9, beta2 = 0.95, weight_decay = 0.1, clip_norm = 1;
  double initializer_range = 0.006;

  double progress(double tokens_seen) const { return tokens_seen / tokens; }
  // `step` counts from 0; the warm-up goes by steps, the rest by tokens.
  double learning_rate(int64_t step, double tokens_seen) const;
  // Rounded down to a multiple of what the data-parallel ranks take at once.
  int64_t batch_sequences(double tokens_seen, int64_t multiple = 1) const;
  double steps() const { return batch.steps(tokens, sequence_tokens); }  // in all
};

const std::vector<Recipe>& recipes();
const Recipe* find_recipe(const std::string& name);  // null: no such one
std::vector<std::string> recipe_names();

}  // namespace fathom
