// Paged attention on the CPU: the tiles of packed attention, with keys and values found through the
// pages and read in place. Limited by arithmetic in prefill and by the cache's memory in decode,
// where one job takes all heads of a span, since their keys lie in the same rows.
#include "base/team.h"
#include "ops/attention/jobs.h"
#include "ops/attention/share_jobs.h"
#include "ops/paged_attention/kernels.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/paged_attention/cpu.cpp"
#include <hwy/foreach_target.h>

#include "ops/attention/attend-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {

void paged_job(const AttendJob& job, float* scratch) { Attend(job, scratch).run(); }

void paged_block(const AttendJob& job, int64_t block, const AttendPart& part, float* scratch) {
  Attend(job, scratch).run_block(block * kKeyBlock, part);
}

void paged_join(const AttendJob& job, const AttendPart& parts, int64_t part_floats,
                float* scratch) {
  Attend(job, scratch).join(parts, part_floats);
}

}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <hwy/aligned_allocator.h>

#include <vector>

namespace fathom::cpu {
namespace {

HWY_EXPORT(paged_job);
HWY_EXPORT(paged_block);
HWY_EXPORT(paged_join);

constexpr int64_t kJobRows = 128;  // query rows (token times head) that share one job's keys
constexpr double kSerialProducts = 200000;  // below, a parallel region costs more than it brings
constexpr double kClaimProducts = 200000;  // about 20 microseconds: small jobs are claimed together

// Rows of a tile are the tokens of one head or the heads of one token, whichever are more; the
// arithmetic of a row is the same. With few rows a job takes all key/value heads.
QueryRows query_rows(ConstView q, View out, const AttentionShape& heads, const PagedSpan& span,
                     int64_t first, int64_t tokens, int64_t kv_head) {
  const int64_t group = heads.heads / heads.kv_heads, row = span.row_begin + first;
  QueryRows rows{.q = q.row<float>(row) + kv_head * group * heads.qk_dim,
                 .out = out.row<float>(row) + kv_head * group * heads.v_dim,
                 .sets = group,
                 .rows = tokens,
                 .q_set = heads.qk_dim,
                 .q_row = q.row_stride,
                 .out_set = heads.v_dim,
                 .out_row = out.row_stride,
                 .first_limit = span.length - span.rows + first + 1,
                 .limit_set = 0,
                 .limit_row = 1,
                 .q_head = group * heads.qk_dim,
                 .out_head = group * heads.v_dim};
  if (tokens < group) {
    std::swap(rows.sets, rows.rows);
    std::swap(rows.q_set, rows.q_row);
    std::swap(rows.out_set, rows.out_row);
    std::swap(rows.limit_set, rows.limit_row);
  }
  return rows;
}

// Decided by the span alone: a row's bits must not depend on the other spans.
bool few_rows(const AttentionShape& heads, const PagedSpan& span) {
  return span.rows * heads.heads <= kFewRows * heads.kv_heads;
}

std::vector<AttendJob> paged_jobs(ConstView q, ConstView cache, std::span<const PagedSpan> spans,
                                  const PagedShape& shape, View out) {
  const AttentionShape& heads = shape.attention;
  const int64_t group = heads.heads / heads.kv_heads;
  const int64_t job_tokens = std::max<int64_t>(1, kJobRows / group);
  std::vector<AttendJob> jobs;
  jobs.reserve(spans.size());
  for (const PagedSpan& span : spans) {
    const bool few = few_rows(heads, span);
    for (int64_t g = 0; g < heads.kv_heads; g += few ? heads.kv_heads : 1) {
      for (int64_t first = 0; first < span.rows; first += job_tokens) {
        AttendJob job;
        job.queries =
            query_rows(q, out, heads, span, first, std::min(job_tokens, span.rows - first), g);
        if (few) job.queries.kv_heads = heads.kv_heads;
        job.keys = {.key = cache.row<float>(0) + g * heads.qk_dim,
                    .value = cache.row<float>(0) + shape.value_column + g * heads.v_dim,
                    .key_row = cache.row_stride,
                    .value_row = cache.row_stride,
                    .pages = span.pages,
                    .page_tokens = shape.page_tokens};
        job.qk_dim = heads.qk_dim;
        job.v_dim = heads.v_dim;
        job.scale = static_cast<float>(heads.scale);
        job.few_rows = few;
        jobs.push_back(job);
      }
    }
  }
  return jobs;
}

double products(const std::vector<AttendJob>& jobs) {
  double sum = 0;
  for (const AttendJob& job : jobs) {
    sum += static_cast<double>(job.query_rows() * job.queries.places() * (job.qk_dim + job.v_dim));
  }
  return sum;
}

int64_t scratch_floats(const AttendJob& job, int64_t query_rows) {
  return attend_scratch_floats(query_rows, job.qk_dim, job.v_dim);
}

int64_t most_query_rows(const std::vector<AttendJob>& jobs) {
  int64_t most = 0;
  for (const AttendJob& job : jobs) most = std::max(most, job.query_rows());
  return most;
}

// One job after another; jobs are many, or there is one thread, or little to do.
void run_jobs(const std::vector<AttendJob>& jobs, double products, bool parallel) {
  const int64_t count = static_cast<int64_t>(jobs.size()), rows = most_query_rows(jobs);
  const auto run = HWY_DYNAMIC_DISPATCH(paged_job);
  const auto small = static_cast<int64_t>(kClaimProducts * static_cast<double>(count) / products);
  const int64_t together = std::clamp<int64_t>(small, 1, 1 + count / (4 * team_size()));
  share_jobs(count, together, parallel, scratch_floats(jobs.front(), rows),
             [&](int64_t i, float* scratch) { run(jobs[static_cast<size_t>(i)], scratch); });
}

// The blocks of keys of one job, and where their results lie.
struct SplitJob {
  const AttendJob* job = nullptr;
  int64_t first_block = 0;  // in the list of all blocks
  int64_t blocks = 0;
  int64_t parts = 0;  // first float of the results
  int64_t part_floats() const { return job->query_rows() * (job->v_dim + 2); }
  AttendPart part(float* memory, int64_t block) const {
    float* at = memory + parts + block * part_floats();
    float* sum = at + job->query_rows() * job->v_dim;
    return {at, sum, sum + job->query_rows()};
  }
};

std::vector<SplitJob> split_jobs(const std::vector<AttendJob>& jobs, int64_t& blocks,
                                 int64_t& floats) {
  std::vector<SplitJob> split;
  blocks = floats = 0;
  for (const AttendJob& job : jobs) {
    SplitJob s{&job, blocks, (job.queries.places() + kKeyBlock - 1) / kKeyBlock, floats};
    blocks += s.blocks;
    floats += s.blocks * s.part_floats();
    split.push_back(s);
  }
  return split;
}

// Long caches and fewer jobs than threads can share: blocks of keys apart, joined in order. The
// bits are those of run_jobs().
void run_blocks(const std::vector<AttendJob>& jobs) {
  int64_t blocks = 0, floats = 0;
  const std::vector<SplitJob> split = split_jobs(jobs, blocks, floats);
  const auto memory = hwy::AllocateAligned<float>(static_cast<size_t>(floats));
  const int64_t count = static_cast<int64_t>(jobs.size()), rows = most_query_rows(jobs);
  const auto run = HWY_DYNAMIC_DISPATCH(paged_block);
  const auto join = HWY_DYNAMIC_DISPATCH(paged_join);
  const int64_t floats_each = scratch_floats(jobs.front(), rows);
  share_jobs(blocks, 1, true, floats_each, [&](int64_t i, float* scratch) {
    const auto after =
        std::upper_bound(split.begin(), split.end(), i,
                         [](int64_t block, const SplitJob& s) { return block < s.first_block; });
    const SplitJob& s = *(after - 1);
    run(*s.job, i - s.first_block, s.part(memory.get(), i - s.first_block), scratch);
  });
  share_jobs(count, 1, true, floats_each, [&](int64_t i, float* scratch) {
    const SplitJob& s = split[static_cast<size_t>(i)];
    join(*s.job, s.part(memory.get(), 0), s.part_floats(), scratch);
  });
}

}  // namespace

void paged_attention(Stream* stream, ConstView q, ConstView cache, std::span<const PagedSpan> spans,
                     const PagedShape& shape, View out) {
  if (q.dtype != DType::kF32)
    return reference::paged_attention(stream, q, cache, spans, shape, out);
  const std::vector<AttendJob> jobs = paged_jobs(q, cache, spans, shape, out);
  if (jobs.empty()) return;
  const double work = products(jobs);
  const bool parallel = work > kSerialProducts && team_size() > 1;
  if (parallel && static_cast<int64_t>(jobs.size()) < 2 * team_size()) {
    run_blocks(jobs);
  } else {
    run_jobs(jobs, work, parallel);
  }
}

}  // namespace fathom::cpu
#endif  // HWY_ONCE
