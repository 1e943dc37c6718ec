// The whole-tensor operations that the tape itself needs, through the kernel table's slots of the
// same names.
//
// They live behind function pointers in the table (ops/kernel_table.h), reached by runtime through
// this seam so that runtime does not include ops. Shapes agree; column slices are fine.
#pragma once

#include "runtime/pass.h"

namespace fathom {

// The part of a kernel table that runtime calls; KernelTable begins with it (ops/kernel_table.h).
struct BasicKernels {
  void (*fill_zero)(Stream*, View x) = nullptr;
  void (*copy)(Stream*, ConstView x, View y) = nullptr;        // y = x
  void (*accumulate)(Stream*, ConstView x, View y) = nullptr;  // y += x
};

const BasicKernels& basic_kernels(const KernelTable& table);  // defined in ops/kernel_table.cpp

void fill_zero(Pass& pass, Tensor& x);
void copy_into(Pass& pass, const Tensor& x, Tensor& y);
void add_into(Pass& pass, const Tensor& x, Tensor& y);
void fill_ones(Tensor& x);  // host memory, f32 or f64

}  // namespace fathom
