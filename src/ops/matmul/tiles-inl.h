// The product of one block on one thread, written once for vectors of any width.
//
// Included by one file per instruction set, after all other headers and inside a `#pragma GCC
// target` region, because functions take the instruction set of the place where they are written;
// hence also the anonymous namespace. `V` is the instruction set:
//   Vec, kLanes                    a vector and its floats
//   kTileRows                      of the largest tile of c that stays in registers, two vectors
//   wide kBlockColumns                  columns of b packed at a time, for the second-level cache
//   kFewRows                       up to so many rows of kNt are multiplied without packing b
//   zero, all, load, store, fma    as named; load_part and store_part touch the first elements only
//   transpose4(rows, column)       lane i of column[u] = rows.at(i, 0)[u] for u < 4
//   transpose4_part                the same for fewer than four elements, reading no others
//
// A tile keeps kRows · 2 vectors of c in registers and adds one step of k after the other. b is
// read from panels, as wide as a tile, packed [k, tile columns]; a strip of a, as high as a tile,
// stays near while the panels of the block pass by. Saturates the multiply-add units: a tile alone
// reaches 95 % of their peak, whole products 80 to 92 % (matmul_bench.cpp).

namespace fathom::products {
namespace {

constexpr int64_t kMaxBlockK = 256;
constexpr int64_t kLineFloats = 16;  // of a cache line

#define FATHOM_UNROLL _Pragma("GCC unroll 16")

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
inline void pin(const float*& pointer) { asm volatile("" : "+r"(pointer)); }

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
inline void copy_steps(const float* from, int64_t step, int steps, float* to) {
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

  void clear() {
    FATHOM_UNROLL
    for (int i = 0; i < kRows; ++i) {
      FATHOM_UNROLL
      for (int v = 0; v < kVectors; ++v) sum[i][v] = V::zero();
    }
  }
  template <bool kPart>
  void load(const float* c, int64_t step, int64_t last_count) {
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
  void store(float* c, int64_t step, int64_t last_count) const {
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
  void begin(const Tile& t) {
    if (!t.load_c) return clear();
    if (t.last_count == V::kLanes) return load<false>(t.c, t.c_step, t.last_count);
    load<true>(t.c, t.c_step, t.last_count);
  }
  void finish(const Tile& t) const {
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
  void pack() {
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
  void look_ahead() {
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
inline void add_steps(Sums<V, kRows, kVectors>& c, Operands<V, Left, kRows, kVectors>& from) {
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

// Brings columns of b, rows in its natural layout, into a panel: [k, width].
template <class V, class Rows>
void pack_rows(Rows rows, int64_t k, float* panel, int64_t width) {
  typename V::Vec column[4];
  for (; k >= 4; k -= 4) {
    V::transpose4(rows, column);
    FATHOM_UNROLL
    for (int u = 0; u < 4; ++u) V::store(panel + u * width, column[u]);
    rows.template advance<4>();
    panel += 4 * width;
  }
  if (k == 0) return;
  V::transpose4_part(rows, k, column);
  for (int u = 0; u < k; ++u) V::store(panel + u * width, column[u]);
}

template <class V>
void pack_natural(const float* b, int64_t step, int64_t columns, int64_t k, float* panel,
                  int64_t width) {
  for (int64_t j = 0; j < columns; j += V::kLanes) {
    if (j + V::kLanes <= columns) {
      pack_rows<V>(AcrossRows<V::kLanes>(b + j * step, step), k, panel + j, width);
    } else {
      pack_rows<V>(ClampedRows<V::kLanes>(b + j * step, step, columns - j), k, panel + j, width);
    }
  }
}

// Copies rows of `columns` floats, [k, columns], to [k, width]; the floats in between are
// undefined.
template <class V>
void pack_straight(const float* from, int64_t step, int64_t columns, int64_t k, float* to,
                   int64_t width) {
  for (; k > 0; --k) {
    int64_t j = 0;
    for (; j + V::kLanes <= columns; j += V::kLanes) V::store(to + j, V::load(from + j));
    if (j < columns) V::store(to + j, V::load_part(from + j, columns - j));
    from += step;
    to += width;
  }
}

// Adds one step of k, `u` steps further; `right` holds a vector of b.
template <class V, int kRows>
inline void add_few(Sums<V, kRows, 1>& c, const AcrossRows<kRows>& a, int u,
                    typename V::Vec right) {
  FATHOM_UNROLL
  for (int i = 0; i < kRows; ++i) c.sum[i][0] = V::fma(V::all(a.at(i, u)), right, c.sum[i][0]);
}

// A tile of kNt for so few rows that packing b would cost more than it saves: b is transposed in
// registers.
template <class V, int kRows, class Rows>
void multiply_few(const Tile& t, Rows b) {
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
void multiply_few_rows(const Block& p) {
  Tile t;
  t.a = p.a;
  t.b = p.b;
  t.c = p.c;
  t.a_step = p.a_step;
  t.b_step = p.b_step;
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

// Rows cut into strips of at most kTileRows, nearly equal, because low tiles do not fill the
// multiply-add units.
struct Strips {
  Strips(int64_t rows, int64_t tile_rows)
      : count((rows + tile_rows - 1) / tile_rows), low(rows / count), higher(rows % count) {}
  int64_t begin(int64_t s) const { return s * low + std::min(s, higher); }
  int64_t rows(int64_t s) const { return low + (s < higher ? 1 : 0); }

  int64_t count, low, higher;  // the first `higher` strips have low + 1 rows
};

// Part of a block that is small in k and n: its panels of b fit the second-level cache, a strip of
// a fits the first. Matrices whose k runs down columns are read in place by their first tile, which
// packs them for the later ones.
template <class V>
class PanelProduct {
 public:
  static int64_t memory_floats(int64_t n, int64_t k) {
    return k * (n + kPanelColumns<V> + kStripWidth<V>);
  }

  PanelProduct(const Block& p, float* memory)
      : p_(p), strips_(p.m, V::kTileRows), strip_(memory), panels_(memory + kStripWidth<V> * p.k) {
    for (int64_t j = 0; j < p.n; j += kPanelColumns<V>) pack_panel(j);
  }

  void run() {
    for (int64_t s = 0; s < strips_.count; ++s) multiply_strip(s);
  }

 private:
  int64_t columns(int64_t j) const { return std::min(kPanelColumns<V>, p_.n - j); }
  int64_t vectors(int64_t j) const { return columns(j) > V::kLanes ? 2 : 1; }
  bool first_in_place(int64_t j) const {
    return p_.form != Form::kNt && columns(j) == kPanelColumns<V>;
  }

  void pack_panel(int64_t j) {
    if (first_in_place(j)) return;
    float* panel = panels_ + j * p_.k;
    const int64_t width = vectors(j) * V::kLanes;
    if (p_.form == Form::kNt) {
      pack_natural<V>(p_.b + j * p_.b_step, p_.b_step, columns(j), p_.k, panel, width);
    } else {
      pack_straight<V>(p_.b + j, p_.b_step, columns(j), p_.k, panel, width);
    }
  }

  void multiply_strip(int64_t s) {
    const int64_t rows = strips_.rows(s);
    Tile t;
    t.c_step = p_.c_step;
    t.k = p_.k;
    t.load_c = p_.accumulate;
    for (int64_t j = 0; j < p_.n; j += kPanelColumns<V>) {
      place_a(s, j, t);
      place_b(s, j, t);
      t.c = p_.c + strips_.begin(s) * p_.c_step + j;
      t.last_count = columns(j) - (vectors(j) - 1) * V::kLanes;
      if (p_.form == Form::kTn) {
        look_ahead(s, j, t);
        multiply_tile_of<V, AlongRows>(rows, vectors(j), t);
      } else if (t.pack_b != nullptr) {
        multiply_tile_of<V, AcrossRowsPacking>(rows, vectors(j), t);
      } else {
        multiply_tile_of<V, AcrossRows>(rows, vectors(j), t);
      }
    }
  }

  void place_a(int64_t s, int64_t j, Tile& t) const {
    const bool packs = p_.form == Form::kTn && p_.n > 2 * kPanelColumns<V>;
    if (packs && j > 0) {
      t.a = strip_;
      t.a_step = kStripWidth<V>;
    } else {
      t.a = p_.a + strips_.begin(s) * (p_.form == Form::kTn ? 1 : p_.a_step);
      t.a_step = p_.a_step;
    }
    t.pack_a = packs && j == 0 ? strip_ : nullptr;
  }

  void place_b(int64_t s, int64_t j, Tile& t) const {
    const bool packs = strips_.count > 2;
    float* panel = panels_ + j * p_.k;
    if (first_in_place(j) && (s == 0 || !packs)) {
      t.b = p_.b + j;
      t.b_step = p_.b_step;
      t.pack_b = packs ? panel : nullptr;
    } else {
      t.b = panel;
      t.b_step = vectors(j) * V::kLanes;
      t.pack_b = nullptr;
    }
  }

  // In kTn rows of a and b are far apart, so that the processor itself foresees little. Each tile
  // asks for one line of each step: the first one of a strip for the next strip of a, the others
  // for the next block of b.
  void look_ahead(int64_t s, int64_t j, Tile& t) const {
    const bool last = s + 1 == strips_.count;
    t.ahead = p_.a + (last ? p_.k * p_.a_step : strips_.begin(s + 1)) + strips_.rows(0) - 1;
    t.ahead_step = p_.a_step;
    if (j == 0) return;
    const int64_t others = (p_.n - 1) / kPanelColumns<V>;
    const int64_t column = (s * others + j / kPanelColumns<V> - 1) * kLineFloats;
    if (column >= p_.n) return;
    t.ahead = p_.b + p_.k * p_.b_step + column;
    t.ahead_step = p_.b_step;
  }

  const Block& p_;
  const Strips strips_;
  float* const strip_;
  float* const panels_;
};

template <class V>
void multiply_block(const Block& p) {
  if (p.k == 0) {
    for (int64_t i = 0; i < p.m && !p.accumulate; ++i) std::fill_n(p.c + i * p.c_step, p.n, 0.0f);
    return;
  }
  if (p.form == Form::kNt && p.m <= V::kFewRows)
    return multiply_few_rows_of<V>(p, std::make_integer_sequence<int, V::kFewRows>());
  const int64_t k_blocks = (p.k + kMaxBlockK - 1) / kMaxBlockK;
  const int64_t block_k = ((p.k + k_blocks - 1) / k_blocks + 3) / 4 * 4;
  float* memory = scratch(PanelProduct<V>::memory_floats(std::min(p.n, V::kBlockColumns), block_k));
  for (int64_t j = 0; j < p.n; j += V::kBlockColumns) {
    for (int64_t k = 0; k < p.k; k += block_k) {
      Block part = p;
      part.a += k * (p.form == Form::kTn ? p.a_step : 1);
      part.b += p.form == Form::kNt ? j * p.b_step + k : k * p.b_step + j;
      part.c += j;
      part.n = std::min(V::kBlockColumns, p.n - j);
      part.k = std::min(block_k, p.k - k);
      part.accumulate = p.accumulate || k > 0;
      PanelProduct<V>(part, memory).run();
    }
  }
}

// Multiply-adds in registers alone, as many chains as the largest tile has: two operations for each
// lane of each chain of each round. The value only keeps the work alive.
template <class V>
float multiply_add_burst(int64_t rounds) {
  Sums<V, V::kTileRows, 2> sums;
  sums.clear();
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
