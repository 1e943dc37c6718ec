// Shared by the tests of Highway kernels: every instruction set of this machine, column slices, and
// equality to the bit.
#pragma once

#include <gtest/gtest.h>

#include <utility>

#include "base/team.h"
#include "ops/simd_targets.h"
#include "ops/testing.h"

namespace fathom::testing {

// Calls fn() once with each instruction set that the kernels are compiled for and the CPU has.
template <class Fn>
void for_each_simd_target(const Fn& fn) {
  for (int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    fn();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

// The result of make() with one thread and with two.
template <class Fn>
auto with_one_and_two_threads(const Fn& make) {
  const int before = team_size();
  set_team_size(1);
  auto one = make();
  set_team_size(2);
  auto two = make();
  set_team_size(before);
  return std::pair(one, two);
}

// A column slice of a wider tensor: its rows lie further apart than they are long.
inline Tensor random_slice(Pass& pass, int64_t rows, int64_t cols, DType dtype, uint64_t seed) {
  return random_tensor(pass, {rows, cols + 5}, dtype, seed).columns(2, cols);
}

// Equal in every element; a NaN equals nothing.
inline bool identical(const Tensor& a, const Tensor& b) { return to_doubles(a) == to_doubles(b); }

}  // namespace fathom::testing
