#include "demo/demo_report.h"

#include <algorithm>

#include "demo/recipe_table.h"
#include "io/files.h"
#include "report/html.h"
#include "train/run_charts.h"

namespace fathom {
namespace {

std::string thousandths(double value) { return fixed(value, 3); }

// The metrics of a chapter as far as it came, or nothing before its first row.
Metrics chapter_metrics(const DemoState& state, const std::string& name) {
  const std::string path = join_path(state.out(), concat("metrics-", name, ".jsonl"));
  return exists(path) ? read_metrics(path) : Metrics{};
}

// One page, written from the chapters that are done.
class Page {
 public:
  Page(const DemoConfig& config, const DemoRecipe& recipe, const DemoState& state,
       const Json& summary)
      : config_(config),
        recipe_(recipe),
        state_(state),
        summary_(summary),
        report_(title(config), subtitle(config, recipe)) {}

  void write() {
    story();
    results();
    pretraining();
    cold_start();
    reinforcement();
    second_task();
    control();
    costs();
    repeat();
    report_.footer(
        "Every curve holds the numbers of the metrics files beside this page as they are; open the "
        "page's source to compare.");
    report_.save(join_path(state_.out(), "report.html"));
  }

 private:
  static std::string title(const DemoConfig& config) {
    return concat("From a blank model to reasoning, seed ", config.seed);
  }
  static std::string subtitle(const DemoConfig& config, const DemoRecipe& recipe) {
    return concat("fathom demo, ", recipe.name, " recipe, in ", config.out);
  }

  bool done(const std::string& name) const { return state_.done(name); }
  const Json& before() const { return state_.result("cold_start").at("before"); }
  const Json& after() const { return state_.result("grpo").at("after"); }

  void chart(const LineChart& made) {
    if (!made.series.empty()) report_.line_chart(made);
  }
  void curves(const Metrics& metrics, const std::string& name, const std::string& y_label,
              const std::vector<ColumnOfChart>& columns) {
    chart(metrics_chart(metrics, name, y_label, columns));
  }
  void strips(const Metrics& metrics, const std::string& name) {
    for (const HeatStrip& strip : expert_strips(metrics, name)) report_.heat_strip(strip);
  }

  void story();
  void results();
  void pretraining();
  void cold_start();
  void reinforcement();
  void second_task();
  void control();
  void costs();
  void repeat();
  void policy_curves(const Metrics& metrics, const std::string& chapter);

  const DemoConfig& config_;
  const DemoRecipe& recipe_;
  const DemoState& state_;
  const Json& summary_;
  Report report_;
};

void Page::story() {
  report_.heading("What happens here");
  if (summary_.is_null())
    report_.text("The demo is still running; this page is written again after each chapter.");
  report_.text(
      "A small model of the DeepSeek-V3 kind starts with random weights. It first learns from "
      "worked problems: sums modulo 10, "
      "additions, sorting, and making a number out of others. For the sums it sees the work "
      "written out, one running sum after "
      "another. Then a short cold start makes it lazy: it reads mostly bare answers and only now "
      "and then one that thinks first. A "
      "six-term sum in a single step is too hard for it, so now it is mostly wrong.");
  report_.text(
      "Then comes GRPO. The model gets problems that it has never seen, answers each eight times, "
      "and a program checks the answers: 1 "
      "for exactly right, 0 for anything else. Nothing rewards thinking, length or form. Answers "
      "better than the others to the same "
      "problem become likelier, worse ones less likely. The few answers that think are nearly "
      "always right, so thinking spreads, and "
      "answers grow longer on their own.");
  report_.code(
      "question          3+9+8+2+5+9 mod 10\n"
      "a bare answer     6\n"
      "one that thinks   <think>3 2 0 2 7 6</think>6");
}

void Page::results() {
  if (!done("cold_start")) return;
  report_.heading("Before and after");
  const bool is_after = done("grpo");
  std::vector<KeyNumber> numbers;
  const auto change = [&](const std::string& label, const char* key, int digits) {
    const std::string was = fixed(before().double_at(key), digits);
    numbers.push_back({label, is_after ? fixed(after().double_at(key), digits) : was,
                       is_after ? "before GRPO " + was : "before GRPO"});
  };
  change("right at temperature 1", "t1", 3);
  change("tokens of an answer", "mean_tokens", 1);
  change("share that reasons", "reasoning_share", 3);
  report_.numbers(numbers);
  report_.table({"sums modulo 10", "before GRPO", "after GRPO"},
                exam_rows(before(), is_after ? after() : Json()), "lrr");
  report_.text(concat("The exam: ", before().int_at("problems"),
                      " problems that no chapter trained on, ", recipe_.exam_samples,
                      " answers to each; ± is one standard error over problems."));
  if (is_after) report_.text(honest_reading(before(), after()));
}

void Page::pretraining() {
  const Metrics metrics = chapter_metrics(state_, "pretrain");
  if (metrics.rows.empty()) return;
  report_.heading("Pretraining");
  curves(metrics, "Pretraining: loss", "nats a token",
         {{"loss", "training"}, {"mtp_loss", "multi-token head"}, {"val_loss", "held out"}});
  curves(metrics, "Pretraining: speed", "tokens a second", {{"tokens_per_s", "training"}});
  report_.subheading("Balance of the experts");
  report_.text(
      "A bias steers tokens away from full experts; no loss is needed for it. MaxVio is how far "
      "the fullest expert lies above the mean "
      "load: 0 is even, 1 is twice the mean. In the strips each row is an expert and its shade the "
      "load, darkest at twice the mean.");
  if (done("pretrain")) {
    std::string layers;
    for (const Json& layer : state_.result("pretrain").at("max_vio").at("layers").items()) {
      layers += (layers.empty() ? "" : ", ") + fixed(layer.as_double(), 2);
    }
    report_.text(concat(
        "On held-out documents at the end, layer by layer, the multi-token head last: ", layers,
        "."));
  }
  curves(metrics, "Pretraining: MaxVio", "mean over layers", {{"max_vio", "training"}});
  strips(metrics, "Load in pretraining");
}

void Page::cold_start() {
  const Metrics metrics = chapter_metrics(state_, "cold_start");
  if (metrics.rows.empty()) return;
  report_.heading("Cold start");
  curves(metrics, "Cold start: loss", "nats a token",
         {{"loss", "training"}, {"mtp_loss", "multi-token head"}});
  if (!done("cold_start")) return;
  report_.text(concat("Afterwards the multi-token head would have drafted ",
                      thousandths(state_.result("cold_start").double_at("mtp_agreement")),
                      " of the tokens of greedy answers right, from the second token on, averaged "
                      "over the four tasks."));
}

// The curves of one policy: what it is rewarded for, and what it does.
void Page::policy_curves(const Metrics& metrics, const std::string& chapter) {
  curves(metrics, chapter + ": reward", "mean", {{"reward", "reward"}});
  std::vector<ColumnOfChart> tasks;
  for (const std::string& name : metrics.names()) {
    const std::string prefix = "accuracy_";
    if (name.starts_with(prefix)) tasks.push_back({name, name.substr(prefix.size())});
  }
  if (tasks.size() > 1) curves(metrics, chapter + ": right answers of each task", "share", tasks);
}

void Page::reinforcement() {
  const Metrics metrics = chapter_metrics(state_, "grpo"),
                random = chapter_metrics(state_, "control");
  if (metrics.rows.empty()) return;
  report_.heading("GRPO");
  policy_curves(metrics, "GRPO");
  report_.text(random.rows.empty()
                   ? "What the model does, step by step, over all answers of a step:"
                   : "What the model does, step by step, over all answers of a step. Beside it the "
                     "control: the same GRPO from the same weights, "
                     "with rewards drawn by lot.");
  const auto beside = [&](const std::string& name, const std::string& column,
                          const std::string& y_label) {
    LineChart made = metrics_chart(metrics, name, y_label, {{column, "GRPO"}});
    if (!random.rows.empty())
      made.series.push_back(metrics_series(random, column, "random rewards"));
    chart(made);
  };
  beside("Right answers", "accuracy", "share");
  beside("Answer length", "mean_tokens", "tokens");
  beside("Share that reasons", "reasoning_share", "of answers");
  beside("Entropy", "entropy", "nats a token");
  curves(metrics, "GRPO: groups without a signal", "share of groups",
         {{"all_right", "all right"}, {"all_wrong", "all wrong"}});
  curves(metrics, "GRPO: sampler against trainer", "largest gap, nats", {{"gap_max", "gap"}});
  curves(metrics, "GRPO: MaxVio", "mean over layers", {{"max_vio", "training"}});
  strips(metrics, "Load in GRPO");
}

void Page::second_task() {
  const Metrics metrics = chapter_metrics(state_, "second_task");
  if (metrics.rows.empty()) return;
  report_.heading("A second task");
  report_.text(concat("The same model goes on with GRPO on ", recipe_.second_task, " alone."));
  if (done("second_task")) {
    const Json& second = state_.result("second_task");
    report_.table({"right at temperature 1", "before", "after"},
                  {{recipe_.second_task, thousandths(second.double_at("t1_before")),
                    thousandths(second.double_at("t1_after"))},
                   {"sums modulo 10", thousandths(after().double_at("t1")),
                    thousandths(second.double_at("first_task_t1_after"))}},
                  "lrr");
  }
  policy_curves(metrics, "Second task");
  curves(metrics, "Second task: answer length", "tokens", {{"mean_tokens", "tokens"}});
}

void Page::control() {
  if (!done("control")) return;
  report_.heading("Control");
  const Json& control = state_.result("control");
  report_.text(
      "A reward that is drawn by lot tells nothing. If the model improved all the same, the "
      "improvement above would not come from being "
      "rewarded for right answers.");
  std::vector<std::vector<std::string>> rows = {{"random rewards",
                                                 thousandths(before().double_at("t1")),
                                                 thousandths(control.double_at("t1_after"))}};
  if (done("grpo")) {
    rows.insert(rows.begin(), {"right answers rewarded", thousandths(before().double_at("t1")),
                               thousandths(after().double_at("t1"))});
  }
  report_.table({"right at temperature 1", "before", "after"}, rows, "lrr");
}

void Page::costs() {
  report_.heading("Time and speed");
  std::vector<std::vector<std::string>> rows;
  for (const char* name : {"pretrain", "cold_start", "grpo", "second_task", "control"}) {
    if (!done(name)) continue;
    const Json& result = state_.result(name);
    const double tokens = result.double_at("tokens"), seconds = result.double_at("wall_s");
    rows.push_back({name, concat(result.int_at("steps")), human_seconds(seconds),
                    human_count(tokens), human_count(tokens / std::max(1e-9, seconds))});
  }
  report_.table({"chapter", "steps", "time", "tokens", "tokens a second"}, rows);
  if (summary_.is_null()) return;
  report_.text(concat("All in all ", human_seconds(summary_.double_at("wall_s")),
                      ", exams included. Training alone ran at ",
                      human_count(summary_.double_at("train_tokens_per_s")),
                      " tokens a second, sampling at ",
                      human_count(summary_.double_at("rollout_tokens_per_s")),
                      ". The sampler and the trainer never differed by more than ",
                      summary_.double_at("gap_max"), " nats in a token's log-probability."));
  const Json& count = summary_.at("parameters");
  report_.text(concat("The model has ", count.int_at("total"),
                      " parameters with its multi-token head; ", count.int_at("active"),
                      " of them work on a token."));
}

void Page::repeat() {
  report_.heading("Recipe");
  report_.table({concat("the ", recipe_.name, " recipe"), ""}, recipe_rows(recipe_), "ll");
  report_.heading("Repeat it");
  report_.text(
      "The same seed gives the same problems and the same weights to begin with; another seed "
      "tells the same story.");
  report_.code(demo_command(config_));
  DemoConfig other = config_;
  other.seed = config_.seed + 1;
  other.out = concat("runs/", config_.quick ? "quick-" : "demo-", other.seed);
  report_.code(demo_command(other));
  report_.text("Talk to the model:");
  report_.code(concat("fathom chat ", config_.out));
}

}  // namespace

void write_demo_report(const DemoConfig& config, const DemoRecipe& recipe, const DemoState& state,
                       const Json& summary) {
  Page(config, recipe, state, summary).write();
}

}  // namespace fathom
