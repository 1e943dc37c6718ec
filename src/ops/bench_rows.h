// The rows of `fathom bench`: each op folder gives the shapes that real models use.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runtime/pass.h"

namespace fathom {

struct BenchRow {
  std::string op;     // "matmul_nt"
  std::string shape;  // "2048x192x512"
  std::string dtype;  // "f32"
  double flops = 0;   // 0: a memory-bound op, judged by bytes
  double bytes = 0;   // read and written, at least
  // Allocates what the row needs and returns the work to be timed.
  std::function<std::function<void()>(Pass&)> prepare;
};

std::vector<BenchRow> all_bench_rows();  // ops/bench_rows.cpp lists each folder's function

}  // namespace fathom
