// What a plan says of the scaling laws, and of training on many GPUs.
#include "app/plan_numbers.h"
#include "app/plan_report.h"

namespace fathom {
namespace {

// Learning rates: 0.000424 as "4.24e-04".
std::string scientific(double value) {
  std::ostringstream out;
  out.precision(3);
  out << std::scientific << value;
  return out.str();
}

PlanSection laws_section(const Plan& plan) {
  const LawOptima& laws = plan.laws;
  PlanSection section{"Scaling laws of DeepSeek LLM", {}, {}};
  section.figures = {
      {"M", gflops(plan.model_scale) + " a token",
       concat("6 x active weights without vocabulary, and attention to all of ",
              plan.reference->sequence_tokens, " tokens")},
      {"C = M D", scientific(laws.compute), concat("D = ", billions(plan.training.tokens))},
      {"learning rate", scientific(laws.learning_rate), "0.3118 C^-0.1250"},
      {"batch", billions(laws.batch_tokens) + " tokens", "0.2920 C^0.3271"},
      {"best model for C", gflops(laws.model_flops_per_token) + " a token", "0.1715 C^0.5243"},
      {"best data for C", billions(laws.data_tokens) + " tokens", "5.8316 C^0.4757"}};
  const ModelConfig& c = plan.config;
  if (c.n_routed_experts == 0) {
    const ScaleVariables scale = scale_variables(c.num_hidden_layers, c.hidden_size, c.vocab_size,
                                                 plan.reference->sequence_tokens);
    section.figures.push_back(
        {"as 12 d^2 a layer",
         concat("N1 ", billions(scale.non_embedding), ", N2 ", billions(scale.all), ", M ",
                billions(scale.flops_per_token)),
         concat("6 N1 / M ", fixed(scale.ratio_of_non_embedding(), 2), ", 6 N2 / M ",
                fixed(scale.ratio_of_all(), 2), ", the simpler scales of the report")});
  }
  if (c.n_routed_experts > 0)
    section.notes.push_back(
        "The laws were fitted to dense models; with experts they are a guide, no more.");
  return section;
}

PlanSection pipeline_section(const Plan& plan) {
  const PipelinePlan& pipeline = plan.pipeline;
  PlanSection section{concat("Pipeline of ", pipeline.stages, " stages, ", pipeline.microbatches,
                             " micro-batches of a sequence"),
                      {},
                      {}};
  for (const PipelineSchedule& schedule : pipeline.schedules) {
    section.figures.push_back(
        {schedule.name,
         concat("waits ", schedule.bubble, " chunks, ", percent(schedule.bubble_share)),
         concat(counted(schedule.devices, "device"), ", weights x ", schedule.weight_copies,
                ", activations of ", schedule.activation_sets, " micro-batches")});
  }
  section.notes.push_back(
      "Times in forward chunks: backward 2, of it weight gradients 1, an overlapped pair 3. 1F1B "
      "(PP-1)(F+B), ZB1P (PP-1)(F+B-2W), DualPipe and DualPipeV (PP/2-1)(F&B+B-3W).");
  return section;
}

PlanFigure memory_figure(const char* name, const MemoryPart& part, int64_t copies) {
  return {name, gigabytes(part.bytes(copies)),
          concat(billions(part.on_this_gpu), " of ", billions(part.parameters), ": weights ",
                 copies, " x ", gigabytes(part.weight_bytes), ", gradients ",
                 gigabytes(part.gradient_bytes), ", state ", gigabytes(part.state_bytes))};
}

PlanSection memory_section(const Plan& plan) {
  const DeviceMemory& memory = plan.memory;
  PlanSection section{memory.layout.gpus == 1
                          ? std::string("Training memory of one GPU")
                          : concat("Training memory of one of ", memory.layout.gpus, " GPUs"),
                      {},
                      {}};
  if (memory.experts.parameters > 0)
    section.figures.push_back(
        memory_figure("routed experts", memory.experts, memory.weight_copies));
  section.figures.push_back(memory_figure("all else", memory.dense, memory.weight_copies));
  section.figures.push_back(
      {"together", gigabytes(memory.bytes()),
       concat(counted(memory.layout.pipeline_stages, "stage"), " x ",
              counted(memory.layout.expert_ranks, "expert rank"), "; states divided by ",
              memory.expert_replicas, " and ", memory.dense_replicas, " (ZeRO-1)")});
  section.notes.push_back(
      concat(plan.reference->fp8
                 ? "Bytes a parameter: weights 1 (fp8 experts) or 2, gradients 4, master 4 "
                   "and bf16 moments 4. "
                 : "Bytes a parameter: weights 2, gradients 4, master 4 and f32 moments "
                   "8. ",
             "Averages over stages, without activations, buffers and the multi-token module."));
  const Accelerator& gpu = plan.trained_on;
  if (memory.bytes() > gpu.memory_bytes)
    section.notes.push_back(concat("More than the ", gigabytes(gpu.memory_bytes), " of an ",
                                   gpu.name,
                                   ": --gpus, --pipeline-stages and --expert-ranks "
                                   "share it out."));
  return section;
}

}  // namespace

std::vector<PlanSection> scale_sections(const Plan& plan) {
  std::vector<PlanSection> sections = {laws_section(plan)};
  if (plan.pipeline.stages > 1) sections.push_back(pipeline_section(plan));
  sections.push_back(memory_section(plan));
  return sections;
}

}  // namespace fathom
