#include "align/grpo.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "base/clock.h"
#include "data/packing.h"
#include "eval/exam.h"

namespace fathom {
namespace {

// Largest gap between the sampler's and the trainer's log-probabilities in f32, nats: mean and
// maximum over a step. The absorbed form of MLA rounds differently from the expanded one.
struct GapBound {
  double mean, max;
};
GapBound gap_bound(const ModelConfig& config) {
  return config.mla() ? GapBound{1e-4, 1e-2} : GapBound{1e-5, 1e-3};
}

constexpr int64_t kMostAnswers = 1'000'000;  // of a step, and problems of a task
constexpr int64_t kMostSteps = 99'999'999;   // folders of checkpoints have eight digits

int64_t parse_count(const std::string& text, const std::string& whole) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value <= 0 ||
      value > kMostAnswers) {
    fail(ErrorCode::kUsage, "--tasks ", whole,
         ": expected TASK=COUNT or TASK:SIZE=COUNT, such as modsum=64 or modsum:8=64");
  }
  return value;
}

double normaliser_of(const Rollout& rollout, LossNorm norm, int64_t max_tokens) {
  if (norm == LossNorm::kSeq) return static_cast<double>(rollout.answers.size());
  if (norm == LossNorm::kConst)
    return static_cast<double>(rollout.answers.size()) * static_cast<double>(max_tokens);
  double tokens = 0;
  for (const Rollout::Answer& answer : rollout.answers)
    tokens += static_cast<double>(answer.ids.size());
  return tokens;
}

}  // namespace

void check_grpo_config(const GrpoConfig& c) {
  const auto at_least = [](const char* flag, double value, double low) {
    if (!(value >= low))
      fail(ErrorCode::kUsage, flag, " is ", value, "; expected ", low, " or more");
    if (std::isinf(value))
      fail(ErrorCode::kUsage, flag, " is ", value, "; expected a finite number");
  };
  const auto at_most = [](const char* flag, int64_t value, int64_t high) {
    if (value > high) fail(ErrorCode::kUsage, flag, " is ", value, "; expected at most ", high);
  };
  at_least("--group-size", static_cast<double>(c.group_size), 2);
  at_least("--steps", static_cast<double>(c.steps), 1);
  at_least("--max-tokens", static_cast<double>(c.max_tokens), 1);
  at_least("--microbatch-tokens", static_cast<double>(c.microbatch_tokens), 1);
  at_most("--group-size", c.group_size, kMostAnswers);
  at_most("--steps", c.steps, kMostSteps);
  at_least("--warmup-steps", static_cast<double>(c.warmup_steps), 0);
  at_least("--weight-decay", c.weight_decay, 0);
  at_least("--clip-norm", c.clip_norm, 0);
  at_least("--mtp-weight", c.mtp_weight, 0);
  at_least("--kl-beta", c.kl_beta, 0);
  at_least("--overlong-cache", static_cast<double>(c.overlong_cache), 0);
  at_least("--bias-update-speed", c.bias_update_speed, 0);
  at_least("--lr", c.lr, 0);
  at_least("--clip-low", c.clip_low, 0);
  at_least("--clip-high", c.clip_high, 0);
  if (!(c.temperature > 0) || std::isinf(c.temperature))
    fail(ErrorCode::kUsage, "--temperature is ", c.temperature, "; sampling needs more than 0");
  parse_loss_norm(c.loss_norm);
  parse_adv_scale(c.adv_scale);
  parse_kl(c.kl);
  parse_overlong(c.overlong);
  find_reward(c.reward);
}

std::vector<Grpo::Task> Grpo::parse_tasks(const std::vector<std::string>& texts) {
  std::vector<Task> tasks;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    Task task;
    task.count = equals == std::string::npos ? 64 : parse_count(text.substr(equals + 1), text);
    std::string name = text.substr(0, equals);
    if (const size_t colon = name.find(':'); colon != std::string::npos) {
      task.config.size = static_cast<int32_t>(parse_count(name.substr(colon + 1), text));
      name = name.substr(0, colon);
    }
    task.config.task = name;
    task.config = checked_task(task.config);
    tasks.push_back(task);
  }
  if (tasks.empty())
    fail(ErrorCode::kUsage, "--tasks is missing; give at least one, such as modsum=64");
  return tasks;
}

Grpo::Grpo(const KernelTable& kernels, Allocator& memory, Decoder& decoder,
           const Tokenizer& tokenizer, const GrpoConfig& config)
    : kernels_(kernels),
      memory_(memory),
      decoder_(decoder),
      tokenizer_(tokenizer),
      config_((check_grpo_config(config), config)),
      tasks_(parse_tasks(config.tasks)),
      reward_(find_reward(config.reward)),
      trainer_(kernels, memory, decoder,
               {0.9, 0.95, config.eps, config.weight_decay, config.clip_norm}) {
  int64_t problems = 0;
  for (const Task& task : tasks_) problems += task.count;
  if (problems > kMostAnswers / config.group_size) {
    fail(ErrorCode::kUsage, "--tasks ask for ", problems, " problems a step and --group-size for ",
         config.group_size, " answers to each; expected at most ", kMostAnswers, " answers");
  }
  if (parse_kl(config.kl) == KlKind::kNone) return;
  reference_ = std::make_unique<Decoder>(decoder.config());
  reference_->allocate(memory);
  const ParameterList from = decoder.parameters(), to = reference_->parameters();
  for (size_t i = 0; i < from.size(); ++i) {
    std::copy_n(from[i]->value.data<float>(), from[i]->declared.elements(),
                to[i]->value.mutable_data<float>());
  }
}

std::vector<Problem> Grpo::problems_of(int64_t number) const {
  std::vector<Problem> problems;
  for (size_t t = 0; t < tasks_.size(); ++t) {
    const RandomKey key{config_.seed, Purpose::kData, 0, t};
    for (int64_t i = 0; i < tasks_[t].count; ++i) {
      const auto index = static_cast<uint64_t>(number * tasks_[t].count + i);
      problems.push_back(make_problem(tasks_[t].config, Split::kReinforcement, key, index));
    }
  }
  return problems;
}

Rollout Grpo::sample(int64_t number) {
  Rollout rollout;
  rollout.problems = problems_of(number);
  std::vector<Request> requests;
  size_t longest = 0;
  for (size_t i = 0; i < rollout.problems.size(); ++i) {
    rollout.prompts.push_back(problem_prompt_ids(tokenizer_, rollout.problems[i], false));
    longest = std::max(longest, rollout.prompts.back().size());
    Request request;
    request.prompt = rollout.prompts.back();
    request.samples = config_.group_size;
    request.max_tokens = config_.max_tokens;
    request.sampling.temperature = config_.temperature;
    const RandomKey key{config_.seed, Purpose::kSampling, static_cast<uint64_t>(number), i};
    request.sampling.seed = key.bits(0);
    request.stop_ids = {
        tokenizer_.require(tokenizer_.control().eos, kEosToken, "reinforcement learning")};
    requests.push_back(std::move(request));
  }
  const auto needed = static_cast<int64_t>(longest) + config_.max_tokens;
  if (engine_ == nullptr || engine_->context_tokens() < needed) {
    EngineConfig engine;
    engine.max_sequences = static_cast<int64_t>(rollout.problems.size()) * config_.group_size;
    engine.max_tokens_per_sequence =
        std::min(decoder_.config().max_position_embeddings, needed + needed / 4);
    engine.max_prefill_tokens = 1 << 20;
    engine_ = std::make_unique<Engine>(kernels_, memory_, decoder_, engine);
  }
  for (std::vector<Completion>& group : generate(*engine_, std::move(requests))) {
    for (Completion& completion : group) {
      if (completion.finish == FinishReason::kNumericalError) {
        rollout.answers.clear();
        rollout.finite = false;
        return rollout;
      }
      rollout.answers.push_back({std::move(completion.ids), std::move(completion.logprobs),
                                 std::move(completion.routed), completion.finish});
    }
  }
  return rollout;
}

void Grpo::reward(int64_t number, Rollout& rollout) const {
  const RandomKey key{config_.seed, Purpose::kReward, static_cast<uint64_t>(number)};
  const Overlong overlong = parse_overlong(config_.overlong);
  std::vector<double> rewards;
  for (size_t i = 0; i < rollout.answers.size(); ++i) {
    Rollout::Answer& answer = rollout.answers[i];
    const Problem& problem = rollout.problems[i / static_cast<size_t>(config_.group_size)];
    const RewardInput input{tokenizer_, problem, answer.ids, answer.finish, key, i};
    answer.reward = reward_(input);
    if (overlong == Overlong::kPenalty) {
      answer.reward += overlong_penalty(static_cast<int64_t>(answer.ids.size()), config_.max_tokens,
                                        config_.overlong_cache);
    }
    answer.right = accuracy_reward(input) == 1;
    answer.reasons = answer_reasons(tokenizer_, answer.ids, false);
    rewards.push_back(answer.reward);
  }
  const std::vector<double> advantage =
      advantages(rewards, config_.group_size, parse_adv_scale(config_.adv_scale));
  for (size_t i = 0; i < rewards.size(); ++i) rollout.answers[i].advantage = advantage[i];
}

// Answers without advantage teach nothing and are left out of the backward pass; they stay in the
// normaliser, so that the gradient is the same as if they had been in. With a KL term they teach,
// and stay.
std::vector<Grpo::PolicyBatch> Grpo::make_batches(const Rollout& rollout) const {
  const LossNorm norm = parse_loss_norm(config_.loss_norm);
  const double normaliser = normaliser_of(rollout, norm, config_.max_tokens);
  const bool with_kl = reference_ != nullptr,
             mask = parse_overlong(config_.overlong) == Overlong::kMask;
  std::vector<PolicyBatch> batches;
  BatchBuilder builder({decoder_.config().num_nextn_predict_layers});
  PolicyBatch current;
  const auto flush = [&] {
    if (current.rows.weight.empty()) return;
    current.batch = builder.finish();
    current.routes.replay = true;
    batches.push_back(std::move(current));
    current = {};
  };
  for (size_t i = 0; i < rollout.answers.size(); ++i) {
    const Rollout::Answer& answer = rollout.answers[i];
    if (answer.ids.empty() || (answer.advantage == 0 && !with_kl)) continue;
    if (mask && answer.finish == FinishReason::kLength) continue;
    const std::vector<int32_t>& prompt =
        rollout.prompts[i / static_cast<size_t>(config_.group_size)];
    std::vector<int32_t> ids = prompt;
    ids.insert(ids.end(), answer.ids.begin(), answer.ids.end());
    if (static_cast<int64_t>(current.rows.weight.size() + ids.size()) > config_.microbatch_tokens)
      flush();
    std::vector<float> weights(prompt.size(), 0.0f);
    weights.resize(ids.size(), 1.0f);
    builder.add(ids, weights, static_cast<int64_t>(ids.size()));
    add_routes(answer, prompt.size(), current.routes);
    const double share = norm == LossNorm::kSeq ? 1 / static_cast<double>(answer.ids.size()) : 1;
    for (size_t row = 0; row + 1 < ids.size(); ++row) {  // row r predicts id r + 1
      const bool counts = row + 1 >= prompt.size();
      current.rows.weight.push_back(counts ? share / normaliser : 0);
      current.rows.advantage.push_back(answer.advantage);
      current.rows.sampler_logprob.push_back(counts ? answer.logprobs[row + 1 - prompt.size()] : 0);
    }
  }
  flush();
  return batches;
}

// The rows of one answer: prompt rows choose for themselves (the sampler computed them in the
// training form), the others follow.
void Grpo::add_routes(const Rollout::Answer& answer, size_t prompt_tokens, RouteLog& routes) const {
  const ModelConfig& config = decoder_.config();
  const auto layers = static_cast<size_t>(config.expert_layers() - config.num_nextn_predict_layers);
  if (config.n_routed_experts == 0 || layers == 0) return;
  const auto k = static_cast<size_t>(config.num_experts_per_tok);
  const size_t fed = answer.ids.size() - 1;  // the last id was not
  FATHOM_CHECK(answer.routed.size() == fed * layers * k, "grpo: ", answer.routed.size(),
               " routes for an answer of ", answer.ids.size(), " tokens, ", layers,
               " expert layers of ", k);
  routes.expert.resize(layers);
  for (size_t layer = 0; layer < layers; ++layer) {
    std::vector<int32_t>& rows = routes.expert[layer];
    rows.insert(rows.end(), prompt_tokens * k, -1);
    for (size_t token = 0; token < fed; ++token) {
      const auto first =
          answer.routed.begin() + static_cast<std::ptrdiff_t>((token * layers + layer) * k);
      rows.insert(rows.end(), first, first + static_cast<std::ptrdiff_t>(k));
    }
  }
}

void Grpo::add_reference(std::vector<PolicyBatch>& batches) {
  for (PolicyBatch& b : batches) {
    Pass pass{kernels_, memory_};
    const Tensor hidden = reference_->forward(pass, b.batch.ids, b.batch.layout);
    b.rows.reference_logprob =
        target_logprobs(pass, hidden, reference_->lm_head(), b.batch.targets);
  }
}

StepReport Grpo::accumulate(std::vector<PolicyBatch>& batches, PolicyStats& stats) {
  const PolicyLossConfig loss{parse_loss_norm(config_.loss_norm), config_.clip_low,
                              config_.clip_high, parse_kl(config_.kl), config_.kl_beta};
  std::vector<Batch> plain;
  for (PolicyBatch& b : batches) plain.push_back(std::move(b.batch));
  StepOptions options = step_options(0);
  options.objective = [&](size_t i) { return policy_objective(batches[i].rows, loss, stats); };
  options.routes = [&](size_t i) { return &batches[i].routes; };
  return trainer_.accumulate(plain, options);
}

StepOptions Grpo::step_options(int64_t number) const {
  StepOptions options;
  const bool warming = number < config_.warmup_steps;
  options.lr = warming ? config_.lr * static_cast<double>(number + 1) /
                             static_cast<double>(config_.warmup_steps)
                       : config_.lr;
  options.mtp_weight = decoder_.config().num_nextn_predict_layers > 0 ? config_.mtp_weight : 0;
  options.mtp_detached = true;
  options.bias_update_speed = config_.bias_update_speed;
  return options;
}

GrpoReport Grpo::describe(const Rollout& rollout) const {
  GrpoReport report;
  const auto answers = static_cast<double>(rollout.answers.size());
  std::vector<std::pair<std::string, std::pair<double, double>>> by_task;
  double squares = 0, logprob = 0, tokens = 0;
  for (size_t i = 0; i < rollout.answers.size(); ++i) {
    const Rollout::Answer& a = rollout.answers[i];
    report.reward_mean += a.reward / answers;
    squares += a.reward * a.reward / answers;
    report.accuracy += (a.right ? 1 : 0) / answers;
    report.reasoning_share += (a.reasons ? 1 : 0) / answers;
    report.truncated += (a.finish == FinishReason::kLength ? 1 : 0) / answers;
    tokens += static_cast<double>(a.ids.size());
    logprob += std::accumulate(a.logprobs.begin(), a.logprobs.end(), 0.0);
    const std::string& task = rollout.problems[i / static_cast<size_t>(config_.group_size)].task;
    if (by_task.empty() || by_task.back().first != task) by_task.push_back({task, {0, 0}});
    by_task.back().second.first += a.right ? 1 : 0;
    by_task.back().second.second += 1;
  }
  report.reward_std = std::sqrt(std::max(0.0, squares - report.reward_mean * report.reward_mean));
  report.mean_tokens = tokens / answers;
  report.rollout_tokens = static_cast<int64_t>(tokens);
  report.entropy = tokens > 0 ? -logprob / tokens : 0;
  for (const auto& [task, counts] : by_task)
    report.task_accuracy.emplace_back(task, counts.first / counts.second);
  const auto group = static_cast<size_t>(config_.group_size);
  const double groups = answers / static_cast<double>(group);
  for (size_t begin = 0; begin < rollout.answers.size(); begin += group) {
    int64_t right = 0;
    for (size_t i = begin; i < begin + group; ++i) right += rollout.answers[i].right ? 1 : 0;
    report.all_right += (right == config_.group_size ? 1 : 0) / groups;
    report.all_wrong += (right == 0 ? 1 : 0) / groups;
  }
  return report;
}

void Grpo::check_gap(const GrpoReport& report) const {
  const GapBound bound = gap_bound(decoder_.config());
  if (report.gap_mean <= bound.mean && report.gap_max <= bound.max) return;
  fail(ErrorCode::kRuntime, "grpo: sampler and trainer disagree: log-probabilities differ by ",
       report.gap_mean, " nats on average and ", report.gap_max, " at most; expected at most ",
       bound.mean, " and ", bound.max,
       ". Rewards would push the wrong tokens. Try another --isa and report the machine");
}

GrpoReport Grpo::step(int64_t number) {
  Timer timer;
  rollout_ = sample(number);
  const double sampled = timer.seconds();
  if (!rollout_.finite) {
    engine_->reset_stats();
    GrpoReport report;
    report.fault = "the sampler's logits are not finite";
    report.grad_norm = std::nan("");
    return report;
  }
  reward(number, rollout_);
  GrpoReport report = describe(rollout_);
  report.rollout_s = sampled;
  report.reward_s = timer.seconds() - sampled;
  report.prompt_tokens = engine_->stats().prompt_tokens;
  engine_->reset_stats();

  std::vector<PolicyBatch> batches = make_batches(rollout_);
  if (batches.empty()) return report;  // every group agreed: nothing to learn
  if (reference_ != nullptr) add_reference(batches);
  PolicyStats stats;
  const StepReport done = trainer_.apply(accumulate(batches, stats), step_options(number));
  report.train_s = timer.seconds() - sampled - report.reward_s;
  report.applied = done.applied;
  report.grad_norm = done.grad_norm;
  report.mtp_loss = done.mtp_loss;
  report.max_vio = mean_max_violation(done.expert_counts);
  report.expert_counts = done.expert_counts;
  report.trained_tokens = done.tokens;
  const double tokens = std::max(1.0, stats.tokens);
  report.kl = stats.kl / tokens;
  report.clipped_low = stats.clipped_low / tokens;
  report.clipped_high = stats.clipped_high / tokens;
  report.ratio_max = stats.ratio_max;
  report.gap_mean = stats.gap / tokens;
  report.gap_max = stats.gap_max;
  if (!std::isfinite(report.grad_norm)) {
    report.fault = "the loss or its gradient is not finite";
    return report;
  }
  check_gap(report);
  return report;
}

}  // namespace fathom
