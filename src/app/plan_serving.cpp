// What a plan says of serving: experts on GPUs, the bound of decoding, prices.
#include <algorithm>

#include "app/plan_numbers.h"
#include "app/plan_report.h"
#include "plan/as_double.h"
#include "text/utf8.h"

namespace fathom {
namespace {

// ---------------------------------------------------------------- placement

struct Imbalance {
  double mean = 0, worst = 0;
};

Imbalance imbalance_of(const std::vector<double>& layers) {
  Imbalance sum;
  for (const double layer : layers) {
    sum.mean += layer / static_cast<double>(layers.size());
    sum.worst = std::max(sum.worst, layer);
  }
  return sum;
}

std::vector<double> placed_imbalances(const PlacementPlan& placement) {
  std::vector<double> layers;
  for (const ExpertPlacement& layer : placement.layers) layers.push_back(layer.imbalance);
  return layers;
}

PlanFigure imbalance_figure(const char* name, const std::vector<double>& layers) {
  const Imbalance sum = imbalance_of(layers);
  return {name, concat(fixed(sum.mean, 3), " of the mean"),
          concat("busiest GPU, mean of ", counted(static_cast<int64_t>(layers.size()), "layer"),
                 "; worst ", fixed(sum.worst, 3))};
}

PlanSection placement_section(const Plan& plan) {
  const PlacementPlan& placement = *plan.placement;
  const PlacementShape& shape = placement.shape;
  PlanSection section{"Experts on GPUs when served (EPLB)", {}, {}};
  section.figures = {
      {"slots",
       concat(shape.replicas, " on ", counted(shape.gpus, "GPU"), " in ",
              counted(shape.nodes, "node")),
       concat(plan.config.n_routed_experts, " experts and ",
              shape.replicas - plan.config.n_routed_experts, " more copies, ",
              counted(shape.groups, "group"))},
      {"weights", gigabytes(placement.bytes_per_gpu) + " a GPU",
       concat(shape.replicas / shape.gpus, " slots x ", main_expert_layers(plan.config),
              " layers x ", billions(expert_weights(plan.config)))}};
  const ExpertExchange exchange = expert_exchange(plan.config);
  section.figures.push_back(
      {"exchange",
       concat(spaced(exchange.nodes * exchange.dispatch_bytes), " bytes out, ",
              spaced(exchange.nodes * exchange.combine_bytes), " back"),
       concat("a token and layer, to ", counted(exchange.nodes, "node"),
              " at most: ", exchange.dispatch_bytes, " in fp8 with scales, ",
              exchange.combine_bytes, " in bf16")});
  if (placement.layers.empty()) {
    section.notes.push_back(
        "Which experts get a second copy depends on their load: --expert-loads FILE gives it.");
    return section;
  }
  if (placement.imbalance_before.front() > 0)
    section.figures.push_back(imbalance_figure("in order", placement.imbalance_before));
  section.figures.push_back(imbalance_figure("placed", placed_imbalances(placement)));
  return section;
}

// ---------------------------------------------------------------- inference

PlanFigure bound_figure(const Plan& plan, const DecodeBound& bound) {
  const double price = plan.training_inputs.dollars_per_gpu_hour;
  const std::string experts =
      bound.distinct_experts > 0 ? concat(fixed(bound.distinct_experts, 1), " experts, ") : "";
  const double seconds = std::max(bound.memory_seconds, bound.compute_seconds);
  return {concat("batch ", bound.batch),
          concat(spaced(static_cast<int64_t>(bound.tokens_per_second)), " tokens/s"),
          concat(experts, "weights ", gigabytes(bound.weight_bytes), " + cache ",
                 gigabytes(bound.cache_bytes), " in ", milliseconds(bound.memory_seconds),
                 ", arithmetic ", milliseconds(bound.compute_seconds), "; ", fixed(1 / seconds, 0),
                 " a user, ", dollars(plan.inference.dollars_per_million_tokens(bound, price)),
                 " a million", bound.fits ? "" : "; these caches do not fit")};
}

// What the published day of the service asked of each GPU, by the same forms.
void add_production_day(PlanSection& section, const Plan& plan) {
  if (plan.own == nullptr || !plan.own->fp8) return;  // it served V3 and R1
  const ProductionDay day;
  const ProductionRates rates = production_rates(plan.config, day);
  section.figures.push_back({"published day",
                             concat(tflops(rates.decode_flops_per_gpu), " and ",
                                    gigabytes(rates.cache_bytes_per_second_per_gpu), "/s of cache"),
                             concat("an h800 decoding ", billions(day.output_per_second_per_node),
                                    " tokens/s a node at context ", day.context_tokens)});
  section.figures.push_back(
      {"", tflops(rates.prefill_flops_per_gpu) + " in prompts",
       concat(billions(day.input_per_second_per_node), " tokens/s a node, of it ",
              billions(rates.computed_input_per_second_per_node), " not cached; ", day.nodes,
              " nodes cost ", dollars(rates.dollars_per_day), " a day")});
}

PlanSection inference_section(const Plan& plan) {
  const InferencePlan& inference = plan.inference;
  const InferenceInputs& in = inference.inputs;
  PlanSection section{concat("Decoding on ", in.accelerators, " x ", in.accelerator.name, ", ",
                             8 * in.weight_bytes, "-bit weights, context ", in.context_tokens),
                      {},
                      {}};
  section.figures.push_back(
      {"room",
       inference.fit.cache_bytes > 0 ? concat(gigabytes(inference.fit.cache_bytes), " for caches: ",
                                              billions(inference.fit.cached_tokens), " tokens")
                                     : std::string("the weights do not fit"),
       concat("90 % of ", in.accelerators, " x ", gigabytes(in.accelerator.memory_bytes), " - ",
              gigabytes(inference.fit.weight_bytes), " of weights; ", in.cache_bytes_per_token,
              " bytes a token")});
  for (const DecodeBound& bound : inference.bounds)
    section.figures.push_back(bound_figure(plan, bound));
  add_production_day(section, plan);
  section.notes.push_back(
      concat("Upper bounds: the longer of reading weights and caches at ",
             fixed(in.accelerator.memory_bandwidth / 1e12, 2), " TB/s and of arithmetic at ",
             tflops(in.weight_bytes <= 1 ? in.accelerator.fp8_flops : in.accelerator.bf16_flops),
             ", each a GPU. Without communication, prompts, multi-token drafts and idle time."));
  return section;
}

// ---------------------------------------------------------------- prices

std::string dollars_of(int64_t nano) {
  constexpr int64_t kCent = 10000000;
  const double value = as_double(nano) / 1e9;
  return "$" + (nano % kCent == 0 ? fixed(value, 2) : concat(value));
}

std::string price_text(const TokenPrice& price, bool has_cache_price) {
  return concat(has_cache_price ? dollars_of(price.hit) : "-", " / ", dollars_of(price.miss), " / ",
                dollars_of(price.output));
}

std::string times(double ratio) { return fixed(ratio, 1) + "x"; }

PlanFigure peer_figure(const PriceComparison& peer) {
  const std::string cached =
      peer.hit_ratio ? concat(times(*peer.hit_ratio), " cached, ") : std::string();
  return {peer.row->model, price_text(peer.price, peer.row->has_cache_price),
          concat(cached, times(peer.miss_ratio), " input, ", times(peer.output_ratio), " output, ",
                 times(peer.mix_ratio), " a day's bill", peer.row->note.empty() ? "" : "; ",
                 peer.row->note)};
}

PlanSection prices_section(const Plan& plan) {
  const PricePlan& prices = plan.prices;
  PlanSection section{
      concat("Prices on ", prices.date, ", dollars a million tokens: cached / input / output"),
      {},
      {}};
  if (prices.row == nullptr) {
    section.notes.push_back(concat("The price file (as of ", prices.book->as_of,
                                   ") has none of this model on that day; --price-model compares "
                                   "another."));
    return section;
  }
  const PriceRow& row = *prices.row;
  section.figures.push_back(
      {row.model, price_text(prices.price, row.has_cache_price),
       concat("since ", row.from_text, row.note.empty() ? "" : ", ", row.note)});
  for (const PriceComparison& peer : prices.peers) section.figures.push_back(peer_figure(peer));
  section.notes.push_back(concat(
      "Price file as of ", prices.book->as_of, "; ratios are their price in this model's. A day's ",
      "bill: ", billions(prices.mix.hit), " cached, ", billions(prices.mix.miss), " other input, ",
      billions(prices.mix.output), " output tokens, here $",
      cost_of(prices.mix, prices.price).text(),
      ". Tokenizers and answers differ in length, and models in what they can do."));
  for (const PriceWindow& window : row.windows) {
    if (window.always) continue;
    section.notes.push_back(concat(window.utc, " UTC", window.days.empty() ? "" : " on days ",
                                   window.days, ": ", price_text(window.price, row.has_cache_price),
                                   " (--price-date with a time compares at it)."));
  }
  return section;
}

// ---------------------------------------------------------------- JSON

Json placement_json(const PlacementPlan& placement, const ModelConfig& config) {
  const ExpertExchange exchange = expert_exchange(config);
  Json layers = Json::array();
  for (const ExpertPlacement& layer : placement.layers) {
    Json logical = Json::array();
    for (const std::vector<int64_t>& copies : layer.logical_to_physical)
      logical.push_back(Json(copies));
    layers.push_back(Json::object({{"physical_to_logical", Json(layer.physical_to_logical)},
                                   {"logical_to_physical", std::move(logical)},
                                   {"replica_counts", Json(layer.replica_counts)},
                                   {"imbalance", layer.imbalance}}));
  }
  return Json::object({{"replicas", placement.shape.replicas},
                       {"groups", placement.shape.groups},
                       {"nodes", placement.shape.nodes},
                       {"gpus", placement.shape.gpus},
                       {"bytes_per_gpu", placement.bytes_per_gpu},
                       {"exchange", Json::object({{"dispatch_bytes", exchange.dispatch_bytes},
                                                  {"combine_bytes", exchange.combine_bytes},
                                                  {"nodes", exchange.nodes}})},
                       {"layers", std::move(layers)}});
}

Json inference_json(const Plan& plan) {
  const InferencePlan& inference = plan.inference;
  const double price = plan.training_inputs.dollars_per_gpu_hour;
  Json bounds = Json::array();
  for (const DecodeBound& bound : inference.bounds) {
    bounds.push_back(Json::object(
        {{"batch", bound.batch},
         {"distinct_experts", bound.distinct_experts},
         {"weight_bytes", bound.weight_bytes},
         {"cache_bytes", bound.cache_bytes},
         {"memory_seconds", bound.memory_seconds},
         {"compute_seconds", bound.compute_seconds},
         {"tokens_per_second", bound.tokens_per_second},
         {"fits", bound.fits},
         {"dollars_per_million_tokens", inference.dollars_per_million_tokens(bound, price)}}));
  }
  const ProductionRates rates = production_rates(plan.config);
  return Json::object(
      {{"accelerator", inference.inputs.accelerator.name},
       {"accelerators", inference.inputs.accelerators},
       {"context_tokens", inference.inputs.context_tokens},
       {"weight_bits", 8 * inference.inputs.weight_bytes},
       {"weight_bytes", inference.fit.weight_bytes},
       {"cache_bytes", inference.fit.cache_bytes},
       {"cached_tokens", inference.fit.cached_tokens},
       {"decode", std::move(bounds)},
       {"published_day",
        Json::object({{"decode_flops_per_gpu", rates.decode_flops_per_gpu},
                      {"cache_bytes_per_second_per_gpu", rates.cache_bytes_per_second_per_gpu},
                      {"prefill_flops_per_gpu", rates.prefill_flops_per_gpu},
                      {"dollars", rates.dollars_per_day}})}});
}

Json row_json(const PriceRow& row, const TokenPrice& price) {
  return Json::object({{"provider", replace_invalid_utf8(row.provider)},
                       {"model", row.model},
                       {"from", row.from_text},
                       {"hit", row.has_cache_price ? Json(as_double(price.hit) / 1e9) : Json()},
                       {"miss", as_double(price.miss) / 1e9},
                       {"out", as_double(price.output) / 1e9}});
}

Json prices_json(const PricePlan& prices) {
  Json json = Json::object({{"as_of", prices.book->as_of}, {"date", prices.date}});
  json["price"] = prices.row != nullptr ? row_json(*prices.row, prices.price) : Json();
  Json peers = Json::array();
  for (const PriceComparison& peer : prices.peers) {
    Json row = row_json(*peer.row, peer.price);
    row["hit_ratio"] = peer.hit_ratio ? Json(*peer.hit_ratio) : Json();
    row["miss_ratio"] = peer.miss_ratio;
    row["out_ratio"] = peer.output_ratio;
    row["bill_ratio"] = peer.mix_ratio;
    peers.push_back(std::move(row));
  }
  json["others"] = std::move(peers);
  return json;
}

Json memory_part_json(const MemoryPart& part) {
  return Json::object({{"parameters", part.on_this_gpu},
                       {"weight_bytes", part.weight_bytes},
                       {"gradient_bytes", part.gradient_bytes},
                       {"state_bytes", part.state_bytes}});
}

Json memory_json(const DeviceMemory& memory) {
  return Json::object({{"gpus", memory.layout.gpus},
                       {"pipeline_stages", memory.layout.pipeline_stages},
                       {"expert_ranks", memory.layout.expert_ranks},
                       {"weight_copies", memory.weight_copies},
                       {"experts", memory_part_json(memory.experts)},
                       {"dense", memory_part_json(memory.dense)},
                       {"bytes", memory.bytes()}});
}

Json pipeline_json(const PipelinePlan& pipeline) {
  Json schedules = Json::object();
  for (const PipelineSchedule& schedule : pipeline.schedules) {
    schedules[schedule.name] = Json::object({{"devices", schedule.devices},
                                             {"bubble", schedule.bubble},
                                             {"bubble_share", schedule.bubble_share},
                                             {"weight_copies", schedule.weight_copies},
                                             {"activation_sets", schedule.activation_sets}});
  }
  return Json::object({{"stages", pipeline.stages},
                       {"microbatches", pipeline.microbatches},
                       {"schedules", std::move(schedules)}});
}

}  // namespace

std::vector<PlanSection> serving_sections(const Plan& plan) {
  std::vector<PlanSection> sections;
  if (plan.placement) sections.push_back(placement_section(plan));
  sections.push_back(inference_section(plan));
  sections.push_back(prices_section(plan));
  return sections;
}

Json serving_json(const Plan& plan) {
  const LawOptima& laws = plan.laws;
  Json json = Json::object();
  json["laws"] = Json::object({{"model_flops_per_token", plan.model_scale},
                               {"compute", laws.compute},
                               {"learning_rate", laws.learning_rate},
                               {"batch_tokens", laws.batch_tokens},
                               {"best_model_flops_per_token", laws.model_flops_per_token},
                               {"best_data_tokens", laws.data_tokens}});
  json["pipeline"] = pipeline_json(plan.pipeline);
  json["memory_per_gpu"] = memory_json(plan.memory);
  json["placement"] = plan.placement ? placement_json(*plan.placement, plan.config) : Json();
  json["inference"] = inference_json(plan);
  json["prices"] = prices_json(plan.prices);
  return json;
}

}  // namespace fathom
