#include "backend/self_check.h"

#include <cmath>
#include <functional>

#include "base/log.h"
#include "base/random.h"

namespace fathom {
namespace {

// Odd sizes: whole tiles and what is left over.
constexpr int64_t kRows = 19, kInner = 45, kCols = 37;
constexpr int64_t kGroups = 3;
constexpr int32_t kOffsets[kGroups + 1] = {0, 7, 7, kRows};  // one group has no rows
// A short sequence and one that tiles take too: ops/attention/kernels.h.
constexpr int64_t kTokens = 83;
constexpr int32_t kStarts[] = {0, 6, kTokens};
constexpr AttentionShape kAttention{
    .heads = 4, .kv_heads = 2, .qk_dim = 24, .v_dim = 16, .scale = 0.2f};

using Numbers = std::vector<float>;

Numbers random_numbers(int64_t count, uint64_t seed) {
  Numbers x(static_cast<size_t>(count));
  const RandomKey key{seed};
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(key.normal(i));
  return x;
}

View matrix(Numbers& x, int64_t rows) {
  const int64_t cols = static_cast<int64_t>(x.size()) / rows;
  return {x.data(), DType::kF32, Shape{rows, cols}, cols};
}

template <size_t N>
ConstView integers(const int32_t (&x)[N]) {
  return {x, DType::kI32, Shape{static_cast<int64_t>(N)}, static_cast<int64_t>(N)};
}

Numbers joined(const Numbers& a, const Numbers& b, const Numbers& c = {}) {
  Numbers all = a;
  all.insert(all.end(), b.begin(), b.end());
  all.insert(all.end(), c.begin(), c.end());
  return all;
}

// One product, once overwriting and once adding.
using Product = void (*)(Stream*, ConstView, ConstView, View, bool);
Numbers product(Product kernel, int64_t a_rows, int64_t b_rows) {
  Numbers a = random_numbers(kRows * kInner, 1), b = random_numbers(kInner * kCols, 2);
  Numbers fresh = random_numbers(kRows * kCols, 3), added = fresh;
  kernel(nullptr, matrix(a, a_rows), matrix(b, b_rows), matrix(fresh, kRows), false);
  kernel(nullptr, matrix(a, a_rows), matrix(b, b_rows), matrix(added, kRows), true);
  return joined(fresh, added);
}

Numbers grouped_product(void (*kernel)(Stream*, ConstView, ConstView, ConstView, View),
                        const Shape& weight) {
  Numbers a = random_numbers(kRows * kInner, 1), b = random_numbers(weight.elements(), 2);
  Numbers c = random_numbers(kRows * kCols, 3);
  kernel(nullptr, matrix(a, kRows), integers(kOffsets),
         {b.data(), DType::kF32, weight, weight.cols()}, matrix(c, kRows));
  return c;
}

// As grouped_product() with matrices of FP8 codes, which lie apart.
Numbers grouped_stored(const KernelTable& table) {
  Numbers a = random_numbers(kRows * kInner, 1), c = random_numbers(kRows * kCols, 3);
  const float scales[kGroups] = {0.5f, 1.0f, 0.3f};
  std::vector<uint8_t> codes;
  for (int64_t i = 0; i < kGroups * kCols * kInner; ++i)
    codes.push_back(static_cast<uint8_t>(i * 5 % 0x70 + (i % 2 == 0 ? 0x80 : 0)));
  std::vector<ConstView> matrices;
  for (int64_t g = 0; g < kGroups; ++g) {
    matrices.push_back({codes.data() + g * kCols * kInner,
                        DType::kF8E4M3,
                        Shape{kCols, kInner},
                        kInner,
                        {scales + g, 1, 0, 0}});
  }
  table.grouped_stored(nullptr, matrix(a, kRows), integers(kOffsets), matrices, matrix(c, kRows));
  return c;
}

// As grouped_product() with a weight that was packed before; one group is the plain product.
Numbers packed_product(const KernelTable& table, int64_t groups) {
  Numbers a = random_numbers(kRows * kInner, 1), b = random_numbers(groups * kCols * kInner, 2);
  Numbers c = random_numbers(kRows * kCols, 3);
  Numbers packed(static_cast<size_t>(groups * table.packed_floats(kCols, kInner)));
  table.pack(nullptr, {b.data(), DType::kF32, Shape{groups, kCols, kInner}, kInner},
             matrix(packed, groups));
  if (groups == 1) {
    table.matmul_packed(nullptr, matrix(a, kRows), matrix(packed, 1), matrix(c, kRows));
  } else {
    table.grouped_packed(nullptr, matrix(a, kRows), integers(kOffsets), matrix(packed, groups),
                         matrix(c, kRows));
  }
  return c;
}

// They share an order.
void restore_packed(KernelTable& table, const KernelTable& from) {
  table.packed_floats = from.packed_floats;
  table.pack = from.pack;
  table.matmul_packed = from.matmul_packed;
  table.grouped_packed = from.grouped_packed;
}

// The first group already has a gradient, the last has none yet.
Numbers grouped_gradient(const KernelTable& table) {
  Numbers a = random_numbers(kRows * kInner, 1), b = random_numbers(kRows * kCols, 2);
  const Shape shape{kGroups, kInner, kCols};
  Numbers c = random_numbers(shape.elements(), 3);
  uint8_t live[kGroups] = {1, 0, 0};
  table.grouped_tn(nullptr, matrix(a, kRows), integers(kOffsets), matrix(b, kRows),
                   {c.data(), DType::kF32, shape, kCols}, live);
  return joined(c, Numbers(live, live + kGroups));
}

struct AttentionCase {
  Numbers q = random_numbers(kTokens * kAttention.heads * kAttention.qk_dim, 1);
  Numbers k = random_numbers(kTokens * kAttention.kv_heads * kAttention.qk_dim, 2);
  Numbers v = random_numbers(kTokens * kAttention.kv_heads * kAttention.v_dim, 3);
  Numbers out = Numbers(static_cast<size_t>(kTokens * kAttention.heads * kAttention.v_dim));
  Numbers lse = Numbers(static_cast<size_t>(kTokens * kAttention.heads));

  void forward(const KernelTable& table) {
    table.attention(nullptr, matrix(q, kTokens), matrix(k, kTokens), matrix(v, kTokens),
                    integers(kStarts), kAttention, matrix(out, kTokens), matrix(lse, kTokens));
  }
};

Numbers attention(const KernelTable& table) {
  AttentionCase c;
  c.forward(table);
  return joined(c.out, c.lse);
}

Numbers attention_backward(const KernelTable& table) {
  AttentionCase c;
  c.forward(reference_kernels());
  Numbers dout = random_numbers(static_cast<int64_t>(c.out.size()), 4), dq = c.q, dk = c.k,
          dv = c.v;
  table.attention_backward(nullptr, matrix(c.q, kTokens), matrix(c.k, kTokens),
                           matrix(c.v, kTokens), matrix(c.out, kTokens), matrix(c.lse, kTokens),
                           matrix(dout, kTokens), integers(kStarts), kAttention,
                           matrix(dq, kTokens), matrix(dk, kTokens), matrix(dv, kTokens));
  return joined(dq, dk, dv);
}

// A sequence in decode and one in prefill; `shape` is grouped-query or the latent of MLA.
Numbers paged(const KernelTable& table, const PagedShape& shape, int64_t width) {
  constexpr int32_t kFirst[] = {2, 0, 4}, kSecond[] = {3, 1};
  const std::vector<PagedSpan> spans = {{.row_begin = 0, .rows = 1, .length = 10, .pages = kFirst},
                                        {.row_begin = 1, .rows = 3, .length = 7, .pages = kSecond}};
  const int64_t heads = shape.attention.heads;
  Numbers q = random_numbers(4 * heads * shape.attention.qk_dim, 1);
  Numbers cache = random_numbers(5 * shape.page_tokens * width, 2);
  Numbers out = Numbers(static_cast<size_t>(4 * heads * shape.attention.v_dim));
  table.paged_attention(nullptr, matrix(q, 4), matrix(cache, 5 * shape.page_tokens), spans, shape,
                        matrix(out, 4));
  return out;
}

Numbers paged_attention(const KernelTable& table) {
  const PagedShape grouped{.attention = kAttention, .value_column = 2 * 24, .page_tokens = 4};
  const PagedShape latent{
      .attention = {.heads = 5, .kv_heads = 1, .qk_dim = 24, .v_dim = 16, .scale = 0.2f},
      .value_column = 0,
      .page_tokens = 4};
  return joined(paged(table, grouped, 2 * (24 + 16)), paged(table, latent, 24));
}

struct Check {
  const char* op;
  std::function<Numbers(const KernelTable&)> run;
  std::function<void(KernelTable&, const KernelTable&)> restore;  // the slot from the second table
};

std::vector<Check> checks() {
  return {
      {"matmul_nt", [](const auto& t) { return product(t.matmul_nt, kRows, kCols); },
       [](auto& t, const auto& r) { t.matmul_nt = r.matmul_nt; }},
      {"matmul_nn", [](const auto& t) { return product(t.matmul_nn, kRows, kInner); },
       [](auto& t, const auto& r) { t.matmul_nn = r.matmul_nn; }},
      {"matmul_tn", [](const auto& t) { return product(t.matmul_tn, kInner, kInner); },
       [](auto& t, const auto& r) { t.matmul_tn = r.matmul_tn; }},
      {"grouped_nt",
       [](const auto& t) {
         return grouped_product(t.grouped_nt, {kGroups, kCols, kInner});
       },
       [](auto& t, const auto& r) { t.grouped_nt = r.grouped_nt; }},
      {"grouped_nn",
       [](const auto& t) {
         return grouped_product(t.grouped_nn, {kGroups, kInner, kCols});
       },
       [](auto& t, const auto& r) { t.grouped_nn = r.grouped_nn; }},
      {"grouped_stored", grouped_stored,
       [](auto& t, const auto& r) { t.grouped_stored = r.grouped_stored; }},
      {"grouped_tn", grouped_gradient, [](auto& t, const auto& r) { t.grouped_tn = r.grouped_tn; }},
      {"matmul_packed", [](const auto& t) { return packed_product(t, 1); }, &restore_packed},
      {"grouped_packed", [](const auto& t) { return packed_product(t, kGroups); }, &restore_packed},
      {"attention", attention, [](auto& t, const auto& r) { t.attention = r.attention; }},
      {"attention_backward", attention_backward,
       [](auto& t, const auto& r) { t.attention_backward = r.attention_backward; }},
      {"paged_attention", paged_attention,
       [](auto& t, const auto& r) { t.paged_attention = r.paged_attention; }},
  };
}

// "" or the first element that differs by more than f32 sums of this length may.
std::string disagreement(const Numbers& got, const Numbers& want) {
  constexpr float kTolerance = 1e-4f;
  for (size_t i = 0; i < want.size(); ++i) {
    if (!(std::abs(got[i] - want[i]) <= kTolerance * (1 + std::abs(want[i])))) {
      return concat("element ", i, " is ", got[i], ", expected ", want[i]);
    }
  }
  return "";
}

}  // namespace

void check_products(KernelTable& table, std::vector<KernelChoice>& choices,
                    const KernelTable& plain) {
  for (const Check& check : checks()) {
    const std::string wrong = disagreement(check.run(table), check.run(plain));
    if (wrong.empty()) continue;
    check.restore(table, plain);
    for (KernelChoice& choice : choices) {
      if (choice.op != check.op) continue;
      log_warning("the ", choice.version, " version of ", check.op,
                  " computes wrong results on this machine (", wrong,
                  "); the plain version, which is slow, replaces it");
      choice = {check.op, "plain", concat(choice.version, " gave wrong results here: ", wrong)};
    }
  }
}

}  // namespace fathom
