// The product of one block on one thread: packing, and tiles one after the other.
//
// b is read from panels as wide as a tile, packed [k, panel columns], a block of them in the
// second-level cache. A strip of a, as high as a tile, stays near while the panels pass by.
//
// Included inside a `#pragma GCC target` region, see ops/matmul/tile-inl.h, which it includes.

#include "ops/matmul/widen-inl.h"
//
#include "ops/matmul/tile-inl.h"

namespace fathom::products {
namespace {

constexpr int64_t kLineFloats = 16;  // of a cache line
constexpr int64_t kPanelCost = 6;    // of a BlockKernel

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
  // Packed panels, a strip, and a panel's rows of a b that is widened first.
  static int64_t memory_floats(int64_t n, int64_t k) {
    return k * (n + 2 * kPanelColumns<V> + kStripWidth<V>);
  }

  // `next_b`: where a stored b goes on in the next part, to be brought near meanwhile; or nothing.
  PanelProduct(const Block& p, float* memory, const Operand& next_b)
      : p_(p),
        next_b_(next_b),
        strips_(p.m, V::kTileRows),
        strip_(memory),
        wide_(memory + kStripWidth<V> * p.k),
        panels_(wide_ + kPanelColumns<V> * p.k) {
    if (p.form == Form::kPacked) return;
    for (int64_t j = 0; j < p.n; j += kPanelColumns<V>) pack_panel(j);
  }

  void run() {
    for (int64_t s = 0; s < strips_.count; ++s) multiply_strip(s);
  }

 private:
  int64_t columns(int64_t j) const { return std::min(kPanelColumns<V>, p_.n - j); }
  int64_t vectors(int64_t j) const { return columns(j) > V::kLanes ? 2 : 1; }
  bool first_in_place(int64_t j) const {
    return (p_.form == Form::kNn || p_.form == Form::kTn) && columns(j) == kPanelColumns<V> &&
           p_.b.f32();
  }

  void pack_panel(int64_t j) {
    if (first_in_place(j)) return;
    float* panel = panels_ + j * p_.k;
    const int64_t width = vectors(j) * V::kLanes;
    if (!p_.b.f32()) {
      pack_stored(j, panel, width);
    } else if (p_.form == Form::kNt) {
      pack_natural<V>(p_.b.floats() + j * p_.b.step, p_.b.step, columns(j), p_.k, panel, width);
    } else {
      pack_straight<V>(p_.b.floats() + j, p_.b.step, columns(j), p_.k, panel, width);
    }
  }

  void pack_stored(int64_t j, float* panel, int64_t width) {
    if (p_.form == Form::kNt) {
      widen_rows<typename V::Widen>(p_.b.at(j, 0), columns(j), p_.k, wide_, p_.k);
      pack_natural<V>(wide_, p_.k, columns(j), p_.k, panel, width);
    } else {
      widen_rows<typename V::Widen>(p_.b.at(0, j), p_.k, columns(j), panel, width);
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
      if (next_b_.data != nullptr) bring_near(s, j);
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
      t.a = p_.a.floats() + strips_.begin(s) * (p_.form == Form::kTn ? 1 : p_.a.step);
      t.a_step = p_.a.step;
    }
    t.pack_a = packs && j == 0 ? strip_ : nullptr;
  }

  void place_b(int64_t s, int64_t j, Tile& t) const {
    if (p_.form == Form::kPacked) {
      t.b = p_.b.floats() + j / kPanelColumns<V> * p_.b.step;
      t.b_step = kPanelColumns<V>;
      return;
    }
    const bool packs = strips_.count > 2;
    float* panel = panels_ + j * p_.k;
    if (first_in_place(j) && (s == 0 || !packs)) {
      t.b = p_.b.floats() + j;
      t.b_step = p_.b.step;
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
    t.ahead =
        p_.a.floats() + (last ? p_.k * p_.a.step : strips_.begin(s + 1)) + strips_.rows(0) - 1;
    t.ahead_step = p_.a.step;
    if (j == 0) return;
    const int64_t others = (p_.n - 1) / kPanelColumns<V>;
    const int64_t column = (s * others + j / kPanelColumns<V> - 1) * kLineFloats;
    if (column >= p_.n) return;
    t.ahead = p_.b.floats() + p_.k * p_.b.step + column;
    t.ahead_step = p_.b.step;
  }

  // This tile's share of the lines of the next part's b.
  void bring_near(int64_t s, int64_t j) const {
    constexpr int64_t kLine = 64;
    const int64_t panels = (p_.n + kPanelColumns<V> - 1) / kPanelColumns<V>;
    const int64_t lines = (byte_size(next_b_.dtype, p_.k) + kLine - 1) / kLine;
    const int64_t row_bytes = byte_size(next_b_.dtype, next_b_.step);
    const int64_t tiles = strips_.count * panels;
    const int64_t share = (p_.n * lines + tiles - 1) / tiles;
    int64_t place = (s * panels + j / kPanelColumns<V>)*share;
    const int64_t end = std::min(place + share, p_.n * lines);
    for (; place < end; ++place) {
      V::prefetch_far(static_cast<const char*>(next_b_.data) + place / lines * row_bytes +
                      place % lines * kLine);
    }
  }

  const Block& p_;
  const Operand next_b_;
  const Strips strips_;
  float* const strip_;
  float* const wide_;
  float* const panels_;
};

// A panel of a packed b: [k, panel columns]; columns that b does not have hold copies of its last.
template <class V>
int64_t panel_floats(int64_t k) {
  return k * kPanelColumns<V>;
}

template <class V>
void pack_panel(const float* b, int64_t step, int64_t columns, int64_t k, float* to) {
  pack_natural<V>(b, step, columns, k, to, kPanelColumns<V>);
  if (columns <= V::kLanes) {
    for (int64_t i = 0; i < k; ++i)
      V::store(to + i * kPanelColumns<V> + V::kLanes, V::load(to + i * kPanelColumns<V>));
  }
}

template <class V>
void multiply_block(const Block& p) {
  if (p.k == 0) {
    for (int64_t i = 0; i < p.m && !p.accumulate; ++i) std::fill_n(p.c + i * p.c_step, p.n, 0.0f);
    return;
  }
  if (p.form == Form::kNt && p.m <= V::kFewRows)
    return multiply_few_rows_of<V>(p, std::make_integer_sequence<int, V::kFewRows>());
  // A strip of a and a panel of b meet in the first-level cache; in kTn the strip is less dense.
  const int64_t most_k = p.form == Form::kTn ? 256 : 512;
  const int64_t k_blocks = (p.k + most_k - 1) / most_k;
  const int64_t block_k = ((p.k + k_blocks - 1) / k_blocks + 3) / 4 * 4;
  float* memory = scratch(PanelProduct<V>::memory_floats(std::min(p.n, V::kBlockColumns), block_k));
  for (int64_t j = 0; j < p.n; j += V::kBlockColumns) {
    for (int64_t k = 0; k < p.k; k += block_k) {
      Block part = p;
      part.a = p.form == Form::kTn ? p.a.at(k, 0) : p.a.at(0, k);
      part.b = p.form == Form::kNt       ? p.b.at(j, k)
               : p.form == Form::kPacked ? p.b.at(j / kPanelColumns<V>, k * kPanelColumns<V>)
                                         : p.b.at(k, j);
      part.c += j;
      part.n = std::min(V::kBlockColumns, p.n - j);
      part.k = std::min(block_k, p.k - k);
      part.accumulate = p.accumulate || k > 0;
      Operand next_b;
      if (p.form == Form::kNt && !p.b.f32()) {
        const bool same_columns = k + block_k < p.k;
        if (same_columns || j + V::kBlockColumns < p.n)
          next_b = same_columns ? p.b.at(j, k + block_k) : p.b.at(j + V::kBlockColumns, 0);
      }
      PanelProduct<V>(part, memory, next_b).run();
    }
  }
}

}  // namespace
}  // namespace fathom::products
