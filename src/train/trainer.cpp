#include "train/trainer.h"

#include <cmath>
#include <numeric>

#include "runtime/tape.h"

namespace fathom {
namespace {

// What part of the step's loss weight each sequence carries: its share in the balance loss.
std::vector<float> sequence_shares(const Batch& batch, double normaliser) {
  std::vector<float> shares;
  for (int64_t s = 0; s < batch.layout.sequences(); ++s) {
    const auto begin = batch.weights.begin() + batch.layout.starts[static_cast<size_t>(s)];
    const auto end = batch.weights.begin() + batch.layout.starts[static_cast<size_t>(s) + 1];
    shares.push_back(static_cast<float>(std::accumulate(begin, end, 0.0) / normaliser));
  }
  return shares;
}

double weight_sum(const MultiTokenTargets& rows) {
  return std::accumulate(rows.weights.begin(), rows.weights.end(), 0.0);
}

double mean_loss(const std::vector<double>& logprob, const std::vector<float>& weights,
                 double normaliser) {
  double sum = 0;
  for (size_t i = 0; i < logprob.size(); ++i) sum -= logprob[i] * static_cast<double>(weights[i]);
  return sum / normaliser;
}

}  // namespace

Trainer::Trainer(const KernelTable& kernels, Allocator& memory, Decoder& decoder,
                 const AdamWConfig& config)
    : kernels_(kernels),
      memory_(memory),
      decoder_(decoder),
      optimizer_(config, decoder.parameters()) {
  decoder_.require_gradients(true);
}

void Trainer::run_microbatch(const Batch& batch, size_t index, double normaliser,
                             double mtp_normaliser, const StepOptions& options, StepReport& report,
                             PassStats& stats) {
  Tape tape;
  Pass pass{kernels_, memory_, nullptr, &tape, &stats};
  if (options.routes) pass.routes = options.routes(index);
  const std::vector<float> shares = sequence_shares(batch, normaliser);
  const MainStates states = decoder_.forward_states(pass, batch.ids, batch.layout, nullptr, shares);
  const TokenObjective objective =
      options.objective ? options.objective(index) : cross_entropy(batch.weights, normaliser);
  ObjectiveResult main =
      linear_objective(pass, states.hidden, decoder_.lm_head(), batch.targets, objective);
  report.loss += main.loss_value;
  std::vector<std::pair<Tensor, Tensor>> seeds;
  if (main.loss.slot()) seeds.emplace_back(main.loss, Tensor());

  if (options.mtp_weight > 0 && !batch.multi_token.empty() && mtp_normaliser > 0) {
    const MultiTokenTargets& rows = batch.multi_token.front();
    const Tensor input =
        options.mtp_detached ? states.multi_token.without_slot() : states.multi_token;
    const Tensor ahead = decoder_.multi_token_forward(pass, input, rows);
    ObjectiveResult extra =
        linear_objective(pass, ahead, decoder_.lm_head(), rows.targets,
                         cross_entropy(rows.weights, mtp_normaliser / options.mtp_weight));
    report.mtp_loss += extra.loss_value / options.mtp_weight;
    if (extra.loss.slot()) seeds.emplace_back(extra.loss, Tensor());
  }
  tape.backward(pass, seeds);
  report.tokens += batch.tokens();
}

StepReport Trainer::accumulate(const std::vector<Batch>& microbatches, const StepOptions& options) {
  double normaliser = 0, mtp_normaliser = 0;
  for (const Batch& batch : microbatches) {
    normaliser += batch.weight_sum();
    if (!batch.multi_token.empty()) mtp_normaliser += weight_sum(batch.multi_token.front());
  }
  StepReport report;
  if (normaliser <= 0) return report;  // nothing to learn from: no gradient
  PassStats stats;
  for (size_t i = 0; i < microbatches.size(); ++i) {
    run_microbatch(microbatches[i], i, normaliser, mtp_normaliser, options, report, stats);
  }
  report.expert_counts = std::move(stats.expert_counts);
  report.balance_loss = stats.balance_loss;
  return report;
}

StepReport Trainer::apply(StepReport report, const StepOptions& options) {
  Pass plain = pass();
  if (!std::isfinite(report.loss) || !std::isfinite(report.mtp_loss)) {
    optimizer_.clear_gradients();
    report.grad_norm = std::nan("");
    return report;
  }
  const StepResult result = optimizer_.step(plain, options.lr);
  report.grad_norm = result.grad_norm;
  report.applied = result.applied;
  if (result.applied && options.bias_update_speed > 0) balance(report, options.bias_update_speed);
  return report;
}

StepReport Trainer::step(const std::vector<Batch>& microbatches, const StepOptions& options) {
  return apply(accumulate(microbatches, options), options);
}

void Trainer::balance(const StepReport& report, double speed) {
  const std::vector<Experts*> layers = decoder_.expert_layers();
  for (size_t i = 0; i < layers.size() && i < report.expert_counts.size(); ++i) {
    if (!report.expert_counts[i].empty()) layers[i]->balance_bias(report.expert_counts[i], speed);
  }
}

EvalReport Trainer::evaluate(const std::vector<Batch>& batches) {
  EvalReport report;
  PassStats stats;
  double sum = 0, mtp_sum = 0, mtp_tokens = 0;
  for (const Batch& batch : batches) {
    Pass pass{kernels_, memory_, nullptr, nullptr, &stats};
    const MainStates states = decoder_.forward_states(pass, batch.ids, batch.layout);
    sum += mean_loss(target_logprobs(pass, states.hidden, decoder_.lm_head(), batch.targets),
                     batch.weights, 1);
    report.tokens += batch.weight_sum();
    if (batch.multi_token.empty() || decoder_.config().num_nextn_predict_layers == 0) continue;
    const MultiTokenTargets& rows = batch.multi_token.front();
    const Tensor ahead = decoder_.multi_token_forward(pass, states.multi_token, rows);
    mtp_sum +=
        mean_loss(target_logprobs(pass, ahead, decoder_.lm_head(), rows.targets), rows.weights, 1);
    mtp_tokens += weight_sum(rows);
  }
  report.loss = report.tokens > 0 ? sum / report.tokens : 0;
  report.mtp_loss = mtp_tokens > 0 ? mtp_sum / mtp_tokens : 0;
  report.expert_counts = std::move(stats.expert_counts);
  report.max_vio = mean_max_violation(report.expert_counts);
  return report;
}

std::vector<double> Trainer::logprobs(const Batch& batch) {
  Pass plain = pass();
  const Tensor hidden = decoder_.forward(plain, batch.ids, batch.layout);
  return target_logprobs(plain, hidden, decoder_.lm_head(), batch.targets);
}

double mean_max_violation(const std::vector<std::vector<int64_t>>& expert_counts) {
  if (expert_counts.empty()) return 0;
  double sum = 0;
  for (const std::vector<int64_t>& counts : expert_counts) sum += max_violation(counts);
  return sum / static_cast<double>(expert_counts.size());
}

}  // namespace fathom
