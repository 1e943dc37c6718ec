// A tile of a matrix product in registers, written once for vectors of any width.
//
// Included by one file per instruction set, after all other headers and inside a `#pragma GCC
// target` region, because functions take the instruction set of the place where they are written;
// hence also the anonymous namespace. `V` is the instruction set:
//   Vec, kLanes                  a vector and its floats
//   kTileRows                    rows of the largest tile; it is two vectors wide
//   kFewRows                     so many rows of kNt are multiplied without packing b
//   kBlockColumns                columns of b that are packed at a time
//   zero, all, load, store, fma  as named; load_part and store_part touch the first elements only
//   transpose4(rows, column)     lane i of column[u] = rows.at(i, 0)[u] for u < 4
//   transpose4_part              the same for fewer than four elements, reading no others
//
//   prefetch, prefetch_far       bring a line into the first or second level of caches
//   Widen                        stored weights to f32 (ops/matmul/widen-inl.h)
//   kMultipliesFewF8             there is multiply_few_f8(block, first column) for codes as stored
//
// A tile adds one step of k after the other. It saturates the multiply-add units: alone it reaches
// 95 % of their peak, whole products 80 to 92 % (matmul_bench.cpp).

namespace fathom::products {
namespace {

#define FATHOM_UNROLL _Pragma("GCC unroll 16")
// For functions that hold vectors: in a call of their own these would live in memory.
#define FATHOM_INLINE [[gnu::always_inline]] inline

struct Tile {
  const float* a = nullptr;
  const float* b = nullptr;
  float* c = nullptr;
  int64_t a_step = 0, b_step = 0, c_step = 0;
  int64_t k = 0;
  int64_t last_count = 0;  // columns in the last vector
  bool load_c = false;
  // Where a and b are also copied to, packed, or null: the first tile to read them in place packs
  // them for the others.
  float* pack_a = nullptr;
  float* pack_b = nullptr;
  // Elements that later tiles read, one for each step of k, brought near while this tile is
  // computed (kTn only).
  const float* ahead = nullptr;
  int64_t ahead_step = 0;
};

template <class V>
constexpr int64_t kPanelColumns = 2 * V::kLanes;
template <class V>
constexpr int64_t kStripWidth = V::kLanes;  // a strip of a, packed, padded to a vector

// Makes a pointer opaque. Without this the compiler folds the unrolled addresses into one register
// each, and spills them.
FATHOM_INLINE void pin(const float*& pointer) { asm volatile("" : "+r"(pointer)); }

// The rows of a in a tile, k running along them. Pointers to every third row, because an address
// reaches one and two steps further. at(row, u): the element u steps of k further; every step ends
// with next(), every kSteps with advance<kSteps>().
template <int kRows>
class AcrossRows {
 public:
  static constexpr bool kPacksA = false, kPacksB = false, kLooksAhead = false;

  AcrossRows(const float* a, int64_t step) : step_(step) {
    FATHOM_UNROLL
    for (int i = 0; i < kThirds; ++i) third_[i] = a + 3 * i * step;
  }
  const float* at(int row, int u) const { return third_[row / 3] + row % 3 * step_ + u; }
  void next() {}
  template <int kSteps>
  void advance() {
    FATHOM_UNROLL
    for (int i = 0; i < kThirds; ++i) {
      third_[i] += kSteps;
      pin(third_[i]);
    }
  }

 private:
  static constexpr int kThirds = (kRows + 2) / 3;
  const float* third_[kThirds];
  int64_t step_;
};

template <int kRows>
struct AcrossRowsPacking : AcrossRows<kRows> {
  static constexpr bool kPacksB = true;
  using AcrossRows<kRows>::AcrossRows;
};

// The same where k runs down the columns of a.
template <int kRows>
class AlongRows {
 public:
  static constexpr bool kPacksA = true, kPacksB = true, kLooksAhead = true;

  AlongRows(const float* a, int64_t step) : a_(a), step_(step) {}
  const float* at(int row, int) const { return a_ + row; }
  void next() {
    a_ += step_;
    pin(a_);
  }
  template <int kSteps>
  void advance() {}
  int64_t step() const { return step_; }

 private:
  const float* a_;
  int64_t step_;
};

// Copies `steps` rows of kCount floats into rows of kWidth; what lies between is undefined.
template <class V, int kCount, int kWidth>
FATHOM_INLINE void copy_steps(const float* from, int64_t step, int steps, float* to) {
  FATHOM_UNROLL
  for (int u = 0; u < steps; ++u) {
    FATHOM_UNROLL
    for (int i = 0; i < kWidth; i += V::kLanes) {
      const float* at = from + u * step + i;
      V::store(to + u * kWidth + i,
               kCount - i < V::kLanes ? V::load_part(at, kCount - i) : V::load(at));
    }
  }
}

// A tile of c in registers. kPart: the last vector has fewer columns than lanes.
template <class V, int kRows, int kVectors>
struct Sums {
  typename V::Vec sum[kRows][kVectors];

  FATHOM_INLINE void clear() {
    FATHOM_UNROLL
    for (int i = 0; i < kRows; ++i) {
      FATHOM_UNROLL
      for (int v = 0; v < kVectors; ++v) sum[i][v] = V::zero();
    }
  }
  template <bool kPart>
  FATHOM_INLINE void load(const float* c, int64_t step, int64_t last_count) {
    FATHOM_UNROLL
    for (int i = 0; i < kRows; ++i) {
      FATHOM_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        const float* from = c + i * step + v * V::kLanes;
        sum[i][v] = kPart && v + 1 == kVectors ? V::load_part(from, last_count) : V::load(from);
      }
    }
  }
  template <bool kPart>
  FATHOM_INLINE void store(float* c, int64_t step, int64_t last_count) const {
    FATHOM_UNROLL
    for (int i = 0; i < kRows; ++i) {
      FATHOM_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        float* to = c + i * step + v * V::kLanes;
        if (kPart && v + 1 == kVectors) {
          V::store_part(to, sum[i][v], last_count);
        } else {
          V::store(to, sum[i][v]);
        }
      }
    }
  }
  // From c, or 0.
  FATHOM_INLINE void begin(const Tile& t) {
    if (!t.load_c) return clear();
    if (t.last_count == V::kLanes) return load<false>(t.c, t.c_step, t.last_count);
    load<true>(t.c, t.c_step, t.last_count);
  }
  FATHOM_INLINE void finish(const Tile& t) const {
    float* c = t.c;
    asm volatile("" : "+r"(c));  // else all addresses of c are kept, spilled, from before the loop
    if (t.last_count == V::kLanes) return store<false>(c, t.c_step, t.last_count);
    store<true>(c, t.c_step, t.last_count);
  }
};

// The operands of a tile on their way along k.
template <class V, class Left, int kRows, int kVectors>
struct Operands {
  static constexpr int kPanel = kVectors * V::kLanes, kStrip = kStripWidth<V>;

  explicit Operands(const Tile& t)
      : a(t.a, t.a_step),
        b(t.b),
        b_step(t.b_step),
        pack_a(t.pack_a),
        pack_b(t.pack_b),
        ahead(t.ahead),
        ahead_step(t.ahead_step) {}

  // Copies what the last kSteps steps read.
  template <int kSteps>
  FATHOM_INLINE void pack() {
    if constexpr (Left::kPacksA) {
      if (pack_a != nullptr) [[unlikely]] {
        copy_steps<V, kRows, kStrip>(a.at(0, 0) - kSteps * a.step(), a.step(), kSteps, pack_a);
        pack_a += kSteps * kStrip;
      }
    }
    if constexpr (Left::kPacksB) {
      if (pack_b != nullptr) [[unlikely]] {
        copy_steps<V, kPanel, kPanel>(b - kSteps * b_step, b_step, kSteps, pack_b);
        pack_b += kSteps * kPanel;
      }
    }
  }
  FATHOM_INLINE void look_ahead() {
    if constexpr (Left::kLooksAhead) {
      V::prefetch(ahead);
      ahead += ahead_step;
      pin(ahead);
    }
  }

  Left a;
  const float* b;
  int64_t b_step;
  float* pack_a;
  float* pack_b;
  const float* ahead;
  int64_t ahead_step;
};

// Adds kSteps steps of k.
template <int kSteps, class V, class Left, int kRows, int kVectors>
FATHOM_INLINE void add_steps(Sums<V, kRows, kVectors>& c,
                             Operands<V, Left, kRows, kVectors>& from) {
  FATHOM_UNROLL
  for (int u = 0; u < kSteps; ++u) {
    typename V::Vec right[kVectors];
    FATHOM_UNROLL
    for (int v = 0; v < kVectors; ++v) right[v] = V::load(from.b + v * V::kLanes);
    FATHOM_UNROLL
    for (int i = 0; i < kRows; ++i) {
      const typename V::Vec left = V::all(from.a.at(i, u));
      FATHOM_UNROLL
      for (int v = 0; v < kVectors; ++v) c.sum[i][v] = V::fma(left, right[v], c.sum[i][v]);
    }
    from.a.next();
    from.b += from.b_step;
    pin(from.b);
    from.look_ahead();
  }
  from.a.template advance<kSteps>();
  from.template pack<kSteps>();
}

template <class V, class Left, int kRows, int kVectors>
void multiply_tile(const Tile& t) {
  Sums<V, kRows, kVectors> sums;
  sums.begin(t);
  Operands<V, Left, kRows, kVectors> from(t);
  int64_t k = t.k;
  for (; k >= 4; k -= 4) add_steps<4>(sums, from);
  for (; k > 0; --k) add_steps<1>(sums, from);
  sums.finish(t);
}

// Rows of b in their natural layout for kNt, one per lane, from `count` on the last one again.
template <int kRows>
class ClampedRows {
 public:
  ClampedRows(const float* b, int64_t step, int64_t count) {
    for (int i = 0; i < kRows; ++i) row_[i] = b + (i < count ? i : count - 1) * step;
  }
  const float* at(int row, int u) const { return row_[row] + u; }
  template <int kSteps>
  void advance() {
    for (int i = 0; i < kRows; ++i) row_[i] += kSteps;
  }

 private:
  const float* row_[kRows];
};

// Adds one step of k, `u` steps further; `right` holds a vector of b.
template <class V, int kRows>
FATHOM_INLINE void add_few(Sums<V, kRows, 1>& c, const AcrossRows<kRows>& a, int u,
                           typename V::Vec right) {
  FATHOM_UNROLL
  for (int i = 0; i < kRows; ++i) c.sum[i][0] = V::fma(V::all(a.at(i, u)), right, c.sum[i][0]);
}

// A tile of kNt for so few rows that packing b would cost more than it saves: b is transposed in
// registers.
template <class V, int kRows, class Rows>
FATHOM_INLINE void multiply_few(const Tile& t, Rows b) {
  Sums<V, kRows, 1> sums;
  sums.begin(t);
  AcrossRows<kRows> a(t.a, t.a_step);
  typename V::Vec right[4];
  int64_t k = t.k;
  for (; k >= 4; k -= 4) {
    V::transpose4(b, right);
    FATHOM_UNROLL
    for (int u = 0; u < 4; ++u) add_few<V, kRows>(sums, a, u, right[u]);
    a.template advance<4>();
    b.template advance<4>();
  }
  if (k > 0) V::transpose4_part(b, k, right);
  FATHOM_UNROLL
  for (int u = 0; u < 3; ++u) {
    if (u < k) add_few<V, kRows>(sums, a, u, right[u]);
  }
  sums.finish(t);
}

template <class V, int kRows>
void multiply_few_f8(const Block& p, int64_t j);

// Whether all `columns` rows of an FP8 b from `j` on, and all 16 steps from a multiple of 16 on,
// have the same scale.
inline bool is_few_f8(const Block& p, int64_t columns, int64_t lanes, int64_t j) {
  return p.b.dtype == DType::kF8E4M3 && columns == lanes && (p.b.scales.row + j) % lanes == 0 &&
         p.b.scales.column % 16 == 0;
}

// The same where b is as stored: rows of it are widened, as many as a vector has lanes and so many
// steps as stay in the first-level cache.
template <class V, int kRows>
void multiply_few_stored(const Block& p) {
  constexpr int64_t kSteps = 512;
  alignas(64) float wide[V::kLanes * kSteps];
  for (int64_t j = 0; j < p.n; j += V::kLanes) {
    const int64_t columns = std::min(V::kLanes, p.n - j);
    if constexpr (V::kMultipliesFewF8) {
      if (is_few_f8(p, columns, V::kLanes, j)) {
        multiply_few_f8<V, kRows>(p, j);
        continue;
      }
    }
    for (int64_t k = 0; k < p.k; k += kSteps) {
      Tile t;
      t.k = std::min(kSteps, p.k - k);
      widen_rows<typename V::Widen>(p.b.at(j, k), columns, t.k, wide, kSteps);
      t.a = p.a.floats() + k;
      t.a_step = p.a.step;
      t.b = wide;
      t.b_step = kSteps;
      t.c = p.c + j;
      t.c_step = p.c_step;
      t.last_count = columns;
      t.load_c = p.accumulate || k > 0;
      if (columns == V::kLanes) {
        multiply_few<V, kRows>(t, AcrossRows<V::kLanes>(t.b, t.b_step));
      } else {
        multiply_few<V, kRows>(t, ClampedRows<V::kLanes>(t.b, t.b_step, columns));
      }
    }
  }
}

template <class V, int kRows>
void multiply_few_rows(const Block& p) {
  if (!p.b.f32()) return multiply_few_stored<V, kRows>(p);
  Tile t;
  t.a = p.a.floats();
  t.b = p.b.floats();
  t.c = p.c;
  t.a_step = p.a.step;
  t.b_step = p.b.step;
  t.c_step = p.c_step;
  t.k = p.k;
  t.last_count = V::kLanes;
  t.load_c = p.accumulate;
  int64_t n = p.n;
  for (; n >= V::kLanes; n -= V::kLanes) {
    multiply_few<V, kRows>(t, AcrossRows<V::kLanes>(t.b, t.b_step));
    t.b += V::kLanes * t.b_step;
    t.c += V::kLanes;
  }
  if (n == 0) return;
  t.last_count = n;
  multiply_few<V, kRows>(t, ClampedRows<V::kLanes>(t.b, t.b_step, n));
}

template <class V, template <int> class Left, int kVectors, int... kRows>
void multiply_tile_of(int64_t rows, const Tile& t, std::integer_sequence<int, kRows...>) {
  static constexpr void (*kTiles[])(const Tile&) = {
      &multiply_tile<V, Left<kRows + 1>, kRows + 1, kVectors>...};
  kTiles[rows - 1](t);
}

template <class V, template <int> class Left>
void multiply_tile_of(int64_t rows, int64_t vectors, const Tile& t) {
  constexpr std::make_integer_sequence<int, V::kTileRows> kRows;
  if (vectors == 1) return multiply_tile_of<V, Left, 1>(rows, t, kRows);
  multiply_tile_of<V, Left, 2>(rows, t, kRows);
}

template <class V, int... kRows>
void multiply_few_rows_of(const Block& p, std::integer_sequence<int, kRows...>) {
  static constexpr void (*kFew[])(const Block&) = {&multiply_few_rows<V, kRows + 1>...};
  kFew[p.m - 1](p);
}

// Multiply-adds in registers alone, as many chains as the largest tile has: two operations for each
// lane of each chain of each round. The value only keeps the work alive; each chain begins with a
// value of its own, or the compiler would compute equal chains once.
template <class V>
float multiply_add_burst(int64_t rounds) {
  Sums<V, V::kTileRows, 2> sums;
  FATHOM_UNROLL
  for (int i = 0; i < V::kTileRows; ++i) {
    const float starts[] = {static_cast<float>(i), static_cast<float>(-1 - i)};
    sums.sum[i][0] = V::all(starts);
    sums.sum[i][1] = V::all(starts + 1);
  }
  const float values[] = {0.5f, 1.0f};
  const typename V::Vec half = V::all(values), one = V::all(values + 1);
  for (int64_t r = 0; r < rounds; ++r) {
    FATHOM_UNROLL
    for (int i = 0; i < V::kTileRows; ++i) {
      sums.sum[i][0] = V::fma(sums.sum[i][0], half, one);
      sums.sum[i][1] = V::fma(sums.sum[i][1], half, one);
    }
  }
  float results[V::kTileRows * 2 * V::kLanes];
  sums.template store<false>(results, 2 * V::kLanes, V::kLanes);
  float total = 0;
  for (const float result : results) total += result;
  return total;
}

}  // namespace
}  // namespace fathom::products
