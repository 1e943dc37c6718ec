#include "app/bench_model.h"

#include <algorithm>

#include "app/bench_timing.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/stop.h"
#include "data/packing.h"
#include "generate/engine.h"
#include "model/presets.h"
#include "text/tokenizer_presets.h"
#include "train/trainer.h"

namespace fathom {
namespace {

constexpr int64_t kRolloutPrompts = 64, kRolloutPrompt = 24, kRolloutAnswer = 32;
constexpr size_t kFewestSteps = 5;
constexpr double kLongestTiming = 30;  // seconds; after them fewer steps are enough

bool wants_more(const Timer& total, size_t samples, double seconds) {
  if (samples == 0) return true;
  if (stop_requested() || total.seconds() > kLongestTiming) return false;
  return total.seconds() < seconds || samples < kFewestSteps;
}

ModelConfig preset_config(const std::string& name) {
  ModelConfig config = model_preset(name).config;
  if (config.vocab_size == 0) config.vocab_size = byte_tokenizer().vocab_size();
  return config;
}

// As many tokens a step as the preset is trained with: about 2000, and 4000 from a width of 384 on.
Batch random_batch(const ModelConfig& config, const ModelBenchOptions& options) {
  const int64_t length = options.length > 0 ? options.length : config.max_position_embeddings;
  const int64_t tokens = config.hidden_size >= 384 ? 4096 : 2048;
  const int64_t sequences =
      options.sequences > 0 ? options.sequences : std::max<int64_t>(1, tokens / length);
  if (length < 2 || length > config.max_position_embeddings) {
    fail(ErrorCode::kUsage, "--length is ", length, "; expected 2 to ",
         config.max_position_embeddings, " with this preset");
  }
  const RandomKey key{1, Purpose::kTest};
  BatchBuilder builder({config.num_nextn_predict_layers, true});
  for (int64_t s = 0; s < sequences; ++s) {
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < length; ++i) {
      ids.push_back(static_cast<int32_t>(key.below(static_cast<uint64_t>(s * length + i),
                                                   static_cast<uint64_t>(config.vocab_size))));
    }
    builder.add(ids, std::vector<float>(ids.size(), 1.0f), length);
  }
  return builder.finish();
}

double layout_attention_flops(const ModelConfig& config, int64_t layers,
                              const TokenLayout& layout) {
  double flops = 0;
  for (size_t s = 0; s + 1 < layout.starts.size(); ++s) {
    flops += attention_flops(config, layers, layout.starts[s + 1] - layout.starts[s]);
  }
  return flops;
}

// Forward and backward: three forward passes, as is usual.
double step_flops(const ModelConfig& config, const Batch& batch) {
  double forward = forward_flops(config) * static_cast<double>(batch.tokens()) +
                   layout_attention_flops(config, config.num_hidden_layers, batch.layout);
  if (!batch.multi_token.empty()) {
    const MultiTokenTargets& rows = batch.multi_token.front();
    forward += multi_token_flops(config) * static_cast<double>(rows.ids.size()) +
               layout_attention_flops(config, config.num_nextn_predict_layers, rows.layout);
  }
  return 3 * forward;
}

// Value, gradient and both moments read, value and moments written, and the gradient once more for
// its norm.
double optimizer_bytes(const ParameterList& parameters) {
  double elements = 0;
  for (const Parameter* p : parameters) elements += static_cast<double>(p->declared.elements());
  return 32 * elements;
}

struct StepTimes {
  std::vector<double> compute_us, optimizer_us;
};

StepTimes time_steps(Trainer& trainer, const std::vector<Batch>& batches,
                     const StepOptions& options, double seconds) {
  StepTimes times;
  trainer.step(batches, options);  // memory, moments
  const Timer total;
  while (wants_more(total, times.compute_us.size(), seconds)) {
    const Timer compute;
    const StepReport report = trainer.accumulate(batches, options);
    times.compute_us.push_back(1e6 * compute.seconds());
    const Timer update;
    trainer.apply(report, options);
    times.optimizer_us.push_back(1e6 * update.seconds());
  }
  return times;
}

// Prompts without the head but for their last row; each answer's last token is not fed.
double rollout_flops(const ModelConfig& c) {
  const double head = 2.0 * static_cast<double>(c.vocab_size * c.hidden_size);
  const double prompt = (forward_flops(c) - head) * kRolloutPrompt + head;
  const double answer = forward_flops(c) * (kRolloutAnswer - 1);
  const double scores =
      attention_flops(c, c.num_hidden_layers, kRolloutPrompt + kRolloutAnswer - 1);
  return kRolloutPrompts * (prompt + answer + scores);
}

Json load_json(double foreign_load) { return foreign_load < 0 ? Json() : Json(foreign_load); }

}  // namespace

double attention_flops(const ModelConfig& config, int64_t layers, int64_t length) {
  const int64_t v_dim = config.mla() ? config.v_head_dim : config.head_dim;
  const double pairs = 0.5 * static_cast<double>(length) * static_cast<double>(length + 1);
  return 2 *
         static_cast<double>(layers * config.num_attention_heads * (config.qk_head_dim() + v_dim)) *
         pairs;
}

void check_model_fits(const ModelBenchOptions& options, ModelBenchKind kind,
                      double available_bytes) {
  const bool training = kind == ModelBenchKind::kTraining;
  const ParameterCount count = count_parameters(preset_config(options.preset));
  const double parameters = static_cast<double>(count.total + count.multi_token);
  const int per_parameter = training ? 16 : 4;
  const double needed = per_parameter * parameters;
  if (needed <= available_bytes) return;
  fail(ErrorCode::kMemory, "bench: ", options.preset, training ? " trains" : " answers", " in ",
       human_bytes(needed), " or more (", per_parameter, " bytes for each of ",
       human_count(parameters), " parameters); available are ", human_bytes(available_bytes),
       ". Choose a smaller preset: fathom init --list names them with their sizes",
       training && 4 * parameters <= available_bytes ? ", or time answers with --rollout" : "");
}

Json bench_training(Device& device, const ModelBenchOptions& options, const MachinePeaks& peaks) {
  const ModelConfig config = preset_config(options.preset);
  Decoder decoder(config);
  decoder.allocate(device.memory());
  decoder.initialize(1);
  Trainer trainer(device.kernels(), device.memory(), decoder, {});
  const std::vector<Batch> batches = {random_batch(config, options)};
  const Batch& batch = batches.front();
  StepOptions step;
  step.lr = 1e-6;
  step.mtp_weight = config.num_nextn_predict_layers > 0 ? 0.3 : 0;
  step.bias_update_speed = 0.001;
  device.memory().reset_peak();
  const ForeignLoad foreign;
  const StepTimes times = time_steps(trainer, batches, step, options.seconds);

  const double compute_us = quantile(times.compute_us, 0.5),
               optimizer_us = quantile(times.optimizer_us, 0.5);
  const double gflops = 1e-3 * step_flops(config, batch) / compute_us;
  Json row = Json::object({{"op", "train_step"}});
  row["shape"] = concat(options.preset, " ", batch.layout.sequences(), "x",
                        batch.tokens() / batch.layout.sequences());
  row["dtype"] = name(device.precision());
  row["threads"] = device.threads();
  row["median_us"] = compute_us;
  row["p95_us"] = quantile(times.compute_us, 0.95);
  row["gflops"] = gflops;
  row["gbytes_s"] = nullptr;
  row["of_peak"] = gflops / peaks.product_gflops(device);
  row["foreign_load"] = load_json(foreign.cores());
  row["tokens_per_s"] = 1e6 * static_cast<double>(batch.tokens()) / (compute_us + optimizer_us);
  row["optimizer_us"] = optimizer_us;
  row["optimizer_gbytes_s"] =
      1e-3 * optimizer_bytes(trainer.optimizer().parameters()) / optimizer_us;
  row["peak_memory_bytes"] = device.memory().peak();
  return row;
}

Json bench_rollout(Device& device, const ModelBenchOptions& options, const MachinePeaks& peaks) {
  const ModelConfig config = preset_config(options.preset);
  Decoder decoder(config);
  decoder.allocate(device.memory());
  decoder.initialize(1);
  EngineConfig engine_config;
  engine_config.max_sequences = kRolloutPrompts;
  engine_config.max_tokens_per_sequence = kRolloutPrompt + kRolloutAnswer;
  Engine engine(device.kernels(), device.memory(), decoder, engine_config);
  std::vector<Request> requests;
  const RandomKey key{2, Purpose::kTest};
  for (int64_t r = 0; r < kRolloutPrompts; ++r) {
    Request request;
    for (int64_t i = 0; i < kRolloutPrompt; ++i) {
      request.prompt.push_back(
          static_cast<int32_t>(key.below(static_cast<uint64_t>(r * kRolloutPrompt + i),
                                         static_cast<uint64_t>(config.vocab_size))));
    }
    request.max_tokens = kRolloutAnswer;
    request.sampling.seed = static_cast<uint64_t>(r);
    requests.push_back(std::move(request));
  }
  generate(engine, requests);
  engine.reset_stats();
  std::vector<double> samples;
  const ForeignLoad foreign;
  const Timer total;
  while (wants_more(total, samples.size(), options.seconds)) {
    const Timer timer;
    generate(engine, requests);
    samples.push_back(1e6 * timer.seconds());
  }
  const double median_us = quantile(samples, 0.5);
  const auto runs = static_cast<double>(samples.size());
  const double gflops = 1e-3 * rollout_flops(config) / median_us;
  Json row = Json::object({{"op", "rollout"}});
  row["shape"] =
      concat(options.preset, " ", kRolloutPrompts, "x(", kRolloutPrompt, "+", kRolloutAnswer, ")");
  row["dtype"] = name(device.precision());
  row["threads"] = device.threads();
  row["median_us"] = median_us;
  row["p95_us"] = quantile(samples, 0.95);
  row["gflops"] = gflops;
  row["gbytes_s"] = nullptr;
  row["of_peak"] = gflops / peaks.product_gflops(device);
  row["foreign_load"] = load_json(foreign.cores());
  row["tokens_per_s"] = 1e6 * static_cast<double>(kRolloutPrompts * kRolloutAnswer) / median_us;
  row["prefill_us"] = 1e6 * engine.stats().prefill_seconds / runs;
  row["decode_us"] = 1e6 * engine.stats().decode_seconds / runs;
  row["peak_memory_bytes"] = device.memory().peak();
  return row;
}

}  // namespace fathom
