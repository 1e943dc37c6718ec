// The tiny MLA layer that the text-model notes work out in double precision (A.1): the module
// itself, with the angles and the softmax scale of its config, in both algebraic forms.
#include <gtest/gtest.h>

#include <cmath>

#include "model/model_config.h"
#include "nn/mla.h"
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

// W[a][b] = 0.5 · sin(0.7 a + 1.3 b + phase) with rows and columns of the published tensor; norms
// 1 + 0.1 i.
void fill(Pass& pass, Parameter& p, DType dtype) {
  std::vector<double> values;
  for (const ParameterPart& part : p.parts) {
    const int64_t cols = part.shape.cols();
    for (int64_t i = 0; i < part.shape.elements(); ++i) {
      const auto row = static_cast<double>(i / cols), col = static_cast<double>(i % cols);
      values.push_back(part.shape.rank() == 1
                           ? 1 + 0.1 * static_cast<double>(i)
                           : 0.5 * std::sin(0.7 * row + 1.3 * col + phase(part.name)));
    }
  }
  p.value = from_values(pass, p.declared, dtype, values);
}

struct Golden {
  Golden(TestPass& pass_in, DType dtype_in)
      : pass(pass_in),
        dtype(dtype_in),
        config(tiny()),
        rotary{scaled_rope_frequencies(config.rope_scaling, config.rope_theta, 4),
               config.rope_scaling.cos_sin_factor(), config.max_position_embeddings},
        attention({8, 2, 6, 4, 4, 4, 4, config.softmax_scale()}, "") {
    ParameterList list;
    attention.list(list);
    for (Parameter* p : list) fill(pass.plain, *p, dtype);
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

TEST(MlaGolden, BothFormsGiveThePublishedRows) {
  for (const DType dtype : {DType::kF64, DType::kF32}) {
    TestPass pass;
    Golden golden(pass, dtype);
    expect_output(golden.rows(0, 3, nullptr, nullptr), 0);  // expanded
    KvCache cache(*pass.memory, {.layers = 1, .width = 8, .page_tokens = 2}, 4, dtype);
    PagedSequence sequence;
    expect_output(golden.rows(0, 1, &cache, &sequence), 0);  // expanded, into the cache
    expect_output(golden.rows(1, 1, &cache, &sequence), 8);  // absorbed
    expect_output(golden.rows(2, 1, &cache, &sequence), 16);
    // What the cache holds of row 2: the latent after its norm, the rotary key in adjacent pairs.
    const std::vector<double> row = to_doubles(cache.layer(0).rows_at(sequence.pages[1] * 2, 1));
    const std::vector<double> held = {-0.3665187, 0.6592401,  1.5399272,  1.7728008,
                                      -0.0029511, -0.2414469, -0.0664687, -0.5101227};
    for (size_t i = 0; i < held.size(); ++i) EXPECT_NEAR(row[i], held[i], 2e-6) << i;
  }
}

}  // namespace
}  // namespace fathom
