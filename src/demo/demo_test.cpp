// What people and machines see of a demo, from a state written by hand; and the recipe's numbers.
#include <gtest/gtest.h>

#include <algorithm>

#include "demo/demo_report.h"
#include "demo/demo_screen.h"
#include "demo/demo_view.h"
#include "demo/recipe_table.h"
#include "io/testing.h"
#include "model/presets.h"
#include "report/metrics.h"

namespace fathom {
namespace {

Json exam(double t1, double greedy, double tokens, double share, double forced) {
  return Json::object({{"t1", t1},
                       {"t1_se", 0.0104},
                       {"greedy", greedy},
                       {"pass8", 0.8},
                       {"mean_tokens", tokens},
                       {"reasoning_share", share},
                       {"right_reasoning", 0.97},
                       {"t1_forced_thinking", forced},
                       {"problems", 192}});
}

Json chapter(double wall_s, int64_t tokens, double train_s) {
  return Json::object(
      {{"wall_s", wall_s}, {"tokens", tokens}, {"train_s", train_s}, {"steps", 20}});
}

// A folder as a finished standard demo leaves it.
class FinishedDemo : public ::testing::Test {
 protected:
  FinishedDemo() {
    config_.seed = 7;
    config_.out = folder_.path();
    recipe_ = demo_recipe(false, 7);
    model_ = recipe_.model;
    model_.vocab_size = 64;
  }

  void add(const std::string& name, Json result) { chapters_[name] = std::move(result); }

  void add_required_chapters() {
    Json pretrain = chapter(100, 3'000'000, 80);
    pretrain["max_vio"] = Json::object({{"worst", 0.19},
                                        {"mean", 0.1},
                                        {"layers", Json(std::vector<double>{0.04, 0.09, 0.19})},
                                        {"validation_loss", 0.5}});
    add("pretrain", pretrain);
    Json cold_start = chapter(5, 87'000, 4);
    cold_start["before"] = exam(0.186, 0.328, 3.3, 0.095, 0.973);
    cold_start["mtp_agreement"] = 0.94;
    add("cold_start", cold_start);
    Json grpo = chapter(60, 1'000'000, 30);
    grpo["rollout_tokens"] = 750'000;
    grpo["rollout_s"] = 25.0;
    grpo["gap_max"] = 2e-5;
    grpo["after"] = exam(0.999, 1, 15, 1, 0.999);
    add("grpo", grpo);
  }

  void add_other_chapters() {
    Json second = chapter(40, 800'000, 20);
    second["t1_before"] = 0.8;
    second["t1_after"] = 0.87;
    second["first_task_t1_after"] = 0.998;
    add("second_task", second);
    Json control = chapter(50, 900'000, 25);
    control["t1_after"] = 0.147;
    add("control", control);
  }

  void write_metrics(const std::string& chapter_name, bool is_policy) {
    MetricsWriter metrics(folder_.file(concat("metrics-", chapter_name, ".jsonl")));
    for (int64_t step = 1; step <= 20; ++step) {
      const double x = static_cast<double>(step);
      Json row = Json::object({{"step", step}, {"max_vio", 0.3}});
      row["expert_load"] = Json::array({Json(std::vector<int64_t>{step, 1})});
      if (is_policy) {
        row["reward"] = x / 21;
        row["accuracy"] = x / 22;
        row["accuracy_modsum"] = x / 23;
        row["accuracy_sort"] = x / 24;
        row["mean_tokens"] = 3 + x / 2;
        row["reasoning_share"] = x / 20;
        row["entropy"] = 1 / x;
      } else {
        row["loss"] = 3 / x;
        if (chapter_name == "pretrain" && step % 5 == 0) row["val_loss"] = 4 / x;
        row["tokens_per_s"] = 10'000 + step;
      }
      metrics.write(row);
    }
  }

  DemoState state() {
    const Json json = Json::object(
        {{"seed", 7}, {"recipe", "standard"}, {"seconds", 0.0}, {"chapters", chapters_}});
    write_file_atomically(folder_.file("state.json"), json.dump());
    return DemoState(config_.out, 7, "standard");
  }

  Json summary() { return demo_summary(config_, recipe_, state(), model_, 300); }

  std::string page() {
    for (const char* name : {"pretrain", "cold_start"}) write_metrics(name, false);
    for (const char* name : {"grpo", "second_task", "control"}) write_metrics(name, true);
    const DemoState done = state();
    write_demo_report(config_, recipe_, done, demo_summary(config_, recipe_, done, model_, 300));
    return read_file(folder_.file("report.html"));
  }

  TemporaryFolder folder_;
  DemoConfig config_;
  DemoRecipe recipe_;
  ModelConfig model_;
  Json chapters_ = Json::object();
};

std::vector<std::string> keys_of(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.members()) keys.push_back(key);
  return keys;
}

// The JSON that a page carries for a chart.
Json chart_data(const std::string& html, const std::string& id) {
  const std::string opening = concat("id=\"data-", id, "\">");
  const size_t begin = html.find(opening);
  if (begin == std::string::npos) return Json();
  const size_t from = begin + opening.size();
  return parse_json(html.substr(from, html.find("</script>", from) - from), id);
}

TEST_F(FinishedDemo, SummaryBeginsWithTheDocumentedKeysInTheirOrder) {
  add_required_chapters();
  add_other_chapters();
  const std::vector<std::string> expected = {"event",
                                             "seed",
                                             "wall_s",
                                             "parameters",
                                             "stages",
                                             "before",
                                             "after",
                                             "second_task",
                                             "control",
                                             "max_vio",
                                             "mtp_agreement",
                                             "train_tokens_per_s",
                                             "rollout_tokens_per_s"};
  const Json json = summary();
  std::vector<std::string> keys = keys_of(json);
  ASSERT_GE(keys.size(), expected.size());
  keys.resize(expected.size());
  EXPECT_EQ(keys, expected);
  EXPECT_EQ(json.string_at("event"), "summary");
  for (const char* side : {"before", "after"}) {
    std::vector<std::string> figures = keys_of(json.at(side));
    figures.resize(7);
    EXPECT_EQ(figures, (std::vector<std::string>{"t1", "t1_se", "greedy", "pass8", "mean_tokens",
                                                 "reasoning_share", "t1_forced_thinking"}));
  }
}

TEST_F(FinishedDemo, SummaryHasTheFiguresOfTheChapters) {
  add_required_chapters();
  add_other_chapters();
  const Json json = summary();
  EXPECT_EQ(json.int_at("seed"), 7);
  EXPECT_EQ(json.double_at("wall_s"), 300);
  EXPECT_EQ(json.at("parameters").int_at("total"), 928600);
  EXPECT_EQ(json.at("parameters").int_at("active"), 349824);
  ASSERT_EQ(json.at("stages").size(), 5u);
  EXPECT_EQ(json.at("stages").at(0).dump(),
            R"({"name":"pretrain","wall_s":100.0,"tokens":3000000})");
  EXPECT_EQ(json.at("stages").at(4).string_at("name"), "control");
  EXPECT_EQ(json.at("before").double_at("t1"), 0.186);
  EXPECT_EQ(json.at("after").double_at("t1"), 0.999);
  EXPECT_EQ(json.at("second_task").string_at("name"), "add");
  EXPECT_EQ(json.at("second_task").double_at("t1_after"), 0.87);
  EXPECT_EQ(json.at("control").double_at("t1_before"), 0.186);
  EXPECT_EQ(json.at("control").double_at("t1_after"), 0.147);
  EXPECT_EQ(json.double_at("max_vio"), 0.19);
  EXPECT_EQ(json.double_at("mtp_agreement"), 0.94);
  EXPECT_EQ(json.double_at("train_tokens_per_s"), 37500);
  EXPECT_EQ(json.double_at("rollout_tokens_per_s"), 30000);
}

TEST_F(FinishedDemo, SummaryOfAQuickDemoHasNoSecondTaskAndNoControl) {
  add_required_chapters();
  const Json json = summary();
  EXPECT_TRUE(json.at("second_task").is_null());
  EXPECT_TRUE(json.at("control").is_null());
  EXPECT_EQ(json.at("stages").size(), 3u);
}

TEST_F(FinishedDemo, PageNeedsNothingFromElsewhere) {
  add_required_chapters();
  add_other_chapters();
  const std::string html = page();
  for (const char* part : {"http://", "https://", "src=", "@import", "url(", "<link"}) {
    EXPECT_EQ(html.find(part), std::string::npos) << part;
  }
}

TEST_F(FinishedDemo, ChartsHoldTheNumbersOfTheMetricsFiles) {
  add_required_chapters();
  add_other_chapters();
  const std::string html = page();
  const auto compare = [&](const std::string& id, size_t series, const std::string& file,
                           const std::string& column) {
    const Json data = chart_data(html, id);
    ASSERT_TRUE(data.is_object()) << id;
    const MetricsColumn expected =
        read_metrics(folder_.file(concat("metrics-", file, ".jsonl"))).column(column);
    ASSERT_FALSE(expected.value.empty()) << column;
    EXPECT_EQ(data.at("series").at(series).at("x"), Json(expected.step)) << id;
    EXPECT_EQ(data.at("series").at(series).at("y"), Json(expected.value)) << id;
  };
  compare("pretraining-loss", 0, "pretrain", "loss");
  compare("pretraining-loss", 1, "pretrain", "val_loss");
  compare("pretraining-speed", 0, "pretrain", "tokens_per_s");
  compare("grpo-reward", 0, "grpo", "reward");
  compare("grpo-right-answers-of-each-task", 0, "grpo", "accuracy_modsum");
  compare("grpo-right-answers-of-each-task", 1, "grpo", "accuracy_sort");
  compare("answer-length", 0, "grpo", "mean_tokens");
  compare("answer-length", 1, "control", "mean_tokens");
  compare("share-that-reasons", 0, "grpo", "reasoning_share");
  compare("entropy", 0, "grpo", "entropy");
  compare("grpo-maxvio", 0, "grpo", "max_vio");
  compare("second-task-reward", 0, "second_task", "reward");
}

TEST_F(FinishedDemo, PageShowsTheExamTheControlAndTheCommand) {
  add_required_chapters();
  add_other_chapters();
  const std::string html = page();
  for (const char* part :
       {"0.186 ± 0.010", "0.999 ± 0.010", "with thinking forced", "Read it honestly",
        "random rewards", "0.147", "fathom demo --seed 7", "0.04, 0.09, 0.19", "928600"}) {
    EXPECT_NE(html.find(part), std::string::npos) << part;
  }
}

TEST_F(FinishedDemo, PageIsWrittenWhileTheDemoIsStillRunning) {
  write_metrics("pretrain", false);
  write_demo_report(config_, recipe_, state(), Json());
  const std::string html = read_file(folder_.file("report.html"));
  EXPECT_NE(html.find("still running"), std::string::npos);
  EXPECT_TRUE(chart_data(html, "pretraining-loss").is_object());
  EXPECT_EQ(html.find("Before and after"), std::string::npos);
}

TEST_F(FinishedDemo, CardHasTheTableAndTheCommand) {
  add_required_chapters();
  const ModelCard card = demo_card(config_, recipe_, state());
  EXPECT_NE(card.body.find("| right at temperature 1 | 0.186 ± 0.010 | 0.999 ± 0.010 |"),
            std::string::npos)
      << card.body;
  EXPECT_NE(card.body.find("fathom demo --seed 7"), std::string::npos);
  EXPECT_EQ(card.body.find("add alone"), std::string::npos);
}

TEST(DemoCommand, RepeatsEverySetting) {
  DemoConfig config;
  config.seed = 3;
  config.out = "my runs/x";
  config.quick = true;
  config.control = false;
  EXPECT_EQ(demo_command(config), "fathom demo --seed 3 --quick --no-control --out 'my runs/x'");
}

TEST(HonestReading, TellsSkillFromChoice) {
  const std::string text =
      honest_reading(exam(0.186, 0.3, 3, 0.1, 0.973), exam(0.999, 1, 15, 1, 0.998));
  for (const char* part : {"0.973 to 0.998", "0.186 to 0.999", "at most that much is new skill"}) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
}

TEST(HonestReading, ClaimsNoSkillAndNoChoiceWhereTheFiguresShowNone) {
  const Json before = exam(0.4, 0.5, 3, 0.1, 0.95);
  EXPECT_NE(honest_reading(before, exam(0.9, 1, 15, 1, 0.94)).find("no new skill"),
            std::string::npos);
  EXPECT_NE(honest_reading(before, exam(0.6, 1, 3, 0.12, 0.95))
                .find("does not come from choosing to think"),
            std::string::npos);
  EXPECT_NE(honest_reading(before, exam(0.3, 1, 3, 0.1, 0.95)).find("did not become more"),
            std::string::npos);
}

// ---- what is printed

bool has_control_characters(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7F;
  });
}

Json step_event(int64_t step, int64_t steps) {
  return Json::object({{"event", "step"},
                       {"chapter", "grpo"},
                       {"steps", steps},
                       {"step", step},
                       {"reward", 0.5},
                       {"mean_tokens", 3.25},
                       {"reasoning_share", 0.1},
                       {"entropy", 0.2},
                       {"max_vio", 0.3},
                       {"rollout_tokens", 1000},
                       {"trained_tokens", 500},
                       {"rollout_s", 0.5},
                       {"train_s", 0.25},
                       {"expert_load", Json::array({Json(std::vector<int64_t>{3, 1, 0, 0})})}});
}

Json sample_event(const std::string& answer) {
  return Json::object(
      {{"event", "sample"},
       {"chapter", "grpo"},
       {"samples",
        Json::array({Json::object({{"prompt", "80+70"}, {"answer", answer}, {"right", true}})})}});
}

Json exam_event(const std::string& name) {
  Json event = Json::object({{"event", "exam"}, {"name", name}, {"task", "modsum"}});
  const Json figures = exam(0.186, 0.328, 3.3, 0.095, 0.973);
  for (const auto& [key, value] : figures.members()) event[key] = value;
  return event;
}

// What a whole GRPO chapter prints in a pipe.
std::string printed_lines() {
  ::testing::internal::CaptureStderr();
  const RunEvents events = demo_events(ProgressStyle::kLines);
  events(Json::object({{"event", "chapter"},
                       {"name", "grpo"},
                       {"title", "3  GRPO on unseen problems"},
                       {"steps", 40}}));
  for (int64_t step = 1; step <= 40; ++step) {
    events(step_event(step, 40));
    events(sample_event("1\n5\x1b[31m0<｜end▁of▁sentence｜>"));
  }
  events(exam_event("after"));
  events(Json::object({{"event", "note"}, {"message", "not there yet\a"}}));
  events(Json::object({{"event", "stopped"}, {"folder", "runs/x"}}));
  return ::testing::internal::GetCapturedStderr();
}

TEST(DemoLines, HaveNoControlCharacters) {
  const std::string text = printed_lines();
  EXPECT_GT(text.size(), 200u);
  EXPECT_FALSE(has_control_characters(text)) << text;
}

TEST(DemoLines, ShowEveryFifthStepOfGrpoAndFewSamples) {
  const std::string text = printed_lines();
  EXPECT_NE(text.find("step 5/40  reward 0.500  tokens 3.2  reasons 0.100"), std::string::npos)
      << text;
  EXPECT_EQ(text.find("step 6/40"), std::string::npos);
  const auto lines = std::count(text.begin(), text.end(), '\n');
  EXPECT_EQ(
      lines,
      1 + 9 + 3 + 3);  // chapter, steps 1, 5, …, 40, samples at 1, 20 and 40, exam, note and stop
}

TEST(DemoLines, ShowEveryFiftiethStepOfALongChapter) {
  ::testing::internal::CaptureStderr();
  const RunEvents events = demo_events(ProgressStyle::kLines);
  for (int64_t step = 10; step <= 1010; step += 10) {
    events(Json::object({{"event", "step"},
                         {"steps", 1010},
                         {"step", step},
                         {"loss", 1.5},
                         {"tokens_per_s", 9000.0}}));
  }
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 21);
  EXPECT_NE(text.find("step 1010/1010  loss 1.5000"), std::string::npos);
}

TEST(DemoLines, GiveAnExamOneLineWithItsStandardError) {
  const std::string line = demo_line(exam_event("before"));
  EXPECT_EQ(line,
            "  exam before GRPO, modsum: right 0.186 ± 0.010, greedy 0.328, pass@8 0.800, 3.3 "
            "tokens, reasons 0.095, with "
            "thinking forced 0.973");
  EXPECT_EQ(demo_line(exam_event("greedy")), "  greedy answers, modsum: right 0.328");
}

TEST(DemoLines, SampleShowsWhetherItIsRightAndWhetherItWasCutOff) {
  const auto sample = [](const std::string& answer, bool right) {
    return sample_line(Json::object({{"prompt", "80+70"}, {"answer", answer}, {"right", right}}));
  };
  EXPECT_EQ(sample("150<｜end▁of▁sentence｜>", true), "✓ 80+70  →  150");
  EXPECT_EQ(sample("<think>3 2", false), "✗ 80+70  →  <think>3 2 …");
}

TEST(DemoScreen, ShowsCurvesExpertsAndSamplesOfTheChapterAlone) {
  DemoScreen screen;
  EXPECT_TRUE(screen.lines().empty());
  screen.take(
      Json::object({{"event", "chapter"}, {"name", "grpo"}, {"title", "3  GRPO"}, {"steps", 40}}));
  screen.take(step_event(1, 40));
  screen.take(step_event(2, 40));
  screen.take(sample_event("150<｜end▁of▁sentence｜>"));
  std::string text;
  for (const std::string& line : screen.lines()) text += line + "\n";
  for (const char* part : {"3  GRPO", "step 2/40", "left", "reward", "0.500", "3.2 tokens",
                           "2.0 K tokens/s sampled", "MaxVio 0.30", "✓ 80+70  →  150"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  screen.take(Json::object(
      {{"event", "chapter"}, {"name", "control"}, {"title", "5  control"}, {"steps", 40}}));
  EXPECT_TRUE(screen.lines().empty());
}

TEST_F(FinishedDemo, TableComparesAndSaysWhereTheReportLies) {
  add_required_chapters();
  add_other_chapters();
  const std::string table = demo_table(summary());
  EXPECT_FALSE(has_control_characters(table));
  for (const char* part : {"0.186 ± 0.010", "0.999 ± 0.010", "second task, add",
                           "control: random rewards", "0.147", "report.html", "fathom chat"}) {
    EXPECT_NE(table.find(part), std::string::npos) << part << "\n" << table;
  }
}

TEST(DemoTable, IsEmptyForARunThatStoppedBeforeItsLastExam) {
  EXPECT_EQ(demo_table(Json::object(
                {{"event", "summary"}, {"steps", 3}, {"before", exam(0.1, 0, 3, 0, 1)}})),
            "");
}

// ---- the recipe

TEST(DemoRecipe, QuickIsShorterAndHasNoSecondTask) {
  const DemoRecipe standard = demo_recipe(false, 5), quick = demo_recipe(true, 5);
  EXPECT_EQ(standard.name, "standard");
  EXPECT_EQ(quick.name, "quick");
  EXPECT_LT(quick.pretrain.steps, standard.pretrain.steps);
  EXPECT_LT(quick.grpo.steps, standard.grpo.steps);
  EXPECT_GT(standard.second.steps, 0);
  EXPECT_EQ(quick.second.steps, 0);
}

TEST(DemoRecipe, StepsThatAGateAddsBeginAtTheFullRate) {
  TrainingChapter chapter;
  chapter.steps = 100;
  chapter.lr = 0.01;
  chapter.warmup_steps = 10;
  EXPECT_LT(chapter_rate(chapter, 0, 40), 0.0011);
  EXPECT_NEAR(chapter_rate(chapter, 99, 40), 0.001, 1e-4);
  EXPECT_NEAR(chapter_rate(chapter, 100, 40), 0.01, 1e-4);
  EXPECT_NEAR(chapter_rate(chapter, 139, 40), 0.001, 1e-4);
  EXPECT_EQ(chapter_rate(chapter, 140, 40), chapter_rate(chapter, 100, 40));
  EXPECT_THROW(chapter_rate(chapter, 100, 0), Error);  // a chapter without a gate ends there
}

// The second chapter is about one task that the first exam did not ask for.
TEST(DemoRecipe, TheSecondTaskIsTheOneThatItsChapterTrains) {
  const DemoRecipe recipe = demo_recipe(false, 5);
  ASSERT_EQ(recipe.second.tasks.size(), 1u);
  EXPECT_TRUE(recipe.second.tasks.front().starts_with(recipe.second_task + "="))
      << recipe.second.tasks.front();
  EXPECT_NE(recipe.second_task, "modsum");
}

TEST(DemoRecipe, StandsInTheDocumentationAsItIs) {
  const std::string page = read_file(FATHOM_SOURCE_DIR "/docs/demo.md");
  const auto standard = recipe_rows(demo_recipe(false, 1)),
             quick = recipe_rows(demo_recipe(true, 1));
  ASSERT_EQ(standard.size(), quick.size());
  for (size_t i = 0; i < standard.size(); ++i) {
    const std::string row =
        concat("| ", standard[i][0], " | ", standard[i][1], " | ", quick[i][1], " |");
    EXPECT_NE(page.find(row), std::string::npos) << "docs/demo.md lacks this row of the recipe:\n"
                                                 << row;
  }
}

TEST(DemoRecipe, SeedsOfTheGrpoChaptersDiffer) {
  const DemoRecipe recipe = demo_recipe(false, 5);
  EXPECT_EQ(recipe.grpo.seed, 5u);
  EXPECT_NE(recipe.second.seed, recipe.grpo.seed);
}

TEST(DemoRecipe, ItsSettingsPassTheChecksOfTheirChapters) {
  for (const bool quick : {true, false}) {
    const DemoRecipe recipe = demo_recipe(quick, 1);
    EXPECT_NO_THROW(check_grpo_config(recipe.grpo));
    EXPECT_NO_THROW(TaskMixture{recipe.pretrain.mixture});
    EXPECT_NO_THROW(TaskMixture{recipe.cold_start.mixture});
    EXPECT_LT(recipe.least_reasoning, recipe.most_reasoning);
  }
}

TEST(DemoRecipe, BiasesMoveFastAtFirst) { EXPECT_GT(demo_bias_speed(0), demo_bias_speed(100)); }

}  // namespace
}  // namespace fathom
