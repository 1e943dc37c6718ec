#include "align/grpo_run.h"

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "base/stop.h"
#include "checkpoint/training_state.h"
#include "io/fields.h"
#include "io/files.h"
#include "io/folder_claim.h"
#include "io/toml.h"
#include "report/html.h"
#include "report/metrics.h"

namespace fathom {
namespace {

const std::vector<std::string> kFreeOnResume = {
    "out",        "init",       "steps", "exam_problems",
    "exam_every", "save_every", "keep",  "microbatch_tokens",
    "resume"};

constexpr int64_t kMostBadSteps = 10;  // in a row

void check_same_settings(const GrpoRunConfig& config, const std::string& checkpoint) {
  const std::string path = join_path(checkpoint, "run.toml");
  const Json before = parse_toml(read_file(path), path);
  const Json now = fields_to_json(config);
  for (const auto& [key, value] : now.members()) {
    const Json* old = before.find(key);
    const bool free =
        std::find(kFreeOnResume.begin(), kFreeOnResume.end(), key) != kFreeOnResume.end();
    if (old == nullptr || *old == value || free) continue;
    fail(ErrorCode::kUsage, "resume: ", flag_name(key), " is ", value.dump(),
         " but the run began with ", old->dump(), " (", path,
         "). Use the same settings, or another --out");
  }
}

class GrpoRun {
 public:
  GrpoRun(const GrpoRunConfig& config, const KernelTable& kernels, Allocator& memory,
          const RunEvents& events)
      : config_(config),
        kernels_(kernels),
        memory_(memory),
        events_(events),
        claim_(checked_folder(config), "run.lock") {
    const std::optional<Checkpoint> found = newest_checkpoint(config.out);
    if (found) check_resume(config, *found);
    model_ = std::make_unique<LoadedModel>(
        load_model(found && parse_kl(config.grpo.kl) == KlKind::kNone ? found->folder : config.init,
                   memory, WeightsFor::kTraining));
    grpo_ = std::make_unique<Grpo>(kernels, memory, *model_->decoder, model_->require_tokenizer(),
                                   config.grpo);
    if (found) restore(*found);
    metrics_ = std::make_unique<MetricsWriter>(join_path(config.out, "metrics.jsonl"), step_);
    claim_.keep();
    events_(Json::object(
        {{"event", found ? "resume" : "start"}, {"step", step_}, {"steps", config.grpo.steps}}));
  }

  RunResult run() {
    RunResult result;
    if (before_.is_null()) before_ = exam("exam_before");
    while (step_ < config_.grpo.steps && !stop_requested()) {
      const GrpoReport report = grpo_->step(step_);
      ++step_;
      watch_for_breakdown(report);
      if (report.rollout_tokens > 0) record(report);
      if (config_.exam_every > 0 && step_ % config_.exam_every == 0) exam("exam");
      // Weights that break steps would push the good checkpoints out.
      if (bad_steps_ == 0 && config_.save_every > 0 && step_ % config_.save_every == 0 &&
          step_ < config_.grpo.steps)
        save();
    }
    result.summary = Json::object({{"event", "summary"}, {"steps", step_}, {"before", before_}});
    if (step_ < config_.grpo.steps) {
      result.stopped = true;
      result.stop_signal = stop_signal();
      events_(Json::object({{"event", "stopped"}, {"step", step_}, {"folder", config_.out}}));
    } else {
      if (bad_steps_ > 0) give_up();
      result.summary["after"] = exam("exam_after");
    }
    save();
    try_to("report.html", [&] { write_report(result.summary); });
    result.summary["wall_s"] = timer_.seconds();
    result.summary["folder"] = config_.out;
    events_(result.summary);
    return result;
  }

 private:
  static std::string checked_folder(const GrpoRunConfig& config) {
    if (config.init.empty())
      fail(ErrorCode::kUsage, "--init is missing; give the model folder to start from");
    if (config.out.empty())
      fail(ErrorCode::kUsage, "--out is missing; give a folder for checkpoints and metrics");
    check_grpo_config(config.grpo);
    const auto at_least = [](const char* name, int64_t value, int64_t low) {
      if (value < low)
        fail(ErrorCode::kUsage, flag_name(name), " is ", value, "; expected ", low, " or more");
    };
    at_least("exam_problems", config.exam_problems, 1);
    at_least("exam_every", config.exam_every, 0);
    at_least("save_every", config.save_every, 0);
    at_least("keep", config.keep, 0);
    if (config.resume != "auto" && config.resume != "never")
      fail(ErrorCode::kUsage, "--resume is '", config.resume, "'; expected auto or never");
    check_run_folder(config.out);
    return config.out;
  }

  static void check_resume(const GrpoRunConfig& config, const Checkpoint& found) {
    if (config.resume == "never") {
      fail(ErrorCode::kUsage, "--resume never: ", config.out, " already holds ", found.folder,
           "; choose another --out");
    }
    check_same_settings(config, found.folder);
    if (found.step > config.grpo.steps) {
      fail(ErrorCode::kUsage, "--steps is ", config.grpo.steps, " but ", config.out, " is at step ",
           found.step, " already; expected that many or more");
    }
  }

  void watch_for_breakdown(const GrpoReport& report) {
    bad_steps_ = report.fault.empty() ? 0 : bad_steps_ + 1;
    if (bad_steps_ == 0) return;
    warn(concat(report.fault, "; the step is skipped (", bad_steps_, " in a row)"));
    if (bad_steps_ >= kMostBadSteps) give_up();
  }

  [[noreturn]] void give_up() const {
    fail(ErrorCode::kRuntime, "grpo: the last ", bad_steps_, bad_steps_ == 1 ? " step" : " steps",
         " gave no finite loss; stopped at step ", step_, " of ", config_.grpo.steps,
         ". Lower --lr; earlier checkpoints in ", config_.out, " are intact");
  }

  void restore(const Checkpoint& found) {
    Pass pass = grpo_->trainer().pass();
    const Json state =
        load_checkpoint(pass, found.folder, *model_->decoder, grpo_->trainer().optimizer());
    step_ = found.step;
    if (const Json* before = state.find("before")) before_ = *before;
  }

  Json exam(const std::string& name) {
    TaskConfig task;
    const std::string& first = config_.grpo.tasks.front();
    task.task = first.substr(0, std::min(first.find('='), first.find(':')));
    const std::vector<Problem> problems =
        distinct_problems(checked_task(task), Split::kExam, {config_.grpo.seed, Purpose::kExam},
                          config_.exam_problems);
    EngineConfig engine_config;
    engine_config.max_sequences = 256;
    engine_config.max_tokens_per_sequence =
        std::min<int64_t>(model_->config().max_position_embeddings, 64 + config_.grpo.max_tokens);
    Engine engine(kernels_, memory_, *model_->decoder, engine_config);
    ExamConfig exam_config;
    exam_config.max_tokens = config_.grpo.max_tokens;
    exam_config.seed = config_.grpo.seed;
    const Json result = exam_json(run_exam(engine, *model_->tokenizer, problems, exam_config));
    Json event =
        Json::object({{"event", "exam"}, {"name", name}, {"task", task.task}, {"step", step_}});
    for (const auto& [key, value] : result.members()) event[key] = value;
    events_(event);
    return result;
  }

  void record(const GrpoReport& report) {
    const Json row = grpo_metrics(step_, report);
    try_to("metrics", [&] { metrics_->write(row); });
    Json event = Json::object({{"event", "step"}, {"steps", config_.grpo.steps}});
    const Json finite = finite_members(row);
    for (const auto& [key, value] : finite.members()) event[key] = value;
    events_(event);
  }

  void warn(const std::string& message) {
    events_(Json::object({{"event", "warning"},
                          {"step", step_},
                          {"message", concat("step ", step_, ": ", message)}}));
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

  void save() {
    CheckpointContents contents;
    contents.decoder = model_->decoder.get();
    contents.tokenizer = &*model_->tokenizer;
    contents.optimizer = &grpo_->trainer().optimizer();
    contents.state = Json::object({{"before", before_}});
    contents.run_toml = dump_toml(fields_to_json(config_));
    contents.card = {"GRPO model", concat("Trained from ", config_.init, " by ", step_,
                                          " steps of GRPO on ", Json(config_.grpo.tasks).dump(),
                                          " with the reward ", config_.grpo.reward, ".")};
    try {
      save_checkpoint(config_.out, step_, contents, config_.keep);
    } catch (const Error& error) {
      // The run goes on: the earlier checkpoints stand, and space may come back before the next
      // save.
      warn(concat("checkpoint not saved: ", error.what()));
      if (step_ == config_.grpo.steps || stop_requested()) throw;
      return;
    }
    events_(Json::object(
        {{"event", "save"},
         {"step", step_},
         {"folder", join_path(join_path(config_.out, "checkpoints"), checkpoint_name(step_))}}));
  }

  void write_report(const Json& summary) {
    const Metrics metrics = read_metrics(join_path(config_.out, "metrics.jsonl"));
    Report report("GRPO");
    for (const auto& [name, title] :
         {std::pair{"reward", "Reward"}, std::pair{"mean_tokens", "Answer length"},
          std::pair{"reasoning_share", "Share that reasons"}, std::pair{"entropy", "Entropy"}}) {
      const MetricsColumn column = metrics.column(name);
      LineChart chart;
      chart.title = title;
      chart.x_label = "step";
      chart.series.push_back({name, column.step, column.value});
      report.line_chart(chart);
    }
    report.code(summary.dump(2));
    report.save(join_path(config_.out, "report.html"));
  }

  GrpoRunConfig config_;
  const KernelTable& kernels_;
  Allocator& memory_;
  const RunEvents& events_;
  FolderClaim claim_;
  std::unique_ptr<LoadedModel> model_;
  std::unique_ptr<Grpo> grpo_;
  std::unique_ptr<MetricsWriter> metrics_;
  Timer timer_;
  Json before_;
  int64_t step_ = 0, bad_steps_ = 0;
};

}  // namespace

Json grpo_metrics(int64_t step, const GrpoReport& r) {
  Json row = Json::object({{"step", step},
                           {"reward", r.reward_mean},
                           {"reward_std", r.reward_std},
                           {"accuracy", r.accuracy}});
  for (const auto& [task, accuracy] : r.task_accuracy) row["accuracy_" + task] = accuracy;
  row["all_right"] = r.all_right;
  row["all_wrong"] = r.all_wrong;
  row["mean_tokens"] = r.mean_tokens;
  row["truncated"] = r.truncated;
  row["reasoning_share"] = r.reasoning_share;
  row["entropy"] = r.entropy;
  row["kl"] = r.kl;
  row["clipped_low"] = r.clipped_low;
  row["clipped_high"] = r.clipped_high;
  row["ratio_max"] = r.ratio_max;
  row["gap_mean"] = r.gap_mean;
  row["gap_max"] = r.gap_max;
  if (std::isfinite(r.grad_norm)) row["grad_norm"] = r.grad_norm;
  row["mtp_loss"] = r.mtp_loss;
  row["max_vio"] = r.max_vio;
  row["rollout_tokens"] = r.rollout_tokens;
  row["trained_tokens"] = r.trained_tokens;
  row["rollout_s"] = r.rollout_s;
  row["reward_s"] = r.reward_s;
  row["train_s"] = r.train_s;
  if (!r.expert_counts.empty()) {
    Json load = Json::array();
    for (const std::vector<int64_t>& counts : r.expert_counts) load.push_back(Json(counts));
    row["expert_load"] = load;
  }
  return row;
}

Json exam_json(const ExamResult& r) {
  return Json::object({{"t1", r.t1},
                       {"t1_se", r.t1_se},
                       {"greedy", r.greedy},
                       {"pass8", r.pass_at_k},
                       {"mean_tokens", r.mean_tokens},
                       {"reasoning_share", r.reasoning_share},
                       {"right_reasoning", r.right_reasoning},
                       {"t1_forced_thinking", r.t1_forced},
                       {"problems", r.problems}});
}

RunResult run_grpo(const GrpoRunConfig& config, const KernelTable& kernels, Allocator& memory,
                   const RunEvents& events) {
  return GrpoRun(config, kernels, memory, events).run();
}

}  // namespace fathom
