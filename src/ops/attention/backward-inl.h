// The gradient of attention for one sequence and one key/value head, its only owner.
//
// For each block of keys and each block of query rows, in ascending order of key block, query head
// and query block: probabilities are taken again from the scores and the log-sum-exp, their
// gradient is d_score = prob · (dout · value − dout · out) · scale, and both fill tiles held in
// scratch. Then
//   dq += d_score · keys,   dk += d_scoreᵀ · q,   dv += probᵀ · dout
// are three more of the same small products.
// Included once per instruction set, after hwy/foreach_target.h.

// Per-target include guard.
#if defined(FATHOM_OPS_ATTENTION_BACKWARD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FATHOM_OPS_ATTENTION_BACKWARD_INL_H_
#undef FATHOM_OPS_ATTENTION_BACKWARD_INL_H_
#else
#define FATHOM_OPS_ATTENTION_BACKWARD_INL_H_
#endif

#include "ops/attention/attend-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {

class AttendBackward {
 public:
  AttendBackward(const AttendBackwardJob& job, float* scratch) : job_(job) {
    const auto take = [&scratch](int64_t floats) {
      float* at = scratch;
      scratch += floats;
      return at;
    };
    keys_ = take(job.qk_dim * kBackwardBlock);
    values_ = take(job.v_dim * kBackwardBlock);
    prob_ = take(kBackwardBlock * kBackwardBlock);
    d_score_ = take(kBackwardBlock * kBackwardBlock);
    lse_ = take(job.group * job.rows);
    delta_ = take(job.group * job.rows);
  }

  void run() {
    prepare_rows();
    for (int64_t keys = 0; keys < job_.rows; keys += kBackwardBlock) {
      const int64_t count = std::min(kBackwardBlock, job_.rows - keys);
      const auto transpose = [&](const float* from, int64_t step, int64_t columns, float* to) {
        transpose_block([=](int64_t j) { return from + (keys + j) * step; }, count, columns, to,
                        kBackwardBlock);
      };
      transpose(job_.k, job_.k_row, job_.qk_dim, keys_);
      transpose(job_.v, job_.v_row, job_.v_dim, values_);
      for (int64_t head = 0; head < job_.group; ++head) {
        for (int64_t queries = keys; queries < job_.rows; queries += kBackwardBlock) {
          add_blocks(keys, count, head, queries);
        }
      }
    }
  }

 private:
  // Per query row: the log-sum-exp in powers of two, and dout · out.
  void prepare_rows() {
    const F32 d;
    for (int64_t head = 0; head < job_.group; ++head) {
      for_each_tile(0, job_.rows, [&]<int kRows>(int64_t row) HWY_ATTR {
        VF32 products[kRows];
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          const float* out = job_.out + (row + r) * job_.out_row + head * job_.v_dim;
          const float* dout = job_.dout + (row + r) * job_.dout_row + head * job_.v_dim;
          VF32 sum = hn::Zero(d);
          for_each_vector(
              job_.v_dim,
              [&](int64_t i) HWY_ATTR {
                sum = hn::MulAdd(hn::LoadU(d, out + i), hn::LoadU(d, dout + i), sum);
              },
              [&](int64_t i, int64_t n) HWY_ATTR {
                sum = hn::MulAdd(load_part(out + i, n), load_part(dout + i, n), sum);
              });
          products[r] = sum;
        }
        const int64_t at = head * job_.rows + row;
        store_part(join_lanes(products, [](VF32 a, VF32 b) HWY_ATTR { return hn::Add(a, b); }),
                   delta_ + at, kRows);
        for (int r = 0; r < kRows; ++r) {
          lse_[at + r] = job_.lse[(row + r) * job_.lse_row + head] * kLog2E;
        }
      });
    }
  }

  // One block of keys and one block of query rows of one head.
  void add_blocks(int64_t keys, int64_t count, int64_t head, int64_t queries) {
    const int64_t rows = std::min(kBackwardBlock, job_.rows - queries);
    for_each_tile(0, rows, [&]<int kRows>(int64_t row) HWY_ATTR {
      // How many keys of the block the tile's last row sees.
      const int64_t seen = std::min(count, queries + row + kRows - keys);
      fill_scores<kRows>(keys, head, queries, row, seen);
      add_dq<kRows>(keys, head, queries, row, seen);
    });
    // In the block on the diagonal a tile of keys meets only the rows from its own place on.
    for_each_tile(0, count, [&]<int kRows>(int64_t key) HWY_ATTR {
      add_keys<kRows>(keys, head, queries, key, queries == keys ? key : 0, rows);
    });
  }

  // prob_ and d_score_ of `kRows` rows for the block's first `seen` keys; 0 where a row sees less.
  template <int kRows>
  void fill_scores(int64_t keys, int64_t head, int64_t queries, int64_t row, int64_t seen) {
    const int64_t token = queries + row;
    Product score;
    score.a = job_.q + token * job_.q_row + head * job_.qk_dim;
    score.a_row = job_.q_row;
    score.b = keys_;
    score.b_row = kBackwardBlock;
    score.depth = job_.qk_dim;
    score.c = prob_ + row * kBackwardBlock;
    score.c_row = kBackwardBlock;
    product_rows<kRows>(score, 0, round_up(seen, kLanes));
    Product d_prob = score;
    d_prob.a = job_.dout + token * job_.dout_row + head * job_.v_dim;
    d_prob.a_row = job_.dout_row;
    d_prob.b = values_;
    d_prob.depth = job_.v_dim;
    d_prob.c = d_score_ + row * kBackwardBlock;
    product_rows<kRows>(d_prob, 0, round_up(seen, kLanes));

#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      finish_row(head * job_.rows + token + r, std::min(seen, token + r + 1 - keys), seen,
                 score.c + r * kBackwardBlock, d_prob.c + r * kBackwardBlock);
    }
  }

  // From scores to probabilities and from their gradients to those of the scores.
  HWY_INLINE void finish_row(int64_t at, int64_t limit, int64_t seen, float* prob, float* d_score) {
    const F32 d;
    const VF32 scale = hn::Set(d, job_.scale), exponent_scale = hn::Set(d, job_.scale * kLog2E);
    const VF32 minus_lse = hn::Set(d, -lse_[at]), delta = hn::Set(d, delta_[at]);
    const auto pair = [&](int64_t j, VF32& p, VF32& ds) HWY_ATTR {
      // A score cannot exceed the log-sum-exp but for rounding.
      p = exp2_nonpositive(hn::MulAdd(hn::Load(d, prob + j), exponent_scale, minus_lse));
      ds = hn::Mul(hn::Mul(p, scale), hn::Sub(hn::Load(d, d_score + j), delta));
    };
    int64_t j = 0;
    for (; j + kLanes <= limit; j += kLanes) {
      VF32 p, ds;
      pair(j, p, ds);
      hn::Store(p, d, prob + j);
      hn::Store(ds, d, d_score + j);
    }
    if (j < limit) {
      const auto sees = hn::FirstN(d, static_cast<size_t>(limit - j));
      VF32 p, ds;
      pair(j, p, ds);
      hn::Store(hn::IfThenElseZero(sees, p), d, prob + j);
      hn::Store(hn::IfThenElseZero(sees, ds), d, d_score + j);
      j += kLanes;
    }
    for (; j < seen; j += kLanes) {
      hn::Store(hn::Zero(d), d, prob + j);
      hn::Store(hn::Zero(d), d, d_score + j);
    }
  }

  template <int kRows>
  void add_dq(int64_t keys, int64_t head, int64_t queries, int64_t row, int64_t seen) {
    Product dq;
    dq.a = d_score_ + row * kBackwardBlock;
    dq.a_row = kBackwardBlock;
    dq.b = job_.k + keys * job_.k_row;
    dq.b_row = job_.k_row;
    dq.depth = seen;
    dq.c = job_.dq + (queries + row) * job_.dq_row + head * job_.qk_dim;
    dq.c_row = job_.dq_row;
    dq.add = keys > 0;
    product_rows<kRows>(dq, 0, job_.qk_dim);
  }

  // dk and dv of `kRows` keys from the rows [first, rows) of the block of queries.
  template <int kRows>
  void add_keys(int64_t keys, int64_t head, int64_t queries, int64_t key, int64_t first,
                int64_t rows) {
    Product dv;
    dv.a = prob_ + first * kBackwardBlock + key;
    dv.a_row = 1;
    dv.a_step = kBackwardBlock;
    dv.b = job_.dout + (queries + first) * job_.dout_row + head * job_.v_dim;
    dv.b_row = job_.dout_row;
    dv.depth = rows - first;
    dv.c = job_.dv + (keys + key) * job_.dv_row;
    dv.c_row = job_.dv_row;
    dv.add = head > 0 || queries > keys;
    product_rows<kRows>(dv, 0, job_.v_dim);
    Product dk = dv;
    dk.a = d_score_ + first * kBackwardBlock + key;
    dk.b = job_.q + (queries + first) * job_.q_row + head * job_.qk_dim;
    dk.b_row = job_.q_row;
    dk.c = job_.dk + (keys + key) * job_.dk_row;
    dk.c_row = job_.dk_row;
    product_rows<kRows>(dk, 0, job_.qk_dim);
  }

  const AttendBackwardJob& job_;
  float* keys_;    // [qk_dim, kBackwardBlock], transposed
  float* values_;  // [v_dim, kBackwardBlock], transposed
  float* prob_;    // [kBackwardBlock rows, kBackwardBlock keys], as is d_score_
  float* d_score_;
  float* lse_;  // [group, rows], as is delta_
  float* delta_;
};

}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
