#include "report/metrics.h"

#include <cmath>
#include <limits>
#include <optional>
#include <unordered_set>

namespace fathom {
namespace {

// `value` with every number that JSON cannot hold replaced by its name.
Json with_named_numbers(const Json& value) {
  switch (value.kind()) {
    case Json::Kind::kDouble: {
      const double number = value.as_double();
      if (std::isnan(number)) return "nan";
      if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
      return value;
    }
    case Json::Kind::kArray: {
      Json result = Json::array();
      for (const Json& item : value.items()) result.push_back(with_named_numbers(item));
      return result;
    }
    case Json::Kind::kObject: {
      Json result = Json::object();
      for (const auto& [key, member] : value.members()) result[key] = with_named_numbers(member);
      return result;
    }
    default:
      return value;
  }
}

std::optional<double> number_of(const Json& value) {
  if (value.is_number()) return value.as_double();
  if (!value.is_string()) return std::nullopt;
  const std::string& name = value.as_string();
  if (name == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (name == "inf") return std::numeric_limits<double>::infinity();
  if (name == "-inf") return -std::numeric_limits<double>::infinity();
  return std::nullopt;
}

std::optional<std::vector<double>> numbers_of(const Json& value) {
  if (!value.is_array()) return std::nullopt;
  std::vector<double> numbers;
  for (const Json& item : value.items()) {
    const std::optional<double> number = number_of(item);
    if (!number) return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

bool has_step(const Json& row) {
  const Json* step = row.find("step");
  return step && step->is_int();
}

Json parse_row(std::string_view line, const std::string& origin) {
  Json row = parse_json(line, origin);
  if (!has_step(row)) {
    fail(ErrorCode::kRuntime, origin, ": expected an object with an integer \"step\"");
  }
  return row;
}

// Removes the rows after `finished_step` before the file is opened for appending.
std::string truncated(const std::string& path, int64_t finished_step) {
  std::string kept;
  if (exists(path)) {
    for (const Json& row : read_metrics(path).rows) {
      if (row.int_at("step") <= finished_step) kept += row.dump() + "\n";
    }
  }
  write_file_atomically(path, kept);
  return path;
}

std::string emptied(const std::string& path) {
  write_file_atomically(path, "");
  return path;
}

}  // namespace

MetricsWriter::MetricsWriter(const std::string& path) : file_(emptied(path)) {}

MetricsWriter::MetricsWriter(const std::string& path, int64_t finished_step)
    : file_(truncated(path, finished_step)) {}

void MetricsWriter::write(const Json& row) {
  FATHOM_CHECK(has_step(row), file_.path(),
               ": a row of metrics is an object with an integer \"step\"");
  file_.write(with_named_numbers(row).dump() + "\n");
}

Json finite_members(const Json& row) {
  Json result = Json::object();
  for (const auto& [key, value] : row.members()) {
    if (value.kind() != Json::Kind::kDouble || std::isfinite(value.as_double()))
      result[key] = value;
  }
  return result;
}

std::vector<std::string> Metrics::names() const {
  std::vector<std::string> names;
  std::unordered_set<std::string_view> seen = {"step"};
  for (const Json& row : rows) {
    for (const auto& [key, value] : row.members()) {
      if (number_of(value) && seen.insert(key).second) names.push_back(key);
    }
  }
  return names;
}

MetricsColumn Metrics::column(std::string_view name) const {
  MetricsColumn column;
  for (const Json& row : rows) {
    const Json* value = row.find(name);
    const std::optional<double> number = value ? number_of(*value) : std::nullopt;
    if (!number) continue;
    column.step.push_back(row.double_at("step"));
    column.value.push_back(*number);
  }
  return column;
}

MetricsArrayColumn Metrics::array_column(std::string_view name) const {
  MetricsArrayColumn column;
  for (const Json& row : rows) {
    const Json* value = row.find(name);
    std::optional<std::vector<double>> numbers = value ? numbers_of(*value) : std::nullopt;
    if (!numbers) continue;
    column.step.push_back(row.double_at("step"));
    column.values.push_back(std::move(*numbers));
  }
  return column;
}

Metrics read_metrics(const std::string& path) {
  const std::string text = read_file(path);
  Metrics metrics;
  int64_t number = 1;
  for (size_t begin = 0; begin < text.size(); ++number) {
    const size_t newline = text.find('\n', begin);
    const bool is_torn = newline == std::string::npos;
    const std::string_view line(text.data() + begin, (is_torn ? text.size() : newline) - begin);
    begin = is_torn ? text.size() : newline + 1;
    if (is_torn || line.empty()) continue;
    metrics.rows.push_back(parse_row(line, concat(path, " line ", number)));
  }
  return metrics;
}

}  // namespace fathom
