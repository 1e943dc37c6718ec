#include "demo/chapters.h"

#include <algorithm>
#include <cmath>

#include "align/grpo_run.h"
#include "base/clock.h"
#include "base/stop.h"
#include "data/batch_source.h"
#include "io/files.h"
#include "report/metrics.h"

namespace fathom {
namespace {

constexpr int64_t kLogEvery = 10;
constexpr int64_t kMostGateRounds = 5;
constexpr int64_t kHeldOutDocuments = 64;

std::string progress_folder(const DemoStage& stage, const std::string& name) {
  return join_path(stage.state.out(), "progress-" + name);
}

std::string metrics_path(const DemoStage& stage, const std::string& name) {
  return join_path(stage.state.out(), "metrics-" + name + ".jsonl");
}

void announce(const DemoStage& stage, const ChapterTitle& title, int64_t steps) {
  stage.events(Json::object(
      {{"event", "chapter"}, {"name", title.name}, {"title", title.title}, {"steps", steps}}));
}

void note(const DemoStage& stage, const std::string& message) {
  stage.events(Json::object({{"event", "note"}, {"message", message}}));
}

Json load_json(const std::vector<std::vector<int64_t>>& expert_counts) {
  Json load = Json::array();
  for (const std::vector<int64_t>& counts : expert_counts) load.push_back(Json(counts));
  return load;
}

// A step event is the metrics row, with the chapter and its length.
void send_step(const DemoStage& stage, const ChapterTitle& title, int64_t steps, const Json& row) {
  Json event = Json::object({{"event", "step"}, {"chapter", title.name}, {"steps", steps}});
  const Json finite = finite_members(row);
  for (const auto& [key, value] : finite.members()) event[key] = value;
  stage.events(event);
}

// Where a chapter stands, kept across stops.
struct Progress {
  int64_t step = 0, tokens = 0, rollout_tokens = 0;
  double seconds = 0, train_s = 0, rollout_s = 0;
  double gap_mean = 0, gap_max = 0;  // largest so far, of the sampler against the trainer
};

void save_progress(const DemoStage& stage, const ChapterTitle& title, const Progress& at,
                   double here, Trainer& trainer) {
  CheckpointContents contents;
  contents.decoder = &trainer.decoder();
  contents.tokenizer = &stage.tokenizer;
  contents.optimizer = &trainer.optimizer();
  contents.state = Json::object({{"tokens", at.tokens},
                                 {"rollout_tokens", at.rollout_tokens},
                                 {"seconds", at.seconds + here},
                                 {"train_s", at.train_s},
                                 {"rollout_s", at.rollout_s},
                                 {"gap_mean", at.gap_mean},
                                 {"gap_max", at.gap_max}});
  contents.card = {"Unfinished chapter " + title.name, "A resting point of `fathom demo`."};
  save_checkpoint(progress_folder(stage, title.name), at.step, contents, 1);
}

Progress restore_progress(const DemoStage& stage, const ChapterTitle& title, Trainer& trainer) {
  Progress at;
  const std::optional<Checkpoint> found = newest_checkpoint(progress_folder(stage, title.name));
  if (!found) return at;
  Pass pass = trainer.pass();
  const Json state = load_checkpoint(pass, found->folder, trainer.decoder(), trainer.optimizer());
  at.step = found->step;
  at.tokens = state.int_at("tokens");
  at.rollout_tokens = state.int_at("rollout_tokens");
  at.seconds = state.double_at("seconds");
  at.train_s = state.double_at("train_s");
  at.rollout_s = state.double_at("rollout_s");
  at.gap_mean = state.double_at("gap_mean");
  at.gap_max = state.double_at("gap_max");
  note(stage, concat("continuing at step ", at.step));
  return at;
}

void stop_if_asked(const DemoStage& stage, const ChapterTitle& title, const Progress& at,
                   const Timer& timer, Trainer& trainer) {
  if (!stop_requested()) return;
  save_progress(stage, title, at, timer.seconds(), trainer);
  throw DemoStopped();
}

void check_applied(const DemoStage& stage, const ChapterTitle& title, int64_t step, double loss,
                   bool applied, int64_t& bad) {
  bad = applied ? 0 : bad + 1;
  if (bad > 0)
    note(stage, concat("step ", step, ": loss or gradient is not finite; the step is skipped (",
                       bad, " in a row)"));
  if (bad >= 10) {
    fail(ErrorCode::kRuntime, "demo: chapter ", title.name,
         ": 10 steps in a row gave no finite loss (", loss, " at step ", step,
         "); nothing was lost, start it again with another --seed");
  }
}

Json train_row(const StepReport& report, int64_t step, double lr, const Progress& at) {
  Json row =
      Json::object({{"step", step}, {"tokens", at.tokens}, {"loss", report.loss}, {"lr", lr}});
  row["mtp_loss"] = report.mtp_loss;
  row["grad_norm"] = report.grad_norm;
  row["max_vio"] = mean_max_violation(report.expert_counts);
  row["tokens_per_s"] = static_cast<double>(at.tokens) / std::max(1e-9, at.train_s);
  row["expert_load"] = load_json(report.expert_counts);
  return row;
}

// The same few documents each time, of the mixture but from problems that no chapter trains on.
std::vector<Batch> held_out_documents(const DemoStage& stage, const TrainingChapter& chapter) {
  if (chapter.eval_every == 0) return {};
  MixtureConfig mixture = chapter.mixture;
  mixture.split = Split::kExam;
  MixtureSource source(stage.tokenizer, mixture, {kHeldOutDocuments, stage.seed, {}});
  return {source.batch(0, {})};
}

// Two answers of the step: the first right one and the first wrong one, or any two.
void send_samples(const DemoStage& stage, const ChapterTitle& title, const Rollout& rollout,
                  int64_t group) {
  Json samples = Json::array();
  for (const bool wanted : {true, false}) {
    for (size_t i = 0; i < rollout.answers.size(); ++i) {
      if (rollout.answers[i].right != wanted) continue;
      const Problem& problem = rollout.problems[i / static_cast<size_t>(group)];
      samples.push_back(Json::object({{"prompt", problem.prompt},
                                      {"answer", stage.tokenizer.decode(rollout.answers[i].ids)},
                                      {"right", wanted}}));
      break;
    }
  }
  stage.events(Json::object({{"event", "sample"}, {"chapter", title.name}, {"samples", samples}}));
}

}  // namespace

Json train_chapter(const DemoStage& stage, const ChapterTitle& title,
                   const TrainingChapter& chapter, Decoder& decoder,
                   const std::function<bool()>& gate, int64_t extra_steps) {
  announce(stage, title, chapter.steps);
  Trainer trainer(stage.kernels, stage.memory, decoder,
                  {0.9, 0.95, 1e-8, chapter.weight_decay, 1.0});
  MixtureBatchConfig batches;
  batches.documents = chapter.documents;
  batches.seed = mix64(stage.seed) ^ hash_text(title.name.data(), title.name.size());
  batches.packing = {decoder.config().num_nextn_predict_layers};
  MixtureSource source(stage.tokenizer, chapter.mixture, batches);
  const std::vector<Batch> held_out = held_out_documents(stage, chapter);
  Progress at = restore_progress(stage, title, trainer);
  MetricsWriter metrics(metrics_path(stage, title.name), at.step);
  const Timer timer;
  int64_t steps = chapter.steps, bad = 0;
  double loss = 0;
  for (int64_t round = 0; round < kMostGateRounds; ++round) {
    while (at.step < steps) {
      stop_if_asked(stage, title, at, timer, trainer);
      const Timer step_timer;
      StepOptions options;
      options.lr = chapter_rate(chapter, at.step, extra_steps);
      options.mtp_weight =
          3 * at.step < 2 * chapter.steps ? chapter.mtp_weight : chapter.late_mtp_weight;
      options.bias_update_speed = demo_bias_speed(title.name == "pretrain" ? at.step : 1000);
      const StepReport report = trainer.step({source.batch(at.step, {})}, options);
      ++at.step;
      at.tokens += report.tokens;
      at.train_s += step_timer.seconds();
      if (report.applied) loss = report.loss;
      check_applied(stage, title, at.step, report.loss, report.applied, bad);
      if (at.step % kLogEvery != 0 && at.step != steps) continue;
      Json row = train_row(report, at.step, options.lr, at);
      if (!held_out.empty() && (at.step % chapter.eval_every == 0 || at.step == steps))
        row["val_loss"] = trainer.evaluate(held_out).loss;
      metrics.write(row);
      send_step(stage, title, steps, row);
    }
    if (!gate || gate()) break;
    if (round + 1 == kMostGateRounds) {
      fail(ErrorCode::kRuntime, "demo: chapter ", title.name, ": not learned after ", at.step,
           " steps, and what follows builds on it. Try another --seed, and another --out");
    }
    note(stage, concat("not there yet after ", at.step, " steps: training ", extra_steps, " more"));
    steps += extra_steps;
  }
  remove_all(progress_folder(stage, title.name));
  return Json::object({{"wall_s", at.seconds + timer.seconds()},
                       {"tokens", at.tokens},
                       {"train_s", at.train_s},
                       {"steps", at.step},
                       {"loss", loss}});
}

Json grpo_chapter(const DemoStage& stage, const ChapterTitle& title, const GrpoConfig& config,
                  Decoder& decoder) {
  announce(stage, title, config.steps);
  Grpo grpo(stage.kernels, stage.memory, decoder, stage.tokenizer, config);
  Progress at = restore_progress(stage, title, grpo.trainer());
  MetricsWriter metrics(metrics_path(stage, title.name), at.step);
  const Timer timer;
  int64_t bad = 0;
  while (at.step < config.steps) {
    stop_if_asked(stage, title, at, timer, grpo.trainer());
    const GrpoReport report = grpo.step(at.step);
    ++at.step;
    at.tokens += report.rollout_tokens + report.trained_tokens;
    at.rollout_tokens += report.rollout_tokens;
    at.rollout_s += report.rollout_s;
    at.train_s += report.train_s;
    at.gap_mean = std::max(at.gap_mean, report.gap_mean);
    at.gap_max = std::max(at.gap_max, report.gap_max);
    check_applied(stage, title, at.step, report.reward_mean, std::isfinite(report.grad_norm), bad);
    const Json row = grpo_metrics(at.step, report);
    metrics.write(row);
    send_step(stage, title, config.steps, row);
    send_samples(stage, title, grpo.last_rollout(), config.group_size);
  }
  remove_all(progress_folder(stage, title.name));
  return Json::object({{"wall_s", at.seconds + timer.seconds()},
                       {"tokens", at.tokens},
                       {"rollout_tokens", at.rollout_tokens},
                       {"rollout_s", at.rollout_s},
                       {"train_s", at.train_s},
                       {"steps", at.step},
                       {"gap_mean", at.gap_mean},
                       {"gap_max", at.gap_max}});
}

std::vector<Problem> exam_problems(const DemoStage& stage, const std::string& task, int64_t count) {
  TaskConfig config;
  config.task = task;
  return distinct_problems(checked_task(config), Split::kExam, {stage.seed, Purpose::kExam}, count);
}

ExamResult demo_exam(const DemoStage& stage, const std::string& name, const std::string& task,
                     Decoder& decoder, const ExamConfig& config, int64_t problems) {
  EngineConfig engine_config;
  engine_config.max_sequences = 512;
  engine_config.max_tokens_per_sequence = 80;
  engine_config.max_prefill_tokens = 1 << 20;
  Engine engine(stage.kernels, stage.memory, decoder, engine_config);
  const ExamResult result =
      run_exam(engine, stage.tokenizer, exam_problems(stage, task, problems), config);
  Json event = Json::object({{"event", "exam"}, {"name", name}, {"task", task}});
  const Json figures = exam_json(result);
  for (const auto& [key, value] : figures.members()) event[key] = value;
  stage.events(event);
  return result;
}

}  // namespace fathom
