#include "report/html.h"

#include <gtest/gtest.h>

#include "io/json.h"
#include "io/testing.h"

namespace fathom {
namespace {

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

Report full_report() {
  Report report("Run", "seed 7");
  report.numbers({{"accuracy", "61 %", "before 22 %"}});
  for (const char* section : {"Data", "Training", "Exam"}) report.heading(section);
  report.subheading("Curves");
  report.text("What was done.");
  report.line_chart({"Loss", "step", "nats", false, {{"train", {1, 2}, {3, 2}}}});
  report.heat_strip({"Load", "step", "expert", {1}, {{0.5, 0.5}}, 0});
  report.bar_chart({"Accuracy", "share", {"add"}, {{"after", {0.5}}}});
  report.table({"task", "solved"}, {{"add", "12 %"}, {"sort", "-"}});
  report.code("fathom demo --seed 7\n  second line");
  report.footer("the end");
  return report;
}

TEST(Report, IsOnePageWithAllItsParts) {
  const std::string html = full_report().html();
  EXPECT_TRUE(html.starts_with("<!doctype html>"));
  for (const char* part :
       {"<title>Run</title>", "seed 7", "61 %", "<h3>Curves</h3>", "What was done.",
        "id=\"data-loss\"", "id=\"data-load\"", "id=\"data-accuracy\"",
        "fathom demo --seed 7\n  second line", "the end"}) {
    EXPECT_TRUE(holds(html, part)) << part;
  }
  EXPECT_TRUE(html.ends_with("</html>\n"));
}

TEST(Report, NeedsNothingFromElsewhere) {
  const std::string html = full_report().html();
  for (const char* part : {"http:", "https:", "//", "src=", "@import", "url(", "<link"}) {
    EXPECT_FALSE(holds(html, part)) << part;
  }
  EXPECT_TRUE(holds(html, "prefers-color-scheme: dark"));
}

TEST(Report, LinksItsSectionsFromTheTop) {
  const std::string html = full_report().html();
  EXPECT_TRUE(holds(html, "<a href=\"#section-training\">Training</a>"));
  EXPECT_TRUE(holds(html, "<h2 id=\"section-training\">"));
}

TEST(Report, GivesEachChartAnIdOfItsOwn) {
  Report report("t");
  for (const char* title : {"Loss 2", "Loss", "Loss", "loss!", "é"}) {
    report.line_chart({title, "x", "y", false, {}});
  }
  const std::string html = report.html();
  for (const char* id :
       {"data-loss-2", "data-loss", "data-loss-3", "data-loss-4", "data-untitled"}) {
    const std::string attribute = concat("id=\"", id, "\"");
    EXPECT_EQ(html.find(attribute), html.rfind(attribute)) << id;
    EXPECT_TRUE(holds(html, attribute)) << id;
  }
}

TEST(Report, PutsColumnsOfNumbersToTheRightUnlessTold) {
  Report report("t");
  report.table({"name", "value"}, {{"a", "1.5 GB"}, {"b", "-3"}});
  EXPECT_TRUE(holds(report.html(), "<td>a</td><td class=\"right\">1.5 GB</td>"));
  Report told("t");
  told.table({"name", "value"}, {{"a", "1"}}, "cl");
  EXPECT_TRUE(holds(told.html(), "<td class=\"center\">a</td><td>1</td>"));
}

TEST(Report, EscapesAllText) {
  const std::string evil = "<script>alert(1)</script>";
  Report report(evil, evil);
  report.heading(evil);
  report.subheading(evil);
  report.text(evil);
  report.numbers({{evil, evil, evil}});
  report.table({evil}, {{evil}});
  report.code(evil);
  report.footer(evil);
  EXPECT_FALSE(holds(report.html(), "<script>alert"));
}

TEST(Report, RefusesRaggedTables) {
  Report report("t");
  EXPECT_NE(error_of([&] { report.table({"a", "b"}, {{"1"}}); }), "");
}

TEST(Report, IsSavedAsOneFile) {
  const TemporaryFolder folder;
  full_report().save(folder.file("report.html"));
  EXPECT_EQ(read_file(folder.file("report.html")), full_report().html());
  EXPECT_EQ(list_directory(folder.path()).size(), 1u);
}

}  // namespace
}  // namespace fathom
