#include "report/html.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "io/files.h"
#include "report/page.h"

namespace fathom {
namespace {

// "Loss, by step" -> "loss-by-step"
std::string slug(std::string_view name) {
  std::string text;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      text += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!text.empty() && text.back() != '-') {
      text += '-';
    }
  }
  while (text.ends_with('-')) text.pop_back();
  return text.empty() ? "untitled" : text;
}

// "12", "-0.5", "3.2 GB", "+4 %", "—": what is read from its right end.
bool looks_numeric(std::string_view cell) {
  if (cell.empty() || cell == "-" || cell == "–" || cell == "—") return true;
  const size_t first = cell.find_first_not_of("+-−~<>≤≥ $");
  return first != std::string_view::npos && std::isdigit(static_cast<unsigned char>(cell[first]));
}

std::string_view css_class_of(char align) {
  return align == 'r' ? " class=\"right\"" : align == 'c' ? " class=\"center\"" : "";
}

std::string alignment_of(size_t columns, const std::vector<std::vector<std::string>>& rows,
                         std::string_view asked) {
  std::string align(asked);
  for (size_t column = align.size(); column < columns; ++column) {
    const bool is_numeric =
        !rows.empty() && std::all_of(rows.begin(), rows.end(),
                                     [&](const auto& row) { return looks_numeric(row[column]); });
    align += is_numeric ? 'r' : 'l';
  }
  return align;
}

}  // namespace

Report::Report(std::string title, std::string subtitle)
    : title_(std::move(title)), subtitle_(std::move(subtitle)) {}

std::string Report::unique_id(std::string_view prefix, std::string_view name) {
  const std::string wanted = concat(prefix, slug(name));
  std::string id = wanted;
  for (int number = 2; !ids_.insert(id).second; ++number) id = concat(wanted, "-", number);
  return id;
}

void Report::heading(std::string_view text) {
  const std::string id = unique_id("section-", text);
  body_ += concat("<h2 id=\"", id, "\">", escape_html(text), "</h2>\n");
  sections_.emplace_back(id, text);
}

void Report::subheading(std::string_view text) {
  body_ += concat("<h3>", escape_html(text), "</h3>\n");
}

void Report::text(std::string_view paragraph) {
  body_ += concat("<p>", escape_html(paragraph), "</p>\n");
}

void Report::numbers(const std::vector<KeyNumber>& numbers) {
  body_ += "<div class=\"numbers\">\n";
  for (const KeyNumber& number : numbers) {
    body_ += concat("<div class=\"number\"><div class=\"label\">", escape_html(number.label),
                    "</div><div class=\"value\">", escape_html(number.value),
                    "</div><div class=\"note\">", escape_html(number.note), "</div></div>\n");
  }
  body_ += "</div>\n";
}

void Report::table(const std::vector<std::string>& headers,
                   const std::vector<std::vector<std::string>>& rows, std::string_view align) {
  for (const std::vector<std::string>& row : rows) {
    FATHOM_CHECK(row.size() == headers.size(), "table: a row of ", row.size(), " cells under ",
                 headers.size(), " headers");
  }
  const std::string alignment = alignment_of(headers.size(), rows, align);
  body_ += "<div class=\"scroll\"><table>\n<thead><tr>";
  for (size_t i = 0; i < headers.size(); ++i) {
    body_ += concat("<th", css_class_of(alignment[i]), ">", escape_html(headers[i]), "</th>");
  }
  body_ += "</tr></thead>\n<tbody>\n";
  for (const std::vector<std::string>& row : rows) {
    body_ += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) {
      body_ += concat("<td", css_class_of(alignment[i]), ">", escape_html(row[i]), "</td>");
    }
    body_ += "</tr>\n";
  }
  body_ += "</tbody></table></div>\n";
}

void Report::code(std::string_view text) {
  body_ += concat("<pre><code>", escape_html(text), "</code></pre>\n");
}

void Report::line_chart(const LineChart& chart) {
  body_ += line_chart_html(chart, unique_id("data-", chart.title));
}

void Report::heat_strip(const HeatStrip& strip) {
  body_ += heat_strip_html(strip, unique_id("data-", strip.title));
}

void Report::bar_chart(const BarChart& chart) {
  body_ += bar_chart_html(chart, unique_id("data-", chart.title));
}

void Report::footer(std::string_view text) { footer_ = text; }

std::string Report::html() const {
  std::string page = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  page += concat("<title>", escape_html(title_), "</title>\n<style>", page_style(),
                 "</style>\n</head>\n");
  page += concat("<body>\n<main>\n<h1>", escape_html(title_), "</h1>\n");
  if (!subtitle_.empty()) page += concat("<p>", escape_html(subtitle_), "</p>\n");
  if (sections_.size() >= 3) {
    page += "<nav>";
    for (const auto& [id, heading] : sections_) {
      page += concat("<a href=\"#", id, "\">", escape_html(heading), "</a>");
    }
    page += "</nav>\n";
  }
  page += body_;
  if (!footer_.empty()) page += concat("<footer>", escape_html(footer_), "</footer>\n");
  page += concat("</main>\n<script>", page_script(), "</script>\n</body>\n</html>\n");
  return page;
}

void Report::save(const std::string& path) const { write_file_atomically(path, html()); }

}  // namespace fathom
