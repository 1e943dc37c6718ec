// metrics.jsonl: one JSON object a line, each with the "step" it belongs to.
//
// Every line reaches the system before write() returns, so a killed run loses none; a last line cut
// short by a power failure is ignored by the reader and removed on resume. JSON has no NaN: numbers
// that are not finite are written as "nan", "inf" and "-inf" and read back as such.
//
// Threads: a writer belongs to one thread at a time; one writer a file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/files.h"
#include "io/json.h"

namespace fathom {

class MetricsWriter {
 public:
  // Starts an empty file.
  explicit MetricsWriter(const std::string& path);
  // Goes on after `finished_step`: rows of later steps, which will be done again, are removed.
  MetricsWriter(const std::string& path, int64_t finished_step);

  void write(const Json& row);  // an object with an integer "step"

 private:
  AppendFile file_;
};

// `row` without the members that are numbers JSON cannot hold: what an event says of a step whose
// loss broke down.
Json finite_members(const Json& row);

// The values of one name, in the order of the rows that have it.
struct MetricsColumn {
  std::vector<double> step;
  std::vector<double> value;
};

// The same for a name whose values are arrays of numbers, such as the load of each expert.
struct MetricsArrayColumn {
  std::vector<double> step;
  std::vector<std::vector<double>> values;
};

struct Metrics {
  std::vector<Json> rows;

  std::vector<std::string> names()
      const;  // of all numeric columns but "step", as they first appear
  MetricsColumn column(std::string_view name) const;
  MetricsArrayColumn array_column(std::string_view name) const;
};

// A missing file or a damaged line (other than the last) is an error that names the line.
Metrics read_metrics(const std::string& path);

}  // namespace fathom
