// Softmax attention of some query rows over the keys of one head (with few rows: of several heads),
// in blocks of kKeyBlock places.
//
// A block of keys is transposed once (few rows read them in place: few_rows-inl.h), then each tile
// of rows takes scores = q · keys (lanes are keys), turns them into powers of two relative to the
// block's own largest score, and mixes the values (lanes are columns). Blocks are joined in
// ascending order by rescaling, as in arXiv:2205.14135; since a block's result does not depend on
// the blocks before it, blocks may also be computed apart and joined later with the same bits.
//
// Included once per instruction set, after hwy/foreach_target.h.

// Per-target include guard.
#if defined(FATHOM_OPS_ATTENTION_ATTEND_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FATHOM_OPS_ATTENTION_ATTEND_INL_H_
#undef FATHOM_OPS_ATTENTION_ATTEND_INL_H_
#else
#define FATHOM_OPS_ATTENTION_ATTEND_INL_H_
#endif

#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <limits>

#include "ops/attention/few_rows-inl.h"
#include "ops/attention/jobs.h"
#include "ops/attention/tiles-inl.h"
#include "ops/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {

constexpr float kLog2E = 1.44269504f;
constexpr float kLn2 = 0.693147181f;

// to[c · kKeyBlock + j] = element c of row j, for rows [0, count) of a block; lanes after them hold
// copies of the last row.
template <class RowAt>
HWY_INLINE void transpose_block(const RowAt& row_at, int64_t count, int64_t columns, float* to,
                                int64_t to_row) {
  for (int64_t j = 0; j < count; j += kLanes) {
    const float* rows[kLanes];
    for (int64_t r = 0; r < kLanes; ++r) rows[r] = row_at(std::min(j + r, count - 1));
    transpose_rows(rows, columns, to + j, to_row);
  }
}

class Attend {
 public:
  Attend(const AttendJob& job, float* scratch) : job_(job), query_(job.queries) {
    const auto take = [&scratch](int64_t floats) {
      float* at = scratch;
      scratch += floats;
      return at;
    };
    keys_ = take(job.qk_dim * kKeyBlock);
    scores_ = take(kMostTileRows * kKeyBlock);
    mixed_ = take(kMostTileRows * job.v_dim);
    total_ = {query_.out, take(job.query_rows() + kMostLanes), take(job.query_rows() + kMostLanes)};
  }

  // Every block, and the log-sum-exp where it is wanted.
  void run() {
    const int64_t places = query_.places();
    for (int64_t begin = 0; begin < places; begin += kKeyBlock) {
      prepare_keys(begin, std::min(kKeyBlock, places - begin));
      for_each_row_tile([&]<int kRows>(int64_t set, int64_t row)
                            HWY_ATTR { add_block<kRows>(begin, set, row); });
    }
    if (job_.lse != nullptr) store_lse();
  }

  // One block on its own, into `part`.
  void run_block(int64_t begin, const AttendPart& part) {
    prepare_keys(begin, std::min(kKeyBlock, query_.places() - begin));
    for_each_row_tile([&]<int kRows>(int64_t set, int64_t row) HWY_ATTR {
      const int64_t at = row_index(set, row);
      float* mixed = part.mixed + at * job_.v_dim;
      if (query_.limit(set, row + kRows - 1) > begin) {
        block_tile<kRows>(begin, set, row, mixed, job_.v_dim, part.sum + at, part.top + at, false);
        return;
      }
      std::fill_n(mixed, kRows * job_.v_dim, 0.0f);
      std::fill_n(part.sum + at, kRows, 0.0f);
      std::fill_n(part.top + at, kRows, -std::numeric_limits<float>::infinity());
    });
  }

  // Joins what run_block() left for all blocks: part i of `parts` lies i · part_floats further on.
  void join(const AttendPart& parts, int64_t part_floats) {
    const int64_t blocks = round_up(query_.places(), kKeyBlock) / kKeyBlock;
    for_each_row_tile([&]<int kRows>(int64_t set, int64_t row) HWY_ATTR {
      const int64_t at = row_index(set, row);
      float* out = out_at(set, row);
      for (int r = 0; r < kRows; ++r) {
        std::copy_n(parts.mixed + (at + r) * job_.v_dim, job_.v_dim, out + r * query_.out_row);
        total_.sum[at + r] = parts.sum[at + r];
        total_.top[at + r] = parts.top[at + r];
      }
      for (int64_t b = 1; b < blocks; ++b) {
        const int64_t skip = b * part_floats;
        join_block<kRows>(at, out, parts.mixed + skip + at * job_.v_dim, parts.sum + skip + at,
                          parts.top + skip + at);
      }
      divide_by_sum<kRows>(at, out);
    });
  }

 private:
  template <class Fn>
  void for_each_row_tile(const Fn& fn) {
    for (head_ = 0; head_ < query_.kv_heads; ++head_) {
      for (int64_t set = 0; set < query_.sets; ++set) {
        for_each_tile(0, query_.rows, [&]<int kRows>(int64_t row) HWY_ATTR {
          fn.template operator()<kRows>(set, row);
        });
      }
    }
  }

  int64_t row_index(int64_t set, int64_t row) const {
    return (head_ * query_.sets + set) * query_.rows + row;
  }

  float* out_at(int64_t set, int64_t row) const {
    return query_.out + head_ * query_.out_head + set * query_.out_set + row * query_.out_row;
  }

  // What every row tile needs of a block's keys.
  void prepare_keys(int64_t begin, int64_t count) {
    if (job_.few_rows) return block_.find(job_, begin, count);
    const KeyRows& keys = job_.keys;
    transpose_block([&](int64_t j) { return keys.key + keys.row(begin + j) * keys.key_row; }, count,
                    job_.qk_dim, keys_, kKeyBlock);
  }

  // One tile's share of a block, joined with the blocks before it.
  template <int kRows>
  void add_block(int64_t begin, int64_t set, int64_t row) {
    const int64_t limit = query_.limit(set, row + kRows - 1);
    if (limit <= begin) return;
    const int64_t at = row_index(set, row);
    const bool last = limit <= begin + kKeyBlock;
    float* out = out_at(set, row);
    if (begin == 0) {
      block_tile<kRows>(0, set, row, out, query_.out_row, total_.sum + at, total_.top + at, last);
      return;
    }
    float sum[kMostTileRows], top[kMostTileRows];
    block_tile<kRows>(begin, set, row, mixed_, job_.v_dim, sum, top, false);
    join_block<kRows>(at, out, mixed_, sum, top);
    if (last) divide_by_sum<kRows>(at, out);
  }

  // With `divide` the mixture is divided by the sum of this block, which is the only one.
  template <int kRows>
  void block_tile(int64_t begin, int64_t set, int64_t row, float* mixed, int64_t mixed_row,
                  float* sum, float* top, bool divide) {
    const int64_t count = std::min(kKeyBlock, query_.limit(set, row + kRows - 1) - begin);
    take_scores<kRows>(query_.q + head_ * query_.q_head + set * query_.q_set + row * query_.q_row,
                       count);

    int64_t limits[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      limits[r] = std::clamp<int64_t>(query_.limit(set, row + r) - begin, 0, count);
    }
    const F32 d;
    const VF32 tops = find_top<kRows>(limits, count);
    const VF32 sums = raise<kRows>(limits, count, tops);
    store_part(tops, top, kRows);
    store_part(sums, sum, kRows);
    float after[kMostLanes];
    hn::StoreU(hn::Div(hn::Set(d, 1.0f), sums), d, after);
    mix_values<kRows>(begin, count, mixed, mixed_row, divide ? after : nullptr);
  }

  // scores_[r, j] = q[r] · key[j], rounded up to whole vectors of places.
  template <int kRows>
  void take_scores(const float* q, int64_t count) {
    if (job_.few_rows) {
      return dot_rows<kRows>(
          {q, query_.q_row, block_.key, head_ * job_.qk_dim, job_.qk_dim, scores_}, count);
    }
    Product scores;
    scores.a = q;
    scores.a_row = query_.q_row;
    scores.b = keys_;
    scores.b_row = kKeyBlock;
    scores.depth = job_.qk_dim;
    scores.c = scores_;
    scores.c_row = kKeyBlock;
    product_rows<kRows>(scores, 0, round_up(count, kLanes));
  }

  // Calls whole(j) for the vectors of places that all rows see in full, then part(j) for the
  // vectors on the diagonal. Limits never shrink from row to row.
  template <class Whole, class Part>
  HWY_INLINE static void for_each_seen(int64_t least_limit, int64_t count, const Whole& whole,
                                       const Part& part) {
    int64_t j = 0;
    for (; j + kLanes <= least_limit; j += kLanes) whole(j);
    for (; j < count; j += kLanes) part(j);
  }

  static auto seen_lanes(int64_t limit, int64_t j) {
    return hn::FirstN(F32(), static_cast<size_t>(std::clamp<int64_t>(limit - j, 0, kLanes)));
  }

  // Lane r = the largest score of row r, scaled to powers of two.
  template <int kRows>
  HWY_INLINE VF32 find_top(const int64_t (&limits)[kRows], int64_t count) {
    const F32 d;
    const VF32 none = hn::Set(d, -std::numeric_limits<float>::infinity());
    VF32 largest[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) largest[r] = none;
    for_each_seen(
        limits[0], count,
        [&](int64_t j) HWY_ATTR {
#pragma GCC unroll 8
          for (int r = 0; r < kRows; ++r) {
            largest[r] = hn::Max(largest[r], hn::Load(d, scores_ + r * kKeyBlock + j));
          }
        },
        [&](int64_t j) HWY_ATTR {
#pragma GCC unroll 8
          for (int r = 0; r < kRows; ++r) {
            const VF32 score = hn::Load(d, scores_ + r * kKeyBlock + j);
            largest[r] = hn::Max(largest[r], hn::IfThenElse(seen_lanes(limits[r], j), score, none));
          }
        });
    const VF32 top = join_lanes(largest, [](VF32 a, VF32 b) HWY_ATTR { return hn::Max(a, b); });
    return hn::Mul(top, hn::Set(d, job_.scale * kLog2E));
  }

  // scores := 2^(score − top), 0 for places that a row does not see. Lane r = the sum of row r.
  template <int kRows>
  HWY_INLINE VF32 raise(const int64_t (&limits)[kRows], int64_t count, VF32 tops) {
    const F32 d;
    const VF32 scale = hn::Set(d, job_.scale * kLog2E);
    float top[kMostLanes];
    hn::StoreU(tops, d, top);
    VF32 sums[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) sums[r] = hn::Zero(d);
    const auto numerator = [&](const float* score, int r) HWY_ATTR {
      return exp2_nonpositive(hn::MulSub(hn::Load(d, score), scale, hn::Set(d, top[r])));
    };
    for_each_seen(
        limits[0], count,
        [&](int64_t j) HWY_ATTR {
#pragma GCC unroll 8
          for (int r = 0; r < kRows; ++r) {
            float* score = scores_ + r * kKeyBlock + j;
            const VF32 p = numerator(score, r);
            hn::Store(p, d, score);
            sums[r] = hn::Add(sums[r], p);
          }
        },
        [&](int64_t j) HWY_ATTR {
#pragma GCC unroll 8
          for (int r = 0; r < kRows; ++r) {
            float* score = scores_ + r * kKeyBlock + j;
            const VF32 p = hn::IfThenElseZero(seen_lanes(limits[r], j), numerator(score, r));
            hn::Store(p, d, score);
            sums[r] = hn::Add(sums[r], p);
          }
        });
    return join_lanes(sums, [](VF32 a, VF32 b) HWY_ATTR { return hn::Add(a, b); });
  }

  // mixed[r] = sum over the block's places of numerator · value, run by run of neighbouring rows.
  template <int kRows>
  void mix_values(int64_t begin, int64_t count, float* mixed, int64_t mixed_row,
                  const float* after) {
    if (job_.few_rows) {
      return mix_rows<kRows>(
          {scores_, block_.value, head_ * job_.v_dim, count, mixed, mixed_row, after}, job_.v_dim);
    }
    const KeyRows& keys = job_.keys;
    Product mix;
    mix.a_row = kKeyBlock;
    mix.b_row = keys.value_row;
    mix.c = mixed;
    mix.c_row = mixed_row;
    for (int64_t j = 0; j < count; j += mix.depth) {
      mix.depth = keys.run(begin + j, begin + count);
      mix.a = scores_ + j;
      mix.b = keys.value + keys.row(begin + j) * keys.value_row;
      mix.add = j > 0;
      mix.after = j + mix.depth == count ? after : nullptr;
      product_rows<kRows>(mix, 0, job_.v_dim);
    }
  }

  template <int kRows>
  void join_block(int64_t at, float* out, const float* mixed, const float* sum, const float* top) {
    const F32 d;
    const VF32 old_top = load_part(total_.top + at, kRows), block_top = load_part(top, kRows);
    const VF32 new_top = hn::Max(old_top, block_top);
    const VF32 old_factor = exp2_nonpositive(hn::Sub(old_top, new_top));
    const VF32 block_factor = exp2_nonpositive(hn::Sub(block_top, new_top));
    const VF32 new_sum = hn::MulAdd(load_part(total_.sum + at, kRows), old_factor,
                                    hn::Mul(load_part(sum, kRows), block_factor));
    store_part(new_top, total_.top + at, kRows);
    store_part(new_sum, total_.sum + at, kRows);
    float keep[kMostLanes], take[kMostLanes];
    hn::StoreU(old_factor, d, keep);
    hn::StoreU(block_factor, d, take);
    for (int r = 0; r < kRows; ++r) {
      const VF32 kept = hn::Set(d, keep[r]), taken = hn::Set(d, take[r]);
      map(out + r * query_.out_row, mixed + r * job_.v_dim, out + r * query_.out_row, job_.v_dim,
          [=](VF32 before, VF32 block)
              HWY_ATTR { return hn::MulAdd(before, kept, hn::Mul(block, taken)); });
    }
  }

  template <int kRows>
  void divide_by_sum(int64_t at, float* out) {
    const F32 d;
    float inverse[kMostLanes];
    hn::StoreU(hn::Div(hn::Set(d, 1.0f), load_part(total_.sum + at, kRows)), d, inverse);
    for (int r = 0; r < kRows; ++r) {
      const VF32 factor = hn::Set(d, inverse[r]);
      map(out + r * query_.out_row, out + r * query_.out_row, job_.v_dim,
          [=](VF32 x) HWY_ATTR { return hn::Mul(x, factor); });
    }
  }

  void store_lse() {
    const F32 d;
    for (int64_t set = 0; set < query_.sets; ++set) {
      float* lse = job_.lse + set * job_.lse_set;
      for (int64_t row = 0; row < query_.rows; row += kLanes) {
        const int64_t at = set * query_.rows + row, count = std::min(kLanes, query_.rows - row);
        const VF32 sum = hn::LoadU(d, total_.sum + at);  // lanes after the last row are not used
        const VF32 top = hn::LoadU(d, total_.top + at);
        float values[kMostLanes];
        hn::StoreU(hn::MulAdd(top, hn::Set(d, kLn2), hn::Log(d, sum)), d, values);
        for (int64_t i = 0; i < count; ++i) lse[(row + i) * job_.lse_row] = values[i];
      }
    }
  }

  const AttendJob& job_;
  const QueryRows& query_;
  int64_t head_ = 0;  // key/value head, within the job
  float* keys_;       // [qk_dim, kKeyBlock], transposed
  float* scores_;     // [tile rows, kKeyBlock]
  float* mixed_;      // [tile rows, v_dim]
  AttendPart total_;  // all blocks so far; `mixed` is the output
  BlockRows block_;   // with few rows, in place of keys_
};

}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
