// Attention on the CPU, limited by arithmetic. Of one core's 220 GFLOP/s (AVX-512), counting only
// the pairs that attend: 512 tokens of width 64 take 51 % forward and 53 % backward, 256 of width
// 32 take 51 % and 56 %, 40 tokens of 24/16 take 21 % and 25 %: short rows are mostly edges of
// tiles.
#include "ops/attention/jobs.h"
#include "ops/attention/kernels.h"
#include "ops/attention/share_jobs.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/attention/cpu.cpp"
#include <hwy/foreach_target.h>

#include "ops/attention/attend-inl.h"
#include "ops/attention/backward-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {

void attention_job(const AttendJob& job, float* scratch) { Attend(job, scratch).run(); }

void attention_backward_job(const AttendBackwardJob& job, float* scratch) {
  AttendBackward(job, scratch).run();
}

}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <hwy/aligned_allocator.h>

#include <vector>

namespace fathom::cpu {
namespace {

HWY_EXPORT(attention_job);
HWY_EXPORT(attention_backward_job);

constexpr int64_t kQueryBlock = 128;        // tokens whose rows are one job
constexpr double kSerialProducts = 200000;  // below, a parallel region costs more than it brings

// Multiplications of one product over all pairs that attend, per column of a head.
double pairs(const int32_t* starts, int64_t sequences) {
  double sum = 0;
  for (int64_t s = 0; s < sequences; ++s) {
    const double rows = starts[s + 1] - starts[s];
    sum += rows * (rows + 1) / 2;
  }
  return sum;
}

std::vector<AttendJob> forward_jobs(ConstView q, ConstView k, ConstView v, ConstView starts,
                                    const AttentionShape& shape, View out, View lse) {
  const int64_t group = shape.heads / shape.kv_heads;
  const int32_t* start = starts.row<int32_t>(0);
  std::vector<AttendJob> jobs;
  for (int64_t s = 0; s + 1 < starts.shape.elements(); ++s) {
    const int64_t begin = start[s], end = start[s + 1];
    for (int64_t g = 0; g < shape.kv_heads; ++g) {
      for (int64_t row = begin; row < end; row += kQueryBlock) {
        AttendJob job;
        job.queries = {.q = q.row<float>(row) + g * group * shape.qk_dim,
                       .out = out.row<float>(row) + g * group * shape.v_dim,
                       .sets = group,
                       .rows = std::min(kQueryBlock, end - row),
                       .q_set = shape.qk_dim,
                       .q_row = q.row_stride,
                       .out_set = shape.v_dim,
                       .out_row = out.row_stride,
                       .first_limit = row - begin + 1,
                       .limit_set = 0,
                       .limit_row = 1};
        job.keys = {.key = k.row<float>(begin) + g * shape.qk_dim,
                    .value = v.row<float>(begin) + g * shape.v_dim,
                    .key_row = k.row_stride,
                    .value_row = v.row_stride};
        job.qk_dim = shape.qk_dim;
        job.v_dim = shape.v_dim;
        job.scale = static_cast<float>(shape.scale);
        job.lse = lse.row<float>(row) + g * group;
        job.lse_set = 1;
        job.lse_row = lse.row_stride;
        jobs.push_back(job);
      }
    }
  }
  return jobs;
}

std::vector<AttendBackwardJob> backward_jobs(ConstView q, ConstView k, ConstView v, ConstView out,
                                             ConstView lse, ConstView dout, ConstView starts,
                                             const AttentionShape& shape, View dq, View dk,
                                             View dv) {
  const int64_t group = shape.heads / shape.kv_heads;
  const int32_t* start = starts.row<int32_t>(0);
  std::vector<AttendBackwardJob> jobs;
  for (int64_t s = 0; s + 1 < starts.shape.elements(); ++s) {
    const int64_t begin = start[s];
    for (int64_t g = 0; g < shape.kv_heads; ++g) {
      const int64_t q_column = g * group * shape.qk_dim, out_column = g * group * shape.v_dim;
      jobs.push_back({.q = q.row<float>(begin) + q_column,
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
  return jobs;
}

}  // namespace

void attention(Stream* stream, ConstView q, ConstView k, ConstView v, ConstView starts,
               const AttentionShape& shape, View out, View lse) {
  if (q.dtype != DType::kF32) {
    return reference::attention(stream, q, k, v, starts, shape, out, lse);
  }
  const std::vector<AttendJob> jobs = forward_jobs(q, k, v, starts, shape, out, lse);
  const double products = pairs(starts.row<int32_t>(0), starts.shape.elements() - 1) *
                          static_cast<double>(shape.heads * (shape.qk_dim + shape.v_dim));
  const int64_t count = static_cast<int64_t>(jobs.size());
  const int64_t group = shape.heads / shape.kv_heads;
  const auto run = HWY_DYNAMIC_DISPATCH(attention_job);
  const int64_t floats = attend_scratch_floats(group * kQueryBlock, shape.qk_dim, shape.v_dim);
  share_jobs(count, 4, products > kSerialProducts, floats,
             [&](int64_t i, float* scratch) { run(jobs[static_cast<size_t>(i)], scratch); });
}

// Jobs are whole sequences: dk and dv then have one owner, and nothing is computed twice.
void attention_backward(Stream* stream, ConstView q, ConstView k, ConstView v, ConstView out,
                        ConstView lse, ConstView dout, ConstView starts,
                        const AttentionShape& shape, View dq, View dk, View dv) {
  if (q.dtype != DType::kF32) {
    return reference::attention_backward(stream, q, k, v, out, lse, dout, starts, shape, dq, dk,
                                         dv);
  }
  const std::vector<AttendBackwardJob> jobs =
      backward_jobs(q, k, v, out, lse, dout, starts, shape, dq, dk, dv);
  int64_t scratch_floats = 0;
  for (const AttendBackwardJob& job : jobs) {
    scratch_floats = std::max(scratch_floats, backward_scratch_floats(job));
  }
  const double products = pairs(starts.row<int32_t>(0), starts.shape.elements() - 1) *
                          static_cast<double>(shape.heads * (3 * shape.qk_dim + 2 * shape.v_dim));
  const int64_t count = static_cast<int64_t>(jobs.size());
  const auto run = HWY_DYNAMIC_DISPATCH(attention_backward_job);
  share_jobs(count, 2, products > kSerialProducts, scratch_floats,
             [&](int64_t i, float* scratch) { run(jobs[static_cast<size_t>(i)], scratch); });
}

}  // namespace fathom::cpu
#endif  // HWY_ONCE
