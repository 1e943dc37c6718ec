#include "ops/kernel_table.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

namespace fathom {
namespace {

// Read as bytes, so that a slot added later is covered without naming it here.
TEST(KernelTable, TheReferencesFillEverySlot) {
  const KernelTable table = reference_kernels();
  static_assert(sizeof(KernelTable) % sizeof(void*) == 0);
  std::array<void*, sizeof(KernelTable) / sizeof(void*)> slots{};
  std::memcpy(slots.data(), &table, sizeof(table));
  for (size_t i = 0; i < slots.size(); ++i) EXPECT_NE(slots[i], nullptr) << "slot " << i;
}

TEST(KernelTable, RuntimeSeesItsOwnPartOfIt) {
  const KernelTable table = reference_kernels();
  EXPECT_EQ(basic_kernels(table).accumulate, table.accumulate);
}

}  // namespace
}  // namespace fathom
