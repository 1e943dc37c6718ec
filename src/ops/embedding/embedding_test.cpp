#include "ops/embedding/embedding.h"

#include <gtest/gtest.h>

#include "base/float_bits.h"
#include "ops/embedding/kernels.h"
#include "ops/simd_testing.h"

namespace fathom {
namespace {

using testing::from_values;
using testing::identical;
using testing::random_parameter;
using testing::random_slice;
using testing::random_tensor;
using testing::TestPass;
using testing::to_doubles;
using Ids = std::vector<int32_t>;

KernelTable fast_kernels() {
  KernelTable table = reference_kernels();
  table.embedding = &cpu::embedding;
  table.embedding_backward = &cpu::embedding_backward;
  return table;
}

struct Case {
  int64_t tokens, vocab, hidden;
};

constexpr Case kCases[] = {{0, 4, 8}, {1, 1, 1}, {9, 5, 3}, {300, 17, 67}, {2048, 512, 192}};

Ids random_ids(const Case& c) {
  Ids ids;
  for (int64_t i = 0; i < c.tokens; ++i) {
    const auto index = static_cast<uint64_t>(i);
    ids.push_back(static_cast<int32_t>(RandomKey{9}.below(index, static_cast<uint64_t>(c.vocab))));
  }
  return ids;
}

// dtable of random ids and dy, beginning as random numbers.
Tensor backward(const KernelTable& kernels, Pass& pass, const Case& c, bool accumulate) {
  const Ids ids = random_ids(c);
  const Tensor index =
      from_values(pass, {c.tokens}, DType::kI32, std::vector<double>(ids.begin(), ids.end()));
  const Tensor dy = random_slice(pass, c.tokens, c.hidden, DType::kF32, 2);
  Tensor dtable = random_tensor(pass, {c.vocab, c.hidden}, DType::kF32, 3);
  kernels.embedding_backward(nullptr, index.read(), dy.read(), dtable.write(), accumulate);
  return dtable;
}

TEST(Embedding, TakesTheRowOfEachId) {
  TestPass pass;
  Parameter table = random_parameter(pass.plain, "t", {3, 2}, DType::kF32, 1);
  table.value = from_values(pass.plain, {3, 2}, DType::kF32, {0, 1, 10, 11, 20, 21});
  for (const KernelTable& kernels : {reference_kernels(), fast_kernels()}) {
    TestPass other(kernels);
    EXPECT_EQ(to_doubles(embedding(other.plain, Ids{2, 0, 2}, table)),
              (std::vector<double>{20, 21, 0, 1, 20, 21}));
    EXPECT_EQ(embedding(other.plain, Ids{}, table).shape(), (Shape{0, 2}));
  }
}

TEST(Embedding, HalfPrecisionTablesWiden) {
  for (const KernelTable& kernels : {reference_kernels(), fast_kernels()}) {
    TestPass pass(kernels);
    for (DType dtype : {DType::kBF16, DType::kF16}) {
      Parameter table;
      table.value = pass.plain.empty({2, 2}, dtype);
      auto* bits = static_cast<uint16_t*>(table.value.write().data);
      const float values[] = {1.5f, -2.0f, 0.25f, 96.0f};
      for (int i = 0; i < 4; ++i) {
        bits[i] = dtype == DType::kBF16 ? f32_to_bf16(values[i]) : f32_to_f16(values[i]);
      }
      const Tensor y = embedding(pass.plain, Ids{1, 0}, table);
      EXPECT_EQ(y.dtype(), DType::kF32);
      EXPECT_EQ(to_doubles(y), (std::vector<double>{0.25, 96, 1.5, -2}));
    }
  }
}

TEST(Embedding, GradientEqualsDifferences) {
  TestPass pass;
  Parameter table = random_parameter(pass.plain, "table", {4, 3}, DType::kF64, 1);
  const auto fn = [&](Pass& p, const std::vector<Tensor>&) {
    return embedding(p, Ids{3, 0, 3, 3, 1}, table);
  };
  EXPECT_EQ(testing::check_gradients(fn, {}, {&table}, pass), "");
}

TEST(Embedding, FastGradientEqualsTheReferenceToTheBit) {
  testing::for_each_simd_target([] {
    TestPass pass;
    for (const Case& c : kCases) {
      for (bool accumulate : {false, true}) {
        SCOPED_TRACE(concat(c.tokens, " of ", c.vocab, "x", c.hidden, accumulate ? " added" : ""));
        EXPECT_TRUE(identical(backward(fast_kernels(), pass.plain, c, accumulate),
                              backward(reference_kernels(), pass.plain, c, accumulate)));
      }
    }
  });
}

TEST(Embedding, GradientDoesNotDependOnThreads) {
  TestPass pass;
  const auto [one, two] = testing::with_one_and_two_threads([&] {
    return backward(fast_kernels(), pass.plain, {900, 33, 100}, true);
  });
  EXPECT_TRUE(identical(one, two));
}

TEST(Embedding, FrozenTablesRecordNothing) {
  TestPass pass;
  Parameter table = random_parameter(pass.plain, "table", {4, 3}, DType::kF32, 1);
  table.grad = nullptr;
  EXPECT_EQ(embedding(pass.taped, Ids{1}, table).slot(), nullptr);
  EXPECT_TRUE(pass.tape.empty());
}

TEST(Embedding, NamesTheIdOutsideTheVocabulary) {
  TestPass pass;
  const Parameter table =
      random_parameter(pass.plain, "model.embed_tokens.weight", {4, 3}, DType::kF32, 1);
  for (int32_t bad : {4, -1}) {
    try {
      embedding(pass.plain, Ids{0, bad}, table);
      FAIL() << "no error for " << bad;
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find(concat("id ", bad, " of token 1")), std::string::npos) << message;
      EXPECT_NE(message.find("model.embed_tokens.weight"), std::string::npos) << message;
    }
  }
}

}  // namespace
}  // namespace fathom
