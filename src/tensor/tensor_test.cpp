#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

namespace fathom {
namespace {

constexpr size_t kMB = size_t{1} << 20;

Tensor counted(Allocator& memory, const Shape& shape) {
  Tensor x(memory, shape, DType::kI32);
  std::iota(x.mutable_data<int32_t>(), x.mutable_data<int32_t>() + shape.elements(), 0);
  return x;
}

std::vector<int32_t> values(const Tensor& x) {
  const ConstView view = x.read();
  std::vector<int32_t> result;
  for (int64_t r = 0; r < view.rows(); ++r) {
    result.insert(result.end(), view.row<int32_t>(r), view.row<int32_t>(r) + view.cols());
  }
  return result;
}

// The text of the error that fn() throws; "" if none.
template <class Fn>
std::string message_of(const Fn& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Shape, CountsRowsColumnsAndElements) {
  const Shape shape{2, 3, 5};
  EXPECT_EQ(shape.rank(), 3);
  EXPECT_EQ(shape.rows(), 6);
  EXPECT_EQ(shape.cols(), 5);
  EXPECT_EQ(shape.elements(), 30);
  EXPECT_EQ(shape[0], 2);
  EXPECT_EQ(shape[-1], 5);
  EXPECT_EQ(shape.to_vector(), (std::vector<int64_t>{2, 3, 5}));
}

TEST(Shape, ASingleExtentIsOneRowAndNoExtentOneElement) {
  EXPECT_EQ(Shape({7}).rows(), 1);
  EXPECT_EQ(Shape({7}).cols(), 7);
  EXPECT_EQ(Shape().elements(), 1);
  EXPECT_EQ(Shape({0, 4}).elements(), 0);
  EXPECT_EQ(Shape({0, 4}).rows(), 0);
  EXPECT_EQ(Shape({4, 0}).rows(), 4);
}

TEST(Shape, ComparesAndPrints) {
  EXPECT_EQ(Shape({2, 3}), Shape(std::vector<int64_t>{2, 3}));
  EXPECT_NE(Shape({2, 3}), Shape({3, 2}));
  EXPECT_NE(Shape({2}), Shape({2, 1}));
  EXPECT_EQ(concat(Shape{3, 64}), "[3, 64]");
  EXPECT_EQ(concat(Shape{}), "[]");
}

TEST(Shape, RefusesNegativeAndTooManyExtents) {
  EXPECT_NE(message_of([] { Shape{2, -1}; }).find("-1"), std::string::npos);
  EXPECT_NE(message_of([] { Shape{1, 1, 1, 1, 1, 1}; }).find("got 6"), std::string::npos);
}

TEST(DType, KnowsSizesAndNames) {
  EXPECT_EQ(byte_size(DType::kF64, 3), 24);
  EXPECT_EQ(byte_size(DType::kBF16, 3), 6);
  EXPECT_EQ(byte_size(DType::kU8, 3), 3);
  for (DType dtype : {DType::kF64, DType::kF32, DType::kBF16, DType::kF16, DType::kF8E4M3,
                      DType::kI64, DType::kI32, DType::kU8}) {
    EXPECT_EQ(parse_dtype(info(dtype).name), dtype);
    EXPECT_EQ(dtype_from_safetensors(info(dtype).safetensors), dtype);
  }
}

TEST(DType, RefusesUnknownNamesAndArithmetic) {
  const std::string unknown = message_of([] { parse_dtype("bf61"); });
  EXPECT_NE(unknown.find("'bf61'; expected f32, bf16 or f16"), std::string::npos) << unknown;
  EXPECT_NE(message_of([] { dtype_from_safetensors("C64"); }).find("C64"), std::string::npos);
  const std::string integers = message_of([] { dispatch_float(DType::kI32, "here", [](auto) {}); });
  EXPECT_NE(integers.find("here: expected f32 or f64, got i32"), std::string::npos) << integers;
}

TEST(Allocator, BlocksAreAlignedAndWasteAtMostAQuarter) {
  const auto memory = make_host_allocator();
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{64}, size_t{65}, size_t{1000}, size_t{4097},
                       3 * kMB + 1, 5 * kMB, 17 * kMB}) {
    const auto block = memory->take(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block->data) % 64, 0u) << bytes;
    EXPECT_GE(block->bytes, bytes);
    EXPECT_LE(block->bytes, bytes + std::max<size_t>(bytes / 4, 64)) << bytes;
    std::fill_n(block->data, block->bytes, std::byte{1});  // all of it can be written
  }
}

TEST(Allocator, BlocksOfOneTimeDoNotOverlap) {
  const auto memory = make_host_allocator();
  std::vector<std::shared_ptr<Storage>> blocks;
  for (size_t i = 0; i < 200; ++i) {
    blocks.push_back(memory->take(1 + i * 997));
    std::fill_n(blocks.back()->data, blocks.back()->bytes, static_cast<std::byte>(i));
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    EXPECT_EQ(blocks[i]->data[0], static_cast<std::byte>(i));
    EXPECT_EQ(blocks[i]->data[blocks[i]->bytes - 1], static_cast<std::byte>(i));
  }
}

TEST(Allocator, AReleasedBlockIsUsedAgain) {
  const auto memory = make_host_allocator();
  for (size_t bytes : {size_t{300}, size_t{100000}, 8 * kMB}) {
    auto block = memory->take(bytes);
    const std::byte* address = block->data;
    block.reset();
    block = memory->take(bytes - 7);  // the same class
    EXPECT_EQ(block->data, address);
    EXPECT_NE(memory->take(bytes)->data, address);
  }
}

// Steps of a training run differ in size; the largest decides how much memory is needed. Memory is
// one range of addresses that grows at its end, so the highest one ever used tells how much.
TEST(Allocator, StepsOfManySizesUseTheMemoryOfTheLargest) {
  const auto memory = make_host_allocator();
  const std::byte* lowest = memory->take(1)->data;
  ptrdiff_t used = 0;
  const auto take = [&](size_t bytes) {
    auto block = memory->take(bytes);
    used = std::max(used, block->data + block->bytes - lowest);
    return block;
  };
  const auto step = [&](size_t tokens) {
    std::vector<std::shared_ptr<Storage>> saved;
    for (size_t layer = 0; layer < 12; ++layer) {
      for (size_t width : {512, 2048, 384, 1536}) {
        const auto work = take(tokens * width);
        saved.push_back(take(tokens * width));
      }
    }
    while (!saved.empty()) {
      const auto gradient = take(saved.back()->bytes);
      saved.pop_back();
    }
  };
  step(1000);
  const ptrdiff_t needed = used;
  EXPECT_GE(static_cast<size_t>(needed), memory->peak());
  for (size_t i = 0; i < 200; ++i) step(200 + i * 397 % 800);
  EXPECT_LE(used, needed + needed / 20);
}

TEST(Allocator, WhatIsReservedServesLaterWithoutMoreFromTheSystem) {
  const auto memory = make_host_allocator(64 * kMB);
  auto held = memory->take(kMB);
  memory->reserve(20 * kMB);
  const size_t reserved = memory->reserved();
  EXPECT_GE(reserved, 20 * kMB);
  EXPECT_LE(reserved, 24 * kMB);
  EXPECT_EQ(memory->in_use(), held->bytes);
  auto large = memory->take(18 * kMB);
  EXPECT_EQ(memory->reserved(), reserved);
  memory->reserve(kMB);  // less than there is
  EXPECT_EQ(memory->reserved(), reserved);
  memory->reserve(1000 * kMB);  // no more than the limit
  EXPECT_LE(memory->reserved(), 68 * kMB);
}

TEST(Allocator, KnowsWhatIsInUseAndThePeak) {
  const auto memory = make_host_allocator();
  auto a = memory->take(1000);
  const size_t one = memory->in_use();
  EXPECT_EQ(one, a->bytes);
  auto b = memory->take(kMB);
  const size_t two = memory->in_use();
  EXPECT_EQ(two, a->bytes + b->bytes);
  b.reset();
  EXPECT_EQ(memory->in_use(), one);
  EXPECT_EQ(memory->peak(), two);
  memory->reset_peak();
  EXPECT_EQ(memory->peak(), one);
  a.reset();
  EXPECT_EQ(memory->in_use(), 0u);
  EXPECT_EQ(memory->peak(), one);
}

TEST(Allocator, RefusesBeyondItsLimitAndStaysUsable) {
  const auto memory = make_host_allocator(10 * kMB, "--memory-mb");
  auto most = memory->take(8 * kMB);
  try {
    memory->take(4 * kMB);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kMemory);
    EXPECT_NE(std::string(error.what()).find("at most 10.5 MB in all, by --memory-mb. Raise it"),
              std::string::npos)
        << error.what();
  }
  EXPECT_EQ(memory->in_use(), most->bytes);
  most.reset();
  EXPECT_NE(memory->take(10 * kMB), nullptr);
}

TEST(Allocator, StoragesOutliveTheAllocatorObject) {
  auto memory = make_host_allocator();
  Tensor x = counted(*memory, {3});
  memory.reset();
  EXPECT_EQ(values(x), (std::vector<int32_t>{0, 1, 2}));
}

TEST(Allocator, ThreadsMayTakeAndReleaseAtOnce) {
  const auto memory = make_host_allocator();
  const auto churn = [&](int seed) {
    for (size_t i = 1; i < 2000; ++i) {
      const auto block = memory->take(i % 37 * 100 + 1);
      block->data[0] = static_cast<std::byte>(seed);
      ASSERT_EQ(block->data[0], static_cast<std::byte>(seed));
    }
  };
  std::thread other(churn, 1);
  churn(2);
  other.join();
  EXPECT_EQ(memory->in_use(), 0u);
}

TEST(Tensor, CopiesShareStorage) {
  const auto memory = make_host_allocator();
  Tensor x = counted(*memory, {2, 2});
  EXPECT_TRUE(x.sole_owner());
  Tensor y = x;
  EXPECT_FALSE(x.sole_owner());
  EXPECT_TRUE(y.same_storage(x));
  y.mutable_data<int32_t>()[3] = 9;
  EXPECT_EQ(values(x), (std::vector<int32_t>{0, 1, 2, 9}));
}

TEST(Tensor, AnEmptyHandleReadsAsAnEmptyView) {
  Tensor none;
  EXPECT_FALSE(none);
  EXPECT_FALSE(none.read());
  EXPECT_FALSE(none.write());
  EXPECT_EQ(none.version(), 0u);
}

TEST(Tensor, ColumnsAndRowsAreViews) {
  const auto memory = make_host_allocator();
  Tensor x = counted(*memory, {3, 4});
  Tensor columns = x.columns(1, 2);
  EXPECT_EQ(columns.shape(), (Shape{3, 2}));
  EXPECT_EQ(values(columns), (std::vector<int32_t>{1, 2, 5, 6, 9, 10}));
  EXPECT_FALSE(columns.contiguous());
  EXPECT_EQ(values(columns.rows_at(1, 2)), (std::vector<int32_t>{5, 6, 9, 10}));
  EXPECT_EQ(values(columns.columns(1, 1)), (std::vector<int32_t>{2, 6, 10}));
  EXPECT_EQ(values(x.rows_at(2, 1)), (std::vector<int32_t>{8, 9, 10, 11}));
  EXPECT_TRUE(columns.rows_at(1, 1).contiguous());
  EXPECT_EQ(columns.rows_at(1, 1).data<int32_t>()[0], 5);
  EXPECT_EQ(values(x.rows_at(3, 0)).size(), 0u);

  columns.write().row<int32_t>(2)[0] = 90;
  EXPECT_EQ(values(x)[9], 90);
}

TEST(Tensor, ColumnsOfMoreThanTwoExtentsAreAMatrix) {
  const auto memory = make_host_allocator();
  const Tensor x = counted(*memory, {2, 2, 3});
  EXPECT_EQ(values(x.columns(2, 1)), (std::vector<int32_t>{2, 5, 8, 11}));
  EXPECT_EQ(x.columns(2, 1).shape(), (Shape{4, 1}));
}

TEST(Tensor, ReshapedKeepsTheElementsInOrder) {
  const auto memory = make_host_allocator();
  const Tensor x = counted(*memory, {2, 6});
  const Tensor y = x.reshaped({4, 3});
  EXPECT_EQ(values(y), values(x));
  EXPECT_EQ(values(y.rows_at(1, 1)), (std::vector<int32_t>{3, 4, 5}));
  EXPECT_TRUE(y.same_storage(x));
}

TEST(Tensor, RefusesViewsThatDoNotFit) {
  const auto memory = make_host_allocator();
  Tensor x = counted(*memory, {2, 6});
  EXPECT_THROW(x.columns(4, 3), Error);
  EXPECT_THROW(x.columns(-1, 1), Error);
  EXPECT_THROW(x.rows_at(1, 2), Error);
  EXPECT_THROW(x.reshaped({5, 2}), Error);
  EXPECT_THROW(x.columns(0, 3).reshaped({6}), Error);
  EXPECT_THROW(x.columns(0, 3).data<int32_t>(), Error);
  EXPECT_THROW(x.data<float>(), Error);
  EXPECT_THROW(Tensor().data<float>(), Error);
}

TEST(Tensor, EveryWriteRaisesTheVersionForAllHandles) {
  const auto memory = make_host_allocator();
  Tensor x(*memory, {2, 2}, DType::kF32);
  Tensor slice = x.columns(0, 1);
  const uint32_t before = x.version();
  slice.write();
  EXPECT_EQ(x.version(), before + 1);
  x.mutable_data<float>();
  EXPECT_EQ(slice.version(), before + 2);
  x.read();
  x.data<float>();
  EXPECT_EQ(x.version(), before + 2);
}

TEST(Tensor, CopiesCarryTheSlotAndViewsDoNot) {
  const auto memory = make_host_allocator();
  Tensor x = counted(*memory, {2, 2});
  x.set_slot(std::make_shared<GradSlot>());
  const Tensor copy = x;
  EXPECT_EQ(copy.slot(), x.slot());
  EXPECT_EQ(x.columns(0, 1).slot(), nullptr);
  EXPECT_EQ(x.rows_at(0, 1).slot(), nullptr);
  EXPECT_EQ(x.reshaped({4}).slot(), nullptr);
  EXPECT_EQ(x.without_slot().slot(), nullptr);
}

TEST(Tensor, WithoutDataKeepsShapeDtypeAndSlotButNoMemory) {
  const auto memory = make_host_allocator();
  Tensor x = counted(*memory, {2, 3});
  x.set_slot(std::make_shared<GradSlot>());
  const Tensor handle = x.without_data();
  EXPECT_EQ(handle.shape(), x.shape());
  EXPECT_EQ(handle.dtype(), x.dtype());
  EXPECT_EQ(handle.slot(), x.slot());
  EXPECT_FALSE(handle);
  x = Tensor();
  EXPECT_EQ(memory->in_use(), 0u);
}

TEST(View, ColumnsAndRowsPointIntoTheSameMemory) {
  const auto memory = make_host_allocator();
  Tensor x = counted(*memory, {3, 4});
  const View view = x.write();
  const View inner = view.rows_at(1, 2).columns(2, 2);
  EXPECT_EQ(inner.shape, (Shape{2, 2}));
  EXPECT_EQ(inner.row<int32_t>(0)[0], 6);
  EXPECT_EQ(inner.row<int32_t>(1)[1], 11);
  EXPECT_FALSE(inner.contiguous());
  const ConstView read_only = inner;
  EXPECT_EQ(read_only.row<int32_t>(1), inner.row<int32_t>(1));
}

}  // namespace
}  // namespace fathom
