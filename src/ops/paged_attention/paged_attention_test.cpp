#include "ops/paged_attention/paged_attention.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/attention/attention.h"
#include "ops/attention/kernels.h"
#include "ops/basic/kernels.h"
#include "ops/mla_keys/kernels.h"
#include "ops/mla_keys/mla_keys.h"
#include "ops/paged_attention/kernels.h"
#include "ops/rope/kernels.h"
#include "ops/rope/rope.h"
#include "ops/simd_testing.h"

namespace fathom {
namespace {

using testing::difference;
using testing::from_values;
using testing::random_tensor;
using testing::TestPass;
using testing::to_doubles;

KernelTable kernels(bool fast) {
  KernelTable table;
  table.fill_zero = &reference::fill_zero;
  table.copy = &reference::copy;
  table.accumulate = &reference::accumulate;
  table.attention = fast ? &cpu::attention : &reference::attention;
  table.paged_attention = fast ? &cpu::paged_attention : &reference::paged_attention;
  table.mla_keys = &reference::mla_keys;
  table.rope = &reference::rope;
  return table;
}

// Calls fn(pass) with the reference and with every fast version that this machine can run.
template <class Fn>
void with_each_version(const Fn& fn) {
  TestPass plain(kernels(false));
  fn(plain);
  testing::for_each_simd_target([&] {
    TestPass fast(kernels(true));
    fn(fast);
  });
}

AttentionShape heads(int64_t heads, int64_t kv_heads, int64_t qk_dim, int64_t v_dim) {
  return {heads, kv_heads, qk_dim, v_dim, 1 / std::sqrt(static_cast<double>(qk_dim))};
}

// A cache for one sequence whose pages lie in descending order among pages of noise.
struct OneSequenceCache {
  PagedShape shape;
  Tensor rows;
  std::vector<int32_t> pages;

  OneSequenceCache(Pass& pass, const AttentionShape& attention, int64_t page_tokens,
                   const Tensor& k, const Tensor& v)
      : shape{attention, attention.kv_heads * attention.qk_dim, page_tokens} {
    const int64_t used = (k.rows() + page_tokens - 1) / page_tokens;
    rows = random_tensor(pass, {(used + 2) * page_tokens, k.cols() + v.cols() + 5}, k.dtype(), 99,
                         100);
    for (int64_t p = 0; p < used; ++p) pages.push_back(static_cast<int32_t>(used - p));
    for (int64_t t = 0; t < k.rows(); ++t) {
      Tensor row = rows.rows_at(
          pages[static_cast<size_t>(t / page_tokens)] * page_tokens + t % page_tokens, 1);
      Tensor key = row.columns(0, k.cols()), value = row.columns(k.cols(), v.cols());
      reference::copy(nullptr, k.rows_at(t, 1).read(), key.write());
      reference::copy(nullptr, v.rows_at(t, 1).read(), value.write());
    }
  }

  PagedSpan span(int64_t count, int64_t length) const { return {0, count, length, pages.data()}; }
};

// Attends to the first `tokens` rows of q in chunks, as a prompt that is cut.
std::vector<double> attend_in_chunks(Pass& pass, const Tensor& q, const OneSequenceCache& cache,
                                     const std::vector<int64_t>& chunks) {
  std::vector<double> out;
  int64_t length = 0;
  for (int64_t count : chunks) {
    const Tensor rows = q.rows_at(length, count);
    length += count;
    const std::vector<PagedSpan> spans = {cache.span(count, length)};
    const std::vector<double> part =
        to_doubles(paged_attention(pass, rows, cache.rows, spans, cache.shape));
    out.insert(out.end(), part.begin(), part.end());
  }
  return out;
}

void expect_near(const std::vector<double>& got, size_t at, const std::vector<double>& expected,
                 double tolerance) {
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(got[at + i], expected[i], tolerance) << "element " << at + i;
}

// Of results whose scores are sums of qk_dim products in another order.
double order_tolerance(int64_t qk_dim) {
  return 4 * (testing::sum_tolerance(qk_dim) + testing::sum_tolerance(1));
}

// A prompt of seven tokens, one head of width 4, scale 1/2. The result must not depend on how the
// prompt is cut.
TEST(PagedAttention, DoesNotDependOnHowThePromptIsCut) {
  const std::vector<double> q = {0.841,  0.946,  0.335,  -0.53, 0.946,  -0.53,  -0.706,
                                 0.85,   0.335,  -0.706, 0.941, -0.995, -0.53,  0.85,
                                 -0.995, 0.935,  -0.994, 0.319, 0.859,  -0.681, -0.706,
                                 -0.995, -0.558, 0.287,  0.117, 0.133,  0.15,   0.166};
  const std::vector<double> k = {1.0,    0.598,  -0.256, -0.916, 0.598,  -0.916, -0.182,
                                 0.999,  -0.256, -0.182, 0.585,  -0.875, -0.916, 0.999,
                                 -0.875, 0.571,  -0.883, -0.272, 0.998,  -0.149, -0.182,
                                 -0.875, -0.929, -0.304, 0.657,  0.67,   0.682,  0.694};
  const std::vector<double> v = {0.335, -0.53,  -0.994, -0.706, -0.53, -0.706, 0.85,
                                 0.319, -0.994, 0.85,   -0.544, 0.133, -0.706, 0.319,
                                 0.133, -0.558, 0.117,  -0.995, 0.303, 0.868,  0.85,
                                 0.133, -0.681, -0.998, 0.941,  0.935, 0.929,  0.922};
  const std::vector<double> expected = {
      0.335,       -0.53,        -0.994,      -0.706,      -0.29716442,  -0.65862536, 0.353643,
      0.043096571, -0.4847488,   0.10667723,  -0.40665766, -0.092844412, -0.57656551, 0.09272433,
      0.062618489, -0.37686796,  -0.34961803, -0.17607834, -0.095294994, 0.19849488,  -0.068225017,
      -0.15074072, -0.074577352, -0.19396287, 0.016755222, 0.015620605,  0.050628264, 0.046455668};
  const AttentionShape shape{1, 1, 4, 4, 0.5};
  with_each_version([&](TestPass& pass) {
    const Tensor queries = from_values(pass.plain, {7, 4}, DType::kF32, q);
    const OneSequenceCache cache(pass.plain, shape, 2,
                                 from_values(pass.plain, {7, 4}, DType::kF32, k),
                                 from_values(pass.plain, {7, 4}, DType::kF32, v));
    const std::vector<double> whole = attend_in_chunks(pass.plain, queries, cache, {7});
    expect_near(whole, 0, expected, 1e-6);
    for (const std::vector<int64_t>& chunks : std::vector<std::vector<int64_t>>{
             {3, 4}, {4, 3}, {1, 6}, {6, 1}, {2, 2, 3}, {1, 1, 1, 1, 1, 1, 1}}) {
      EXPECT_EQ(attend_in_chunks(pass.plain, queries, cache, chunks), whole);
    }
  });
}

// Few rows read keys in place, many have them transposed: the same bits within each kind, and
// nearly the same between them.
TEST(PagedAttention, DependsOnTheCutOnlyByRoundingOfFewAndOfManyRows) {
  for (const AttentionShape& shape : {heads(3, 3, 40, 72), heads(2, 1, 20, 12)}) {
    with_each_version([&](TestPass& pass) {
      const int64_t tokens = 150, few = 8 * shape.kv_heads / shape.heads;
      const auto random = [&](int64_t cols, uint64_t seed) {
        return random_tensor(pass.plain, {tokens, cols}, DType::kF32, seed);
      };
      const Tensor q = random(shape.heads * shape.qk_dim, 1);
      const OneSequenceCache cache(pass.plain, shape, 16, random(shape.kv_heads * shape.qk_dim, 2),
                                   random(shape.kv_heads * shape.v_dim, 3));
      const auto cut = [&](int64_t first, int64_t step) {
        std::vector<int64_t> chunks = {first};
        for (int64_t left = tokens - first; left > 0; left -= step) {
          chunks.push_back(std::min(step, left));
        }
        return attend_in_chunks(pass.plain, q, cache, chunks);
      };
      const std::vector<double> one_by_one = cut(1, 1), whole = cut(tokens, 1);
      EXPECT_EQ(cut(1, few), one_by_one);
      EXPECT_EQ(cut(2, 3), one_by_one);
      EXPECT_EQ(cut(61, tokens - 61), whole);
      EXPECT_EQ(cut(few + 1, tokens - few - 1), whole);
      expect_near(one_by_one, 0, whole, order_tolerance(shape.qk_dim));
    });
  }
}

TEST(PagedAttention, EqualsPackedAttentionOverOneSequence) {
  for (const AttentionShape& shape :
       {heads(4, 4, 24, 16), heads(6, 2, 32, 32), heads(3, 1, 20, 12)}) {
    with_each_version([&](TestPass& pass) {
      const int64_t tokens = 83;
      const Tensor q =
          random_tensor(pass.plain, {tokens, shape.heads * shape.qk_dim}, DType::kF32, 1);
      const Tensor k =
          random_tensor(pass.plain, {tokens, shape.kv_heads * shape.qk_dim}, DType::kF32, 2);
      const Tensor v =
          random_tensor(pass.plain, {tokens, shape.kv_heads * shape.v_dim}, DType::kF32, 3);
      const std::vector<int32_t> starts = {0, 83};
      const std::vector<double> packed = to_doubles(attention(pass.plain, q, k, v, starts, shape));
      const OneSequenceCache cache(pass.plain, shape, 16, k, v);
      EXPECT_EQ(attend_in_chunks(pass.plain, q, cache, {50, 33}), packed);
      expect_near(attend_in_chunks(pass.plain, q, cache, {50, 1, 1, 31}), 0, packed,
                  order_tolerance(shape.qk_dim));
    });
  }
}

// A batch of sequences of several lengths and row counts in one shuffled cache.
struct Batch {
  PagedShape shape;
  Tensor q, cache;
  std::vector<std::vector<int32_t>> pages;
  std::vector<PagedSpan> spans;

  Batch(Pass& pass, const PagedShape& paged, int64_t width,
        const std::vector<std::pair<int64_t, int64_t>>& rows_and_length, uint64_t seed)
      : shape(paged) {
    int64_t rows = 0, used = 0;
    for (const auto& [count, length] : rows_and_length) {
      std::vector<int32_t> list;
      for (int64_t p = 0; p * paged.page_tokens < length; ++p)
        list.push_back(static_cast<int32_t>(used++));
      pages.push_back(list);
    }
    // Multiplying by a number without common factors shuffles the pages over all sequences.
    const int64_t total = used % 7 == 0 ? used + 1 : used;
    for (size_t s = 0; s < pages.size(); ++s) {
      for (int32_t& page : pages[s]) page = static_cast<int32_t>(page * 7 % total);
      const auto [count, length] = rows_and_length[s];
      spans.push_back({rows, count, length, pages[s].data()});
      rows += count;
    }
    q = testing::random_slice(pass, rows, paged.attention.heads * paged.attention.qk_dim,
                              DType::kF32, seed);
    cache = random_tensor(pass, {total * paged.page_tokens, width}, DType::kF32, seed + 1);
  }
};

struct BatchCase {
  const char* name;
  PagedShape shape;
  int64_t width;
};

std::vector<BatchCase> batch_cases() {
  return {{"mha", {heads(4, 4, 24, 16), 4 * 24, 16}, 4 * 40},
          {"gqa, odd pages", {heads(6, 2, 32, 32), 2 * 32, 5}, 2 * 64 + 3},
          {"wide heads", {heads(2, 2, 88, 136), 2 * 88, 16}, 2 * 224},
          {"mqa", {heads(5, 1, 20, 12), 20, 1}, 32},
          {"latent of few heads", {heads(4, 1, 48, 32), 0, 16}, 48},
          {"latent of many heads", {heads(16, 1, 72, 64), 0, 64}, 72},
          {"more heads than a job has rows", {heads(130, 1, 8, 4), 0, 16}, 8}};
}

// Decode rows, prompts with and without a cached prefix, a draft of three; one key block and many.
const std::vector<std::pair<int64_t, int64_t>> kBatchRows = {
    {1, 1}, {1, 37}, {5, 5}, {1, 128}, {1, 129}, {3, 200}, {40, 300}, {1, 517}};

TEST(PagedAttention, FastKernelEqualsTheReferenceForAMixedBatch) {
  TestPass plain(kernels(false));
  for (const BatchCase& c : batch_cases()) {
    const Batch batch(plain.plain, c.shape, c.width, kBatchRows, 71);
    const Tensor expected =
        paged_attention(plain.plain, batch.q, batch.cache, batch.spans, batch.shape);
    const double tolerance = order_tolerance(c.shape.attention.qk_dim);
    testing::for_each_simd_target([&] {
      SCOPED_TRACE(c.name);
      TestPass fast(kernels(true));
      const Tensor got =
          paged_attention(fast.plain, batch.q, batch.cache, batch.spans, batch.shape);
      EXPECT_EQ(difference(got, expected, 0, tolerance), "");
    });
  }
}

TEST(PagedAttention, ASpanAloneEqualsTheSameSpanInABatchOnAnyNumberOfThreads) {
  testing::for_each_simd_target([] {
    TestPass pass(kernels(true));
    for (const BatchCase& c : batch_cases()) {
      const Batch batch(pass.plain, c.shape, c.width, kBatchRows, 81);
      const Tensor all =
          paged_attention(pass.plain, batch.q, batch.cache, batch.spans, batch.shape);
      for (PagedSpan span : batch.spans) {
        const Tensor q = batch.q.rows_at(span.row_begin, span.rows);
        const Tensor expected = all.rows_at(span.row_begin, span.rows);
        span.row_begin = 0;
        const std::vector<PagedSpan> one = {span};
        const auto [serial, parallel] = testing::with_one_and_two_threads(
            [&] { return paged_attention(pass.plain, q, batch.cache, one, batch.shape); });
        EXPECT_TRUE(testing::identical(serial, expected)) << c.name << ", " << span.length;
        EXPECT_TRUE(testing::identical(parallel, expected)) << c.name << ", " << span.length;
      }
    }
  });
}

// One sequence and few heads: the blocks of keys are shared out and joined afterwards.
TEST(PagedAttention, ALongCacheSharedByThreadsGivesTheSameBits) {
  testing::for_each_simd_target([] {
    TestPass pass(kernels(true));
    for (const BatchCase& c : {BatchCase{"latent", {heads(4, 1, 80, 64), 0, 16}, 80},
                               BatchCase{"mha", {heads(3, 3, 40, 24), 3 * 40, 16}, 3 * 64}}) {
      for (const int64_t rows : {1, 3, 9}) {
        const Batch batch(pass.plain, c.shape, c.width, {{rows, 1500}}, 91);
        const auto [one, two] = testing::with_one_and_two_threads([&] {
          return paged_attention(pass.plain, batch.q, batch.cache, batch.spans, batch.shape);
        });
        EXPECT_TRUE(testing::identical(one, two)) << c.name << ", " << rows;
      }
    }
  });
}

TEST(PagedAttention, RefusesPagesAndLengthsThatCannotBe) {
  TestPass pass(kernels(false));
  const AttentionShape attention = heads(2, 1, 4, 4);
  const Tensor k = random_tensor(pass.plain, {6, 4}, DType::kF32, 1);
  const OneSequenceCache cache(pass.plain, attention, 4, k, k);
  const Tensor q = random_tensor(pass.plain, {2, 8}, DType::kF32, 2);
  const auto message = [&](PagedSpan span, const PagedShape& shape) -> std::string {
    const std::vector<PagedSpan> spans = {span};
    try {
      paged_attention(pass.plain, q, cache.rows, spans, shape);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(message(cache.span(2, 6), cache.shape), "accepted");
  EXPECT_NE(message(cache.span(2, 1), cache.shape).find("append the rows"), std::string::npos);
  EXPECT_NE(message(cache.span(1, 6), cache.shape).find("cover 1 rows of 2"), std::string::npos);
  PagedShape wide = cache.shape;
  wide.value_column = 20;
  EXPECT_NE(message(cache.span(2, 6), wide).find("13 wide"), std::string::npos);
  const std::vector<int32_t> beyond = {0, 4};
  EXPECT_NE(message({0, 2, 6, beyond.data()}, cache.shape).find("4 pages"), std::string::npos);
  EXPECT_NE(message({0, 2, 6, nullptr}, cache.shape).find("no page list"), std::string::npos);
  EXPECT_NE(message({1, 2, 6, beyond.data()}, cache.shape).find("begins at row 1"),
            std::string::npos);
}

// The published layer of two heads that the spec of MLA works out to seven digits, as plain
// products.
class TinyMla {
 public:
  TinyMla(Pass& pass, DType dtype) : pass_(pass), dtype_(dtype) {
    const std::vector<double> inv_freq = {1.0, 0.005125};
    const std::vector<int32_t> positions = {0, 7, 5000};
    const RopeAngles angles = rope_angles(pass, positions, inv_freq, dtype);
    std::vector<double> x;
    for (int t = 0; t < 3; ++t) {
      for (int j = 0; j < 8; ++j) x.push_back(std::cos(0.5 * t + 0.3 * j));
    }
    q = tensor(16, product(normed(product(x, 8, 6, 0.1), 6), 6, 16, 0.2));
    q = rope(pass, std::move(q), angles,
             {.heads = 2, .head_dim = 8, .begin = 4, .dim = 4, .interleaved = true});
    const std::vector<double> a = product(x, 8, 8, 0.3);
    latent = tensor(4, normed(columns(a, 8, 0), 4));
    k_rope = tensor(4, columns(a, 8, 4));
    k_rope = rope(pass, std::move(k_rope), angles,
                  {.heads = 1, .head_dim = 4, .begin = 0, .dim = 4, .interleaved = true});
  }

  Tensor expanded() const {
    const Tensor kv = tensor(16, product(to_doubles(latent), 4, 16, 0.4));
    const MlaKeys keys = mla_keys(pass_, kv, k_rope, 2, 4, 4);
    const std::vector<int32_t> starts = {0, 3};
    return attention(pass_, q, keys.k, keys.v, starts, {2, 2, 8, 4, scale});
  }

  // Queries meet W_UK before, values W_UV after; the cache holds the latent and the one rotary key.
  Tensor absorbed() const {
    const std::vector<double> plain_q = to_doubles(q);
    std::vector<double> latent_q;
    for (size_t row = 0; row < 6; ++row) {  // one per token and head
      for (size_t c = 0; c < 4; ++c) {
        double sum = 0;
        for (size_t n = 0; n < 4; ++n)
          sum += plain_q[row * 8 + n] * weight(row % 2 * 8 + n, c, 0.4);
        latent_q.push_back(sum);
      }
      for (size_t c = 4; c < 8; ++c) latent_q.push_back(plain_q[row * 8 + c]);
    }
    Tensor cache = pass_.empty({4, 8}, dtype_);
    for (int64_t t = 0; t < 3; ++t) {
      Tensor row = cache.rows_at(t, 1), compressed = row.columns(0, 4), rotary = row.columns(4, 4);
      reference::copy(nullptr, latent.rows_at(t, 1).read(), compressed.write());
      reference::copy(nullptr, k_rope.rows_at(t, 1).read(), rotary.write());
    }
    const std::vector<int32_t> pages = {0, 1};
    const std::vector<PagedSpan> spans = {{0, 3, 3, pages.data()}};
    const PagedShape shape{{2, 1, 8, 4, scale}, 0, 2};
    const std::vector<double> mixed =
        to_doubles(paged_attention(pass_, tensor(16, latent_q), cache, spans, shape));
    std::vector<double> out;
    for (size_t row = 0; row < 6; ++row) {
      for (size_t n = 0; n < 4; ++n) {
        double sum = 0;
        for (size_t c = 0; c < 4; ++c)
          sum += mixed[row * 4 + c] * weight(row % 2 * 8 + 4 + n, c, 0.4);
        out.push_back(sum);
      }
    }
    return tensor(8, out);
  }

  Tensor output(const Tensor& mixed) const {
    return tensor(8, product(to_doubles(mixed), 8, 8, 0.5));
  }

  Tensor q, latent, k_rope;
  double scale = 1.368887945 * 1.368887945 / std::sqrt(8.0);

 private:
  static double weight(size_t a, size_t b, double phase) {
    return 0.5 * std::sin(0.7 * static_cast<double>(a) + 1.3 * static_cast<double>(b) + phase);
  }
  static std::vector<double> product(const std::vector<double>& x, size_t in, size_t out,
                                     double phase) {
    std::vector<double> y;
    for (size_t t = 0; t < 3; ++t) {
      for (size_t a = 0; a < out; ++a) {
        double sum = 0;
        for (size_t b = 0; b < in; ++b) sum += weight(a, b, phase) * x[t * in + b];
        y.push_back(sum);
      }
    }
    return y;
  }
  static std::vector<double> normed(std::vector<double> x, size_t width) {
    for (size_t t = 0; t < 3; ++t) {
      double sum = 0;
      for (size_t i = 0; i < width; ++i) sum += x[t * width + i] * x[t * width + i];
      const double r = 1 / std::sqrt(sum / static_cast<double>(width) + 1e-6);
      for (size_t i = 0; i < width; ++i) x[t * width + i] *= r * (1 + 0.1 * static_cast<double>(i));
    }
    return x;
  }
  static std::vector<double> columns(const std::vector<double>& x, size_t width, size_t begin) {
    std::vector<double> part;
    for (size_t t = 0; t < 3; ++t) {
      for (size_t i = 0; i < 4; ++i) part.push_back(x[t * width + begin + i]);
    }
    return part;
  }
  Tensor tensor(int64_t cols, const std::vector<double>& values) const {
    return from_values(pass_, {3, cols}, dtype_, values);
  }

  Pass& pass_;
  DType dtype_;
};

TEST(PagedAttention, GivesTheGoldenValuesOfMla) {
  const std::vector<double> expected = {
      -0.8612413, -1.4721404, -1.3906688, -0.6551440, 0.3885053,  1.2494345, 1.5227351, 1.0798696,
      -0.4390784, -1.4275633, -1.7446430, -1.2411897, -0.1539856, 1.0056404, 1.6922980, 1.5830414,
      0.1811420,  -1.2133013, -2.0371101, -1.9028342, -0.8736256, 0.5664628, 1.7401348, 2.0953943};
  with_each_version([&](TestPass& pass) {
    for (const DType dtype : {DType::kF64, DType::kF32}) {
      const TinyMla mla(pass.plain, dtype);
      const double tolerance = dtype == DType::kF64 ? 1e-7 : 2e-6;
      expect_near(to_doubles(mla.latent), 8, {-0.3665187, 0.6592401, 1.5399272, 1.7728008},
                  tolerance);
      expect_near(to_doubles(mla.k_rope), 8, {-0.0029511, -0.2414469, -0.0664687, -0.5101227},
                  tolerance);
      expect_near(to_doubles(mla.q), 40,
                  {-0.1403400, -1.0255419, -1.4284155, -1.1594829, 0.5704003, 0.4387298, 0.5059642,
                   1.8305938},
                  tolerance);
      expect_near(to_doubles(mla.output(mla.expanded())), 0, expected, tolerance);
      expect_near(to_doubles(mla.output(mla.absorbed())), 0, expected, tolerance);
    }
  });
}

TEST(PagedAttention, AbsorbedMlaEqualsExpandedMla) {
  with_each_version([&](TestPass& pass) {
    const TinyMla exact(pass.plain, DType::kF64);
    EXPECT_EQ(difference(exact.absorbed(), exact.expanded(), 0, 1e-12), "");
    const TinyMla single(pass.plain, DType::kF32);
    EXPECT_EQ(difference(single.absorbed(), single.expanded(), 0, 1e-5), "");
  });
}

}  // namespace
}  // namespace fathom
