// The tiny MLA layer that the text-model notes work out in double precision (A.1): the module
// itself, with the angles and the softmax scale of its config, in both algebraic forms; its stages;
// and what the layer gives with two known faults.
#include <gtest/gtest.h>

#include <cmath>

#include "model/model_config.h"
#include "nn/mla.h"
#include "ops/columns/columns.h"
#include "ops/linear/linear.h"
#include "ops/mla_keys/mla_keys.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/rope/rope.h"
#include "ops/testing.h"

namespace fathom {
namespace {

using testing::from_values;
using testing::TestPass;
using testing::to_doubles;

ModelConfig tiny() {
  ModelConfig c;
  c.model_type = "deepseek_v3";
  c.hidden_size = 8;
  c.num_attention_heads = 2;
  c.q_lora_rank = 6;
  c.kv_lora_rank = 4;
  c.qk_nope_head_dim = c.qk_rope_head_dim = c.v_head_dim = 4;
  c.max_position_embeddings = 163840;
  c.rope_scaling.kind = RopeKind::kYarn;
  c.rope_scaling.factor = 40;
  c.rope_scaling.original_max_position_embeddings = 4096;
  c.rope_scaling.mscale_all_dim = 1;
  return c;
}

double phase(const std::string& name) {
  if (name.starts_with("q_a")) return 0.1;
  if (name.starts_with("q_b")) return 0.2;
  if (name.starts_with("kv_a")) return 0.3;
  return name.starts_with("kv_b") ? 0.4 : 0.5;
}

enum class Fault { kNone, kHalfSplit, kPlainScale };

// The rotary channels of a head with the middle two exchanged: pairs (2i, 2i + 1) of these are
// pairs (i, i + 2) of those, so that the layer turns what a half-split form would turn.
int64_t source_row(const std::string& name, int64_t row, Fault fault) {
  const bool rotary = row % 8 >= 4 && (name.starts_with("q_b") || name.starts_with("kv_a_proj"));
  if (fault != Fault::kHalfSplit || !rotary || row % 4 == 0 || row % 4 == 3) return row;
  return row % 4 == 1 ? row + 1 : row - 1;
}

// W[a][b] = 0.5 · sin(0.7 a + 1.3 b + phase) with rows and columns of the published tensor; norms
// 1 + 0.1 i.
void fill(Pass& pass, Parameter& p, DType dtype, Fault fault) {
  std::vector<double> values;
  for (const ParameterPart& part : p.parts) {
    const int64_t cols = part.shape.cols();
    for (int64_t i = 0; i < part.shape.elements(); ++i) {
      const auto row = static_cast<double>(source_row(part.name, i / cols, fault));
      const auto col = static_cast<double>(i % cols);
      values.push_back(part.shape.rank() == 1
                           ? 1 + 0.1 * static_cast<double>(i)
                           : 0.5 * std::sin(0.7 * row + 1.3 * col + phase(part.name)));
    }
  }
  p.value = from_values(pass, p.declared, dtype, values);
}

struct Golden {
  Golden(TestPass& pass_in, DType dtype_in, Fault fault = Fault::kNone)
      : pass(pass_in),
        dtype(dtype_in),
        config(tiny()),
        rotary{scaled_rope_frequencies(config.rope_scaling, config.rope_theta, 4),
               config.rope_scaling.cos_sin_factor(), config.max_position_embeddings},
        attention({8, 2, 6, 4, 4, 4, 4,
                   fault == Fault::kPlainScale ? 1 / std::sqrt(8.0) : config.softmax_scale()},
                  "") {
    attention.list(list);
    for (Parameter* p : list) fill(pass.plain, *p, dtype, fault);
    std::vector<double> values;
    for (int t = 0; t < 3; ++t) {
      for (int j = 0; j < 8; ++j) values.push_back(std::cos(0.5 * t + 0.3 * j));
    }
    x = from_values(pass.plain, {3, 8}, dtype, values);
  }

  std::vector<double> rows(int64_t begin, int64_t count, KvCache* cache, PagedSequence* sequence) {
    TokenLayout layout{{0, static_cast<int32_t>(count)}, {}, {}};
    const std::vector<int32_t> positions = {0, 7, 5000};
    layout.positions = {positions.begin() + begin, positions.begin() + begin + count};
    if (cache != nullptr) {
      EXPECT_TRUE(cache->extend(pass.plain, *sequence, count));
      layout.cached = {sequence};
    }
    const RowContext context = make_row_context(pass.plain, layout, cache, rotary, dtype);
    const Tensor y = attention.forward(pass.plain, x.rows_at(begin, count), context, 0);
    if (sequence != nullptr) sequence->length += count;
    return to_doubles(y);
  }

  TestPass& pass;
  DType dtype;
  ModelConfig config;
  RotaryPositions rotary;
  MlaAttention attention;
  ParameterList list;  // down_proj, q_a_layernorm, q_b_proj, kv_a_layernorm, kv_b_proj, o_proj
  Tensor x;
};

const std::vector<double> kOutput = {
    -0.8612413, -1.4721404, -1.3906688, -0.6551440, 0.3885053,  1.2494345, 1.5227351, 1.0798696,
    -0.4390784, -1.4275633, -1.7446430, -1.2411897, -0.1539856, 1.0056404, 1.6922980, 1.5830414,
    0.1811420,  -1.2133013, -2.0371101, -1.9028342, -0.8736256, 0.5664628, 1.7401348, 2.0953943};

void expect_output(const std::vector<double>& got, size_t first) {
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], kOutput[first + i], 2e-6) << first + i;
}

TEST(MlaGolden, TheSoftmaxScaleIsThatOfTheNotes) {
  EXPECT_NEAR(tiny().softmax_scale(), 0.6625075, 1e-7);
  const std::vector<double> inv_freq = scaled_rope_frequencies(tiny().rope_scaling, 10000, 4);
  EXPECT_NEAR(inv_freq[0], 1, 1e-7);
  EXPECT_NEAR(inv_freq[1], 0.005125, 1e-9);
}

void expect_values(const std::vector<double>& got, size_t first,
                   const std::vector<double>& expected, double tolerance = 2e-6) {
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(got[first + i], expected[i], tolerance) << i;
}

// Row 2 of the probabilities of one head, from rotated queries and keys [3, 2 · 8].
std::vector<double> last_probabilities(const std::vector<double>& q, const std::vector<double>& k,
                                       size_t head, double scale) {
  std::vector<double> probs;
  double sum = 0;
  for (size_t j = 0; j < 3; ++j) {
    double score = 0;
    for (size_t i = 0; i < 8; ++i) score += q[2 * 16 + head * 8 + i] * k[j * 16 + head * 8 + i];
    probs.push_back(std::exp(score * scale));
    sum += probs.back();
  }
  for (double& p : probs) p /= sum;
  return probs;
}

TEST(MlaGolden, EachStageHasTheValuesOfTheNotes) {
  TestPass test;
  Golden golden(test, DType::kF64);
  Pass& pass = test.plain;
  const ParameterList& p = golden.list;
  const TokenLayout layout{{0, 3}, {0, 7, 5000}, {}};
  const RowContext context = make_row_context(pass, layout, nullptr, golden.rotary, DType::kF64);
  std::vector<Tensor> parts = split_columns(pass, linear(pass, golden.x, *p[0]), {6, 4, 4});
  Tensor q = linear(pass, rms_norm(pass, parts[0], *p[1], 1e-6f), *p[2]);  // [3, 2 · 8]
  expect_values(to_doubles(q), 2 * 16 + 8, {-0.1403400, -1.0255419, -1.4284155, -1.1594829});
  q = rope(pass, q, context.angles, {2, 8, 4, 4, true});
  // The notes have exact angles; those of weights are rounded (ops/rope/rope.h), by 2e-6 here.
  expect_values(to_doubles(q), 2 * 16 + 12, {0.5704003, 0.4387298, 0.5059642, 1.8305938}, 4e-6);
  const Tensor latent = rms_norm(pass, parts[1], *p[3], 1e-6f);
  expect_values(to_doubles(latent), 2 * 4, {-0.3665187, 0.6592401, 1.5399272, 1.7728008});
  const Tensor k_rope = rope(pass, parts[2], context.angles, {1, 4, 0, 4, true});
  expect_values(to_doubles(k_rope), 2 * 4, {-0.0029511, -0.2414469, -0.0664687, -0.5101227});
  const MlaKeys keys = mla_keys(pass, linear(pass, latent, *p[4]), k_rope, 2, 4, 4);
  const double scale = golden.config.softmax_scale();
  const std::vector<double> queries = to_doubles(q), k = to_doubles(keys.k);
  expect_values(last_probabilities(queries, k, 0, scale), 0, {0.0534564, 0.2293634, 0.7171802});
  expect_values(last_probabilities(queries, k, 1, scale), 0, {0.0595786, 0.2338215, 0.7065999});
}

TEST(MlaGolden, KnownFaultsGiveOtherRows) {
  TestPass pass;
  Golden half_split(pass, DType::kF64, Fault::kHalfSplit);
  expect_values(half_split.rows(0, 3, nullptr, nullptr), 16, {0.1370067, -1.2313666, -2.0206090});
  Golden plain_scale(pass, DType::kF64, Fault::kPlainScale);
  expect_values(plain_scale.rows(0, 3, nullptr, nullptr), 16, {0.0227429, -1.2630092, -1.9547483});
}

TEST(MlaGolden, BothFormsGiveThePublishedRows) {
  for (const DType dtype : {DType::kF64, DType::kF32}) {
    TestPass pass;
    Golden golden(pass, dtype);
    const std::vector<double> expanded = golden.rows(0, 3, nullptr, nullptr);
    expect_output(expanded, 0);
    KvCache cache(*pass.memory, {.layers = 1, .width = 8, .page_tokens = 2}, 4, dtype);
    PagedSequence sequence;
    expect_output(golden.rows(0, 1, &cache, &sequence), 0);  // expanded, into the cache
    expect_output(golden.rows(1, 1, &cache, &sequence), 8);  // absorbed
    const std::vector<double> absorbed = golden.rows(2, 1, &cache, &sequence);
    expect_output(absorbed, 16);
    for (size_t i = 0; i < absorbed.size(); ++i)
      EXPECT_NEAR(absorbed[i], expanded[16 + i], dtype == DType::kF64 ? 1e-14 : 1e-5) << i;
    // What the cache holds of row 2: the latent after its norm, the rotary key in adjacent pairs.
    const std::vector<double> row = to_doubles(cache.layer(0).rows_at(sequence.pages[1] * 2, 1));
    const std::vector<double> held = {-0.3665187, 0.6592401,  1.5399272,  1.7728008,
                                      -0.0029511, -0.2414469, -0.0664687, -0.5101227};
    for (size_t i = 0; i < held.size(); ++i) EXPECT_NEAR(row[i], held[i], 2e-6) << i;
  }
}

}  // namespace
}  // namespace fathom
