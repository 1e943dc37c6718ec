#include "demo/demo.h"

#include <algorithm>

#include "align/grpo_run.h"
#include "base/clock.h"
#include "base/stop.h"
#include "data/batch_source.h"
#include "demo/chapters.h"
#include "demo/demo_report.h"
#include "io/files.h"
#include "io/folder_claim.h"

namespace fathom {
namespace {

constexpr int64_t kValidationDocuments = 256;
constexpr int64_t kGateProblems = 64;

class Demo {
 public:
  Demo(const DemoConfig& config, const KernelTable& kernels, Allocator& memory,
       const RunEvents& events)
      : config_(config),
        recipe_(demo_recipe(config.quick, config.seed)),
        tokenizer_(nano_tokenizer()),
        claim_(checked_folder(config), "run.lock"),
        state_(config.out, config.seed, recipe_.name),
        stage_{kernels, memory, tokenizer_, state_, events, config.seed},
        decoder_(nano_config(recipe_.model, tokenizer_)) {
    decoder_.allocate(memory);
    exam_.samples = recipe_.exam_samples;
    exam_.max_tokens = recipe_.grpo.max_tokens;
    exam_.seed = config.seed;
    claim_.keep();
  }

  RunResult run() {
    RunResult result;
    try {
      pretrain();
      cold_start();
      reinforce();
      second_task();
      if (config_.control) control();
      if (worked_) state_.add_seconds(timer_.seconds());
      result.summary = finish();
    } catch (const DemoStopped&) {
      result.stopped = true;
      result.stop_signal = stop_signal();
      state_.add_seconds(timer_.seconds());
      stage_.events(Json::object({{"event", "stopped"}, {"folder", config_.out}}));
    }
    return result;
  }

 private:
  // A folder with something else in it, a run or a model, is not the demo's to write into.
  static std::string checked_folder(const DemoConfig& config) {
    for (const char* other : {"checkpoints", "config.json", "run.toml"}) {
      if (!exists(join_path(config.out, other))) continue;
      fail(ErrorCode::kUsage, "--out is ", config.out, ", which holds ", other,
           " of something else; choose another folder for the demo");
    }
    return config.out;
  }

  static ModelConfig nano_config(ModelConfig config, const Tokenizer& tokenizer) {
    config.vocab_size = 64;  // the tokenizer's 56, rounded up
    config.bos_token_id = *tokenizer.control().bos;
    config.eos_token_ids = {*tokenizer.control().eos};
    config.pad_token_id = *tokenizer.control().pad;
    return config;
  }

  // Runs a chapter, or takes its result and model from an earlier sitting.
  void chapter(const std::string& name, const std::function<Json()>& work, Decoder* decoder) {
    if (state_.done(name)) {
      if (decoder != nullptr) load_weights_of(*decoder, state_.model_folder(name));
      return;
    }
    if (stop_requested()) throw DemoStopped();
    worked_ = true;
    const Json result = work();
    state_.finish(name, result, decoder, tokenizer_);
    write_demo_report(config_, recipe_, state_, Json());
  }

  double forced_accuracy() {
    ExamConfig gate = exam_;
    gate.samples = 4;
    gate.greedy = false;
    return demo_exam(stage_, "gate", "modsum", decoder_, gate, kGateProblems).t1_forced;
  }

  void pretrain() {
    chapter(
        "pretrain",
        [&] {
          decoder_.initialize(config_.seed);
          Json result = train_chapter(
              stage_, {"pretrain", "1  pretraining on worked problems"}, recipe_.pretrain, decoder_,
              [&] { return forced_accuracy() >= recipe_.least_forced_accuracy; },
              recipe_.extra_pretrain_steps);
          result["max_vio"] = validation_max_vio();
          return result;
        },
        &decoder_);
  }

  // Load over held-out documents of the same mixture, per expert layer.
  Json validation_max_vio() {
    MixtureConfig mixture = recipe_.pretrain.mixture;
    mixture.split = Split::kExam;
    MixtureSource source(tokenizer_, mixture, {kValidationDocuments, config_.seed, {1, false}});
    Trainer trainer(stage_.kernels, stage_.memory, decoder_, {});
    const EvalReport report = trainer.evaluate({source.batch(0, {})});
    Json layers = Json::array();
    double worst = 0;
    for (const std::vector<int64_t>& counts : report.expert_counts) {
      layers.push_back(max_violation(counts));
      worst = std::max(worst, max_violation(counts));
    }
    return Json::object({{"worst", worst},
                         {"mean", report.max_vio},
                         {"layers", layers},
                         {"validation_loss", report.loss}});
  }

  // Direct answers with a few that think. The share that reasons afterwards decides whether the
  // mixture has to be changed.
  void cold_start() {
    chapter(
        "cold_start",
        [&] {
          TrainingChapter training = recipe_.cold_start;
          Json result;
          const Json decided = state_.remembered("cold_start");
          training.mixture.thinking_share =
              decided.double_or("thinking_share", training.mixture.thinking_share);
          for (int64_t attempt = decided.int_or("attempt", 0); attempt < 4; ++attempt) {
            result = train_chapter(stage_, {"cold_start", "2  cold start: mostly direct answers"},
                                   training, decoder_);
            ExamConfig gate = exam_;
            gate.greedy = gate.forced_thinking = false;
            const double share =
                demo_exam(stage_, "gate", "modsum", decoder_, gate, kGateProblems).reasoning_share;
            if (share >= recipe_.least_reasoning && share <= recipe_.most_reasoning) break;
            training.mixture.thinking_share *= share < recipe_.least_reasoning ? 1.5 : 0.67;
            stage_.events(Json::object(
                {{"event", "note"},
                 {"message", concat("the share that reasons is ", fixed(share, 3), "; again with ",
                                    fixed(100 * training.mixture.thinking_share, 0),
                                    " % thinking documents")}}));
            load_weights_of(decoder_, state_.model_folder("pretrain"));
            state_.remember("cold_start",
                            Json::object({{"attempt", attempt + 1},
                                          {"thinking_share", training.mixture.thinking_share}}));
          }
          result["before"] = first_exam("before");
          result["mtp_agreement"] = agreement();
          return result;
        },
        &decoder_);
  }

  Json first_exam(const std::string& name) {
    return exam_json(demo_exam(stage_, name, "modsum", decoder_, exam_, recipe_.exam_problems));
  }

  double agreement() {
    double sum = 0;
    const std::vector<std::string> tasks = {"modsum", "add", "sort", "countdown3"};
    for (const std::string& task : tasks) {
      ExamConfig greedy = exam_;
      greedy.samples = 1;
      greedy.forced_thinking = false;
      const ExamResult result = demo_exam(stage_, "greedy", task, decoder_, greedy, kGateProblems);
      sum +=
          multi_token_agreement(stage_.kernels, stage_.memory, decoder_, tokenizer_,
                                exam_problems(stage_, task, kGateProblems), result.greedy_answers);
    }
    return sum / static_cast<double>(tasks.size());
  }

  double t1(const std::string& name, const std::string& task, Decoder& decoder, int64_t problems) {
    ExamConfig plain = exam_;
    plain.greedy = plain.forced_thinking = false;
    return demo_exam(stage_, name, task, decoder, plain, problems).t1;
  }

  void reinforce() {
    chapter(
        "grpo",
        [&] {
          Json result =
              grpo_chapter(stage_, {"grpo", "3  GRPO on unseen problems"}, recipe_.grpo, decoder_);
          result["after"] = first_exam("after");
          return result;
        },
        &decoder_);
  }

  void second_task() {
    if (recipe_.second.steps == 0) return;
    chapter(
        "second_task",
        [&] {
          const double before =
              t1("second_before", recipe_.second_task, decoder_, recipe_.second_exam_problems);
          Json result = grpo_chapter(
              stage_, {"second_task", "4  GRPO on a second task: " + recipe_.second_task},
              recipe_.second, decoder_);
          result["t1_before"] = before;
          result["t1_after"] =
              t1("second_after", recipe_.second_task, decoder_, recipe_.second_exam_problems);
          result["first_task_t1_after"] =
              t1("first_after_second", "modsum", decoder_, recipe_.exam_problems);
          return result;
        },
        &decoder_);
  }

  // The same GRPO from the same cold start, but rewards are coin flips: what rises here is not
  // learning.
  void control() {
    chapter(
        "control",
        [&] {
          Decoder decoder(decoder_.config());
          decoder.allocate(stage_.memory);
          load_weights_of(decoder, state_.model_folder("cold_start"));
          GrpoConfig config = recipe_.grpo;
          config.reward = "random";
          Json result =
              grpo_chapter(stage_, {"control", "5  control: random rewards"}, config, decoder);
          result["t1_after"] = t1("control_after", "modsum", decoder, recipe_.exam_problems);
          return result;
        },
        nullptr);
  }

  Json finish() {
    write_directory(join_path(config_.out, "model"), [&](const std::string& folder) {
      save_model(decoder_, &tokenizer_, folder, {}, demo_card(config_, recipe_, state_));
    });
    const Json summary =
        demo_summary(config_, recipe_, state_, decoder_.config(), state_.seconds());
    write_demo_report(config_, recipe_, state_, summary);
    stage_.events(summary);
    return summary;
  }

  DemoConfig config_;
  DemoRecipe recipe_;
  Tokenizer tokenizer_;
  FolderClaim claim_;
  DemoState state_;
  DemoStage stage_;
  Decoder decoder_;
  ExamConfig exam_;
  Timer timer_;
  bool worked_ = false;  // a chapter was done in this sitting, so that its time counts
};

}  // namespace

RunResult run_demo(const DemoConfig& config, const KernelTable& kernels, Allocator& memory,
                   const RunEvents& events) {
  return Demo(config, kernels, memory, events).run();
}

}  // namespace fathom
