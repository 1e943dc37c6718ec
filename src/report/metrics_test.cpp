#include "report/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "io/testing.h"

namespace fathom {
namespace {

Json row(int64_t step, double loss) { return Json::object({{"step", step}, {"loss", loss}}); }

TEST(Metrics, ReadBackAsColumnsWithTheStepsThatHaveThem) {
  const TemporaryFolder folder;
  MetricsWriter writer(folder.file("metrics.jsonl"));
  writer.write(row(1, 4.5));
  writer.write(Json::object({{"step", 2}, {"loss", 0.1}, {"reward", 1}, {"phase", "grpo"}}));
  writer.write(Json::object({{"step", 3}, {"reward", 0.5}}));
  const Metrics metrics = read_metrics(folder.file("metrics.jsonl"));
  EXPECT_EQ(metrics.rows.size(), 3u);
  EXPECT_EQ(metrics.names(), (std::vector<std::string>{"loss", "reward"}));
  EXPECT_EQ(metrics.column("loss").step, (std::vector<double>{1, 2}));
  EXPECT_EQ(metrics.column("loss").value, (std::vector<double>{4.5, 0.1}));
  EXPECT_EQ(metrics.column("reward").step, (std::vector<double>{2, 3}));
  EXPECT_TRUE(metrics.column("absent").value.empty());
}

TEST(Metrics, KeepTheLoadOfEachExpertAsAnArray) {
  const TemporaryFolder folder;
  MetricsWriter writer(folder.file("m"));
  writer.write(Json::object({{"step", 4}, {"load", std::vector<double>{0.25, 0.75}}}));
  writer.write(row(5, 1));
  const MetricsArrayColumn load = read_metrics(folder.file("m")).array_column("load");
  EXPECT_EQ(load.step, std::vector<double>{4});
  EXPECT_EQ(load.values, (std::vector<std::vector<double>>{{0.25, 0.75}}));
}

TEST(Metrics, CarryNumbersThatAreNotFinite) {
  const TemporaryFolder folder;
  MetricsWriter writer(folder.file("m"));
  writer.write(row(1, NAN));
  writer.write(row(2, -INFINITY));
  writer.write(Json::object({{"step", 3}, {"load", std::vector<double>{INFINITY}}}));
  const Metrics metrics = read_metrics(folder.file("m"));
  EXPECT_TRUE(std::isnan(metrics.column("loss").value[0]));
  EXPECT_EQ(metrics.column("loss").value[1], -INFINITY);
  EXPECT_EQ(metrics.array_column("load").values[0][0], INFINITY);
}

TEST(Metrics, AreOnDiskAfterEveryLine) {
  const TemporaryFolder folder;
  MetricsWriter writer(folder.file("m"));
  for (int step = 1; step <= 3; ++step) {
    writer.write(row(step, 1));
    EXPECT_EQ(read_metrics(folder.file("m")).rows.size(), static_cast<size_t>(step));
  }
}

TEST(Metrics, OfANewRunReplaceThoseOfAnOlder) {
  const TemporaryFolder folder;
  MetricsWriter(folder.file("m")).write(row(1, 1));
  MetricsWriter(folder.file("m")).write(row(1, 2));
  EXPECT_EQ(read_metrics(folder.file("m")).column("loss").value, std::vector<double>{2});
}

TEST(Metrics, OfStepsToBeDoneAgainAreRemovedOnResume) {
  const TemporaryFolder folder;
  {
    MetricsWriter writer(folder.file("m"));
    for (int step = 1; step <= 5; ++step) writer.write(row(step, step));
  }
  MetricsWriter resumed(folder.file("m"), 3);
  resumed.write(row(4, 40));
  const MetricsColumn loss = read_metrics(folder.file("m")).column("loss");
  EXPECT_EQ(loss.step, (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(loss.value, (std::vector<double>{1, 2, 3, 40}));
  MetricsWriter fresh(folder.file("none"), 7);
  EXPECT_TRUE(read_metrics(folder.file("none")).rows.empty());
}

TEST(Metrics, SurviveALastLineCutAtAnyByte) {
  const TemporaryFolder folder;
  const std::string whole = "{\"step\":1,\"loss\":2.5}\n";
  const std::string last = "{\"step\":2,\"loss\":3.5}";
  for (size_t size = 0; size <= last.size(); ++size) {
    write_file_atomically(folder.file("m"), whole + last.substr(0, size));
    EXPECT_EQ(read_metrics(folder.file("m")).rows.size(), 1u);
    MetricsWriter(folder.file("m"), 9).write(row(2, 7));
    EXPECT_EQ(read_metrics(folder.file("m")).column("loss").value, (std::vector<double>{2.5, 7}));
  }
}

TEST(Metrics, NameTheLineThatIsDamaged) {
  const TemporaryFolder folder;
  for (const char* bad : {"{\"step\":", "[1]", "{\"loss\":1}", "{\"step\":\"x\"}"}) {
    write_file_atomically(folder.file("m"), concat("{\"step\":1}\n", bad, "\n{\"step\":3}\n"));
    const std::string message = error_of([&] { read_metrics(folder.file("m")); });
    EXPECT_TRUE(message.starts_with(folder.file("m") + " line 2:")) << message;
  }
  EXPECT_NE(error_of([&] { read_metrics(folder.file("absent")); }), "");
}

TEST(Metrics, GiveEventsOnlyWhatJsonCanHold) {
  const double nan = std::numeric_limits<double>::quiet_NaN(),
               inf = std::numeric_limits<double>::infinity();
  const Json broken = Json::object({{"step", 3},
                                    {"loss", nan},
                                    {"kl", -inf},
                                    {"reward", 0.5},
                                    {"load", Json(std::vector<int64_t>{1, 2})}});
  EXPECT_EQ(finite_members(broken).dump(), R"({"step":3,"reward":0.5,"load":[1,2]})");
}

TEST(Metrics, AreRefusedWithoutAStep) {
  const TemporaryFolder folder;
  MetricsWriter writer(folder.file("m"));
  EXPECT_NE(error_of([&] { writer.write(Json::object({{"loss", 1}})); }), "");
  EXPECT_NE(error_of([&] { writer.write(Json(1)); }), "");
}

}  // namespace
}  // namespace fathom
