#include "train/run_report.h"

#include <algorithm>
#include <cmath>

#include "io/fields.h"
#include "io/files.h"
#include "io/toml.h"
#include "report/html.h"
#include "train/run_charts.h"

namespace fathom {
namespace {

std::string command_name(RunKind kind) {
  return kind == RunKind::kTrain ? "fathom train" : "fathom sft";
}

std::string flag_value(const std::string& value) { return shell_word(value); }
std::string flag_value(int64_t value) { return concat(value); }
std::string flag_value(uint64_t value) { return concat(value); }
std::string flag_value(double value) { return shortest_number(value); }

// How a field is written on the command line.
template <class Field>
std::string flags_of(const char* name, const Field& value) {
  const std::string flag = " " + flag_name(name);
  if constexpr (std::is_same_v<Field, std::vector<std::string>>) {
    std::string text;
    for (const std::string& item : value) text += flag + " " + shell_word(item);
    return text;
  } else if constexpr (std::is_same_v<Field, bool>) {
    return value ? flag : flag + "=false";
  } else {
    return flag + " " + flag_value(value);
  }
}

void add_key_numbers(Report& report, const Metrics& metrics, const ModelConfig& model) {
  const ParameterCount count = count_parameters(model);
  std::vector<KeyNumber> numbers;
  numbers.push_back(
      {"parameters", human_count(static_cast<double>(count.total)),
       concat(human_count(static_cast<double>(count.active)), " active for a token")});
  const auto last = [&](const std::string& column, const std::string& label, int digits) {
    const MetricsColumn values = metrics.column(column);
    if (values.value.empty()) return;
    numbers.push_back(
        {label, fixed(values.value.back(), digits), concat("step ", fixed(values.step.back(), 0))});
  };
  last("loss", "training loss", 4);
  last("val_loss", "validation loss", 4);
  last("max_vio", "MaxVio", 2);
  const MetricsColumn speed = metrics.column("tokens_per_s");
  if (!speed.value.empty())
    numbers.push_back({"speed", human_count(speed.value.back()), "tokens a second"});
  report.numbers(numbers);
}

void add_curves(Report& report, const Metrics& metrics) {
  report.heading("Curves");
  const auto chart = [&](const std::string& title, const std::string& y_label,
                         const std::vector<ColumnOfChart>& columns) {
    const LineChart made = metrics_chart(metrics, title, y_label, columns);
    if (!made.series.empty()) report.line_chart(made);
  };
  chart("Loss", "nats a token", {{"loss", "training"}, {"val_loss", "validation"}});
  chart("Multi-token loss", "nats a token", {{"mtp_loss", "training"}});
  chart("Learning rate", "", {{"lr", "learning rate"}});
  chart("Gradient norm", "before clipping", {{"grad_norm", "norm"}});
  chart("Speed", "tokens a second", {{"tokens_per_s", "training"}});
}

void add_balance(Report& report, const Metrics& metrics) {
  const std::vector<HeatStrip> strips = expert_strips(metrics, "Load");
  if (strips.empty()) return;
  report.heading("Balance of the experts");
  report.text(
      "MaxVio is how far the fullest expert lies above the mean load of its layer, averaged over "
      "layers: 0 is even, 1 is twice the "
      "mean. In the strips each row is an expert; its shade is its load over the mean, darkest at "
      "twice the mean.");
  const LineChart chart = metrics_chart(metrics, "MaxVio", "mean over layers",
                                        {{"max_vio", "training"}, {"val_max_vio", "validation"}});
  if (!chart.series.empty()) report.line_chart(chart);
  for (const HeatStrip& strip : strips) report.heat_strip(strip);
}

}  // namespace

std::string shell_word(const std::string& text) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./=:,+@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string word = "'";
  for (const char c : text) {
    if (c == '\'') {
      word += "'\\''";
    } else {
      word += c;
    }
  }
  return word + "'";
}

std::string run_flags(RunKind kind, const RunConfig& config) {
  const Json defaults = fields_to_json(default_run_config(kind, config.preset));
  std::string flags;
  RunConfig copy = config;
  visit_fields(copy, [&](const char* name, const auto& value, const char*) {
    const bool is_default = field_to_json(value) == defaults.at(name);
    if (std::string_view(name) == "preset" || !is_default) flags += flags_of(name, value);
  });
  return flags.substr(1);
}

void write_run_report(RunKind kind, const std::string& run, const RunConfig& config,
                      const ModelConfig& model) {
  const Metrics metrics = read_metrics(join_path(run, "metrics.jsonl"));
  Report report(concat(kind == RunKind::kTrain ? "Training" : "Tuning", " of ", config.preset),
                concat("seed ", config.seed, ", ", config.steps, " steps, ", run));
  add_key_numbers(report, metrics, model);
  add_curves(report, metrics);
  add_balance(report, metrics);
  report.heading("Repeat it");
  report.text("The flags that differ from the preset's defaults:");
  report.code(concat(command_name(kind), " ", run_flags(kind, config)));
  report.text("Every setting, as run.toml in the checkpoints has it:");
  report.code(dump_toml(fields_to_json(config)));
  report.footer("The curves hold the numbers of metrics.jsonl beside this page as they are.");
  report.save(join_path(run, "report.html"));
}

ModelCard run_card(RunKind kind, const RunConfig& config, const ModelConfig& model, int64_t step,
                   double train_loss) {
  const ParameterCount count = count_parameters(model);
  std::string body = concat(kind == RunKind::kTrain ? "Pretrained" : "Tuned",
                            " with Fathom.\n\n| | |\n|---|---|\n");
  const auto row = [&](const std::string& name, const std::string& value) {
    body += concat("| ", name, " | ", value, " |\n");
  };
  row("shape", concat(config.preset, " (`", model.model_type, "`)"));
  row("parameters", concat(count.total, ", ", count.active, " active for a token"));
  if (count.multi_token > 0) row("multi-token heads", concat(count.multi_token, " parameters"));
  row("step", concat(step, " of ", config.steps));
  if (std::isfinite(train_loss)) row("training loss", fixed(train_loss, 4) + " nats a token");
  row("seed", concat(config.seed));
  body += concat("\nMade by\n\n    ", command_name(kind), " ", run_flags(kind, config), "\n");
  return {concat(config.preset, " at step ", step), body};
}

}  // namespace fathom
