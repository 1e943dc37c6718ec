#include "app/plan_report.h"

#include <algorithm>
#include <cmath>

#include "app/plan_numbers.h"
#include "base/error.h"
#include "base/text.h"
#include "plan/as_double.h"
#include "report/live.h"

namespace fathom {
namespace {

// ---------------------------------------------------------------- parameters

PlanSection parameters_section(const Plan& plan) {
  const ModelConfig& c = plan.config;
  const ModelSize& size = plan.size;
  PlanSection section{"Parameters", {}, {}};
  section.figures = {
      {"total", concat(billions(size.total), " (", spaced(size.total), ")"),
       concat("embedding and head ", billions(size.total - size.non_embedding), ", ",
              c.num_hidden_layers, " layers of attention ", billions(attention_layer_weights(c)))},
      {"active",
       concat(billions(size.active), " (", billions(size.active_without_embedding),
              " without the input embedding)"),
       c.n_routed_experts > 0
           ? concat(c.num_experts_per_tok, " of ", c.n_routed_experts, " experts of ",
                    billions(expert_weights(c)), " and ", c.n_shared_experts, " shared in ",
                    main_expert_layers(c), " layers")
           : "all: a dense model"}};
  if (size.multi_token > 0) {
    section.figures.push_back(
        {"multi-token",
         concat(billions(size.multi_token), ", ", billions(size.multi_token_active), " active"),
         concat("not in the total; with its own copies of embedding and head ",
                billions(size.multi_token_with_tables), " and ",
                billions(size.multi_token_active_with_tables))});
  }
  return section;
}

// ---------------------------------------------------------------- cache

std::string cache_formula(const ModelConfig& c) {
  if (c.mla())
    return concat(c.num_hidden_layers, " layers x (", c.kv_lora_rank, " + ", c.qk_rope_head_dim,
                  ") x 2 bytes");
  return concat("2 x ", c.num_hidden_layers, " layers x ", c.num_key_value_heads, " heads x ",
                c.head_dim, " x 2 bytes");
}

std::vector<std::string> cache_notes(const Plan& plan) {
  std::vector<std::string> notes = {
      "The rows of mha, gqa and mqa are this model with other attention: equal layers and query "
      "heads, equal bytes an element. Such a table compares equal shapes."};
  if (!plan.config.mla()) return notes;
  const CacheClaim claim = cache_claim();
  notes.push_back(concat(
      "The published -", percent(claim.published_saving), " is another comparison: V2's latent at ",
      claim.bits, " bits an element (", spaced(claim.quantised_bytes),
      " bytes) against the 67B model's GQA in bf16 (", spaced(claim.dense_bytes),
      " bytes), another model of another shape. With both in bf16 it is -",
      percent(claim.saving_at_equal_bits), "; this model in bf16 against the 67B: ",
      percent(as_double(plan.config.cache_bytes_per_token(2)) / as_double(claim.dense_bytes) - 1),
      "."));
  return notes;
}

PlanSection cache_section(const Plan& plan) {
  const ModelConfig& c = plan.config;
  PlanSection section{"Cache of one token", {}, cache_notes(plan)};
  section.figures.push_back(
      {"bf16", spaced(c.cache_bytes_per_token(2)) + " bytes per token", cache_formula(c)});
  if (const int64_t fp8 = fp8_cache_bytes_per_token(c); fp8 > 0)
    section.figures.push_back({"fp8 latent", spaced(fp8) + " bytes",
                               "the layout of V3.2: latent and f32 scales of 128, rotary in bf16"});
  const double own = as_double(cache_elements_per_token(c));
  for (const CacheAlternative& kind : cache_alternatives(c)) {
    const std::string ratio = kind.is_this_one
                                  ? std::string("this model")
                                  : "this model keeps " + percent(own / as_double(kind.elements));
    section.figures.push_back({"as " + kind.name, spaced(2 * kind.elements) + " bytes", ratio});
  }
  return section;
}

// ---------------------------------------------------------------- operations

PlanSection flops_section(const Plan& plan) {
  const ModelConfig& c = plan.config;
  PlanSection section{"Operations of one token", {}, {}};
  const int64_t weights = active_matmul_weights(c), head = c.vocab_size * c.hidden_size;
  for (const FlopsAtLength& at : plan.flops) {
    std::string value = gflops(at.train);
    if (at.train_with_mtp > at.train) value += " (" + gflops(at.train_with_mtp) + " with MTP)";
    section.figures.push_back(
        {concat("train at ", at.sequence_tokens), value,
         concat("3 x (2 x ", billions(weights), " + 2 x ", billions(head), " + ",
                c.num_hidden_layers, " x ", c.num_attention_heads, " x (", c.qk_head_dim(), " + ",
                c.mla() ? c.v_head_dim : c.head_dim, ") x ", at.sequence_tokens, ")")});
  }
  for (const FlopsAtLength& at : plan.flops) {
    section.figures.push_back(
        {concat("decode at ", at.sequence_tokens), gflops(at.decode),
         concat("of it attention ", gflops(at.decode_attention), c.mla() ? ", absorbed" : "")});
  }
  section.notes.push_back(
      "Training counts a full sequence with causal attention, half of the keys on average, and a "
      "backward pass of two forward ones; norms, softmax and recomputation are left out.");
  return section;
}

// ---------------------------------------------------------------- training

std::string part_of_hours(const std::optional<double>& value) {
  return value ? hours(*value) + " GPU-hours" : "not published";
}

bool as_published(const Plan& plan) {
  return plan.own == plan.reference && plan.training_inputs.peak_flops == kReferencePeak;
}

std::string scaled_from(const Plan& plan, const char* by) {
  return as_published(plan) ? concat("published: ", plan.reference->source)
                            : concat(plan.reference->model, "'s by ", by);
}

std::string hours_formula(const Plan& plan) {
  if (plan.training_inputs.gpu_hours_per_trillion) return "as asked for";
  if (as_published(plan)) return concat("published: ", plan.reference->source);
  return concat(
      plan.reference->model, "'s ", hours(*plan.reference->gpu_hours_per_trillion),
      " in proportion to operations: ", tflops(plan.training.flops_per_second_per_gpu_with_mtp));
}

std::string batch_formula(const Plan& plan) {
  const PublishedRun& run = plan.own != nullptr ? *plan.own : *plan.reference;
  const BatchSize& batch = find_recipe(run.recipe)->batch;
  const std::string growth = batch.ramp_tokens > 0
                                 ? concat(batch.first, " to ", batch.full, " over ",
                                          billions(batch.ramp_tokens), " tokens")
                                 : concat(batch.full);
  return concat("batches of ", run.model, ": ", growth, ", of ", run.sequence_tokens, " tokens");
}

PlanSection training_section(const Plan& plan) {
  const TrainingCost& cost = plan.training;
  const TrainingInputs& in = plan.training_inputs;
  PlanSection section{"Training", {}, {}};
  const std::string peak = " of " + tflops(in.peak_flops);
  section.figures = {
      {"tokens", billions(cost.tokens),
       plan.own != nullptr && plan.own->tokens == cost.tokens
           ? concat("published of ", plan.own->model)
           : concat("those of ", plan.reference->model, " unless --tokens says otherwise")},
      {"steps", plan.steps ? billions(*plan.steps) : "not published",
       plan.steps ? batch_formula(plan) : ""},
      {"hours per trillion", hours(cost.gpu_hours_per_trillion) + " GPU-hours",
       hours_formula(plan)},
      {"throughput", fixed(cost.tokens_per_second_per_gpu, 0) + " tokens/s a GPU",
       "1e12 / 3600 / hours per trillion"},
      {"utilisation", concat(tflops(cost.flops_per_second_per_gpu), ", ", percent(cost.mfu), peak),
       concat("with multi-token modules ", tflops(cost.flops_per_second_per_gpu_with_mtp), ", ",
              percent(cost.mfu_with_mtp))},
      {"pre-training", hours(cost.pretraining_gpu_hours) + " GPU-hours",
       concat(fixed(cost.pretraining_days, 1), " days on ", counted(in.gpus, "GPU"), ", ",
              fixed(cost.days_per_trillion, 2), " a trillion tokens")},
      {"context extension", part_of_hours(cost.context_extension_gpu_hours),
       cost.context_extension_gpu_hours ? scaled_from(plan, "operations at its lengths") : ""},
      {"post-training", part_of_hours(cost.post_training_gpu_hours),
       cost.post_training_gpu_hours ? scaled_from(plan, "operations") : ""},
      {"total", hours(cost.total_gpu_hours) + " GPU-hours", "of what is known"},
      {"dollars", dollars(cost.dollars), concat("at $", in.dollars_per_gpu_hour, " a GPU-hour")}};
  section.notes.push_back("Covers " + excluded_from_training_cost() + ".");
  return section;
}

}  // namespace

std::vector<PlanSection> plan_sections(const Plan& plan) {
  std::vector<PlanSection> sections = {parameters_section(plan), cache_section(plan),
                                       flops_section(plan), training_section(plan)};
  for (PlanSection& section : scale_sections(plan)) sections.push_back(std::move(section));
  for (PlanSection& section : serving_sections(plan)) sections.push_back(std::move(section));
  return sections;
}

namespace {

std::string padded(const std::string& text, int width) {
  const int used = display_width(text);
  return text + std::string(static_cast<size_t>(std::max(width - used, 0)), ' ');
}

// Indented by two, in lines of about a hundred columns.
std::string wrapped(const std::string& note) {
  constexpr int kColumns = 98;
  std::string text, line;
  std::istringstream words(note);
  for (std::string word; words >> word;) {
    if (!line.empty() && display_width(line) + 1 + display_width(word) > kColumns) {
      text += "  " + line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return text + "  " + line + "\n";
}

std::string section_text(const PlanSection& section) {
  int name_width = 0, value_width = 0;
  for (const PlanFigure& figure : section.figures) {
    name_width = std::max(name_width, display_width(figure.name));
    value_width = std::max(value_width, display_width(figure.value));
  }
  std::string text = "\n" + section.title + "\n";
  for (const PlanFigure& figure : section.figures) {
    text += "  " + padded(figure.name, name_width + 2);
    text += figure.how.empty() ? figure.value : padded(figure.value, value_width + 2) + figure.how;
    text += "\n";
  }
  for (const std::string& note : section.notes) text += wrapped(note);
  return text;
}

}  // namespace

std::string plan_text(const Plan& plan, const std::vector<PlanSection>& sections) {
  std::string text = plan.name + "\n";
  for (const PlanSection& section : sections) text += section_text(section);
  return text;
}

}  // namespace fathom
