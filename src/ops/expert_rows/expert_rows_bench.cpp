#include "ops/expert_rows/kernels.h"

namespace fathom {
namespace {

struct Layer {
  int64_t tokens, k, experts, hidden;
};

Tensor ones(Pass& pass, int64_t rows, int64_t cols) {
  Tensor x = pass.empty({rows, cols}, DType::kF32);
  fill_ones(x);
  return x;
}

struct Buffers {
  Buffers(Pass& pass, const Layer& layer)
      : expert(pass.empty({layer.tokens, layer.k}, DType::kI32)),
        offsets(pass.empty({layer.experts + 1}, DType::kI32)),
        order(pass.empty({layer.tokens * layer.k}, DType::kI32)),
        place(pass.empty({layer.tokens * layer.k}, DType::kI32)),
        x(ones(pass, layer.tokens, layer.hidden)),
        rows(ones(pass, layer.tokens * layer.k, layer.hidden)),
        drows(ones(pass, layer.tokens * layer.k, layer.hidden)),
        weight(ones(pass, layer.tokens, layer.k)),
        dweight(ones(pass, layer.tokens, layer.k)) {
    int32_t* ids = expert.mutable_data<int32_t>();
    for (int64_t t = 0; t < layer.tokens; ++t) {
      for (int64_t i = 0; i < layer.k; ++i) {
        ids[t * layer.k + i] = static_cast<int32_t>((t * 7 + i * 5) % layer.experts);
      }
    }
    sort(pass);
  }

  void sort(Pass& pass) {
    pass.kernels.order_by_expert(pass.stream, expert.read(), offsets.write(), order.write(),
                                 place.write());
  }

  Tensor expert, offsets, order, place, x, rows, drows, weight, dweight;
};

// `moved`: how many floats a slot moves for each of its columns.
BenchRow row(const char* op, const Layer& layer, double moved, void (*work)(Pass&, Buffers&)) {
  const double floats = moved * static_cast<double>(layer.tokens * layer.k * layer.hidden);
  return {op,
          concat(layer.tokens, "x", layer.hidden, ", ", layer.k, " of ", layer.experts),
          "f32",
          0,
          4 * floats,
          [=](Pass& pass) -> std::function<void()> {
            return [&pass, work, b = Buffers(pass, layer)]() mutable { work(pass, b); };
          }};
}

void sort(Pass& pass, Buffers& b) { b.sort(pass); }
void gather(Pass& pass, Buffers& b) {
  pass.kernels.expert_gather(pass.stream, b.x.read(), b.order.read(), b.expert.cols(),
                             b.rows.write());
}
void gather_backward(Pass& pass, Buffers& b) {
  pass.kernels.expert_gather_backward(pass.stream, b.drows.read(), b.place.read(), b.expert.cols(),
                                      b.x.write(), false);
}
void combine(Pass& pass, Buffers& b) {
  pass.kernels.expert_combine(pass.stream, b.rows.read(), b.place.read(), b.weight.read(), {},
                              b.x.write());
}
void combine_backward(Pass& pass, Buffers& b) {
  pass.kernels.expert_combine_backward(pass.stream, b.rows.read(), b.place.read(), b.weight.read(),
                                       b.x.read(), b.drows.write(), b.dweight.write());
}

}  // namespace

// A step of v3-nano, and prefill and one token of V2-Lite.
std::vector<BenchRow> expert_rows_bench() {
  std::vector<BenchRow> rows;
  for (const Layer& layer :
       {Layer{1500, 4, 16, 128}, Layer{512, 6, 64, 2048}, Layer{1, 6, 64, 2048}}) {
    rows.push_back(row("order_by_expert", layer, 3.0 / static_cast<double>(layer.hidden), &sort));
    rows.push_back(row("expert_gather", layer, 2, &gather));
    rows.push_back(row("expert_gather_backward", layer, 1, &gather_backward));
    rows.push_back(row("expert_combine", layer, 1, &combine));
    rows.push_back(row("expert_combine_backward", layer, 2, &combine_backward));
  }
  return rows;
}

}  // namespace fathom
