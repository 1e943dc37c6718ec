#include "plan/plan.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "model/presets.h"
#include "plan/as_double.h"

namespace fathom {
namespace {

void check_positive(const char* flag, const std::optional<double>& value) {
  if (value && !(*value > 0 && *value < 1e30))
    fail(ErrorCode::kUsage, flag, " is ", *value, "; expected a positive number");
}

void check_count(const char* flag, const std::optional<int64_t>& value) {
  constexpr int64_t kMost = 1 << 30;
  if (value && (*value < 1 || *value > kMost))
    fail(ErrorCode::kUsage, flag, " is ", *value, "; expected 1 to ", kMost);
}

void check_inputs(const PlanInputs& in) {
  check_positive("--tokens", in.tokens);
  check_positive("--gpu-hours-per-trillion", in.gpu_hours_per_trillion);
  check_positive("--dollars-per-gpu-hour", in.dollars_per_gpu_hour);
  check_positive("--mfu", in.mfu);
  if (in.mfu && *in.mfu > 1)
    fail(ErrorCode::kUsage, "--mfu is ", *in.mfu, "; expected a share of the peak, up to 1");
  if (in.mfu && in.gpu_hours_per_trillion)
    fail(ErrorCode::kUsage, "--mfu and --gpu-hours-per-trillion say the same; give one");
  check_count("--gpus", in.gpus);
  check_count("--pipeline-stages", in.pipeline_stages);
  check_count("--expert-ranks", in.expert_ranks);
  check_count("--microbatches", in.microbatches);
  check_count("--accelerators", in.accelerators);
  check_count("--context", in.context_tokens);
  check_count("--replicas", in.replicas);
  check_count("--expert-gpus", in.expert_gpus);
  check_count("--expert-nodes", in.expert_nodes);
  if (in.weight_bits && *in.weight_bits != 4 && *in.weight_bits != 8 && *in.weight_bits != 16)
    fail(ErrorCode::kUsage, "--weight-bits is ", *in.weight_bits, "; expected 4, 8 or 16");
}

const PublishedRun& choose_reference(const Plan& plan, const std::string& like) {
  if (like.empty()) {
    const bool timed = plan.own != nullptr && plan.own->gpu_hours_per_trillion;
    return timed ? *plan.own : reference_run(plan.config);
  }
  std::string timed_runs;
  for (const PublishedRun& run : published_runs()) {
    if (!run.gpu_hours_per_trillion) continue;
    if (like == run.preset) return run;
    timed_runs += concat(timed_runs.empty() ? "" : ", ", run.preset);
  }
  fail(ErrorCode::kUsage, "--like is '", like,
       "'; expected a run with published hours: ", timed_runs);
}

// The reference's layout where the model fits it, else one stage; what the user says comes first.
TrainingLayout choose_layout(const Plan& plan, const PlanInputs& in) {
  const ModelConfig& c = plan.config;
  TrainingLayout layout = plan.reference->layout.value_or(TrainingLayout{});
  layout.gpus = in.gpus.value_or(layout.gpus);
  const bool fits = layout.pipeline_stages <= c.num_hidden_layers &&
                    c.n_routed_experts % layout.expert_ranks == 0 &&
                    layout.gpus % (layout.pipeline_stages * layout.expert_ranks) == 0;
  if (!fits) {
    layout.pipeline_stages = layout.weight_copies = 1;
    layout.expert_ranks = std::gcd(layout.gpus, std::max<int64_t>(c.n_routed_experts, 1));
  }
  if (c.n_routed_experts == 0) layout.expert_ranks = 1;
  layout.pipeline_stages = in.pipeline_stages.value_or(layout.pipeline_stages);
  layout.expert_ranks = in.expert_ranks.value_or(layout.expert_ranks);
  return layout;
}

TrainingInputs training_inputs(const Plan& plan, const PlanInputs& in) {
  TrainingInputs training;
  training.reference = plan.reference;
  training.tokens = in.tokens;
  if (!training.tokens && plan.own != nullptr) training.tokens = plan.own->tokens;
  training.gpu_hours_per_trillion = in.gpu_hours_per_trillion;
  training.peak_flops = plan.trained_on.bf16_flops;
  if (in.mfu) {
    const int64_t length = plan.reference->sequence_tokens;
    training.gpu_hours_per_trillion = gpu_hours_per_trillion(
        train_flops_with_mtp_at(plan.config, length), *in.mfu * training.peak_flops);
  }
  training.dollars_per_gpu_hour = in.dollars_per_gpu_hour.value_or(kDollarsPerGpuHour);
  training.gpus = plan.layout.gpus;
  return training;
}

PipelinePlan pipeline_plan(const Plan& plan, const PlanInputs& in) {
  const TrainingLayout& layout = plan.layout;
  const Recipe* recipe = find_recipe(plan.reference->recipe);
  const int64_t sequences = recipe != nullptr ? recipe->batch.full : 1;
  PipelinePlan pipeline;
  pipeline.stages = layout.pipeline_stages;
  // One sequence each; every pipeline of the data-parallel ones takes its share of the step.
  const int64_t pipelines = std::max<int64_t>(layout.gpus / layout.pipeline_stages, 1);
  pipeline.microbatches = in.microbatches.value_or(std::max<int64_t>(sequences / pipelines, 1));
  pipeline.schedules = pipeline_schedules(pipeline.stages, pipeline.microbatches);
  return pipeline;
}

bool stored_in_fp8(const Plan& plan) {
  if (plan.own != nullptr) return plan.own->fp8;
  if (plan.config.source_json.empty()) return false;
  const Json json = parse_json(plan.config.source_json, "config.json", ErrorCode::kModel);
  const Json* quantization = json.find("quantization_config");
  return quantization != nullptr && !quantization->is_null();
}

DeviceMemory memory_plan(const Plan& plan) {
  if (plan.reference->fp8)  // as V3 was trained: experts in fp8, moments in bf16
    return device_memory(plan.config, plan.layout, plan.layout.weight_copies, {1, 4, 8}, {2, 4, 8});
  return device_memory(plan.config, plan.layout, plan.layout.weight_copies, {2, 4, 12}, {2, 4, 12});
}

InferencePlan inference_plan(const Plan& plan, const PlanInputs& in) {
  InferencePlan inference;
  InferenceInputs& inputs = inference.inputs;
  inputs.accelerator = find_accelerator(in.accelerator);
  inputs.context_tokens = in.context_tokens;
  inputs.weight_bytes = as_double(in.weight_bits.value_or(stored_in_fp8(plan) ? 8 : 16)) / 8;
  inputs.cache_bytes_per_token = as_double(plan.config.cache_bytes_per_token(2));
  inputs.accelerators = in.accelerators.value_or(1);
  constexpr int64_t kMost = 1024;
  while (!in.accelerators && inputs.accelerators < kMost &&
         inference_fit(plan.config, inputs).cache_bytes == 0)
    inputs.accelerators *= 2;  // groups of machines come in powers of two
  inference.fit = inference_fit(plan.config, inputs);
  for (const int64_t batch : {1, 8, 32, 128, 256, 512})
    inference.bounds.push_back(decode_bound(plan.config, inputs, batch));
  return inference;
}

// By default what V3 serves prompts with: 32 GPUs in nodes of 8, one redundant expert each.
PlacementPlan placement_plan(const Plan& plan, const PlanInputs& in) {
  const ModelConfig& c = plan.config;
  constexpr int64_t kGpus = 32, kGpusPerNode = 8;
  PlacementPlan placement;
  PlacementShape& shape = placement.shape;
  shape.gpus = in.expert_gpus.value_or(std::gcd(kGpus, c.n_routed_experts));
  shape.nodes =
      in.expert_nodes.value_or(shape.gpus % kGpusPerNode == 0 ? shape.gpus / kGpusPerNode : 1);
  const int64_t slots = (c.n_routed_experts + shape.gpus - 1) / shape.gpus + 1;
  shape.replicas = in.replicas.value_or(slots * shape.gpus);
  shape.groups = c.topk_method == "greedy" ? 1 : c.n_group;
  placement.bytes_per_gpu = plan.inference.inputs.weight_bytes * as_double(shape.replicas) /
                            as_double(shape.gpus) *
                            as_double(main_expert_layers(c) * expert_weights(c));
  for (const std::vector<double>& loads : in.expert_loads) {
    if (static_cast<int64_t>(loads.size()) != c.n_routed_experts)
      fail(ErrorCode::kUsage, "--expert-loads: layer ", placement.layers.size(), " has ",
           loads.size(), " loads; expected n_routed_experts = ", c.n_routed_experts);
    placement.layers.push_back(place_experts(loads, shape));
    const bool even = c.n_routed_experts % shape.gpus == 0;
    placement.imbalance_before.push_back(even ? imbalance_in_order(loads, shape.gpus) : 0);
  }
  return placement;
}

PricePlan price_plan(const Plan& plan, const PlanInputs& in) {
  PricePlan prices;
  prices.book = in.prices != nullptr ? in.prices : &built_in_prices();
  const ProductionDay day;
  prices.mix = {static_cast<int64_t>(day.cached_tokens),
                static_cast<int64_t>(day.input_tokens - day.cached_tokens),
                static_cast<int64_t>(day.output_tokens)};
  std::string name = in.price_model;
  if (name.empty() && plan.own != nullptr) name = plan.own->preset;
  const PriceRow* last = last_price_of(*prices.book, name);
  if (last == nullptr && !in.price_model.empty())
    fail(ErrorCode::kUsage, "--price-model is '", in.price_model, "'; the price file has none");
  prices.date = !in.price_date.empty() ? in.price_date
                : last != nullptr      ? last->from_text
                                       : prices.book->as_of;
  const int64_t seconds = parse_utc(prices.date, "--price-date");
  prices.row = price_of(*prices.book, name, seconds);
  if (prices.row == nullptr) return prices;
  const bool exactly = in.price_date.find('T') != std::string::npos;
  prices.price = exactly ? prices.row->at(seconds) : prices.row->standard();
  prices.peers = compare_prices(*prices.book, *prices.row, seconds, exactly, prices.mix);
  return prices;
}

void plan_training(Plan& plan, const PlanInputs& inputs) {
  plan.reference = &choose_reference(plan, inputs.like);
  plan.layout = choose_layout(plan, inputs);
  plan.trained_on = find_accelerator(inputs.trained_on);
  plan.training_inputs = training_inputs(plan, inputs);
  plan.training =
      training_cost(plan.config, model_preset(plan.reference->preset).config, plan.training_inputs);
  const PublishedRun& shape = plan.own != nullptr ? *plan.own : *plan.reference;
  if (const Recipe* recipe = find_recipe(shape.recipe))
    plan.steps = recipe->batch.steps(plan.training.tokens, shape.sequence_tokens);
  plan.model_scale = model_scale(plan.config, plan.reference->sequence_tokens);
  plan.laws = law_optima(plan.model_scale * plan.training.tokens);
  plan.memory = memory_plan(plan);  // refuses a layout that does not fit
  plan.pipeline = pipeline_plan(plan, inputs);
}

}  // namespace

double InferencePlan::dollars_per_million_tokens(const DecodeBound& bound,
                                                 double dollars_per_gpu_hour) const {
  return as_double(inputs.accelerators) * dollars_per_gpu_hour / 3600 / bound.tokens_per_second *
         1e6;
}

Plan make_plan(const std::string& name, const ModelConfig& config, const PlanInputs& inputs) {
  check_inputs(inputs);
  Plan plan;
  plan.name = name;
  plan.config = config;
  plan.size = model_size(config);
  for (const int64_t length : kPlannedLengths) {
    plan.flops.push_back({length, train_flops_at(config, length),
                          train_flops_with_mtp_at(config, length), decode_flops_at(config, length),
                          decode_attention_flops_at(config, length)});
  }
  plan.own = find_run_of(config, name);
  plan_training(plan, inputs);
  plan.inference = inference_plan(plan, inputs);
  if (config.n_routed_experts > 0) plan.placement = placement_plan(plan, inputs);
  if (config.n_routed_experts == 0 && !inputs.expert_loads.empty())
    fail(ErrorCode::kUsage, "--expert-loads: the model has no experts");
  plan.prices = price_plan(plan, inputs);
  return plan;
}

}  // namespace fathom
