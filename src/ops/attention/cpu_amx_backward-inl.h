// The gradient of attention for one sequence and one key/value head, its only owner, on AMX tiles.
//
// For each head that reads the keys, each chunk of query rows and each block of keys, all in
// ascending order: squares of 32 keys by 32 queries take the scores and the gradients of the
// probabilities, both transposed (keys are rows), turn them into probabilities and gradients of the
// scores, and round and pack these at once as the next three products want them:
//   dk += d_score · q,   dv += prob · dout,   dqᵀ += keysᵀ · d_score
// A strip of 32 keys meets all queries of the chunk before its dk and dv leave the tiles; dqᵀ stays
// in scratch until the chunk ends. Memory does not grow with the sequence.
#pragma once

#include "ops/attention/cpu_amx_attend-inl.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16,prfchw")

namespace fathom::amx {

struct AttendBackwardPiece {
  const float* q = nullptr;  // the sequence's first token, first head of the group
  const float* k = nullptr;
  const float* v = nullptr;
  const float* out = nullptr;
  const float* lse = nullptr;
  const float* dout = nullptr;
  float* dq = nullptr;
  float* dk = nullptr;
  float* dv = nullptr;
  // elements between two tokens
  int64_t q_row = 0, k_row = 0, v_row = 0, out_row = 0, lse_row = 0, dout_row = 0;
  int64_t dq_row = 0, dk_row = 0, dv_row = 0;
  int64_t rows = 0, group = 0;
  int64_t qk_dim = 0, v_dim = 0;
  float scale = 0;
};

class AttendBackward {
 public:
  static constexpr int64_t kChunk = 512;  // query rows

  static int64_t scratch_floats(const AttendBackwardPiece& piece) {
    const int64_t rows = padded(std::min(kChunk, piece.rows)), strips = rows / kWide;
    const int64_t row_dims = packed_floats(piece.qk_dim) + packed_floats(piece.v_dim);
    const int64_t dims = padded(piece.qk_dim) + padded(piece.v_dim);
    return strips * row_dims + dims / kWide * packed_floats(rows) + 2 * rows +
           rows * padded(piece.qk_dim) + kBlockStrips * row_dims +
           padded(piece.qk_dim) / kWide * packed_floats(kBf16KeyBlock) + 2 * packed_floats(rows) +
           strips * packed_floats(kBf16KeyBlock) + 2 * kWide * kWide;
  }

  AttendBackward(const AttendBackwardPiece& piece, float* scratch)
      : piece_(piece),
        packed_qk_(packed_floats(piece.qk_dim)),
        packed_v_(packed_floats(piece.v_dim)),
        packed_rows_(packed_floats(std::min(kChunk, piece.rows))) {
    const auto take = [&scratch](int64_t floats) {
      float* at = scratch;
      scratch += floats;
      return at;
    };
    const int64_t rows = padded(std::min(kChunk, piece.rows)), strips = rows / kWide;
    q_panels_ = take(strips * packed_qk_);
    dout_panels_ = take(strips * packed_v_);
    q_down_ = take(padded(piece.qk_dim) / kWide * packed_rows_);
    dout_down_ = take(padded(piece.v_dim) / kWide * packed_rows_);
    lse_ = take(rows);
    delta_ = take(rows);
    dq_ = take(rows * padded(piece.qk_dim));
    k_strips_ = take(kBlockStrips * packed_qk_);
    v_strips_ = take(kBlockStrips * packed_v_);
    k_down_ = take(padded(piece.qk_dim) / kWide * packed_floats(kBf16KeyBlock));
    prob_ = take(packed_rows_);
    d_score_ = take(packed_rows_);
    d_score_down_ = take(strips * packed_floats(kBf16KeyBlock));
    scores_ = take(kWide * kWide);
    d_prob_ = take(kWide * kWide);
  }

  void run() {
    const Tiles tiles;
    for (head_ = 0; head_ < piece_.group; ++head_) {
      for (chunk_ = 0; chunk_ < piece_.rows; chunk_ += kChunk) {
        rows_ = std::min(kChunk, piece_.rows - chunk_);
        strips_ = divide_up(rows_, kWide);
        pack_queries();
        prepare_rows();
        for (int64_t begin = 0; begin < chunk_ + rows_; begin += kBf16KeyBlock) {
          add_block(begin, std::min(kBf16KeyBlock, chunk_ + rows_ - begin));
        }
        store_dq();
      }
    }
  }

 private:
  static constexpr int64_t kBlockStrips = kBf16KeyBlock / kWide;

  const float* q_at(int64_t row) const {
    return piece_.q + (chunk_ + row) * piece_.q_row + head_ * piece_.qk_dim;
  }
  const float* dout_at(int64_t row) const {
    return piece_.dout + (chunk_ + row) * piece_.dout_row + head_ * piece_.v_dim;
  }

  float* dq_at(int64_t row) const {
    return piece_.dq + (chunk_ + row) * piece_.dq_row + head_ * piece_.qk_dim;
  }

  void pack_queries() {
    for (int64_t s = 0; s < strips_; ++s) {
      const int64_t count = std::min(kWide, rows_ - s * kWide);
      pack_padded<true, true>(q_at(s * kWide), piece_.q_row, count, piece_.qk_dim,
                              q_panels_ + s * packed_qk_);
      pack_padded<true, true>(dout_at(s * kWide), piece_.dout_row, count, piece_.v_dim,
                              dout_panels_ + s * packed_v_);
    }
    pack_down(q_at(0), piece_.q_row, piece_.qk_dim, q_down_);
    pack_down(dout_at(0), piece_.dout_row, piece_.v_dim, dout_down_);
  }

  // The chunk's rows as steps of k, in panels of 32 columns.
  void pack_down(const float* from, int64_t step, int64_t columns, float* to) const {
    for (int64_t c = 0; c < columns; c += kWide) {
      pack_padded<false, false>(from + c, step, std::min(kWide, columns - c), rows_,
                                to + c / kWide * packed_rows_);
    }
  }

  // Per query row: the log-sum-exp in powers of two, and dout · out, scaled as scores are. 0 after
  // the last row.
  void prepare_rows() {
    for (int64_t row = 0; row < strips_ * kWide; row += kSide) {
      __m512 products[kSide];
      alignas(64) float lse[kSide] = {};
      for (int64_t r = 0; r < kSide; ++r) {
        products[r] = _mm512_setzero_ps();
        if (row + r >= rows_) continue;
        const int64_t token = chunk_ + row + r;
        lse[r] = piece_.lse[token * piece_.lse_row + head_] * kLog2E;
        const float* out = piece_.out + token * piece_.out_row + head_ * piece_.v_dim;
        const float* dout = dout_at(row + r);
        for (int64_t c = 0; c < piece_.v_dim; c += kSide) {
          const __mmask16 some = first(piece_.v_dim - c);
          products[r] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(some, out + c),
                                        _mm512_maskz_loadu_ps(some, dout + c), products[r]);
        }
      }
      _mm512_store_ps(lse_ + row, _mm512_load_ps(lse));
      _mm512_store_ps(delta_ + row,
                      _mm512_mul_ps(join_rows(products, Sum()), _mm512_set1_ps(piece_.scale)));
    }
  }

  void pack_keys(int64_t begin, int64_t count) {
    for (int64_t j = 0; j < count; j += kWide) {
      const int64_t some = std::min(kWide, count - j);
      pack_strip(piece_.k + (begin + j) * piece_.k_row, piece_.k_row, some, piece_.qk_dim,
                 k_strips_ + j / kWide * packed_qk_);
      pack_strip(piece_.v + (begin + j) * piece_.v_row, piece_.v_row, some, piece_.v_dim,
                 v_strips_ + j / kWide * packed_v_);
    }
    for (int64_t c = 0; c < piece_.qk_dim; c += kWide) {
      pack_padded<false, true>(piece_.k + begin * piece_.k_row + c, piece_.k_row,
                               std::min(kWide, piece_.qk_dim - c), count,
                               k_down_ + c / kWide * packed_floats(kBf16KeyBlock));
    }
  }

  void add_block(int64_t begin, int64_t count) {
    pack_keys(begin, count);
    for (int64_t j = 0; j < count; j += kWide) {
      const int64_t s = first_strip(begin + j);
      const int64_t some = std::min(kWide, count - j);
      Ahead<true> dk(piece_.dk + (begin + j) * piece_.dk_row, piece_.dk_row, some, piece_.qk_dim);
      Ahead<true> dv(piece_.dv + (begin + j) * piece_.dv_row, piece_.dv_row, some, piece_.v_dim);
      const int64_t dk_lines = divide_up(dk.lines(), strips_ - s);
      const int64_t dv_lines = divide_up(dv.lines(), strips_ - s);
      for (int64_t strip = s; strip < strips_; ++strip) {
        dk.fetch(dk_lines);
        dv.fetch(dv_lines);
        fill_square(begin, j / kWide, strip);
      }
      add_key_gradients(begin + j, some, s);
    }
    for (int64_t strip = first_strip(begin); strip < strips_; ++strip) {
      const int64_t seen = std::min(padded(count), chunk_ + (strip + 1) * kWide - begin);
      for (int64_t c = 0; c < piece_.qk_dim; c += kWide) {
        whole_square<true>(k_down_ + c / kWide * packed_floats(kBf16KeyBlock),
                           d_score_down_ + strip * packed_floats(kBf16KeyBlock), seen,
                           dq_square(strip, c), kWide, begin > 0);
      }
    }
  }

  // The first strip of the chunk whose rows see this key.
  int64_t first_strip(int64_t key) const { return std::max<int64_t>(0, key - chunk_) / kWide; }

  // dqᵀ of a strip's queries: 32 of qk_dim from column `c` on, by 32 queries.
  float* dq_square(int64_t strip, int64_t c) const {
    return dq_ + (strip * padded(piece_.qk_dim) + c) * kWide;
  }

  void fill_square(int64_t begin, int64_t keys, int64_t strip) {
    whole_square<true>(k_strips_ + keys * packed_qk_, q_panels_ + strip * packed_qk_, piece_.qk_dim,
                       scores_, kWide, false);
    whole_square<true>(v_strips_ + keys * packed_v_, dout_panels_ + strip * packed_v_, piece_.v_dim,
                       d_prob_, kWide, false);
    float* const down =
        d_score_down_ + strip * packed_floats(kBf16KeyBlock) + keys * packed_floats(kDepth);
    if (begin + keys * kWide == chunk_ + strip * kWide) {
      finish_square<true>(strip, down);
    } else {
      finish_square<false>(strip, down);
    }
  }

  // prob and d_score of a square, packed twice: keys as rows, with queries as steps of k, and for
  // dqᵀ with keys as steps of k. There the queries of each eight are first four for the first tile,
  // then four for the second.
  template <bool kDiagonal>
  void finish_square(int64_t strip, float* down) {
    float* const prob = prob_ + strip * packed_floats(kDepth);
    float* const d_score = d_score_ + strip * packed_floats(kDepth);
    const Row row{_mm512_set1_ps(piece_.scale * kLog2E), _mm512_set1_ps(piece_.scale),
                  lse_ + strip * kWide, delta_ + strip * kWide};
    for (int j = 0; j < kWide; j += 2, down += kSide) {
      __m512i pair[2];
      FATHOM_UNROLL
      for (int u = 0; u < 2; ++u) {
        const int64_t at = (j + u) * kSide;
        pair[u] = row.finish<kDiagonal>(j + u, scores_ + 2 * at, d_prob_ + 2 * at, prob + at);
        _mm512_store_si512(d_score + at, pair[u]);
      }
      _mm512_store_si512(down, _mm512_unpacklo_epi16(pair[0], pair[1]));
      _mm512_store_si512(down + kTileFloats, _mm512_unpackhi_epi16(pair[0], pair[1]));
    }
  }

  // One key and 32 queries.
  struct Row {
    __m512 exponent_scale, scale;
    const float *lse, *delta;

    // Stores prob, returns d_score, both rounded.
    template <bool kDiagonal>
    FATHOM_INLINE __m512i finish(int key, const float* scores, const float* d_probs,
                                 float* prob) const {
      __m512 p[2], ds[2];
      FATHOM_UNROLL
      for (int h = 0; h < 2; ++h) {
        const int64_t at = h * kSide;
        // A score cannot exceed the log-sum-exp but for rounding.
        p[h] = exp2_nonpositive(
            _mm512_fmsub_ps(_mm512_load_ps(scores + at), exponent_scale, _mm512_load_ps(lse + at)));
        ds[h] = _mm512_mul_ps(
            p[h], _mm512_fmsub_ps(_mm512_load_ps(d_probs + at), scale, _mm512_load_ps(delta + at)));
        if constexpr (kDiagonal) {
          const __mmask16 sees = static_cast<__mmask16>(0xffffffffu << key >> at);
          p[h] = _mm512_maskz_mov_ps(sees, p[h]);
          ds[h] = _mm512_maskz_mov_ps(sees, ds[h]);
        }
      }
      _mm512_store_si512(prob, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(p[1], p[0])));
      return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(ds[1], ds[0]));
    }
  };

  // dk and dv of a strip of keys from the chunk's queries that see it.
  void add_key_gradients(int64_t key, int64_t count, int64_t strip) {
    const int64_t skip = strip * packed_floats(kDepth), k = (strips_ - strip) * kWide;
    const bool add = head_ > 0 || key < chunk_;
    for (int64_t c = 0; c < piece_.v_dim; c += kWide) {
      const Square dv(piece_.dv + key * piece_.dv_row + c, piece_.dv_row, count,
                      std::min(kWide, piece_.v_dim - c));
      multiply_square(prob_ + skip, dout_down_ + c / kWide * packed_rows_ + skip, k, dv, add,
                      [] {});
    }
    for (int64_t c = 0; c < piece_.qk_dim; c += kWide) {
      const Square dk(piece_.dk + key * piece_.dk_row + c, piece_.dk_row, count,
                      std::min(kWide, piece_.qk_dim - c));
      multiply_square(d_score_ + skip, q_down_ + c / kWide * packed_rows_ + skip, k, dk, add,
                      [] {});
    }
  }

  void store_dq() const {
    for (int64_t strip = 0; strip < strips_; ++strip) {
      Ahead<true> next(dq_at((strip + 1) * kWide), piece_.dq_row,
                       std::min(kWide, rows_ - (strip + 1) * kWide), piece_.qk_dim);
      for (int64_t c = 0; c < piece_.qk_dim; c += kSide) {
        next.fetch(kWide);
        for (int64_t tile = 0; tile < 2; ++tile) store_dq_tile(strip, c, tile);
      }
    }
  }

  // 16 columns of dq for the 16 queries of a tile.
  void store_dq_tile(int64_t strip, int64_t c, int64_t tile) const {
    const float* from = dq_square(strip, c) + tile * kSide;
    __m512i x[16];
    FATHOM_UNROLL
    for (int i = 0; i < 16; ++i) x[i] = _mm512_load_si512(from + i * kWide);
    transpose(x);
    const __mmask16 some = first(piece_.qk_dim - c);
    for (int64_t i = 0; i < 16; ++i) {
      const int64_t row = strip * kWide + i / 4 * 8 + tile * 4 + i % 4;
      if (row >= rows_) continue;
      _mm512_mask_storeu_epi32(dq_at(row) + c, some, x[i]);
    }
  }

  const AttendBackwardPiece& piece_;
  int64_t packed_qk_, packed_v_, packed_rows_;
  int64_t head_ = 0, chunk_ = 0, rows_ = 0, strips_ = 0;
  // A chunk's queries, packed: panels of 32 rows, and of 32 columns with rows as steps of k.
  float *q_panels_, *dout_panels_, *q_down_, *dout_down_;
  float *lse_, *delta_;  // [rows]
  float* dq_;            // [strips, qk_dim to whole strips, 32]
  // A block's keys, packed: strips of 32 rows, and of 32 columns with keys as steps of k.
  float *k_strips_, *v_strips_, *k_down_;
  float *prob_, *d_score_;   // a strip of keys with the chunk's queries as steps of k
  float* d_score_down_;      // [strips], panels of 32 queries with the block's keys as steps
  float *scores_, *d_prob_;  // [32 keys, 32 queries]
};

}  // namespace fathom::amx

#pragma GCC pop_options
