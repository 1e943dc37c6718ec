#include "ops/basic/kernels.h"

namespace fathom {
namespace {

struct Matrix {
  int64_t rows, cols;
};

// Activations of the presets tiny and small, a decode step, and 64 MB that fit no cache.
constexpr Matrix kShapes[] = {{2048, 192}, {4096, 384}, {1, 2048}, {8192, 2048}};

Tensor ones(Pass& pass, const Matrix& m) {
  Tensor x = pass.empty({m.rows, m.cols}, DType::kF32);
  fill_ones(x);
  return x;
}

using Work = std::function<void()>;

BenchRow row(const char* op, const Matrix& m, double passes, std::function<Work(Pass&)> prepare) {
  const double bytes = 4 * passes * static_cast<double>(m.rows * m.cols);
  return {op, concat(m.rows, "x", m.cols), "f32", 0, bytes, std::move(prepare)};
}

}  // namespace

std::vector<BenchRow> basic_bench() {
  std::vector<BenchRow> rows;
  for (const Matrix& m : kShapes) {
    rows.push_back(row("fill_zero", m, 1, [m](Pass& pass) -> Work {
      return
          [&pass, x = ones(pass, m)]() mutable { pass.kernels.fill_zero(pass.stream, x.write()); };
    }));
    rows.push_back(row("copy", m, 2, [m](Pass& pass) -> Work {
      return [&pass, x = ones(pass, m), y = ones(pass, m)]() mutable {
        pass.kernels.copy(pass.stream, x.read(), y.write());
      };
    }));
    rows.push_back(row("accumulate", m, 3, [m](Pass& pass) -> Work {
      return [&pass, x = pass.zeros({m.rows, m.cols}, DType::kF32), y = ones(pass, m)]() mutable {
        pass.kernels.accumulate(pass.stream, x.read(), y.write());
      };
    }));
  }
  return rows;
}

}  // namespace fathom
