// A plan as JSON.
#include "app/plan_report.h"
#include "text/utf8.h"

namespace fathom {
namespace {

Json number_or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

Json parameters_json(const ModelSize& size) {
  return Json::object({{"total", size.total},
                       {"active", size.active},
                       {"active_without_embedding", size.active_without_embedding},
                       {"non_embedding", size.non_embedding},
                       {"multi_token", size.multi_token},
                       {"multi_token_active", size.multi_token_active},
                       {"multi_token_with_tables", size.multi_token_with_tables},
                       {"multi_token_active_with_tables", size.multi_token_active_with_tables}});
}

Json cache_json(const ModelConfig& c) {
  Json alternatives = Json::object();
  for (const CacheAlternative& kind : cache_alternatives(c))
    alternatives[kind.name] = 2 * kind.elements;
  const int64_t fp8 = fp8_cache_bytes_per_token(c);
  const CacheClaim claim = cache_claim();
  return Json::object(
      {{"elements_per_token", cache_elements_per_token(c)},
       {"fp8_bytes_per_token", fp8 > 0 ? Json(fp8) : Json()},
       {"bytes_per_token_at_equal_shape", std::move(alternatives)},
       {"claim", Json::object({{"compares",
                                "deepseek-v2 latent at 6 bits with the gqa of "
                                "deepseek llm 67b in bf16"},
                               {"bytes_per_token", claim.quantised_bytes},
                               {"bytes_per_token_67b", claim.dense_bytes},
                               {"saving", claim.published_saving},
                               {"saving_both_in_bf16", claim.saving_at_equal_bits}})}});
}

Json training_json(const Plan& plan) {
  const TrainingCost& cost = plan.training;
  const double price = plan.training_inputs.dollars_per_gpu_hour;
  Json hours = Json::object();
  hours["pretraining"] = cost.pretraining_gpu_hours;
  hours["context_extension"] = number_or_null(cost.context_extension_gpu_hours);
  hours["post_training"] = number_or_null(cost.post_training_gpu_hours);
  hours["total"] = cost.total_gpu_hours;
  return Json::object(
      {{"reference", plan.reference->preset},
       {"source", plan.reference->source},
       {"tokens", cost.tokens},
       {"gpu_hours_per_trillion_tokens", cost.gpu_hours_per_trillion},
       {"steps", number_or_null(plan.steps)},
       {"accelerator", plan.trained_on.name},
       {"gpus", plan.training_inputs.gpus},
       {"tokens_per_second_per_gpu", cost.tokens_per_second_per_gpu},
       {"flops_per_second_per_gpu", cost.flops_per_second_per_gpu},
       {"flops_per_second_per_gpu_with_mtp", cost.flops_per_second_per_gpu_with_mtp},
       {"mfu", cost.mfu},
       {"mfu_with_mtp", cost.mfu_with_mtp},
       {"days_per_trillion_tokens", cost.days_per_trillion},
       {"pretraining_days", cost.pretraining_days},
       {"gpu_hours", std::move(hours)},
       {"dollars_per_gpu_hour", price},
       {"dollars", cost.dollars},
       {"covers", excluded_from_training_cost()}});
}

}  // namespace

Json plan_json(const Plan& plan) {
  Json json = Json::object({{"model", replace_invalid_utf8(plan.name)}});
  json["parameters"] = parameters_json(plan.size);
  json["cache_bytes_per_token"] = plan.config.cache_bytes_per_token(2);
  json["cache"] = cache_json(plan.config);
  for (const FlopsAtLength& at : plan.flops) {
    const std::string length = std::to_string(at.sequence_tokens);
    json["train_flops_per_token"][length] = at.train;
    json["train_flops_per_token_with_mtp"][length] = at.train_with_mtp;
    json["decode_flops_per_token"][length] = at.decode;
  }
  json["training"] = training_json(plan);
  const Json rest = serving_json(plan);
  for (const auto& [key, value] : rest.members()) json[key] = value;
  return json;
}

}  // namespace fathom
