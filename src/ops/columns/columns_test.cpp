#include "ops/columns/columns.h"

#include <gtest/gtest.h>

#include "ops/add/add.h"
#include "ops/testing.h"

namespace fathom {
namespace {

using testing::from_values;
using testing::random_tensor;
using testing::TestPass;
using testing::to_doubles;
using Values = std::vector<double>;

TEST(Columns, SplitGivesViewsOfTheSameStorage) {
  TestPass pass;
  const Tensor x =
      from_values(pass.plain, {2, 5}, DType::kF32, {0, 1, 2, 3, 4, 10, 11, 12, 13, 14});
  const std::vector<Tensor> parts = split_columns(pass.plain, x, {2, 0, 3});
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(to_doubles(parts[0]), (Values{0, 1, 10, 11}));
  EXPECT_EQ(parts[1].shape(), (Shape{2, 0}));
  EXPECT_EQ(to_doubles(parts[2]), (Values{2, 3, 4, 12, 13, 14}));
  for (const Tensor& part : parts) EXPECT_TRUE(part.same_storage(x));
}

TEST(Columns, ConcatPutsMatricesSideBySide) {
  TestPass pass;
  const Tensor a = from_values(pass.plain, {2, 1}, DType::kF32, {1, 2});
  const Tensor b = from_values(pass.plain, {2, 2}, DType::kF32, {3, 4, 5, 6});
  EXPECT_EQ(to_doubles(concat_columns(pass.plain, a, b)), (Values{1, 3, 4, 2, 5, 6}));
  const Tensor none = pass.plain.empty({0, 3}, DType::kF32);
  EXPECT_EQ(concat_columns(pass.plain, none, none).shape(), (Shape{0, 6}));
}

TEST(Columns, GradientsEqualDifferences) {
  TestPass pass;
  // A slice used twice, one used once, one not at all, and the halves joined the other way round.
  const auto fn = [](Pass& p, const std::vector<Tensor>& x) {
    const std::vector<Tensor> parts = split_columns(p, x[0], {3, 3, 2});
    const Tensor twice = add(p, parts[0], parts[0]);
    return concat_columns(p, add(p, parts[1], x[1]), add(p, twice, x[1]));
  };
  EXPECT_EQ(testing::check_gradients(fn, {{4, 8}, {4, 3}}, {}, pass), "");
}

TEST(Columns, AConstantRecordsNothing) {
  TestPass pass;
  const Tensor x = random_tensor(pass.plain, {2, 4}, DType::kF32, 1);
  const std::vector<Tensor> parts = split_columns(pass.taped, x, {2, 2});
  concat_columns(pass.taped, parts[0], parts[1]);
  EXPECT_EQ(parts[0].slot(), nullptr);
  EXPECT_TRUE(pass.tape.empty());
}

TEST(Columns, RefusesWidthsThatDoNotCoverTheInput) {
  TestPass pass;
  const Tensor x = random_tensor(pass.plain, {2, 4}, DType::kF32, 1);
  try {
    split_columns(pass.plain, x, {2, 1});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("add up to 3 but x is [2, 4]"), std::string::npos)
        << error.what();
  }
  EXPECT_THROW(concat_columns(pass.plain, x, random_tensor(pass.plain, {3, 4}, DType::kF32, 2)),
               Error);
}

}  // namespace
}  // namespace fathom
