#include "train/run_report.h"

#include <gtest/gtest.h>

#include "io/fields.h"
#include "io/testing.h"
#include "model/presets.h"
#include "report/metrics.h"
#include "train/run_charts.h"

namespace fathom {
namespace {

// The JSON that a page carries for a chart.
Json chart_data(const std::string& html, const std::string& id) {
  const std::string opening = concat("id=\"data-", id, "\">");
  const size_t begin = html.find(opening);
  if (begin == std::string::npos) return Json();
  const size_t from = begin + opening.size();
  return parse_json(html.substr(from, html.find("</script>", from) - from), id);
}

ModelConfig nano() {
  ModelConfig model = model_preset("v3-nano").config;
  model.vocab_size = 64;
  return model;
}

RunConfig nano_run() {
  RunConfig config = default_run_config(RunKind::kTrain, "v3-nano");
  config.data = {"a.txt", "more text.txt"};
  config.out = "runs/x";
  return config;
}

class RunReport : public ::testing::Test {
 protected:
  RunReport() {
    MetricsWriter metrics(folder_.file("metrics.jsonl"));
    for (int64_t step = 10; step <= 30; step += 10) {
      Json row = Json::object({{"step", step},
                               {"loss", 5.0 / static_cast<double>(step)},
                               {"lr", 1e-3},
                               {"max_vio", 0.25}});
      row["tokens_per_s"] = 1000 + step;
      row["expert_load"] =
          Json::array({Json(std::vector<int64_t>{30, 10}), Json(std::vector<int64_t>{step, step})});
      metrics.write(row);
    }
    metrics.write(Json::object({{"step", 30}, {"val_loss", 0.75}}));
  }

  std::string html() {
    write_run_report(RunKind::kTrain, folder_.path(), nano_run(), nano());
    return read_file(folder_.file("report.html"));
  }

  TemporaryFolder folder_;
};

TEST_F(RunReport, CurvesAreTheNumbersOfTheMetricsFile) {
  const Json loss = chart_data(html(), "loss");
  ASSERT_EQ(loss.at("series").size(), 2u);
  const Json& training = loss.at("series").at(0);
  EXPECT_EQ(training.string_at("name"), "training");
  EXPECT_EQ(training.at("x").dump(), "[10.0,20.0,30.0]");
  EXPECT_EQ(training.at("y").at(0).as_double(), 0.5);
  EXPECT_EQ(training.at("y").at(2).as_double(), 5.0 / 30);
  EXPECT_EQ(loss.at("series").at(1).at("y").dump(), "[0.75]");
}

TEST_F(RunReport, HasNoChartForColumnsThatNoRowHas) {
  const std::string page = html();
  EXPECT_TRUE(chart_data(page, "multi-token-loss").is_null());
  EXPECT_FALSE(chart_data(page, "speed").is_null());
}

TEST_F(RunReport, NeedsNothingFromElsewhere) {
  const std::string page = html();
  for (const char* part : {"http://", "https://", "src=", "@import", "<link"})
    EXPECT_EQ(page.find(part), std::string::npos) << part;
}

TEST_F(RunReport, ShowsTheCommandThatRepeatsTheRun) {
  EXPECT_NE(
      html().find(
          "fathom train --preset v3-nano --data a.txt --data &#39;more text.txt&#39; --out runs/x"),
      std::string::npos);
}

TEST_F(RunReport, LoadOfExpertsIsRelativeToTheMeanOfTheirLayer) {
  const std::vector<HeatStrip> strips =
      expert_strips(read_metrics(folder_.file("metrics.jsonl")), "Load");
  ASSERT_EQ(strips.size(), 2u);
  EXPECT_EQ(strips[0].x, (std::vector<double>{10, 20, 30}));
  EXPECT_EQ(strips[0].values[0], (std::vector<double>{1.5, 0.5}));
  EXPECT_EQ(strips[1].values[2], (std::vector<double>{1, 1}));
}

TEST(RunFlags, NameOnlyWhatDiffersFromThePresetsDefaults) {
  RunConfig config = nano_run();
  EXPECT_EQ(run_flags(RunKind::kTrain, config),
            "--preset v3-nano --data a.txt --data 'more text.txt' --out runs/x");
  config.lr = 1e-4;
  config.seed = 7;
  config.recompute = true;
  EXPECT_EQ(run_flags(RunKind::kTrain, config),
            "--preset v3-nano --data a.txt --data 'more text.txt' --out runs/x --seed 7 --lr "
            "0.0001 --recompute");
}

TEST(RunFlags, DependOnWhetherTheRunTrainsOrTunes) {
  const RunConfig tuning = default_run_config(RunKind::kTune, "llm-nano");
  EXPECT_EQ(run_flags(RunKind::kTune, tuning), "--preset llm-nano");
  EXPECT_NE(run_flags(RunKind::kTrain, tuning).find("--schedule cosine"), std::string::npos);
}

TEST(RunFlags, AreReadBackAsTheSameSettings) {
  RunConfig config = nano_run();
  config.lr = 0.1 + 0.2;
  const std::string flags = run_flags(RunKind::kTrain, config);
  const size_t at = flags.find("--lr ");
  ASSERT_NE(at, std::string::npos);
  double lr = 0;
  field_from_text(flags.substr(at + 5, flags.find(' ', at + 5) - at - 5), "lr", lr);
  EXPECT_EQ(lr, config.lr);
}

TEST(ShellWord, QuotesWhatAShellWouldTakeApart) {
  EXPECT_EQ(shell_word("runs/demo-1"), "runs/demo-1");
  EXPECT_EQ(shell_word("a b"), "'a b'");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_word("$HOME"), "'$HOME'");
  EXPECT_EQ(shell_word(""), "''");
}

TEST(RunCard, TellsStepLossAndCommand) {
  const ModelCard card = run_card(RunKind::kTune, nano_run(), nano(), 40, 0.5);
  EXPECT_NE(card.title.find("step 40"), std::string::npos);
  EXPECT_NE(card.body.find("0.5000 nats"), std::string::npos);
  EXPECT_NE(card.body.find("fathom sft --preset v3-nano"), std::string::npos);
  EXPECT_NE(card.body.find("644736"), std::string::npos);
}

TEST(RunCard, SaysNothingAboutALossThatIsNotANumber) {
  const ModelCard card =
      run_card(RunKind::kTrain, nano_run(), nano(), 0, std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(card.body.find("loss"), std::string::npos) << card.body;
}

}  // namespace
}  // namespace fathom
