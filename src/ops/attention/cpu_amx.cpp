// Attention whose products take operands rounded to bf16, on AMX tiles.
//
// Against the f32 version, one thread of a shared Xeon, forward and backward: 64 tokens of width 32
// take 1.5 times less, 256 of width 32 2.2 and 2.6, 512 of width 64 3.3 and 3.8, 4096 of width 64
// 3.9 and 5.5. Of 256 tokens in the caches, half of forward is the softmax, a quarter tiles, a
// fifth packing; memory adds a quarter. Vectors and tiles could work at once, but strips taken in
// turns, one's tiles among the other's vectors, were slower: twice the scores no longer fit the
// first-level cache. Fetching what is written next ahead helps, backward by up to a quarter;
// fetching the next head's inputs was slower.
#include <vector>

#include "base/team.h"
#include "ops/attention/cpu_amx_attend-inl.h"
#include "ops/attention/cpu_amx_backward-inl.h"
#include "ops/attention/kernels.h"
#include "ops/matmul/blocks.h"

namespace fathom::amx {
namespace {

constexpr int64_t kPieceRows = 256;          // tokens whose rows are one job
constexpr double kSerialProducts = 1000000;  // below, waking the team costs more than it brings

// Multiplications of one product over all pairs that attend, per column of a head.
double pairs(ConstView starts) {
  const int32_t* start = starts.row<int32_t>(0);
  double sum = 0;
  for (int64_t s = 0; s + 1 < starts.shape.elements(); ++s) {
    const double rows = start[s + 1] - start[s];
    if (rows >= kBf16LeastRows) sum += rows * (rows + 1) / 2;
  }
  return sum;
}

// Calls fn(starts of a run) for neighbouring sequences that are too short for tiles.
template <class Fn>
void for_each_short_run(ConstView starts, const Fn& fn) {
  const int32_t* start = starts.row<int32_t>(0);
  const int64_t sequences = starts.shape.elements() - 1;
  const auto is_short = [&](int64_t s) {
    return s < sequences && start[s + 1] - start[s] < kBf16LeastRows;
  };
  for (int64_t s = 0; s < sequences; ++s) {
    const int64_t begin = s;
    while (is_short(s)) ++s;
    const int64_t count = s - begin + 1;
    if (count > 1) fn(ConstView{start + begin, DType::kI32, Shape{count}, count});
  }
}

// Calls run(job) for every job, on all threads where `products` are worth it.
template <class Job, class Run>
void share(const std::vector<Job>& jobs, double products, const Run& run) {
  if (products > kSerialProducts) {
    return share_tasks(static_cast<int64_t>(jobs.size()),
                       [&](int64_t i, int) { run(jobs[static_cast<size_t>(i)]); });
  }
  for (const Job& job : jobs) run(job);
}

std::vector<AttendPiece> pieces(ConstView q, ConstView k, ConstView v, ConstView starts,
                                const AttentionShape& shape, View out, View lse) {
  const int64_t group = shape.heads / shape.kv_heads;
  const int32_t* start = starts.row<int32_t>(0);
  std::vector<AttendPiece> list;
  for (int64_t s = 0; s + 1 < starts.shape.elements(); ++s) {
    const int64_t begin = start[s], end = start[s + 1];
    if (end - begin < kBf16LeastRows) continue;
    for (int64_t g = 0; g < shape.kv_heads; ++g) {
      for (int64_t row = begin; row < end; row += kPieceRows) {
        list.push_back({.q = q.row<float>(row) + g * group * shape.qk_dim,
                        .k = k.row<float>(begin) + g * shape.qk_dim,
                        .v = v.row<float>(begin) + g * shape.v_dim,
                        .out = out.row<float>(row) + g * group * shape.v_dim,
                        .lse = lse.row<float>(row) + g * group,
                        .q_row = q.row_stride,
                        .k_row = k.row_stride,
                        .v_row = v.row_stride,
                        .out_row = out.row_stride,
                        .lse_row = lse.row_stride,
                        .group = group,
                        .rows = std::min(kPieceRows, end - row),
                        .place = row - begin,
                        .qk_dim = shape.qk_dim,
                        .v_dim = shape.v_dim,
                        .scale = static_cast<float>(shape.scale)});
      }
    }
  }
  return list;
}

// Whole sequences: dk and dv then have one owner.
std::vector<AttendBackwardPiece> backward_pieces(ConstView q, ConstView k, ConstView v,
                                                 ConstView out, ConstView lse, ConstView dout,
                                                 ConstView starts, const AttentionShape& shape,
                                                 View dq, View dk, View dv) {
  const int64_t group = shape.heads / shape.kv_heads;
  const int32_t* start = starts.row<int32_t>(0);
  std::vector<AttendBackwardPiece> list;
  for (int64_t s = 0; s + 1 < starts.shape.elements(); ++s) {
    const int64_t begin = start[s];
    if (start[s + 1] - begin < kBf16LeastRows) continue;
    for (int64_t g = 0; g < shape.kv_heads; ++g) {
      const int64_t q_column = g * group * shape.qk_dim, out_column = g * group * shape.v_dim;
      list.push_back({.q = q.row<float>(begin) + q_column,
                      .k = k.row<float>(begin) + g * shape.qk_dim,
                      .v = v.row<float>(begin) + g * shape.v_dim,
                      .out = out.row<float>(begin) + out_column,
                      .lse = lse.row<float>(begin) + g * group,
                      .dout = dout.row<float>(begin) + out_column,
                      .dq = dq.row<float>(begin) + q_column,
                      .dk = dk.row<float>(begin) + g * shape.qk_dim,
                      .dv = dv.row<float>(begin) + g * shape.v_dim,
                      .q_row = q.row_stride,
                      .k_row = k.row_stride,
                      .v_row = v.row_stride,
                      .out_row = out.row_stride,
                      .lse_row = lse.row_stride,
                      .dout_row = dout.row_stride,
                      .dq_row = dq.row_stride,
                      .dk_row = dk.row_stride,
                      .dv_row = dv.row_stride,
                      .rows = start[s + 1] - begin,
                      .group = group,
                      .qk_dim = shape.qk_dim,
                      .v_dim = shape.v_dim,
                      .scale = static_cast<float>(shape.scale)});
    }
  }
  return list;
}

}  // namespace

void attention_bf16(Stream* stream, ConstView q, ConstView k, ConstView v, ConstView starts,
                    const AttentionShape& shape, View out, View lse) {
  if (q.dtype != DType::kF32) {
    return reference::attention(stream, q, k, v, starts, shape, out, lse);
  }
  for_each_short_run(starts,
                     [&](ConstView run) { cpu::attention(stream, q, k, v, run, shape, out, lse); });
  const double products =
      pairs(starts) * static_cast<double>(shape.heads * (shape.qk_dim + shape.v_dim));
  share(pieces(q, k, v, starts, shape, out, lse), products, [](const AttendPiece& piece) {
    Attend(piece, products::scratch(Attend::scratch_floats(piece))).run();
  });
}

void attention_bf16_backward(Stream* stream, ConstView q, ConstView k, ConstView v, ConstView out,
                             ConstView lse, ConstView dout, ConstView starts,
                             const AttentionShape& shape, View dq, View dk, View dv) {
  if (q.dtype != DType::kF32) {
    return reference::attention_backward(stream, q, k, v, out, lse, dout, starts, shape, dq, dk,
                                         dv);
  }
  for_each_short_run(starts, [&](ConstView run) {
    cpu::attention_backward(stream, q, k, v, out, lse, dout, run, shape, dq, dk, dv);
  });
  const double products =
      pairs(starts) * static_cast<double>(shape.heads * (3 * shape.qk_dim + 2 * shape.v_dim));
  share(backward_pieces(q, k, v, out, lse, dout, starts, shape, dq, dk, dv), products,
        [](const AttendBackwardPiece& piece) {
          AttendBackward(piece, products::scratch(AttendBackward::scratch_floats(piece))).run();
        });
}

}  // namespace fathom::amx
