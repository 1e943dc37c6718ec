// The summary object, the model card and the table that the page, the card and the terminal share.
#include <algorithm>
#include <functional>

#include "demo/demo_report.h"
#include "io/files.h"
#include "train/run_report.h"

namespace fathom {
namespace {

constexpr double kShareOfNote =
    0.1;  // a rise in the share that reasons below this explains nothing

const std::vector<std::string>& chapter_names() {
  static const std::vector<std::string> names = {"pretrain", "cold_start", "grpo", "second_task",
                                                 "control"};
  return names;
}

// Figures of an exam in the order of docs/demo.md; what else was measured follows.
Json exam_figures(const Json& exam) {
  Json figures = Json::object();
  for (const char* key :
       {"t1", "t1_se", "greedy", "pass8", "mean_tokens", "reasoning_share", "t1_forced_thinking"}) {
    figures[key] = exam.at(key);
  }
  for (const auto& [key, value] : exam.members()) figures[key] = value;
  return figures;
}

double per_second(const Json& chapter, const char* count, const char* seconds) {
  return chapter.double_at(count) / std::max(1e-9, chapter.double_at(seconds));
}

Json stages_of(const DemoState& state) {
  Json stages = Json::array();
  for (const std::string& name : chapter_names()) {
    if (!state.done(name)) continue;
    const Json& result = state.result(name);
    stages.push_back(Json::object(
        {{"name", name}, {"wall_s", result.at("wall_s")}, {"tokens", result.at("tokens")}}));
  }
  return stages;
}

double worst_gap(const DemoState& state) {
  double worst = 0;
  for (const std::string& name : chapter_names()) {
    if (state.done(name)) worst = std::max(worst, state.result(name).double_or("gap_max", 0));
  }
  return worst;
}

}  // namespace

Json demo_summary(const DemoConfig& config, const DemoRecipe& recipe, const DemoState& state,
                  const ModelConfig& model, double wall_s) {
  const Json& pretrain = state.result("pretrain");
  const Json& cold_start = state.result("cold_start");
  const Json& grpo = state.result("grpo");
  const ParameterCount count = count_parameters(model);
  Json summary = Json::object({{"event", "summary"}, {"seed", config.seed}, {"wall_s", wall_s}});
  summary["parameters"] =
      Json::object({{"total", count.total + count.multi_token}, {"active", count.active}});
  summary["stages"] = stages_of(state);
  summary["before"] = exam_figures(cold_start.at("before"));
  summary["after"] = exam_figures(grpo.at("after"));
  summary["second_task"] = nullptr;
  if (state.done("second_task")) {
    const Json& second = state.result("second_task");
    summary["second_task"] =
        Json::object({{"name", recipe.second_task},
                      {"t1_before", second.at("t1_before")},
                      {"t1_after", second.at("t1_after")},
                      {"first_task_t1_after", second.at("first_task_t1_after")}});
  }
  summary["control"] = nullptr;
  if (state.done("control")) {
    summary["control"] = Json::object({{"t1_before", cold_start.at("before").at("t1")},
                                       {"t1_after", state.result("control").at("t1_after")}});
  }
  summary["max_vio"] = pretrain.at("max_vio").at("worst");
  summary["mtp_agreement"] = cold_start.at("mtp_agreement");
  summary["train_tokens_per_s"] = per_second(pretrain, "tokens", "train_s");
  summary["rollout_tokens_per_s"] = per_second(grpo, "rollout_tokens", "rollout_s");
  summary["gap_max"] = worst_gap(state);
  summary["recipe"] = recipe.name;
  summary["folder"] = config.out;
  summary["report"] = join_path(config.out, "report.html");
  return summary;
}

std::string demo_command(const DemoConfig& config) {
  return concat("fathom demo --seed ", config.seed, config.quick ? " --quick" : "",
                config.control ? "" : " --no-control", " --out ", shell_word(config.out));
}

std::vector<std::vector<std::string>> exam_rows(const Json& before, const Json& after) {
  std::vector<std::vector<std::string>> rows;
  const auto row = [&](const std::string& name,
                       const std::function<std::string(const Json&)>& value) {
    rows.push_back({name, value(before), after.is_null() ? "" : value(after)});
  };
  const auto share = [&](const std::string& name, const char* key) {
    row(name, [key](const Json& exam) { return fixed(exam.double_at(key), 3); });
  };
  row("right at temperature 1", [](const Json& exam) {
    return concat(fixed(exam.double_at("t1"), 3), " ± ", fixed(exam.double_at("t1_se"), 3));
  });
  share("right, greedy", "greedy");
  share("right at least once in 8 (pass@8)", "pass8");
  row("tokens of an answer",
      [](const Json& exam) { return fixed(exam.double_at("mean_tokens"), 1); });
  share("share that reasons", "reasoning_share");
  share("right when it reasons", "right_reasoning");
  share("right with thinking forced", "t1_forced_thinking");
  return rows;
}

std::string honest_reading(const Json& before, const Json& after) {
  const auto change = [&](const char* key) {
    return concat(fixed(before.double_at(key), 3), " to ", fixed(after.double_at(key), 3));
  };
  const auto rise = [&](const char* key) { return after.double_at(key) - before.double_at(key); };
  const std::string opening = "Read it honestly: ";
  if (rise("t1") <= 0)
    return concat(opening, "right answers did not become more (", change("t1"), ").");
  if (rise("reasoning_share") < kShareOfNote) {
    return concat(opening, "the share that reasons went from ", change("reasoning_share"),
                  ", so the rise of right answers from ", change("t1"),
                  " does not come from choosing to think.");
  }
  return concat(
      opening, "with thinking forced, right answers went from ", change("t1_forced_thinking"),
      rise("t1_forced_thinking") > 0 ? "; at most that much is new skill"
                                     : "; so no new skill shows here",
      ". The rest of the rise from ", change("t1"),
      " is choice: the model could think all along, and GRPO taught it that thinking pays.");
}

ModelCard demo_card(const DemoConfig& config, const DemoRecipe& recipe, const DemoState& state) {
  const Json& before = state.result("cold_start").at("before");
  const Json& after = state.result("grpo").at("after");
  std::string body = concat(
      "A miniature DeepSeek-V3 (MLA, experts balanced by a bias, multi-token prediction) that "
      "Fathom trained from nothing on generated "
      "problems: pretraining, a short cold start, GRPO with verifiable rewards. It knows four "
      "small tasks and nothing else.\n\n"
      "Exam: ",
      state.result("grpo").at("after").int_at("problems"),
      " held-out problems of six-digit sums modulo 10, ", recipe.exam_samples,
      " samples each.\n\n| | before GRPO | after GRPO |\n|---|---|---|\n");
  for (const std::vector<std::string>& row : exam_rows(before, after)) {
    body += concat("| ", row[0], " | ", row[1], " | ", row[2], " |\n");
  }
  body += "\n" + honest_reading(before, after) + "\n\n";
  if (state.done("second_task")) {
    const Json& second = state.result("second_task");
    body += concat("After that, GRPO on ", recipe.second_task,
                   " alone: ", fixed(second.double_at("t1_before"), 3), " → ",
                   fixed(second.double_at("t1_after"), 3), " right at temperature 1.\n\n");
  }
  body += concat("Ask it in this form:\n\n    fathom run ", shell_word(config.out),
                 " \"3+9+8+2+5+9 mod 10\"\n\nMade by\n\n    ", demo_command(config), "\n");
  return {concat("v3-nano, seed ", config.seed), body};
}

}  // namespace fathom
