// A plan as one HTML page.
#include "app/plan_numbers.h"
#include "app/plan_report.h"
#include "plan/as_double.h"
#include "report/html.h"
#include "text/utf8.h"

namespace fathom {
namespace {

void add_section(Report& report, const PlanSection& section) {
  report.heading(section.title);
  std::vector<std::vector<std::string>> rows;
  for (const PlanFigure& figure : section.figures)
    rows.push_back({figure.name, figure.value, figure.how});
  if (!rows.empty()) report.table({"", "value", "how"}, rows, "lll");
  for (const std::string& note : section.notes) report.text(note);
}

void add_flops_chart(Report& report, const Plan& plan) {
  BarChart chart{
      "Operations of a token by length", "GFLOP", {}, {{"training", {}}, {"decoding", {}}}};
  for (const FlopsAtLength& at : plan.flops) {
    chart.labels.push_back(std::to_string(at.sequence_tokens));
    chart.series[0].values.push_back(at.train_with_mtp / 1e9);
    chart.series[1].values.push_back(at.decode / 1e9);
  }
  report.bar_chart(chart);
}

void add_cache_chart(Report& report, const Plan& plan) {
  BarChart chart{"Cache of a token at equal shape", "bytes in bf16", {}, {{"cache", {}}}};
  for (const CacheAlternative& kind : cache_alternatives(plan.config)) {
    chart.labels.push_back(kind.name);
    chart.series[0].values.push_back(2 * as_double(kind.elements));
  }
  report.bar_chart(chart);
}

void add_decode_chart(Report& report, const Plan& plan) {
  LineChart chart{"Bound of decoding", "batch", "tokens/s", true, {{"bound", {}, {}}}};
  for (const DecodeBound& bound : plan.inference.bounds) {
    chart.series[0].x.push_back(as_double(bound.batch));
    chart.series[0].y.push_back(bound.tokens_per_second);
  }
  report.line_chart(chart);
}

}  // namespace

void write_plan_page(const Plan& plan, const std::vector<PlanSection>& sections,
                     const std::string& path) {
  Report report("Plan of " + replace_invalid_utf8(plan.name),
                "computed from the config; published inputs are named where they stand");
  report.numbers(
      {{"parameters", billions(plan.size.total), billions(plan.size.active) + " active"},
       {"cache of a token", spaced(plan.config.cache_bytes_per_token(2)) + " bytes", "bf16"},
       {"GPU-hours of training", hours(plan.training.total_gpu_hours),
        billions(plan.training.tokens) + " tokens"},
       {"dollars", dollars(plan.training.dollars), "the official run alone, rented"}});
  for (const PlanSection& section : sections) add_section(report, section);
  report.heading("Charts");
  add_flops_chart(report, plan);
  add_cache_chart(report, plan);
  add_decode_chart(report, plan);
  report.footer("Training " + excluded_from_training_cost() + ". Prices as of " +
                replace_invalid_utf8(plan.prices.book->as_of) + ".");
  report.save(path);
}

}  // namespace fathom
