// Shared by op tests: random tensors, comparison with derived tolerances, and the gradient check.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ops/kernel_table.h"
#include "runtime/parameter.h"
#include "runtime/tape.h"

namespace fathom::testing {

// A pass on the reference kernels with its own memory; `kernels` may be replaced by a backend's
// table.
struct TestPass {
  explicit TestPass(const KernelTable& table = reference_kernels());
  std::unique_ptr<Allocator> memory;
  KernelTable kernels;
  Tape tape;
  Pass plain;  // no tape
  Pass taped;
};

Tensor random_tensor(Pass& pass, const Shape& shape, DType dtype, uint64_t seed, double scale = 1);
Tensor from_values(Pass& pass, const Shape& shape, DType dtype, const std::vector<double>& values);
std::vector<double> to_doubles(const Tensor& tensor);  // any float or integer dtype, strided too
Parameter random_parameter(Pass& pass, const std::string& name, const Shape& shape, DType dtype,
                           uint64_t seed, double scale = 1);
void require_grad(Tensor& x);  // gives x a slot, as if an op had made it
Tensor grad_of(const Tensor& x);

// "" if |a − b| <= absolute + relative · |b| everywhere, else the worst element: index, both
// values, the tolerance.
std::string difference(const Tensor& a, const Tensor& b, double relative, double absolute);
// Tolerance of an f32 sum of `length` products: about sqrt(length) roundings of 2^-24, with a
// margin of 8.
double sum_tolerance(int64_t length);

// Central differences in double on the reference kernels. `fn` maps inputs (slots set) and captured
// parameters to an output; the check differentiates sum(out · fixed random weights) by each input
// and parameter. "" or a description of the worst mismatch.
using TestFn = std::function<Tensor(Pass&, const std::vector<Tensor>&)>;
std::string check_gradients(const TestFn& fn, const std::vector<Shape>& inputs,
                            const std::vector<Parameter*>& parameters, TestPass& pass,
                            double step = 1e-5, double tolerance = 1e-6);

}  // namespace fathom::testing
