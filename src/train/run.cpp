#include "train/run.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/stop.h"
#include "checkpoint/training_state.h"
#include "io/fields.h"
#include "io/files.h"
#include "io/folder_claim.h"
#include "io/toml.h"
#include "report/metrics.h"
#include "train/run_inputs.h"
#include "train/run_report.h"

namespace fathom {
namespace {

constexpr int64_t kMostBadSteps = 10;  // in a row, after which a run gives up

int64_t rss_bytes() {
  int64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

// Refuses to continue a run under other settings than it began with.
void check_same_settings(const RunConfig& config, const std::string& checkpoint) {
  const std::string path = join_path(checkpoint, "run.toml");
  const Json before = parse_toml(read_file(path), path);
  const Json now = fields_to_json(config);
  const std::vector<std::string>& free = fields_free_on_resume();
  for (const auto& [key, value] : now.members()) {
    const Json* old = before.find(key);
    if (old == nullptr || *old == value || std::find(free.begin(), free.end(), key) != free.end())
      continue;
    fail(ErrorCode::kUsage, "resume: ", flag_name(key), " is ", value.dump(),
         " but the run began with ", old->dump(), " (", path,
         "). Use the same settings, or another --out");
  }
}

// Refuses what cannot fit before a table or a batch is made for it. Below the truth: weights,
// gradients and moments, and for each token of a microbatch what the layers keep at the very least.
void check_fits(const RunConfig& config, const RunInputs& inputs) {
  const ModelConfig& model = inputs.model;
  const ParameterCount count = count_parameters(model);
  const double weights = 16 * static_cast<double>(count.total + count.multi_token);
  const int64_t rows = (config.batch_rows + config.microbatches - 1) / config.microbatches;
  const double tokens = static_cast<double>(rows) * static_cast<double>(inputs.least_row_tokens);
  const double kept = config.recompute ? 1 : 10;  // vectors of hidden_size a layer
  const double batch =
      tokens * kept * 4 * static_cast<double>(model.hidden_size * model.num_hidden_layers);
  const auto machine = static_cast<double>(machine_memory_bytes());
  if (weights + batch <= machine) return;
  fail(ErrorCode::kMemory, "train: weights and optimiser take ", human_bytes(weights),
       " and a microbatch of ", rows, " rows at least ", human_bytes(batch), "; this machine has ",
       human_bytes(machine),
       batch > weights ? ". Lower --batch-rows, or raise --microbatches"
                       : ". Choose a smaller model");
}

// One run from its first step, or from its newest checkpoint, to its end.
class Run {
 public:
  Run(RunKind kind, const RunConfig& config, const KernelTable& kernels, Allocator& memory,
      const RunEvents& events)
      : kind_(kind),
        config_(config),
        kernels_(kernels),
        memory_(memory),
        events_(events),
        claim_(checked_folder(config), "run.lock") {
    const std::optional<Checkpoint> found = newest_checkpoint(config.out);
    if (found && config.resume == "never") {
      fail(ErrorCode::kUsage, "--resume never: ", config.out, " already holds ", found->folder,
           "; choose another --out");
    }
    if (found) check_same_settings(config, found->folder);
    if (found && found->step > config.steps) {
      fail(ErrorCode::kUsage, "--steps is ", config.steps, " but ", config.out, " is at step ",
           found->step, " already");
    }
    inputs_ = std::make_unique<RunInputs>(read_inputs(kind, config, found ? found->folder : ""));
    check_fits(config, *inputs_);
    make_model(found);
    metrics_ = std::make_unique<MetricsWriter>(join_path(config.out, "metrics.jsonl"), step_);
    claim_.keep();
    announce(found.has_value());
  }

  RunResult run() {
    RunResult result;
    double last_val = std::nan("");
    while (step_ < config_.steps && !stop_requested()) {
      train_step();
      const bool last = step_ == config_.steps;
      if (last || (config_.eval_every > 0 && step_ % config_.eval_every == 0))
        last_val = validate();
      // Weights that gave no finite loss would push the good checkpoints out.
      if (last || (bad_steps_ == 0 && config_.save_every > 0 && step_ % config_.save_every == 0))
        save();
    }
    if (step_ < config_.steps) {
      if (saved_step_ != step_) save();
      result.stopped = true;
      result.stop_signal = stop_signal();
      events_(Json::object({{"event", "stopped"}, {"step", step_}, {"folder", config_.out}}));
    } else if (std::isnan(last_val)) {
      last_val = validate();  // a finished run that was started again
    }
    write_report();
    result.summary = summary(last_val);
    events_(result.summary);
    return result;
  }

 private:
  static std::string checked_folder(const RunConfig& config) {
    check_run_folder(config.out);
    return config.out;
  }

  void make_model(const std::optional<Checkpoint>& found) {
    decoder_ = std::make_unique<Decoder>(inputs_->model);
    decoder_->allocate(memory_);
    trainer_ = std::make_unique<Trainer>(kernels_, memory_, *decoder_, adamw_of(config_));
    decoder_->set_recompute(config_.recompute);
    if (found) {
      Pass pass = trainer_->pass();
      const Json state = load_checkpoint(pass, found->folder, *decoder_, trainer_->optimizer());
      step_ = saved_step_ = found->step;
      tokens_ = state.int_at("tokens");
      seconds_before_ = state.double_at("seconds");
      check_same_data(state, found->folder);
    } else if (!config_.init.empty()) {
      const LoadedModel start = load_model(config_.init, memory_, WeightsFor::kTraining);
      copy_weights(*start.decoder);
    } else {
      decoder_->initialize(config_.seed);
    }
  }

  // A file that changed under the same name would give other batches without a word.
  void check_same_data(const Json& state, const std::string& folder) const {
    const Json now = inputs_->train->identity();
    const Json* before = state.find("data");
    if (before == nullptr || *before == now) return;
    for (const auto& [key, value] : now.members()) {
      const Json* old = before->find(key);
      if (old != nullptr && *old == value) continue;
      fail(ErrorCode::kUsage, "resume: the data changed: ", key, " is ", value.dump(), " but was ",
           old ? old->dump() : "absent", " when ", folder,
           " was saved. Use the same data, or another --out with --init ", config_.out);
    }
  }

  // From a model of the same shape; its multi-token head may be absent, then ours starts at random.
  void copy_weights(Decoder& from) {
    decoder_->initialize(config_.seed);
    std::map<std::string, Parameter*> theirs;
    for (Parameter* p : from.parameters()) theirs[p->name] = p;
    for (Parameter* p : decoder_->parameters()) {
      const auto found = theirs.find(p->name);
      if (found == theirs.end()) continue;
      std::copy_n(found->second->value.data<float>(), p->declared.elements(),
                  p->value.mutable_data<float>());
    }
  }

  void announce(bool resumed) {
    const ParameterCount count = count_parameters(inputs_->model);
    Json event = Json::object(
        {{"event", resumed ? "resume" : "start"}, {"step", step_}, {"steps", config_.steps}});
    event["parameters"] = Json::object(
        {{"total", count.total}, {"active", count.active}, {"multi_token", count.multi_token}});
    event["train_tokens"] = inputs_->train_tokens;
    event["validation_tokens"] = inputs_->validation_tokens;
    event["vocab_size"] = inputs_->model.vocab_size;
    event["tokens_per_step"] = config_.batch_rows * inputs_->row_tokens;
    events_(event);
  }

  StepOptions step_options() const {
    StepOptions options;
    options.lr = learning_rate(schedule_of(config_), step_, config_.steps);
    options.mtp_weight = inputs_->model.num_nextn_predict_layers > 0 ? config_.mtp_weight : 0;
    options.bias_update_speed = config_.bias_update_speed;
    if (const Recipe* recipe = find_recipe(config_.schedule)) {
      const double progress = static_cast<double>(step_) / static_cast<double>(config_.steps);
      options.mtp_weight *= recipe->mtp_course.at(progress);
      options.bias_update_speed *= recipe->bias_course.at(progress);
    }
    return options;
  }

  void train_step() {
    const Timer timer;
    std::vector<Batch> microbatches;
    for (int64_t part = 0; part < config_.microbatches; ++part) {
      Batch batch = inputs_->train->batch(step_, {part, config_.microbatches});
      if (batch.tokens() > 0) microbatches.push_back(std::move(batch));
    }
    const StepOptions options = step_options();
    const StepReport report = trainer_->step(microbatches, options);
    ++step_;
    tokens_ += report.tokens;
    tokens_here_ += report.tokens;
    train_seconds_ += timer.seconds();
    if (++steps_here_ == 2) reserve_memory(microbatches);
    watch_for_breakdown(report);
    if (report.applied) train_loss_ = report.loss;
    if (step_ % config_.log_every == 0 || step_ == config_.steps) log_step(report, options.lr);
  }

  // After the second step (the first one also takes gradients and moments, which stay): memory for
  // the run's largest step, so that it does not grow from batch to batch, and an eighth more for
  // the holes that tensors of other lengths leave. No more than half of the machine: the rest,
  // should a step need it, is taken then.
  void reserve_memory(const std::vector<Batch>& microbatches) {
    int64_t tokens = 0;
    for (const Batch& batch : microbatches) tokens = std::max(tokens, batch.tokens());
    const int64_t most = inputs_->train->most_tokens(config_.steps, config_.microbatches);
    if (tokens == 0 || most <= tokens) return;
    const auto kept = static_cast<double>(memory_.in_use());
    const double passing = static_cast<double>(memory_.peak()) - kept;
    const double largest = passing * static_cast<double>(most) / static_cast<double>(tokens);
    const double wanted = kept + 1.125 * largest;
    const double half = static_cast<double>(machine_memory_bytes()) / 2;
    memory_.reserve(static_cast<size_t>(std::min(wanted, half)));
  }

  void watch_for_breakdown(const StepReport& report) {
    if (report.applied) {
      bad_steps_ = 0;
      return;
    }
    ++bad_steps_;
    const std::string what = std::isfinite(report.loss)
                                 ? concat("the gradient of the loss ", report.loss)
                                 : concat("the loss, ", report.loss, ",");
    warn(concat("step ", step_, ": ", what, " is not finite; the step is skipped (", bad_steps_,
                " in a row)"));
    if (bad_steps_ >= kMostBadSteps) {
      fail(ErrorCode::kRuntime, "train: ", kMostBadSteps,
           " steps in a row had no finite loss and gradient; stopped at step ", step_,
           ". Lower --lr, or look at the data; ",
           saved_step_ > 0 ? concat("the checkpoints in ", config_.out, " are intact")
                           : "nothing was saved yet");
    }
  }

  void log_step(const StepReport& report, double lr) {
    Json row = Json::object({{"step", step_}, {"tokens", tokens_}, {"lr", lr}});
    if (std::isfinite(report.loss)) row["loss"] = report.loss;
    if (std::isfinite(report.grad_norm)) row["grad_norm"] = report.grad_norm;
    if (report.mtp_loss > 0) row["mtp_loss"] = report.mtp_loss;
    if (!report.expert_counts.empty()) {
      row["max_vio"] = mean_max_violation(report.expert_counts);
      row["balance_loss"] = report.balance_loss;
      Json load = Json::array();
      for (const std::vector<int64_t>& counts : report.expert_counts) load.push_back(Json(counts));
      row["expert_load"] = load;
    }
    row["tokens_per_s"] = static_cast<double>(tokens_here_) / train_seconds_;
    row["seconds"] = seconds_before_ + timer_.seconds();
    row["rss_mb"] = static_cast<double>(rss_bytes()) / 1e6;
    record("step", row);
  }

  void warn(const std::string& message) {
    events_(Json::object({{"event", "warning"}, {"step", step_}, {"message", message}}));
  }

  // What `write` leaves is for people to read; without it (a full disk) the run goes on.
  template <class Write>
  void try_to(const char* what, Write&& write) {
    try {
      write();
    } catch (const Error& error) {
      warn(concat(what, " not written: ", error.what()));
    }
  }

  void record(const char* kind, const Json& row) {
    try_to("metrics", [&] { metrics_->write(row); });
    Json event = Json::object({{"event", kind}, {"steps", config_.steps}});
    const Json finite = finite_members(row);
    for (const auto& [key, value] : finite.members()) event[key] = value;
    events_(event);
  }

  void write_report() {
    try_to("report.html", [&] { write_run_report(kind_, config_.out, config_, inputs_->model); });
  }

  double validate() {
    if (inputs_->validation.empty()) return std::nan("");
    const EvalReport report = trainer_->evaluate(inputs_->validation);
    Json row = Json::object({{"step", step_}, {"val_loss", report.loss}});
    if (!report.expert_counts.empty()) row["val_max_vio"] = report.max_vio;
    record("eval", row);
    write_report();
    if (step_ == config_.steps && !std::isfinite(report.loss)) {
      fail(ErrorCode::kRuntime, "train: the validation loss after the last step is ", report.loss,
           "; nothing was saved. Lower --lr; earlier checkpoints in ", config_.out, " are intact");
    }
    return report.loss;
  }

  void save() {
    CheckpointContents contents;
    contents.decoder = decoder_.get();
    contents.tokenizer = &inputs_->tokenizer;
    contents.optimizer = &trainer_->optimizer();
    contents.state = Json::object({{"tokens", tokens_},
                                   {"seconds", seconds_before_ + timer_.seconds()},
                                   {"data", inputs_->train->identity()}});
    contents.run_toml = dump_toml(fields_to_json(config_));
    contents.card = run_card(kind_, config_, inputs_->model, step_, train_loss_);
    try {
      save_checkpoint(config_.out, step_, contents, config_.keep);
      saved_step_ = step_;
      events_(Json::object(
          {{"event", "save"},
           {"step", step_},
           {"folder", join_path(join_path(config_.out, "checkpoints"), checkpoint_name(step_))}}));
    } catch (const Error& error) {
      // The run goes on: the earlier checkpoints stand, and space may come back before the next
      // save.
      warn(concat("checkpoint not saved: ", error.what()));
      if (step_ == config_.steps || stop_requested()) throw;
    }
  }

  Json summary(double val_loss) const {
    Json json = Json::object({{"event", "summary"}, {"steps", step_}, {"tokens", tokens_}});
    json["train_loss"] = std::isfinite(train_loss_) ? Json(train_loss_) : Json();
    json["val_loss"] = std::isfinite(val_loss) ? Json(val_loss) : Json();
    json["wall_s"] = timer_.seconds();
    json["train_s"] = train_seconds_;
    json["tokens_per_s"] =
        train_seconds_ > 0 ? static_cast<double>(tokens_here_) / train_seconds_ : 0.0;
    json["peak_rss_mb"] = static_cast<double>(peak_rss_bytes()) / 1e6;
    json["folder"] = config_.out;
    return json;
  }

  RunKind kind_;
  RunConfig config_;
  const KernelTable& kernels_;
  Allocator& memory_;
  const RunEvents& events_;
  FolderClaim claim_;
  std::unique_ptr<RunInputs> inputs_;
  std::unique_ptr<Decoder> decoder_;
  std::unique_ptr<Trainer> trainer_;
  std::unique_ptr<MetricsWriter> metrics_;
  Timer timer_;
  int64_t step_ = 0, saved_step_ = -1, tokens_ = 0, tokens_here_ = 0, steps_here_ = 0,
          bad_steps_ = 0;
  double seconds_before_ = 0, train_seconds_ = 0, train_loss_ = std::nan("");
};

}  // namespace

int64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

RunResult run_training(RunKind kind, const RunConfig& config, const KernelTable& kernels,
                       Allocator& memory, const RunEvents& events) {
  check_run_config(config);
  return Run(kind, config, kernels, memory, events).run();
}

Json plan_run(RunKind kind, const RunConfig& config, const KernelTable& kernels, Allocator& memory,
              bool measure) {
  check_run_config(config);
  RunInputs inputs = read_inputs(kind, config, "");
  const ParameterCount count = count_parameters(inputs.model);
  const auto weights = static_cast<double>(count.total + count.multi_token);
  check_fits(config, inputs);
  const int64_t tokens = config.batch_rows * inputs.row_tokens;
  Json plan = Json::object(
      {{"event", "plan"}, {"preset", config.preset}, {"model_type", inputs.model.model_type}});
  plan["parameters"] = Json::object(
      {{"total", count.total}, {"active", count.active}, {"multi_token", count.multi_token}});
  plan["vocab_size"] = inputs.model.vocab_size;
  plan["row_tokens"] = inputs.row_tokens;
  plan["tokens_per_step"] = tokens;
  plan["train_tokens"] = inputs.train_tokens;
  plan["validation_tokens"] = inputs.validation_tokens;
  plan["passes_over_data"] = static_cast<double>(config.steps) * static_cast<double>(tokens) /
                             static_cast<double>(inputs.train_tokens);
  const double flops = 3 * (forward_flops(inputs.model) + multi_token_flops(inputs.model));
  plan["flops_per_token"] = flops;
  plan["weights_and_optimizer_bytes"] = 16 * weights;  // f32 value, gradient and two moments
  if (!measure) return plan;

  Decoder decoder(inputs.model);
  decoder.allocate(memory);
  decoder.initialize(config.seed);
  decoder.set_recompute(config.recompute);
  Trainer trainer(kernels, memory, decoder, adamw_of(config));
  StepOptions options;
  options.mtp_weight = inputs.model.num_nextn_predict_layers > 0 ? config.mtp_weight : 0;
  double seconds = 1e30;
  for (int64_t i = 0; i < 3; ++i) {  // the first one also touches fresh memory
    std::vector<Batch> parts;
    for (int64_t p = 0; p < config.microbatches; ++p)
      parts.push_back(inputs.train->batch(i, {p, config.microbatches}));
    const Timer timer;
    trainer.step(parts, options);
    seconds = std::min(seconds, timer.seconds());
  }
  plan["peak_memory_bytes"] = static_cast<int64_t>(memory.peak());
  plan["seconds_per_step"] = seconds;
  plan["tokens_per_s"] = static_cast<double>(tokens) / seconds;
  plan["expected_s"] = seconds * static_cast<double>(config.steps);
  return plan;
}

}  // namespace fathom
