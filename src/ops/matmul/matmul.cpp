#include <algorithm>
#include <vector>

#include "base/team.h"
#include "ops/matmul/blocks.h"
#include "ops/matmul/kernels.h"

namespace fathom::products {
namespace {

// Below so many multiply-adds a product stays on the calling thread: about a microsecond.
constexpr int64_t kSerialWork = 1 << 17;

// Larger products are cut into shares of about so many, half a millisecond each, so that a thread
// that loses its processor holds up little. Small shares cost kTn 5 to 15 %, since it packs both
// operands in passing; it has one for each thread.
constexpr int64_t kShareWork = 1 << 25;
constexpr int64_t kMostShares = 4;  // for each thread

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct Range {
  int64_t begin = 0, end = 0;
};

// Into how many shares a product of so many multiply-adds is cut.
int64_t shares_of(Form form, int64_t work) {
  if (work <= kSerialWork) return 1;
  const int64_t team = team_size();
  if (form == Form::kTn) return team;
  return team * std::clamp<int64_t>(work / kShareWork / team, 1, kMostShares);
}

// Part `i` of `parts` nearly equal ones.
Range share(int64_t items, int64_t parts, int64_t i) {
  return {items * i / parts, items * (i + 1) / parts};
}

Block part_of(const BlockKernel& kernel, const Block& whole, Range rows, Range columns) {
  Block part = whole;
  part.a = whole.form == Form::kTn ? whole.a.at(0, rows.begin) : whole.a.at(rows.begin, 0);
  part.b = whole.form == Form::kNt       ? whole.b.at(columns.begin, 0)
           : whole.form == Form::kPacked ? whole.b.at(columns.begin / kernel.tile_columns, 0)
                                         : whole.b.at(0, columns.begin);
  part.c += rows.begin * whole.c_step + columns.begin;
  part.m = rows.end - rows.begin;
  part.n = columns.end - columns.begin;
  return part;
}

int64_t panel_cost(const BlockKernel& kernel, Form form) {
  return form == Form::kPacked ? 0 : kernel.panel_cost;
}

// Into how many bands of rows c is cut so that the largest of `shares` blocks is cheapest.
int64_t best_bands(const BlockKernel& kernel, Form form, int64_t rows, int64_t panels,
                   int64_t shares) {
  int64_t best = 1, best_cost = 0;
  for (int64_t bands = 1; bands <= shares; ++bands) {
    if (shares % bands != 0) continue;
    const int64_t block_rows = divide_up(rows, bands);
    const int64_t cost =
        divide_up(panels, shares / bands) * (block_rows + panel_cost(kernel, form)) +
        block_rows * kernel.row_cost;
    if (bands == 1 || cost < best_cost) {
      best = bands;
      best_cost = cost;
    }
  }
  return best;
}

// Block `number` of `shares` of a product.
void multiply_share(const BlockKernel& kernel, const Block& whole, int64_t number, int64_t shares) {
  const int64_t panels = kernel.panels(whole.n);
  const int64_t bands = best_bands(kernel, whole.form, whole.m, panels, shares);
  const Range rows = share(whole.m, bands, number % bands);
  Range columns = share(panels, shares / bands, number / bands);
  columns.begin *= kernel.tile_columns;
  columns.end = std::min(whole.n, columns.end * kernel.tile_columns);
  if (rows.begin < rows.end && columns.begin < columns.end)
    kernel.multiply(part_of(kernel, whole, rows, columns));
}

// The place in a block at which a share of the work begins or ends: panel, then row within it.
struct Place {
  int64_t panel = 0, row = 0;
};

// Where `cost` of the block is done, when each panel costs k · (m + panel_cost).
Place place_at(const BlockKernel& kernel, const Block& block, int64_t panels, int64_t cost) {
  const int64_t cost_of_panel = block.k * (block.m + panel_cost(kernel, block.form));
  if (cost <= 0) return {0, 0};
  if (cost >= panels * cost_of_panel) return {panels, 0};
  const int64_t row = cost % cost_of_panel / block.k / kernel.tile_rows * kernel.tile_rows;
  return {cost / cost_of_panel, std::min(row, block.m)};
}

// Computes the block's tiles from `begin` to `end`, going down panel after panel.
void multiply_between(const BlockKernel& kernel, const Block& block, Place begin, Place end) {
  const auto run = [&](Range rows, Range panels) {
    const Range columns = {panels.begin * kernel.tile_columns,
                           std::min(block.n, panels.end * kernel.tile_columns)};
    if (rows.begin < rows.end && columns.begin < columns.end)
      kernel.multiply(part_of(kernel, block, rows, columns));
  };
  if (begin.panel == end.panel) return run({begin.row, end.row}, {begin.panel, begin.panel + 1});
  if (begin.row > 0) {
    run({begin.row, block.m}, {begin.panel, begin.panel + 1});
    ++begin.panel;
  }
  run({0, block.m}, {begin.panel, end.panel});
  run({0, end.row}, {end.panel, end.panel + 1});
}

// A product per group; `at(g)` is the block of group g, whose m or k is 0 where it has no rows.
template <class At>
void multiply_groups(const BlockKernel& kernel, Form form, int64_t groups, const At& at) {
  int64_t total = 0;
  const auto panels = [&](const Block& block) { return kernel.panels(block.n); };
  const auto cost = [&](const Block& block) {
    return block.m == 0 ? 0 : panels(block) * block.k * (block.m + panel_cost(kernel, form));
  };
  for (int64_t g = 0; g < groups; ++g) total += cost(at(g));

  const int64_t shares = shares_of(form, total * kernel.tile_columns);
  share_tasks(shares, [&](int64_t number, int) {
    const Range mine = share(total, shares, number);
    int64_t begin = 0;
    for (int64_t g = 0; g < groups && begin < mine.end; ++g) {
      const Block block = at(g);
      const int64_t end = begin + cost(block);
      if (begin < end && end > mine.begin) {
        multiply_between(kernel, block, place_at(kernel, block, panels(block), mine.begin - begin),
                         place_at(kernel, block, panels(block), mine.end - begin));
      }
      begin = end;
    }
  });
}

}  // namespace

void matmul(const BlockKernel& kernel, Form form, ConstView a, ConstView b, View c,
            bool accumulate) {
  if (c.dtype != DType::kF32) {
    const auto plain = form == Form::kNt   ? &reference::matmul_nt
                       : form == Form::kNn ? &reference::matmul_nn
                                           : &reference::matmul_tn;
    return plain(nullptr, a, b, c, accumulate);
  }
  const int64_t k = form == Form::kTn ? a.rows() : a.cols();
  const Block whole{
      form,
      Operand(a, 0),
      form == Form::kPacked ? kernel.packed_operand(b.row<float>(0), k) : Operand(b, 0),
      c.row<float>(0),
      c.row_stride,
      c.rows(),
      c.cols(),
      k,
      accumulate};
  if (whole.m == 0 || whole.n == 0) return;
  const int64_t shares = shares_of(form, whole.n * whole.k * (whole.m + panel_cost(kernel, form)));
  share_tasks(shares, [&](int64_t number, int) { multiply_share(kernel, whole, number, shares); });
}

void pack_all(const BlockKernel& kernel, ConstView b, View packed) {
  const int64_t groups = packed.rows(), n = b.rows() / groups, k = b.cols();
  const int64_t panels = kernel.panels(n);
  share_tasks(groups * panels, [&](int64_t task, int) {
    const int64_t group = task / panels, panel = task % panels;
    const int64_t begin = panel * kernel.tile_columns;
    kernel.pack_panel(b.row<float>(group * n + begin), b.row_stride,
                      std::min(kernel.tile_columns, n - begin), k,
                      packed.row<float>(group) + panel * kernel.panel_floats(k));
  });
}

void grouped(const BlockKernel& kernel, Form form, ConstView a, ConstView offsets, ConstView b,
             View c) {
  if (c.dtype != DType::kF32) {
    const auto plain = form == Form::kNt ? &reference::grouped_nt : &reference::grouped_nn;
    return plain(nullptr, a, offsets, b, c);
  }
  const int32_t* begin = offsets.row<int32_t>(0);
  const int64_t matrix_rows = form == Form::kPacked ? 0 : b.shape[1];  // of a group's b
  multiply_groups(kernel, form, offsets.shape.elements() - 1, [&](int64_t g) {
    return Block{form,
                 Operand(a, begin[g]),
                 form == Form::kPacked ? kernel.packed_operand(b.row<float>(g), a.cols())
                                       : Operand(b, g * matrix_rows),
                 c.row<float>(begin[g]),
                 c.row_stride,
                 begin[g + 1] - begin[g],
                 c.cols(),
                 a.cols(),
                 false};
  });
}

void grouped_stored(const BlockKernel& kernel, ConstView a, ConstView offsets,
                    std::span<const ConstView> b, View c) {
  const int32_t* begin = offsets.row<int32_t>(0);
  multiply_groups(kernel, Form::kNt, offsets.shape.elements() - 1, [&](int64_t g) {
    return Block{Form::kNt,
                 Operand(a, begin[g]),
                 Operand(b[static_cast<size_t>(g)], 0),
                 c.row<float>(begin[g]),
                 c.row_stride,
                 begin[g + 1] - begin[g],
                 c.cols(),
                 a.cols(),
                 false};
  });
}

void grouped_tn(const BlockKernel& kernel, ConstView a, ConstView offsets, ConstView b, View c,
                uint8_t* live) {
  if (c.dtype != DType::kF32) return reference::grouped_tn(nullptr, a, offsets, b, c, live);
  const int32_t* begin = offsets.row<int32_t>(0);
  const int64_t groups = offsets.shape.elements() - 1, m = a.cols();
  multiply_groups(kernel, Form::kTn, groups, [&](int64_t g) {
    return Block{Form::kTn,
                 Operand(a, begin[g]),
                 Operand(b, begin[g]),
                 c.row<float>(g * m),
                 c.row_stride,
                 m,
                 c.cols(),
                 begin[g + 1] - begin[g],
                 live[g] != 0};
  });
  for (int64_t g = 0; g < groups; ++g) {
    if (begin[g + 1] > begin[g]) live[g] = 1;
  }
}

float* scratch(int64_t floats) {
  struct alignas(64) Line {
    float values[16];
  };
  thread_local std::vector<Line> lines;
  const auto wanted = static_cast<size_t>(divide_up(floats, 16));
  if (lines.size() < wanted) lines.resize(wanted);
  return lines.front().values;
}

}  // namespace fathom::products
