#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/elementwise.h"
#include "runtime/parameter.h"
#include "runtime/tape.h"

namespace fathom {

// The folder's own tests need no op: a table of the three kernels that runtime calls is enough.
struct KernelTable : BasicKernels {};

const BasicKernels& basic_kernels(const KernelTable& table) { return table; }

namespace {

using Values = std::vector<float>;

template <class Fn>
void for_each_element(const View& y, const Fn& fn) {
  for (int64_t r = 0; r < y.rows(); ++r) {
    for (int64_t c = 0; c < y.cols(); ++c) fn(y.row<float>(r)[c], r, c);
  }
}

KernelTable test_kernels() {
  KernelTable table;
  table.fill_zero = [](Stream*, View x) {
    for_each_element(x, [](float& to, int64_t, int64_t) { to = 0; });
  };
  table.copy = [](Stream*, ConstView x, View y) {
    for_each_element(y, [&](float& to, int64_t r, int64_t c) { to = x.row<float>(r)[c]; });
  };
  table.accumulate = [](Stream*, ConstView x, View y) {
    for_each_element(y, [&](float& to, int64_t r, int64_t c) { to += x.row<float>(r)[c]; });
  };
  return table;
}

class TapeTest : public ::testing::Test {
 protected:
  Tensor matrix(const Shape& shape, const Values& values) {
    Tensor x = pass_.empty(shape, DType::kF32);
    std::copy(values.begin(), values.end(), x.mutable_data<float>());
    return x;
  }
  // A tensor whose gradient is asked for.
  Tensor variable(const Shape& shape, const Values& values) {
    Tensor x = matrix(shape, values);
    x.set_slot(std::make_shared<GradSlot>());
    return x;
  }
  void backward(const Tensor& y, const Tensor& dy = Tensor()) { tape_.backward(pass_, {{y, dy}}); }

  std::unique_ptr<Allocator> memory_ = make_host_allocator();
  KernelTable kernels_ = test_kernels();
  Tape tape_;
  Pass pass_{kernels_, *memory_, nullptr, &tape_};
};

Values values(const Tensor& x) {
  Values result;
  const ConstView view = x.read();
  for (int64_t r = 0; r < view.rows(); ++r) {
    result.insert(result.end(), view.row<float>(r), view.row<float>(r) + view.cols());
  }
  return result;
}

Values grad(const Tensor& x) { return values(x.slot()->grad); }

Tensor scaled(Pass& pass, const Tensor& x, float factor) {
  Tensor y = pass.empty(x.shape(), x.dtype());
  copy_into(pass, x, y);
  for_each_element(y.write(), [&](float& to, int64_t, int64_t) { to *= factor; });
  return y;
}

// y = factor · x, whose backward hands over a tensor of its own.
Tensor scale(Pass& pass, const Tensor& x, float factor) {
  Tensor y = scaled(pass, x, factor);
  if (needs_grad(pass, {&x})) {
    pass.tape->record("scale", y, [x = x.without_data(), factor](Pass& p, const Tensor& dy) {
      p.tape->add_grad(p, x, scaled(p, dy, factor));
    });
  }
  return y;
}

// y = factor · x, whose backward writes or adds where the tape says.
Tensor scale_in_place(Pass& pass, const Tensor& x, float factor) {
  Tensor y = scaled(pass, x, factor);
  if (needs_grad(pass, {&x})) {
    pass.tape->record("scale", y, [x = x.without_data(), factor](Pass& p, const Tensor& dy) {
      bool accumulate = false;
      Tensor dx = p.tape->grad_target(p, x, accumulate);
      for_each_element(dx.write(), [&](float& to, int64_t r, int64_t c) {
        to = (accumulate ? to : 0) + factor * dy.read().row<float>(r)[c];
      });
    });
  }
  return y;
}

// y = a + b, whose backward hands the same tensor to both.
Tensor sum(Pass& pass, const Tensor& a, const Tensor& b) {
  Tensor y = scaled(pass, a, 1);
  add_into(pass, b, y);
  if (needs_grad(pass, {&a, &b})) {
    pass.tape->record("sum", y,
                      [a = a.without_data(), b = b.without_data()](Pass& p, const Tensor& dy) {
                        p.tape->add_grad(p, a, dy);
                        p.tape->add_grad(p, b, dy);
                      });
  }
  return y;
}

// y = x², which needs the values of x.
Tensor square(Pass& pass, const Tensor& x) {
  Tensor y = pass.empty(x.shape(), x.dtype());
  copy_into(pass, x, y);
  for_each_element(y.write(), [](float& to, int64_t, int64_t) { to *= to; });
  if (needs_grad(pass, {&x})) {
    pass.tape->record("square", y, [x = Saved(x)](Pass& p, const Tensor& dy) {
      const Tensor& in = x.get("square");
      Tensor dx = p.empty(in.shape(), in.dtype());
      for_each_element(dx.write(), [&](float& to, int64_t r, int64_t c) {
        to = 2 * in.read().row<float>(r)[c] * dy.read().row<float>(r)[c];
      });
      p.tape->add_grad(p, in, dx);
    });
  }
  return y;
}

std::vector<Tensor> split(Pass& pass, const Tensor& x, const std::vector<int64_t>& widths) {
  std::vector<Tensor> slices;
  int64_t begin = 0;
  for (int64_t width : widths) {
    slices.push_back(x.columns(begin, width));
    begin += width;
  }
  pass.tape->record_split("split", x, slices);
  return slices;
}

TEST_F(TapeTest, GradientsFollowTheChainRule) {
  const Tensor x = variable({1, 2}, {3, -1});
  backward(scale(pass_, square(pass_, x), 5), matrix({1, 2}, {1, 10}));
  EXPECT_EQ(grad(x), (Values{30, -100}));
  EXPECT_TRUE(tape_.empty());
}

TEST_F(TapeTest, AnEmptySeedIsOnes) {
  const Tensor x = variable({2, 2}, {1, 2, 3, 4});
  backward(scale(pass_, x, 3));
  EXPECT_EQ(grad(x), (Values{3, 3, 3, 3}));
}

TEST_F(TapeTest, ContributionsOfSeveralUsesAddUp) {
  for (auto op : {&scale, &scale_in_place}) {
    const Tensor x = variable({1, 1}, {1});
    const Tensor y = sum(pass_, op(pass_, x, 2), op(pass_, x, 3));
    backward(sum(pass_, y, op(pass_, x, 10)));
    EXPECT_EQ(grad(x), (Values{15}));
  }
}

// dy of `sum` becomes the gradient of a and of b at once; when another use adds to that of a, b
// must not see it, in whichever order and way it is added.
TEST_F(TapeTest, AGradientSharedByTwoInputsIsNotCorrupted) {
  for (auto op : {&scale, &scale_in_place}) {
    const Tensor a = variable({1, 2}, {1, 2}), b = variable({1, 2}, {3, 4});
    const Tensor extra = op(pass_, a, 7);  // recorded first: its gradient is added last
    const Tensor y = sum(pass_, a, b);
    tape_.backward(pass_, {{y, Tensor()}, {extra, Tensor()}});
    EXPECT_EQ(grad(a), (Values{8, 8}));
    EXPECT_EQ(grad(b), (Values{1, 1}));
  }
}

TEST_F(TapeTest, TheCallersSeedIsNotChanged) {
  const Tensor x = variable({1, 1}, {1});
  const Tensor seed = matrix({1, 1}, {2});
  const Tensor first = scale_in_place(pass_, x, 3);
  tape_.backward(pass_,
                 {{x, seed}, {first, seed}});  // x already holds the seed when 3 · dy is added
  EXPECT_EQ(grad(x), (Values{8}));
  EXPECT_EQ(values(seed), (Values{2}));
}

TEST_F(TapeTest, AGradientIsChangedInPlaceOnlyWithASoleOwner) {
  const Tensor x = variable({1, 1}, {0});
  tape_.add_grad(pass_, x, matrix({1, 1}, {1}));
  const void* place = x.slot()->grad.read().data;
  tape_.add_grad(pass_, x, matrix({1, 1}, {2}));
  EXPECT_EQ(x.slot()->grad.read().data, place);

  const Tensor kept = x.slot()->grad;
  tape_.add_grad(pass_, x, matrix({1, 1}, {4}));
  EXPECT_NE(x.slot()->grad.read().data, place);
  EXPECT_EQ(values(kept), (Values{3}));
  EXPECT_EQ(grad(x), (Values{7}));
}

TEST_F(TapeTest, ColumnsOfOneGradientMayBeTheGradientsOfTwoTensors) {
  const Tensor a = variable({2, 1}, {0, 0}), b = variable({2, 1}, {0, 0});
  {
    const Tensor joined = matrix({2, 2}, {1, 2, 3, 4});
    tape_.add_grad(pass_, a, joined.columns(0, 1));
    tape_.add_grad(pass_, b, joined.columns(1, 1));
  }
  tape_.add_grad(pass_, a, matrix({2, 1}, {10, 10}));
  EXPECT_EQ(grad(a), (Values{11, 13}));
  EXPECT_EQ(grad(b), (Values{2, 4}));
}

TEST_F(TapeTest, ConstantsGetNoGradient) {
  const Tensor x = matrix({1, 1}, {1});
  scale(pass_, x, 2);
  EXPECT_TRUE(tape_.empty());
  tape_.add_grad(pass_, x, matrix({1, 1}, {1}));
  bool accumulate = true;
  EXPECT_FALSE(tape_.grad_target(pass_, x, accumulate));
  EXPECT_FALSE(accumulate);
}

TEST_F(TapeTest, RecordsThatNoGradientReachesAreSkipped) {
  const Tensor x = variable({1, 1}, {2});
  Tensor unused = scale(pass_, x, 3);
  bool reached = false;
  tape_.record("never", unused, [&](Pass&, const Tensor&) { reached = true; });
  backward(square(pass_, x));
  EXPECT_FALSE(reached);
  EXPECT_EQ(grad(x), (Values{4}));
}

TEST_F(TapeTest, RefusesGradientsOfAnotherShape) {
  const Tensor x = variable({2, 3}, {0, 0, 0, 0, 0, 0});
  EXPECT_THROW(tape_.add_grad(pass_, x, matrix({2, 2}, {0, 0, 0, 0})), Error);
  EXPECT_THROW(tape_.add_grad(pass_, x, matrix({3, 2}, {0, 0, 0, 0, 0, 0})), Error);
}

TEST_F(TapeTest, RefusesToDifferentiateAConstant) {
  try {
    backward(matrix({1, 2}, {1, 2}));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("[1, 2]"), std::string::npos) << error.what();
  }
}

TEST_F(TapeTest, ASavedTensorThatWasWrittenIsAnError) {
  Tensor x = variable({1, 2}, {1, 2});
  const Tensor y = square(pass_, x);
  x.columns(0, 1).write();  // through any handle on the storage
  try {
    backward(y);
    FAIL() << "no error";
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("square"), std::string::npos) << message;
    EXPECT_NE(message.find("[1, 2]"), std::string::npos) << message;
  }
}

TEST_F(TapeTest, BackwardFreesWhatWasSaved) {
  const Tensor x = variable({64, 64}, Values(64 * 64, 1.0f));
  const size_t before = memory_->in_use();
  {
    Tensor y = scale(pass_, x, 2);
    for (int i = 0; i < 5; ++i) y = square(pass_, y);
    backward(y);
  }
  EXPECT_EQ(memory_->in_use() - before, static_cast<size_t>(x.bytes()));  // the gradient of x
}

// y = 2x, which can be made again, read by an op that needs its values.
TEST_F(TapeTest, WhatCanBeMadeAgainIsNotKept) {
  const Tensor x = variable({64, 64}, Values(64 * 64, 3.0f));
  const size_t before = memory_->in_use();
  int made = 0;
  Tensor y = scale(pass_, x, 2);
  y.slot()->remake = [&made, kept = Saved(x)](Pass& p) {
    ++made;
    Pass plain = p;
    plain.tape = nullptr;
    return scale(plain, kept.get("scale"), 2);
  };
  const Saved saved = Saved::remakeable(y), whole(y);
  const Shape shape = y.shape();
  EXPECT_EQ(whole.remade(pass_, "reader").read().row<float>(0)[0], 6.0f);
  EXPECT_EQ(made, 0);  // kept: nothing to make
  {
    const Tensor again = saved.remade(pass_, "reader");
    EXPECT_EQ(again.shape(), shape);
    EXPECT_EQ(again.slot(), y.slot());
    EXPECT_EQ(again.read().row<float>(63)[63], 6.0f);
    EXPECT_FALSE(again.same_storage(y));
  }
  EXPECT_EQ(made, 1);
  EXPECT_EQ(memory_->in_use() - before, static_cast<size_t>(y.bytes()));  // y itself
  Tensor plain = variable({1, 1}, {1});
  EXPECT_TRUE(Saved::remakeable(plain).get("reader").same_storage(plain));
}

TEST_F(TapeTest, WhatIsMadeAgainFromWrittenValuesIsAnError) {
  Tensor x = variable({1, 2}, {1, 2});
  Tensor y = scale(pass_, x, 2);
  y.slot()->remake = [kept = Saved(x)](Pass&) { return kept.get("scale"); };
  const Saved saved = Saved::remakeable(y);
  x.write();
  EXPECT_THROW(saved.remade(pass_, "reader"), Error);
}

TEST_F(TapeTest, SlicesShareOneBufferThatBecomesTheGradient) {
  const Tensor x = variable({2, 3}, {1, 2, 3, 4, 5, 6});
  const std::vector<Tensor> slices = split(pass_, x, {1, 2});
  const Tensor left = scale_in_place(pass_, slices[0], 10);
  const Tensor right = scale(pass_, slices[1], 100);
  tape_.backward(pass_, {{left, Tensor()}, {right, Tensor()}});
  EXPECT_EQ(grad(x), (Values{10, 100, 100, 10, 100, 100}));
  EXPECT_TRUE(x.slot()->grad.sole_owner());  // so that adding to it needs no copy
}

TEST_F(TapeTest, UnusedSlicesGiveZeros) {
  const Tensor x = variable({2, 4}, Values(8, 1.0f));
  const Tensor y = scale(pass_, split(pass_, x, {1, 2, 1})[2], 5);
  {
    // The memory that the buffer will get does not hold zeros by chance.
    std::vector<Tensor> dirty;
    for (int i = 0; i < 8; ++i) dirty.push_back(matrix({2, 4}, Values(8, 99.0f)));
  }
  backward(y);
  EXPECT_EQ(grad(x), (Values{0, 0, 0, 5, 0, 0, 0, 5}));
}

TEST_F(TapeTest, SlicesThatNothingUsesAddNothing) {
  const Tensor x = variable({1, 2}, {1, 2});
  split(pass_, x, {1, 1});
  backward(scale(pass_, x, 3));
  EXPECT_EQ(grad(x), (Values{3, 3}));
}

TEST_F(TapeTest, SlicesMayBeUsedOftenAndBesideTheWhole) {
  for (auto op : {&scale, &scale_in_place}) {
    const Tensor x = variable({2, 2}, {1, 2, 3, 4});
    const Tensor whole = op(pass_, x, 1000);
    const std::vector<Tensor> slices = split(pass_, x, {1, 1});
    const Tensor y = sum(pass_, op(pass_, slices[0], 2), op(pass_, slices[0], 3));
    tape_.backward(pass_, {{sum(pass_, y, slices[1]), Tensor()}, {whole, Tensor()}});
    EXPECT_EQ(grad(x), (Values{1005, 1001, 1005, 1001}));
  }
}

TEST_F(TapeTest, SlicesOfSlicesReachTheWhole) {
  const Tensor x = variable({1, 4}, {1, 2, 3, 4});
  const std::vector<Tensor> outer = split(pass_, x, {1, 3});
  const std::vector<Tensor> inner = split(pass_, outer[1], {2, 1});
  tape_.backward(pass_, {{scale(pass_, inner[0], 7), Tensor()}, {outer[0], Tensor()}});
  EXPECT_EQ(grad(x), (Values{1, 7, 7, 0}));
}

TEST_F(TapeTest, ASplitKeepsNoData) {
  const Tensor x = variable({64, 64}, Values(64 * 64, 1.0f));
  const size_t before = memory_->in_use();
  const Tensor y = scale(pass_, split(pass_, scale(pass_, x, 2), {32, 32})[0], 3);
  EXPECT_EQ(memory_->in_use() - before, static_cast<size_t>(y.bytes()));
}

TEST_F(TapeTest, SlicesMustCoverTheTensor) {
  const Tensor x = variable({1, 3}, {1, 2, 3});
  EXPECT_THROW(split(pass_, x, {1, 1}), Error);
}

Tensor block(Pass& pass, const Tensor& x) {
  return square(pass, sum(pass, scale(pass, x, 0.3f), square(pass, x)));
}

TEST_F(TapeTest, RecomputedBlocksGiveTheSameBitsAndGradients) {
  const Values start = {0.1f, -0.7f, 1.3f, 2.9f, -0.2f, 0.01f};
  const Tensor stored = variable({2, 3}, start), again = variable({2, 3}, start);
  const Tensor y = block(pass_, stored), z = recompute(pass_, again, block);
  EXPECT_EQ(values(y), values(z));
  const Tensor seed = matrix({2, 3}, {1, 2, 3, 4, 5, 6});
  tape_.backward(pass_, {{y, seed}, {z, seed}});
  EXPECT_EQ(grad(stored), grad(again));
}

TEST_F(TapeTest, RecomputeAddsToAGradientThatIsThere) {
  const Tensor x = variable({1, 1}, {2});
  const Tensor y = sum(pass_, recompute(pass_, x, square), scale(pass_, x, 10));
  backward(recompute(pass_, y, square));  // y = 24, dy = 48, dx = 48 · (2 · 2 + 10)
  EXPECT_EQ(grad(x), (Values{672}));
}

TEST_F(TapeTest, RecomputeOfASliceReachesTheWhole) {
  const Tensor x = variable({1, 3}, {1, 2, 3});
  backward(recompute(pass_, split(pass_, x, {1, 2})[1], square));
  EXPECT_EQ(grad(x), (Values{0, 4, 6}));
}

TEST_F(TapeTest, RecomputeKeepsOnlyTheInput) {
  const Tensor x = variable({64, 64}, Values(64 * 64, 1.0f));
  const size_t before = memory_->in_use();
  const Tensor y = recompute(pass_, x, block);
  EXPECT_EQ(memory_->in_use() - before, static_cast<size_t>(y.bytes()));
}

TEST_F(TapeTest, RecomputeCountsStatisticsOnce) {
  PassStats stats;
  pass_.stats = &stats;
  const Tensor x = variable({1, 1}, {2});
  const Tensor y = recompute(pass_, x, [](Pass& pass, const Tensor& in) {
    if (pass.stats) pass.stats->add_expert_counts(1, {3, 4});
    return square(pass, in);
  });
  backward(y);
  ASSERT_EQ(stats.expert_counts.size(), 2u);
  EXPECT_EQ(stats.expert_counts[1], (std::vector<int64_t>{3, 4}));
}

TEST_F(TapeTest, RecomputeWithoutATapeIsTheFunction) {
  Pass plain{kernels_, *memory_};
  EXPECT_EQ(values(recompute(plain, matrix({1, 1}, {3}), square)), (Values{9}));
}

TEST_F(TapeTest, ExpertCountsAddUpOverMicrobatches) {
  PassStats stats;
  stats.add_expert_counts(0, {1, 2});
  stats.add_expert_counts(0, {10, 20});
  EXPECT_EQ(stats.expert_counts[0], (std::vector<int64_t>{11, 22}));
}

class ParameterTest : public TapeTest {
 protected:
  Parameter parameter(const Shape& shape, const Values& numbers) {
    Parameter p;
    p.name = "w";
    p.value = matrix(shape, numbers);
    p.grad = std::make_shared<ParameterGrad>();
    return p;
  }
  void contribute(const Parameter& p, float amount) {
    bool accumulate = false;
    Tensor dw = p.grad_target(pass_, accumulate);
    for_each_element(dw.write(),
                     [&](float& to, int64_t, int64_t) { to = (accumulate ? to : 0) + amount; });
  }
};

TEST_F(ParameterTest, TheFirstContributionOfAStepOverwritesAndLaterOnesAdd) {
  const Parameter p = parameter({1, 2}, {1, 2});
  EXPECT_FALSE(p.grad->filled);
  contribute(p, 5);
  contribute(p, 2);
  EXPECT_EQ(values(p.grad->value), (Values{7, 7}));
  p.grad->clear();
  EXPECT_FALSE(p.grad->filled);
  contribute(p, 3);
  EXPECT_EQ(values(p.grad->value), (Values{3, 3}));
}

TEST_F(ParameterTest, ClearingTouchesNoMemory) {
  const Parameter p = parameter({1, 2}, {1, 2});
  contribute(p, 5);
  const Tensor held = p.grad->value;
  const uint32_t version = held.version();
  p.grad->clear();
  EXPECT_TRUE(p.grad->value.same_storage(held));
  EXPECT_EQ(held.version(), version);
  EXPECT_EQ(values(held), (Values{5, 5}));
}

TEST_F(ParameterTest, MemoryForTheGradientComesWithItsFirstUse) {
  const Parameter p = parameter({1, 2}, {1, 2});
  EXPECT_FALSE(p.grad->value);
  contribute(p, 1);
  EXPECT_EQ(p.grad->value.shape(), p.value.shape());
  EXPECT_EQ(p.grad->value.dtype(), p.value.dtype());
}

TEST_F(ParameterTest, ExpertsHaveOneFlagEachThatClearingLowers) {
  const Parameter p = parameter({3, 1, 2}, {1, 2, 3, 4, 5, 6});
  Tensor dw = p.expert_grad_target(pass_);
  EXPECT_EQ(dw.shape(), p.value.shape());
  EXPECT_TRUE(p.grad->filled);
  EXPECT_EQ(p.grad->live, (std::vector<uint8_t>{0, 0, 0}));
  p.grad->live[1] = 1;
  p.expert_grad_target(pass_);  // the second microbatch
  EXPECT_EQ(p.grad->live, (std::vector<uint8_t>{0, 1, 0}));
  p.grad->clear();
  EXPECT_EQ(p.grad->live, (std::vector<uint8_t>{0, 0, 0}));
}

TEST_F(ParameterTest, FrozenParametersWantNoGradient) {
  Parameter p = parameter({1, 1}, {1});
  Pass plain{kernels_, *memory_};
  EXPECT_TRUE(p.wants_grad(pass_));
  EXPECT_FALSE(p.wants_grad(plain));
  p.grad = nullptr;
  EXPECT_FALSE(p.wants_grad(pass_));
  try {
    contribute(p, 1);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("w is frozen"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace fathom
