#include "ops/select_rows/select_rows.h"

#include <gtest/gtest.h>

#include "ops/add/add.h"
#include "ops/testing.h"

namespace fathom {
namespace {

using testing::from_values;
using testing::random_tensor;
using testing::TestPass;
using testing::to_doubles;
using Index = std::vector<int32_t>;
using Values = std::vector<double>;

TEST(SelectRows, TakesTheListedRows) {
  TestPass pass;
  const Tensor x = from_values(pass.plain, {4, 2}, DType::kF32, {0, 1, 10, 11, 20, 21, 30, 31});
  EXPECT_EQ(to_doubles(select_rows(pass.plain, x, Index{0, 3})), (Values{0, 1, 30, 31}));
  EXPECT_EQ(select_rows(pass.plain, x, Index{}).shape(), (Shape{0, 2}));
}

TEST(SelectRows, AllRowsAreTheTensorItself) {
  TestPass pass;
  Tensor x = random_tensor(pass.plain, {3, 2}, DType::kF32, 1);
  testing::require_grad(x);
  const Tensor y = select_rows(pass.taped, x, Index{0, 1, 2});
  EXPECT_TRUE(y.same_storage(x));
  EXPECT_EQ(y.slot(), x.slot());
  EXPECT_TRUE(pass.tape.empty());
}

TEST(SelectRows, GradientEqualsDifferencesWhetherItComesFirstOrIsAdded) {
  TestPass pass;
  const Index some = {1, 2, 4}, others = {0, 2, 3};
  const auto fn = [&](Pass& p, const std::vector<Tensor>& x) {
    return add(p, select_rows(p, x[0], some), select_rows(p, x[0], others));
  };
  EXPECT_EQ(testing::check_gradients(fn, {{5, 3}}, {}, pass), "");
}

TEST(SelectRows, RefusesRowsOutsideAndOutOfOrder) {
  TestPass pass;
  const Tensor x = random_tensor(pass.plain, {4, 2}, DType::kF32, 1);
  for (const Index& bad : {Index{1, 4}, Index{-1}, Index{2, 2}, Index{3, 1}}) {
    try {
      select_rows(pass.plain, x, bad);
      FAIL() << "no error for row " << bad.back();
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find(concat("is ", bad.back())), std::string::npos) << message;
      EXPECT_NE(message.find("[4, 2]"), std::string::npos) << message;
    }
  }
}

TEST(IndexTensor, HoldsTheValues) {
  TestPass pass;
  const Tensor index = index_tensor(pass.plain, Index{4, -1, 7});
  EXPECT_EQ(index.dtype(), DType::kI32);
  EXPECT_EQ(to_doubles(index), (Values{4, -1, 7}));
  EXPECT_EQ(index_tensor(pass.plain, Index{}).shape(), Shape{0});
}

}  // namespace
}  // namespace fathom
